"""All pairs of single runs at once: what :func:`compare_runs` says of each, from a few matrix products."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["PairTests", "compare_all"]

_SMALLEST = 1e-100  # as in decisions: p-values are reported down to this
_ROUNDING = 1e-6  # below this share of the responses' squares, a variance is taken from the responses again


class PairTests(NamedTuple):
    """Arrays (n_pairs,) over the pairs (first, second), first < second."""

    first: np.ndarray
    second: np.ndarray
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    probability: np.ndarray
    n_items: np.ndarray


def compare_all(
    values: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    seed_sd: float | None = None,
    higher_is_better: bool = True,
    level: float = 0.95,
) -> PairTests:
    """Compare every pair of rows on the items that both answered, as sampled from more like them.

    Args:
        values: responses (n_models, n_items), NaN where missing; every pair shares two items or more.
        clusters: (n_items,) codes 0 … G − 1 of the items' clusters, for complete responses only.
        seed_sd: sd of a run's score over seeds, if it is known.
        higher_is_better: direction of the metric.
        level: coverage of each interval.

    Example:
        >>> found = compare_all(np.array([[1.0] * 100, [0.0] * 10 + [1.0] * 90]))
        >>> [round(float(x[0]), 4) for x in (found.difference, found.low, found.p_value)]
        [0.1, 0.0226, 0.0094]
    """
    y = np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(len(y), 1)
    seen = (~np.isnan(y)).astype(np.float64)
    n = (seen @ seen.T)[first, second]
    filled = np.nan_to_num(y)
    total = filled @ seen.T
    estimate = (total[first, second] - total[second, first]) / n
    own, own_seen, units = (filled, seen, n) if clusters is None else _cluster_totals(filled, clusters)
    variance = _variance(np.where(own_seen > 0, own, np.nan), first, second)
    correction = np.zeros(len(n))
    if clusters is None:
        other = ((y != 0) & (y != 1) & (seen > 0)).astype(np.float64) @ seen.T
        binary = (other + other.T)[first, second] == 0
        wins = filled @ (seen - filled).T  # right where the other is wrong
        apart = (wins + wins.T)[first, second]
        variance = np.where(binary, (apart + 2) / (n + 2) ** 2, variance)  # see compare_runs
        correction = np.where(binary, 1 / n, 0.0)
    seeds = 0.0 if seed_sd is None else 2 * seed_sd**2
    quantile = _Quantile(variance, np.minimum(units - 1, 1e9), seeds)
    se = np.sqrt(variance + seeds)
    still = se == 0
    scale = np.where(still, 1.0, se)
    half = np.where(still, 0.0, quantile.at(np.full(len(n), 1 - level)) * se + correction)
    p_value = quantile.two_sided((np.abs(estimate) - correction) / scale)
    tail = quantile.two_sided(np.abs(estimate) / scale) / 2
    up = estimate if higher_is_better else -estimate
    probability = np.where(up > 0, 1 - tail, tail)
    return PairTests(
        first,
        second,
        estimate,
        estimate - half,
        estimate + half,
        np.where(still, (estimate == 0).astype(float), p_value),
        np.where(still, (1 + np.sign(up)) / 2, probability),
        n.astype(int),
    )


class _Quantile(NamedTuple):
    """Two-sided quantile of each pair: of t with the items' degrees of freedom, or with the seeds' z."""

    variance: np.ndarray
    df: np.ndarray
    seeds: float

    def at(self, p: np.ndarray) -> np.ndarray:
        """Quantile whose two tails hold ``p``; the parts weighted by their variances (Cochran & Cox)."""
        from scipy.special import ndtri, stdtrit

        items = -stdtrit(self.df, p / 2)
        if self.seeds == 0:
            return np.asarray(items)
        share = self.variance / (self.variance + self.seeds)
        return np.asarray(share * items - (1 - share) * ndtri(p / 2))

    def two_sided(self, statistic: np.ndarray) -> np.ndarray:
        """p-value of each statistic; 1 where it is not positive."""
        from scipy.special import stdtr

        s = np.maximum(statistic, 0)
        if self.seeds == 0:
            return np.asarray(np.clip(2 * stdtr(self.df, -s), _SMALLEST, 1))
        return np.where(s > 0, self._inverted(s), 1.0)

    def _inverted(self, s: np.ndarray) -> np.ndarray:
        """Newton's method on log p, kept inside a bracket that shrinks."""
        from scipy.special import stdtr

        low, high = np.full(s.shape, np.log(_SMALLEST)), np.zeros(s.shape)
        x = np.log(np.clip(2 * stdtr(self.df, -s), _SMALLEST, 1 - 1e-12))
        for _ in range(60):
            p = np.exp(x)
            gap = self.at(p) - s
            low, high = np.where(gap > 0, x, low), np.where(gap <= 0, x, high)
            slope = (self.at(p * np.exp(-1e-6)) - self.at(p)) / -1e-6
            with np.errstate(divide="ignore", invalid="ignore"):
                step = x - gap / slope
            inside = ((step > low) & (step < high)) | (np.abs(step - x) < 1e-11)
            new = np.where(inside, step, (low + high) / 2)
            if np.abs(new - x).max() < 1e-11:
                break
            x = new
        return np.asarray(np.exp(new))


def _variance(y: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Variance of each pair's mean difference, (n_pairs,)."""
    seen = ~np.isnan(y)
    n = seen.sum(axis=1, keepdims=True)
    x = np.where(seen, y - np.nansum(y, axis=1, keepdims=True) / np.maximum(n, 1), 0.0)
    mask = seen.astype(np.float64)
    sums, squares = x @ mask.T, x**2 @ mask.T
    count = (mask @ mask.T)[first, second]
    d = (sums - sums.T)[first, second]
    every = (squares + squares.T)[first, second]
    spread = every - 2 * (x @ x.T)[first, second] - d**2 / count
    for k in np.flatnonzero(spread <= _ROUNDING * every):  # nearly the same responses
        difference = y[first[k]] - y[second[k]]
        spread[k] = np.nanvar(difference) * count[k]
    return np.asarray(spread / (count - 1) / count)


def _cluster_totals(y: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clusters as items: totals of deviations, scaled so that their mean is the score."""
    groups = int(clusters.max()) + 1
    mean = y.mean(axis=1, keepdims=True)
    member = np.zeros((y.shape[1], groups))
    member[np.arange(y.shape[1]), clusters] = 1
    totals = (y - mean) @ member * (groups / y.shape[1]) + mean
    return totals, np.ones_like(totals), np.array(float(groups))
