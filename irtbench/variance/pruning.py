"""Pruning: leave out the items that discriminate least, beside leaving out as many at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.item_analysis import Statistic, discrimination
from irtbench.variance.monotonicity import kendall
from irtbench.variance.runs import Runs
from irtbench.variance.spread import seed_std
from irtbench.variance.standard_errors import stated

__all__ = ["MEASURES", "pruning_sweep", "rank_tau"]

MEASURES = ("se", "E", "monotonicity", "drift", "drift_size", "rank_tau")


def pruning_sweep(
    calibration: ResponseMatrix,
    runs: Sequence[Runs] | Runs,
    shares: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    *,
    statistic: Statistic = "item_rest",
    n_random: int = 100,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Prune the items that discriminate least among some models, and look at runs of others.

    Measures on the runs, from the items that are left: ``se`` (mean standard error over items), ``E`` (sd
    over seeds, mean over checkpoints and recipes), ``monotonicity`` (mean :math:`\tau_b` of the seeds'
    curves), ``drift`` (mean of the score less the full score), ``drift_size`` (mean of its absolute value),
    ``rank_tau`` (Kendall's :math:`\tau_b` of all runs' scores with their full scores). The control prunes as
    many items at random, ``n_random`` times: its mean, its quantiles, and the share of random prunings that
    are at least as good. Where that share is not small, the choice of the items did nothing.

    Args:
        calibration: responses of the models that the items are judged by; one benchmark.
        runs: runs of the same items, of one recipe or several; best of other models.
        shares: shares of the items to prune, in [0, 1).
        statistic: ``item_rest`` or ``item_total``; items without a value go first.
        n_random: random prunings.
        level: of the quantiles.
        seed: of the random prunings.

    Returns:
        DataFrame, a row by ``share`` and ``measure``: ``n_items``, ``pruned``, ``random``, ``random_low``,
        ``random_high``, ``as_good`` (share of the random prunings with a value as good or better, counting
        the pruned one; ``drift`` has none).

    Raises:
        InputError: other items, a share out of range, or fewer than 2 items left.

    References:
        Madaan et al. (2024), section 4, https://arxiv.org/abs/2406.10229, who have no control

    Example:
        >>> from irtbench.variance.runs import runs_of
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame({"family": "a", "seed": np.arange(8) % 4, "step": np.arange(8) // 4})
        >>> R = ResponseMatrix.of(rng.integers(0, 2, (8, 50)), table.set_index("m" + table.index.astype(str)))
        >>> found = pruning_sweep(R, runs_of(R), [0.0, 0.5], n_random=20).set_index(["share", "measure"])
        >>> float(found.loc[(0.0, "rank_tau"), "pruned"]), int(found.loc[(0.5, "E"), "n_items"])
        (1.0, 25)
    """
    families = [runs] if isinstance(runs, Runs) else list(runs)
    _check(calibration, families, shares, n_random)
    worth = discrimination(calibration, statistic)
    order = np.argsort(np.where(np.isnan(worth), -np.inf, worth), kind="stable")
    rng = np.random.default_rng(seed)
    n_items, rows = len(order), []
    for share in shares:
        left = n_items - round(share * n_items)
        if left < 2:
            raise InputError(f"a share of {share} leaves {left} of {n_items} items; at least 2 are needed")
        masks = np.zeros((1 + n_random, n_items))
        masks[0, order[n_items - left :]] = 1
        for mask in masks[1:]:
            mask[rng.choice(n_items, left, replace=False)] = 1
        for name, values in _measures(families, masks).items():
            chance = values[1:]
            low, high = np.quantile(chance, [(1 - level) / 2, (1 + level) / 2]) if n_random else (np.nan,) * 2
            found = (share, name, left, values[0], chance.mean() if n_random else np.nan, low, high)
            rows.append((*found, _as_good(name, values)))
    columns = ["share", "measure", "n_items", "pruned", "random", "random_low", "random_high", "as_good"]
    return stated(
        dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)),
        statistic=statistic,
        n_random=n_random,
        level=level,
        seed=seed,
        ddof=1,
        tau="b",
    )


def rank_tau(x: np.ndarray, y: np.ndarray) -> float:
    r"""Kendall's :math:`\tau_b` of two lists of scores, over the models that have both.

    Example:
        >>> rank_tau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
        0.3333333333333333
    """
    there = ~(np.isnan(x) | np.isnan(y))
    a, b = (np.sign(v[there][:, None] - v[there]) for v in (x, y))
    scale = np.sqrt(np.abs(a).sum() * np.abs(b).sum())
    return float((a * b).sum() / scale) if scale > 0 else float("nan")


def _measures(families: list[Runs], masks: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure for each mask (n_masks, n_items) of the items that are left."""
    scores, errors, E, rise = [], [], [], []
    for runs in families:
        y = runs.values.reshape(-1, runs.shape[2]).astype(np.float64)
        seen, filled = (~np.isnan(y)).astype(float), np.nan_to_num(y)
        n, total, square = seen @ masks.T, filled @ masks.T, filled**2 @ masks.T
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(n > 0, total / n, np.nan)
            se = np.sqrt(np.maximum(square / n - mean**2, 0) / np.where(n > 1, n - 1, np.nan))
        curves = mean.reshape(*runs.shape[:2], -1)
        up = 1 if runs.metric.higher_is_better else -1
        scores.append(mean)
        errors.append(se)
        E.append(_mean(seed_std(curves)))
        rise.append(_mean(kendall(up * np.moveaxis(curves, 1, 2))))
    score, full = np.concatenate(scores), np.concatenate([_full(runs) for runs in families])
    known = ~np.isnan(full)
    drift = score[known] - full[known, None]
    tau = [rank_tau(column, full[known]) for column in score[known].T]
    found = (_mean(np.concatenate(errors)), _mean(np.stack(E)), _mean(np.stack(rise)))
    return dict(zip(MEASURES, (*found, _mean(drift), _mean(np.abs(drift)), np.array(tau)), strict=True))


def _full(runs: Runs) -> np.ndarray:
    y = runs.values.reshape(-1, runs.shape[2]).astype(np.float64)
    n = (~np.isnan(y)).sum(axis=1)
    return np.where(n > 0, np.nansum(y, axis=1) / np.maximum(n, 1), np.nan)


def _mean(x: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is there; NaN where nothing is."""
    n = (~np.isnan(x)).sum(axis=0)
    return np.asarray(np.where(n > 0, np.nansum(x, axis=0) / np.maximum(n, 1), np.nan))


def _as_good(name: str, values: np.ndarray) -> float:
    """Share of all prunings, the first among them, that are at least as good as the first."""
    if name == "drift" or np.isnan(values[0]):
        return float("nan")
    better = 1 if name in ("monotonicity", "rank_tau") else -1
    return float((better * values >= better * values[0] - 1e-12).mean())


def _check(calibration: ResponseMatrix, families: list[Runs], shares: Sequence[float], n_random: int) -> None:
    if not families:
        raise InputError("no runs were given to look at")
    for runs in families:
        if list(runs.items.index) != calibration.item_ids:
            raise InputError(
                f"the runs of {runs.family!r} and the calibration hold other items or another order"
            )
    if len(set(calibration.benchmarks)) > 1:
        raise InputError("prune one benchmark at a time: take(benchmark=...) of both first")
    if not len(shares) or min(shares) < 0 or max(shares) >= 1:
        raise InputError(f"shares must lie in [0, 1), got {list(shares)}")
    if n_random < 0:
        raise InputError(f"n_random cannot be negative, got {n_random}")
