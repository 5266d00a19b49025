"""Anchors: items that stand for a cluster of items, found by k-means."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from irtbench.irt.bank import ItemBank
from irtbench.subsets.sampling import allocate

__all__ = ["anchors", "correctness_features", "irt_features", "medoids"]


_MAX_ROUNDS = 50


def correctness_features(values: np.ndarray) -> np.ndarray:
    """Responses of the calibration models to each item, (n_items, n_models); missing cells are its mean."""
    seen = ~np.isnan(values)
    overall = float(values[seen].mean())
    count = seen.sum(axis=0)
    mean = np.where(count, np.nansum(values, axis=0) / np.maximum(count, 1), overall)
    return np.asarray(np.where(seen, values, mean).T, dtype=np.float64)


def irt_features(bank: ItemBank) -> np.ndarray:
    """Slope a, intercept -ab (and guessing c, if the bank has it) of each item, (n_items, 2 or 3)."""
    a, b, c, _ = bank.curve_parameters
    columns = [a, -a * b] + ([c] if c.any() else [])
    return np.column_stack(columns)


def anchors(
    features: np.ndarray, groups: np.ndarray, full: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose ``size`` anchors by weighted k-means within each group.

    An anchor is the item nearest to its cluster's centroid; its weight is the cluster's share of the
    full-score weight. Where k-means finds fewer distinct clusters than asked for (identical items),
    the heaviest clusters give several anchors that share the weight: the items are always distinct.

    Args:
        features: (n_items, n_features) coordinates of the items.
        groups: (n_items,) code of each item's group, from 0.
        full: (n_items,) weight of each item in the full score, sums to 1.
        size: number of anchors.
        rng: generator.

    Returns:
        Positions (size,), in increasing order, and weights (size,), which sum to 1.

    References:
        Maia Polo et al. (2024), tinyBenchmarks, https://arxiv.org/abs/2402.14992

    Example:
        >>> x = np.array([[0.0], [0.1], [0.2], [5.0]])
        >>> anchors(x, np.zeros(4, int), np.full(4, 0.25), 2, np.random.default_rng(0))
        (array([1, 3]), array([0.75, 0.25]))
    """
    return _grouped(_cluster, features, groups, full, size, rng)


def medoids(
    features: np.ndarray, groups: np.ndarray, full: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose ``size`` medoids of the distance 1 - correlation within each group.

    A medoid's weight is its cluster's share of the full-score weight. Arguments and result as in
    :func:`anchors`; an item without variance has correlation 0 with every other.

    References:
        Vivek et al. (2024), Anchor Points, https://arxiv.org/abs/2309.08638; Park & Jun (2009), A simple
        and fast algorithm for K-medoids clustering, https://doi.org/10.1016/j.eswa.2008.01.039

    Example:
        >>> x = np.array([[0.0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
        >>> medoids(x, np.zeros(4, int), np.full(4, 0.25), 2, np.random.default_rng(0))[1].tolist()
        [0.5, 0.5]
    """
    return _grouped(_around, features, groups, full, size, rng)


def _grouped(
    find: Callable[[np.ndarray, np.ndarray, int, int], tuple[np.ndarray, np.ndarray]],
    features: np.ndarray,
    groups: np.ndarray,
    full: np.ndarray,
    size: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Share the items out among the groups, and find those of each."""
    sizes = allocate(size, np.bincount(groups, full), np.bincount(groups))
    chosen: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for group, n in enumerate(sizes):
        if n:
            own = np.flatnonzero(groups == group)
            nearest, weight = find(features[own], full[own], int(n), int(rng.integers(2**31)))
            chosen.append(own[nearest])
            weights.append(weight)
    position, weight = np.concatenate(chosen), np.concatenate(weights)
    order = np.argsort(position)
    return position[order], weight[order] / weight.sum()


def _cluster(x: np.ndarray, full: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if n == len(x):
        return np.arange(n), full
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer points than clusters: settled below
        fit = KMeans(n, random_state=seed, n_init="auto").fit(x, sample_weight=full * len(full))
    distance = ((x - fit.cluster_centers_[fit.labels_]) ** 2).sum(axis=1)
    members = np.bincount(fit.labels_, minlength=n)
    mass = np.bincount(fit.labels_, full, minlength=n)
    some = np.minimum(members, 1)
    per_cluster = some + allocate(n - some.sum(), mass, members - some)
    chosen, weights = [], []
    for k in np.flatnonzero(per_cluster):
        own = np.flatnonzero(fit.labels_ == k)
        nearest = own[np.argsort(distance[own], kind="stable")[: per_cluster[k]]]
        chosen.append(nearest)
        weights.append(np.full(len(nearest), mass[k] / len(nearest)))
    return np.concatenate(chosen), np.concatenate(weights)


def _around(x: np.ndarray, full: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """K-medoids by alternation, from medoids drawn far from each other (as k-means++ does)."""
    if n == len(x):
        return np.arange(n), full
    rng = np.random.default_rng(seed)
    away = (x - x.mean(axis=1, keepdims=True)).astype(np.float32)
    length = np.sqrt((away**2).sum(axis=1, keepdims=True))
    away = np.divide(away, length, out=np.zeros_like(away), where=length > 0)
    distance = np.maximum(1 - away @ away.T, 0)
    np.fill_diagonal(distance, 0)
    chosen = [int(rng.choice(len(x), p=full / full.sum()))]
    while len(chosen) < n:
        chance = full * distance[chosen].min(axis=0).astype(float) + 1e-12 * full
        chance[chosen] = 0
        chosen.append(int(rng.choice(len(x), p=chance / chance.sum())))
    found = np.array(chosen)
    for _ in range(_MAX_ROUNDS):
        own = _nearest(distance, found)
        moved = found.copy()
        for k in range(n):
            members = np.flatnonzero(own == k)
            moved[k] = members[np.argmin(distance[np.ix_(members, members)] @ full[members])]
        if (moved == found).all():
            break
        found = moved
    return found, np.bincount(_nearest(distance, found), full, minlength=n)


def _nearest(distance: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Number of the medoid nearest to each item; a medoid's own is itself."""
    own = distance[:, chosen].argmin(axis=1)
    own[chosen] = np.arange(len(chosen))
    return np.asarray(own)
