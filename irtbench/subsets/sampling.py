"""Probability samples of items: simple and stratified, with their design weights."""

from __future__ import annotations

import numpy as np

__all__ = ["allocate", "design_weights", "simple_sample", "stratified_sample"]


def allocate(size: int, share: np.ndarray, available: np.ndarray) -> np.ndarray:
    r"""Split ``size`` into whole numbers proportional to ``share``, by the largest remainders.

    A stratum never gets more than it has; what it cannot hold goes to the others.

    Args:
        size: total, at most ``available.sum()``.
        share: (n_strata,) non-negative shares.
        available: (n_strata,) most that each stratum can give.

    Returns:
        Whole numbers (n_strata,) that sum to ``size``.

    References:
        Balinski & Young (1982), Fair Representation (Hamilton's method).

    Example:
        >>> allocate(10, np.array([0.5, 0.3, 0.2]), np.array([3, 100, 100])).tolist()
        [3, 4, 3]
    """
    share, quota = np.maximum(share, 1e-12), np.zeros(len(share))
    full, left = np.zeros(len(share), dtype=bool), float(size)
    while True:
        quota[~full] = left * share[~full] / share[~full].sum()
        over = ~full & (quota > available)
        if not over.any():
            break
        quota[over] = available[over]
        full |= over
        left -= available[over].sum()
    given = np.floor(quota + 1e-9).astype(int)
    remainder = np.where(given < available, quota - given, -1.0)
    given[np.argsort(-remainder, kind="stable")[: size - given.sum()]] += 1
    return given


def simple_sample(n_items: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``size`` of ``n_items`` positions without replacement, in increasing order."""
    return np.sort(rng.choice(n_items, size, replace=False))


def stratified_sample(
    strata: np.ndarray, full: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw within strata, as many from each as its share of the full-score weight asks for.

    Args:
        strata: (n_items,) code of each item's stratum, from 0.
        full: (n_items,) weight of each item in the full score.
        size: number of items to draw.
        rng: generator.

    Returns:
        Positions (size,), in increasing order.
    """
    sizes = allocate(size, np.bincount(strata, full), np.bincount(strata))
    chosen = [rng.choice(np.flatnonzero(strata == h), n, replace=False) for h, n in enumerate(sizes)]
    return np.sort(np.concatenate(chosen))


def design_weights(chosen: np.ndarray, strata: np.ndarray, full: np.ndarray) -> np.ndarray:
    r"""Weights of a sample: :math:`w_i = W_h / n_h`, the stratum's full-score weight over its items drawn.

    For a simple sample these are the post-stratified weights. The weight of a stratum without items
    is spread over the others in proportion to theirs.

    Args:
        chosen: positions (size,).
        strata: (n_items,) code of each item's stratum, from 0.
        full: (n_items,) weight of each item in the full score, sums to 1.

    Returns:
        Weights (size,), sum to 1.

    References:
        Horvitz & Thompson (1952), A generalization of sampling without replacement from a finite
        universe, https://doi.org/10.1080/01621459.1952.10483446

    Example:
        >>> design_weights(np.array([0, 3]), np.array([0, 0, 0, 1]), np.full(4, 0.25)).tolist()
        [0.75, 0.25]
    """
    own = strata[chosen]
    n = np.bincount(own, minlength=strata.max() + 1)
    weights = np.bincount(strata, full)[own] / n[own]
    return np.asarray(weights / weights.sum())
