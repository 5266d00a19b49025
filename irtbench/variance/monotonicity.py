"""Monotonicity: how steadily a benchmark's score improves along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.spread import as_curves
from irtbench.variance.standard_errors import stated

__all__ = ["kendall", "monotonicity_of", "spearman", "total_variation", "up_share"]

Statistic = Literal["tau_b", "tau_a", "spearman", "up"]
_CHUNK = 8_000_000


def monotonicity_of(
    scores: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    higher_is_better: bool = True,
    statistic: Statistic = "tau_b",
    null: Literal["shared", "seeds"] = "shared",
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Monotonicity of each benchmark: per seed then averaged, and of the seeds' mean curve.

    ``monotonicity`` is the paper's: the rank correlation of each seed's scores with the checkpoints,
    averaged over seeds; ``of_mean`` that of the mean curve, which is larger as averaging removes noise. The
    null puts the checkpoints in random order: ``shared``, in one order for all seeds (they saw the same data
    in the same order, so their ups and downs may be common; safe), or ``seeds``, in another for each.
    ``corrected`` is :math:`(m - q) / (1 - q)` with q the null's quantile at ``level``: at most 0 where the
    curve is no steadier than chance, 1 if it always rises.

    Args:
        scores: (n_seeds, n_steps) or (n_seeds, n_steps, n_groups), steps in training order, NaN where a
            run is missing.
        names: name of each group (benchmark).
        higher_is_better: False for a loss, which should fall.
        statistic: ``tau_b`` (Kendall's, corrected for ties), ``tau_a``, ``spearman`` or ``up``
            (:func:`up_share`).
        null: see above.
        level: of the interval over seeds (Student's, within [−1, 1]) and of the null's quantile.
        resamples: random orders.
        seed: of these orders.

    Returns:
        Table with a row a group: ``monotonicity``, ``low``, ``high``, ``of_mean``, ``null`` (its quantile),
        ``p`` (share of random orders at least as steady), ``corrected``, ``total_variation`` (mean over
        seeds), ``n_seeds``, ``n_steps``; the choices in ``attrs``.

    Raises:
        InputError: a single checkpoint, or an unknown choice.

    References:
        Madaan et al. (2024), https://arxiv.org/abs/2406.10229, section 3.1

    Example:
        >>> scores = np.array([[0.1, 0.2, 0.3, 0.4, 0.6], [0.1, 0.3, 0.2, 0.5, 0.6]])
        >>> table = monotonicity_of(scores)
        >>> table[["monotonicity", "of_mean", "null", "p"]].round(2).to_dict("records")
        [{'monotonicity': 0.9, 'of_mean': 0.95, 'null': 0.7, 'p': 0.02}]
    """
    from scipy.stats import t

    y = as_curves(scores) * (1 if higher_is_better else -1)
    if statistic not in get_args(Statistic) or null not in ("shared", "seeds"):
        raise InputError(f"statistic must be one of {', '.join(get_args(Statistic))}; null shared or seeds")
    if y.shape[1] < 2:
        raise InputError("monotonicity needs two checkpoints or more; the runs have one")
    curves = np.moveaxis(y, 2, 0)  # (n_groups, n_seeds, n_steps)
    measure = {"tau_b": kendall, "spearman": spearman, "up": up_share}.get(statistic, _tau_a)
    each = measure(curves)
    n = (~np.isnan(each)).sum(axis=1)
    empty = n == 0
    mean = np.nansum(each, axis=1) / np.maximum(n, 1)
    mean[empty] = np.nan
    spread = np.sqrt(np.nansum((each - mean[:, None]) ** 2, axis=1) / np.maximum(n - 1, 1) / np.maximum(n, 1))
    half = np.where(n > 1, t.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * spread, np.nan)
    steps = ~np.isnan(curves).all(axis=1)
    filled = np.where(
        steps, np.nansum(curves, axis=1) / np.maximum((~np.isnan(curves)).sum(axis=1), 1), np.nan
    )
    draws = _null(curves, statistic, null == "shared", resamples, seed)
    quantile = np.quantile(draws, level, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        corrected = np.where(quantile < 1, (mean - quantile) / (1 - quantile), np.nan)
    variation = total_variation(curves)
    table = stated(
        {
            "monotonicity": mean,
            "low": np.maximum(mean - half, -1),
            "high": np.minimum(mean + half, 1),
            "of_mean": measure(filled),
            "null": quantile,
            "p": np.where(empty, np.nan, (1 + (draws >= mean - 1e-6).sum(axis=0)) / (1 + resamples)),
            "corrected": corrected,
            "total_variation": np.nansum(variation, axis=1)
            / np.maximum((~np.isnan(variation)).sum(axis=1), 1),
            "n_seeds": n,
            "n_steps": steps.sum(axis=1),
        },
        statistic=statistic,
        average="of the seeds",
        higher_is_better=higher_is_better,
        null=null,
        level=level,
        resamples=resamples,
        seed=seed,
    )
    table.index = pd.Index(range(len(curves)) if names is None else list(names), name="benchmark")
    return table


def kendall(curves: np.ndarray, variant: Literal["b", "a"] = "b") -> np.ndarray:
    r"""Kendall's τ of each curve with its checkpoints.

    .. math:: τ_a = (C - D) / \tbinom T2,\qquad τ_b = (C - D) / \sqrt{\tbinom T2 (\tbinom T2 - n_{ties})}

    Args:
        curves: (…, n_steps), steps in training order; pairs with a missing score do not count.
        variant: ``b`` (as scipy's) or ``a`` (ties count as neither).

    Returns:
        Array (…); NaN for a constant curve (``b``) and for fewer than two scores.

    Example:
        >>> kendall(np.array([[1.0, 2, 3, 4], [1, 3, 2, 4], [4, 3, 2, 1]])).round(3).tolist()
        [1.0, 0.667, -1.0]
    """
    signs, valid = _pairs(curves)
    n = valid.sum(axis=-1).astype(float)
    total = signs.sum(axis=-1)
    scale = n if variant == "a" else np.sqrt(n * np.abs(signs).sum(axis=-1))
    return np.asarray(np.divide(total, scale, out=np.full(total.shape, np.nan), where=scale > 0))


def spearman(curves: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each curve (…, n_steps) with its checkpoints, ties at mid-rank.

    Example:
        >>> spearman(np.array([[1.0, 3, 2, 4]])).round(3).tolist()
        [0.8]
    """
    x, y = _ranks(curves)
    scale = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    total = (x * y).sum(axis=-1)
    return np.asarray(np.divide(total, scale, out=np.full(total.shape, np.nan), where=scale > 0))


def up_share(curves: np.ndarray) -> np.ndarray:
    r""":math:`(\#ups - \#downs) / (\#ups + \#downs)` over successive checkpoints of each curve.

    References:
        Heineman et al. (2025), Signal and Noise, https://arxiv.org/abs/2508.13144

    Example:
        >>> up_share(np.array([1.0, 2, 2, 1, 3])).round(3).tolist()
        0.333
    """
    step = np.sign(_steps(curves))
    moves = np.abs(step).sum(axis=-1)
    return np.asarray(np.divide(step.sum(axis=-1), moves, out=np.full(moves.shape, np.nan), where=moves > 0))


def total_variation(curves: np.ndarray, *, normalised: bool = False) -> np.ndarray:
    r"""Mean absolute step of each curve; normalised, the path over the distance covered.

    .. math:: \frac{1}{T-1} \sum_t |S_{t+1} - S_t| \quad\text{or}\quad
              \frac{T}{T-1} \frac{\sum_t |S_{t+1} - S_t|}{|S_T - S_1|}

    Args:
        curves: (…, n_steps); a missing checkpoint is stepped over.
        normalised: the second form, near 1 for a curve that only rises; NaN where it covers less than 0.01.

    References:
        Heineman et al. (2025), https://arxiv.org/abs/2508.13144; normalised: Hofmann et al. (2025), Fluid
        Language Model Benchmarking, https://arxiv.org/abs/2509.11106

    Example:
        >>> total_variation(np.array([0.1, 0.4, 0.3])).round(3).tolist()
        0.2
        >>> total_variation(np.array([0.1, 0.4, 0.3]), normalised=True).round(3).tolist()
        3.0
    """
    step = _steps(curves)
    n = (~np.isnan(step)).sum(axis=-1).astype(float)
    path = np.nansum(np.abs(step), axis=-1)
    if not normalised:
        return np.asarray(np.divide(path, n, out=np.full(path.shape, np.nan), where=n > 0))
    distance = np.abs(np.nansum(step, axis=-1))
    ratio = np.divide(path, distance, out=np.full(path.shape, np.nan), where=distance >= 0.01)
    return np.asarray((n + 1) / np.maximum(n, 1) * ratio)


def _tau_a(curves: np.ndarray) -> np.ndarray:
    return kendall(curves, "a")


def _pairs(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sign of the change of each pair of checkpoints (…, n_pairs), 0 for missing; which pairs are there."""
    y = np.asarray(curves, dtype=np.float64)
    first, second = np.triu_indices(y.shape[-1], 1)
    signs = np.sign(y[..., second] - y[..., first])
    valid = ~np.isnan(signs)
    return np.nan_to_num(signs), valid


def _ranks(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centred ranks of the checkpoints and of the scores (…, n_steps), 0 where missing."""
    from scipy.stats import rankdata

    y = np.asarray(curves, dtype=np.float64)
    seen = ~np.isnan(y)
    n = seen.sum(axis=-1, keepdims=True)
    position = np.where(seen, np.cumsum(seen, axis=-1) - (n + 1) / 2, 0)
    rank = rankdata(np.where(seen, y, np.inf), axis=-1)  # the missing come last
    return position, np.where(seen, rank - (n + 1) / 2, 0)


def _steps(curves: np.ndarray) -> np.ndarray:
    """Changes between successive observed checkpoints (…, n_steps − 1), NaN at the end for missing ones."""
    y = np.asarray(curves, dtype=np.float64)
    order = np.argsort(np.isnan(y), axis=-1, kind="stable")
    return np.diff(np.take_along_axis(y, order, axis=-1), axis=-1)


def _null(curves: np.ndarray, statistic: Statistic, shared: bool, resamples: int, seed: int) -> np.ndarray:
    """Mean over seeds with the checkpoints in random order: (resamples, n_groups)."""
    n_groups, n_seeds, n_steps = curves.shape
    rng = np.random.default_rng(seed)
    orders = np.argsort(rng.random((resamples, n_steps)), axis=1)
    if statistic == "up":
        return _null_by_hand(curves, orders, shared, rng)
    if statistic == "spearman":
        x, y = _ranks(curves)
        scale = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
        load, columns = y, orders - (n_steps - 1) / 2
    else:
        load, valid = _pairs(curves)
        n = valid.sum(axis=-1)
        scale = n if statistic == "tau_a" else np.sqrt(n * np.abs(load).sum(axis=-1))
        first, second = np.triu_indices(n_steps, 1)
        columns = None
    usable = scale > 0
    load = np.where(usable[..., None], load / np.where(usable, scale, 1)[..., None], 0)
    per_group = np.maximum(usable.sum(axis=1), 1)
    if shared:
        load = load.sum(axis=1)  # the order is common: add the seeds first
    flat = load.reshape(-1, load.shape[-1]).T.astype(np.float32)
    draws = np.empty((resamples, flat.shape[1]), dtype=np.float32)
    chunk = max(1, _CHUNK // len(flat))
    for start in range(0, resamples, chunk):
        part = slice(start, start + chunk)
        if columns is None:
            signs = np.sign(orders[part][:, second] - orders[part][:, first])
            draws[part] = signs.astype(np.float32) @ flat
        else:
            draws[part] = columns[part].astype(np.float32) @ flat
    if not shared:
        draws = draws.reshape(resamples, n_groups, n_seeds)
        for r in range(1, n_seeds):  # each seed in an order of its own
            draws[:, :, r] = draws[rng.permutation(resamples), :, r]
        draws = draws.sum(axis=2)
    return np.asarray(draws / per_group)


def _null_by_hand(
    curves: np.ndarray, orders: np.ndarray, shared: bool, rng: np.random.Generator
) -> np.ndarray:
    draws = np.empty((len(orders), len(curves)))
    for b, order in enumerate(orders):
        shuffled = curves[..., order] if shared else rng.permuted(curves, axis=-1)
        each = up_share(shuffled)
        draws[b] = np.nansum(each, axis=1) / np.maximum((~np.isnan(each)).sum(axis=1), 1)
    return draws
