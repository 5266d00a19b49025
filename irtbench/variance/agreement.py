"""MDAD: the smallest difference on the full benchmark that a subset still orders rightly."""

from __future__ import annotations

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.resampling import seed_counts
from irtbench.variance.standard_errors import stated

__all__ = ["agreement_by_gap", "mdad"]


def agreement_by_gap(full: np.ndarray, estimate: np.ndarray, *, bin_width: float = 0.005) -> pd.DataFrame:
    r"""Share of pairs of models that an estimate orders as the full score does, by the size of the gap.

    .. math:: A(B) = P(\text{sign}(\hat s_j - \hat s_k) = \text{sign}(s_j - s_k) \mid |s_j - s_k| \in B)

    Args:
        full: (n_models,) full scores.
        estimate: (n_models,) or (n_draws, n_models) estimates; draws are pooled.
        bin_width: width of the bins, in the unit of the scores; 0.005 is half a point.

    Returns:
        DataFrame by bin: ``gap`` (its lower edge), ``agreement`` (equal estimates count one half),
        ``n_pairs``. Pairs with equal full scores are left out.

    Raises:
        InputError: shapes that do not fit, or a bin width that is not positive.

    References:
        Yauney et al. (2026), How Reliable is Language Model Micro-Benchmarking?, https://arxiv.org/abs/2510.08730

    Example:
        >>> agreement_by_gap([0.1, 0.2, 0.4], [0.2, 0.1, 0.5], bin_width=0.1)["agreement"].tolist()
        [0.0, 1.0, 1.0]
    """
    bins, right, weight = _pairs(full, estimate, bin_width)
    count = np.bincount(bins, weight)
    agreed = np.bincount(bins, right * weight)
    filled = np.flatnonzero(count)
    table = {
        "gap": filled * bin_width,
        "agreement": agreed[filled] / count[filled],
        "n_pairs": np.bincount(bins, weight > 0)[filled].astype(int),
    }
    return stated(table, bin_width=bin_width, ties="one half")


def mdad(
    full: np.ndarray,
    estimate: np.ndarray,
    *,
    bin_width: float = 0.005,
    target: float = 0.8,
    stays: bool = False,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Minimum detectable accuracy difference: smallest gap at which :math:`A(B) \ge 0.8`.

    Args:
        full: (n_models,) full scores.
        estimate: (n_models,) or (n_draws, n_models) estimates; draws are pooled.
        bin_width: width of the bins of gaps; 0.005 is half a point.
        target: agreement that is asked for.
        stays: the agreement must reach ``target`` in all larger bins too; the definition does not ask for
            it, and with few pairs a small bin can reach it by luck.
        level: of the interval, percentile over resampled models (for a benchmark's replicates: runs), the
            draws taken as they are. A resample in which no bin reaches ``target`` counts as infinite.
        resamples: of the models; 0 for no interval.
        seed: of the resamples.

    Returns:
        DataFrame of one row: ``mdad`` (lower edge of the bin; NaN if no bin reaches the target), ``low``,
        ``high`` (infinite if no gap is sure to be large enough), ``n_pairs``.

    Raises:
        InputError: see :func:`agreement_by_gap`.

    References:
        Yauney et al. (2026), https://arxiv.org/abs/2510.08730

    Example:
        >>> full = np.array([0.10, 0.12, 0.30, 0.50])
        >>> mdad(full, [0.2, 0.1, 0.3, 0.6], bin_width=0.05, resamples=0)["mdad"].round(2).tolist()
        [0.15]
    """
    bins, right, weight = _pairs(full, estimate, bin_width)
    n_models = len(np.asarray(full))
    first, second = np.triu_indices(n_models, 1)
    found = _smallest(bins, right, weight, target, stays) * bin_width
    low = high = np.nan
    if resamples:
        counts = seed_counts(np.random.default_rng(seed), n_models, resamples)
        drawn = counts[:, first] * counts[:, second]
        draws = _resampled(bins, right, weight, drawn, target, stays) * bin_width
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    table = {"mdad": [found], "low": [low], "high": [high], "n_pairs": [int((weight > 0).sum())]}
    choices = {"bin_width": bin_width, "target": target, "stays": stays, "level": level}
    return stated(table, **choices, interval="bootstrap over models", ties="one half")


def _pairs(full: np.ndarray, estimate: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin of the gap, share of draws ordered rightly and draws that have both, of each pair of models."""
    s, e = np.asarray(full, dtype=float), np.atleast_2d(np.asarray(estimate, dtype=float))
    if s.ndim != 1 or e.ndim != 2 or e.shape[1] != len(s) or len(s) < 2:
        raise InputError(f"estimates of shape {e.shape} for {s.shape} full scores; give one of each model")
    if not width > 0:
        raise InputError(f"bin_width must be positive, got {width}")
    first, second = np.triu_indices(len(s), 1)
    gap = s[first] - s[second]
    agree = (1 + np.sign(gap) * np.sign(e[:, first] - e[:, second])) / 2
    seen = ~np.isnan(agree)
    valid = ~np.isnan(gap) & (gap != 0)
    weight = seen.sum(axis=0) * valid
    right = np.nan_to_num(agree).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    # a gap on an edge belongs above it, whatever its last binary digit says
    bins = np.floor(np.nan_to_num(np.abs(gap)) / width + 1e-9).astype(int)
    return bins, right, weight.astype(float)


def _smallest(bins: np.ndarray, right: np.ndarray, weight: np.ndarray, target: float, stays: bool) -> float:
    count = np.bincount(bins, weight)
    filled = np.flatnonzero(count)
    reached = np.bincount(bins, right * weight)[filled] / count[filled] >= target - 1e-12
    if stays:
        reached = np.logical_and.accumulate(reached[::-1])[::-1]
    return float(filled[reached][0]) if reached.any() else float("nan")


def _resampled(
    bins: np.ndarray, right: np.ndarray, weight: np.ndarray, drawn: np.ndarray, target: float, stays: bool
) -> np.ndarray:
    """Smallest bin that reaches the target in each resample (n_resamples,); infinite if none does.

    Args:
        bins: (n_pairs,) bin of each pair.
        right: (n_pairs,) share of draws ordered rightly.
        weight: (n_pairs,) draws that have both.
        drawn: (n_resamples, n_pairs) how often each pair is in a resample.
        target: agreement that is asked for.
        stays: in all larger bins too.
    """
    order = np.flatnonzero(weight)
    order = order[np.argsort(bins[order], kind="stable")]
    if len(order) == 0:
        return np.full(len(drawn), np.inf)
    names, starts = np.unique(bins[order], return_index=True)
    each = weight[order] * drawn[:, order]
    count = np.add.reduceat(each, starts, axis=1)
    agreed = np.add.reduceat(each * right[order], starts, axis=1)
    empty = count == 0
    reached = agreed >= (target - 1e-12) * count
    if stays:
        reached |= empty  # an empty bin neither reaches it nor misses it
        reached = np.logical_and.accumulate(reached[:, ::-1], axis=1)[:, ::-1]
    reached &= ~empty
    return np.where(reached.any(axis=1), names[reached.argmax(axis=1)], np.inf)
