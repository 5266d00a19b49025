"""How near a fit comes to the truth: every tool's output is measured here, by the same code."""

from collections.abc import Mapping

import numpy as np

from benchmarks.fit.cells import Cell, curve

__all__ = ["aligned", "coverage", "measure"]

FAILED_BEYOND = 100.0  # on the truth's scale, where a 2PL item's b and a stay below 30 also in the rough cell
SHARE = 1e-7  # probabilities are kept this far from 0 and 1


def measure(cell: Cell, found: Mapping[str, np.ndarray], *, saw_held_out: bool = False) -> dict[str, float]:
    """Compare ``theta, a, b, c`` (and ``probability``, if the tool gives it) with the truth.

    P-RMSE and the held-out log-loss need no alignment. ``gap_mnat`` is the log-loss above that of
    the true probabilities, in millinats a response. ``*_mid`` leave out the items whose seen
    proportion right lies outside [.05, .95], which unpenalised estimates send to infinity.
    """
    theta, a, b, c = (np.asarray(found[k], dtype=float) for k in ("theta", "a", "b", "c"))
    p = found.get("probability")
    p = curve(theta, a, b, c) if p is None else np.asarray(p, dtype=float)
    p = np.clip(np.nan_to_num(p, nan=0.5), SHARE, 1 - SHARE)
    out = {"p_rmse": _rmse(p - cell.probability), "theta_sd_own_scale": float(np.std(theta))}
    if not saw_held_out:
        out["log_loss"] = _log_loss(p[cell.held], cell.y[cell.held])
        out["gap_mnat"] = 1000 * (out["log_loss"] - _log_loss(cell.probability[cell.held], cell.y[cell.held]))
    theta, a, b = aligned(theta, a, b, cell.theta)
    share = np.sum(cell.y * cell.seen, axis=0) / np.maximum(cell.seen.sum(axis=0), 1)
    mid = (share > 0.05) & (share < 0.95)
    out |= {"theta_rmse": _rmse(theta - cell.theta), "theta_corr": _corr(theta, cell.theta)}
    for name, estimate, truth in (("b", b, cell.b), ("a", a, cell.a), ("c", c, cell.c)):
        if np.ptp(truth) == 0:  # a of the 1PL, c of the 2PL
            continue
        out[f"{name}_rmse"], out[f"{name}_corr"] = _rmse(estimate - truth), _corr(estimate, truth)
        out[f"{name}_rmse_mid"] = _rmse((estimate - truth)[mid]) if mid.any() else float("nan")
    good = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    out["failed_items"] = int((~good | (np.abs(b) > FAILED_BEYOND) | (np.abs(a) > FAILED_BEYOND)).sum())
    return out


def aligned(
    theta: np.ndarray, a: np.ndarray, b: np.ndarray, true_theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move θ to the truth's mean and sd (mean-sigma; its sign may turn), and a and b with it: P does not change."""
    sign = -1.0 if _corr(theta, true_theta) < 0 else 1.0
    k = sign * true_theta.std() / (np.std(theta) or 1.0)
    shift = true_theta.mean() - k * theta.mean()
    return k * theta + shift, a / k, k * b + shift


def coverage(cell: Cell, found: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Share of truths inside the 95 % intervals ``{theta,a,b,c}_{lower,upper}``.

    The intervals are on the scale where the calibration models have mean 0 and sd 1, so the truth
    is moved there. Those of a and c are central, so they cover log a and logit c as often.
    Items with a negative true slope are left out of a and b; the 1PL's one slope is no share.
    """
    mean, sd = cell.theta.mean(), cell.theta.std()
    positive = cell.a > 0
    truths = {
        "theta": ((cell.theta - mean) / sd, np.ones(len(cell.theta), dtype=bool)),
        "b": ((cell.b - mean) / sd, positive),
        "log_a": (cell.a * sd, positive & bool(np.ptp(cell.a))),
        "logit_c": (cell.c, cell.c > 0),
    }
    out = {}
    for name, (truth, use) in truths.items():
        key = name.removeprefix("log_").removeprefix("logit_")
        if use.any() and f"{key}_lower" in found:
            inside = (found[f"{key}_lower"] <= truth) & (truth <= found[f"{key}_upper"])
            out[f"cover_{name}"] = float(inside[use].mean())
    return out


def _log_loss(p: np.ndarray, y: np.ndarray) -> float:
    p = np.clip(p, SHARE, 1 - SHARE)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log1p(-p))))


def _rmse(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def _corr(x: np.ndarray, y: np.ndarray) -> float:
    ok = np.isfinite(x) & np.isfinite(y)
    if ok.sum() < 3 or np.ptp(x[ok]) == 0 or np.ptp(y[ok]) == 0:
        return float("nan")
    return float(np.corrcoef(x[ok], y[ok])[0, 1])
