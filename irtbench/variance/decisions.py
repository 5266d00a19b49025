"""Is this difference real: two runs or two recipes on the same items."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from irtbench.errors import InputError
from irtbench.variance.difference import Difference, Items
from irtbench.variance.several_parts import tested, welch

__all__ = ["compare_recipes", "compare_runs"]


def compare_runs(
    a: np.ndarray,
    b: np.ndarray,
    *,
    clusters: Sequence[object] | np.ndarray | None = None,
    items: Items = "sampled",
    seed_sd: float | None = None,
    seed_df: float = math.inf,
    higher_is_better: bool = True,
    level: float = 0.95,
    names: tuple[str, str] = ("A", "B"),
) -> Difference:
    r"""Compare two runs on the same items: paired, clustered where items belong together.

    .. math:: SE^2 = \frac{1}{n^2} \frac{G}{G-1} \sum_c \Big( \sum_{i \in c} (d_i - \bar d) \Big)^2 + 2 E^2,
        \quad d_i = a_i - b_i

    with t of G - 1 degrees of freedom. Without ``seed_sd`` the answer is about these two runs only; with it,
    about the recipes behind them, and it errs to the safe side, because the part of E that is noise of
    single answers is in both terms. For 0/1 responses without clusters, of which m differ,
    :math:`SE^2 = (m + 2) / (n + 2)^2`: McNemar's with one more item won by each side (Agresti & Min); and
    Edwards' correction for continuity, 1/n, on the interval and the test. That keeps the level at any
    number of items, and is wider than need be only where the difference is large.

    Args:
        a: responses of A (n_items,), NaN where missing; items that both answered are used.
        b: responses of B to the same items.
        clusters: cluster of each item (passage, subject …), or None.
        items: ``sampled`` from more like them, or ``fixed``: this benchmark as it is, only seeds count.
        seed_sd: sd of a run's score over seeds, E, in the unit of the responses.
        seed_df: degrees of freedom of ``seed_sd``.
        higher_is_better: direction of the metric.
        level: coverage of the interval, 1 - level of the test.
        names: names of A and B.

    Raises:
        InputError: shapes that do not fit, fewer than 2 items or clusters, or fixed items without
            ``seed_sd``.

    References:
        Miller (2024), Adding Error Bars to Evals, https://arxiv.org/abs/2411.00640; Agresti & Min (2005),
        https://doi.org/10.1002/sim.1781; Edwards (1948), https://doi.org/10.1007/BF02289261

    Example:
        >>> a, b = np.ones(100), np.r_[np.zeros(10), np.ones(90)]
        >>> compare_runs(a, b)
        A - B: +0.1000 (+0.0226 to +0.1774), A is better; p 0.00937, 100 items, seeds 1 and 1, ...
        >>> compare_runs(a, b, seed_sd=0.03).better is None
        True
    """
    for x, name in ((a, names[0]), (b, names[1])):
        if np.ndim(x) != 1:
            raise InputError(f"{name}: responses of one run are one list, got shape {np.shape(x)}")
    return compare_recipes(
        np.asarray(a)[None],
        np.asarray(b)[None],
        clusters=clusters,
        items=items,
        seed_sd=seed_sd,
        seed_df=seed_df,
        higher_is_better=higher_is_better,
        level=level,
        names=names,
    )


def compare_recipes(
    a: np.ndarray,
    b: np.ndarray,
    *,
    clusters: Sequence[object] | np.ndarray | None = None,
    items: Items = "sampled",
    seed_sd: float | None = None,
    seed_df: float = math.inf,
    equal_variance: bool = False,
    higher_is_better: bool = True,
    level: float = 0.95,
    names: tuple[str, str] = ("A", "B"),
) -> Difference:
    r"""Compare two recipes, each with runs of several seeds, on the same items.

    .. math:: SE^2 = \frac{s_A^2}{R_A} + \frac{s_B^2}{R_B} + V_\text{items}
        - \frac{q_A}{R_A n} - \frac{q_B}{R_B n}

    :math:`s^2`: variance of the score over seeds; :math:`V_\text{items}`: as in :func:`compare_runs`, of
    the seed means; q: mean square of seed × item, which the first terms hold twice. SE² is never below the
    larger of its two parts. The quantile is the mean of the t quantiles of the parts (A's seeds, B's, items),
    weighted by their variances (Cochran & Cox). With fixed items only the first two terms: Welch's t test
    over seeds. If only one side has several seeds, its variance serves for both.

    Args:
        a: responses of A (n_seeds_A, n_items), NaN where missing; items that every run answered are used.
        b: responses of B (n_seeds_B, n_items) to the same items.
        clusters: cluster of each item, or None.
        items: ``sampled`` from more like them, or ``fixed``: this benchmark as it is, only seeds count.
        seed_sd: sd of a run's score over seeds, if it is known; None takes it from these seeds.
        seed_df: degrees of freedom of ``seed_sd``.
        equal_variance: pool the variances of the seeds of A and B.
        higher_is_better: direction of the metric.
        level: coverage of the interval, 1 - level of the test.
        names: names of A and B.

    Raises:
        InputError: shapes that do not fit, fewer than 2 items or clusters, or fixed items of which
            neither several seeds nor ``seed_sd`` are there.

    References:
        Owen (2007), The pigeonhole bootstrap, https://doi.org/10.1214/07-AOAS122; Cameron, Gelbach &
        Miller (2011), https://doi.org/10.1198/jbes.2010.07136; Welch (1947),
        https://doi.org/10.1093/biomet/34.1-2.28; Cochran & Cox (1950), Experimental Designs, section 4.14

    Example:
        >>> a, b = np.tile([1, 0], (3, 50)), np.tile([1, 0], (3, 50))
        >>> b[0, 0] = 0
        >>> compare_recipes(a, b, items="fixed", equal_variance=True)
        A - B: +0.0033 (-0.0059 to +0.0126), not told apart; p 0.374, 100 items, seeds 3 and 3, ...
    """
    a, b, own = _matched(a, b, clusters, names)
    if items not in ("sampled", "fixed"):
        raise InputError(f"items must be 'sampled' or 'fixed', got {items!r}")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    n_items, n_seeds = a.shape[1], (len(a), len(b))
    estimate = float(a.mean() - b.mean())
    binary = max(n_seeds) == 1 and clusters is None and _binary(a) and _binary(b)
    a, b = (_totals(x, own) for x in (a, b))
    seeds = _seed_parts(a, b, seed_sd, seed_df, equal_variance)
    if items == "fixed" and not seeds:
        raise InputError(
            f"{names[0]} and {names[1]} have one seed each: on fixed items only seeds make noise, so give"
            " seed_sd, or take the items as sampled"
        )
    seed_variance = sum(v for v, _ in seeds)
    parts, correction, item_variance = [(seed_variance, welch(seeds))], 0.0, 0.0
    variance = seed_variance
    if items == "sampled":
        d = a.mean(axis=0) - b.mean(axis=0)
        item_variance = _mcnemar(d) if binary else float(d.var(ddof=1) / d.size)
        correction = 1 / n_items if binary else 0.0
        twice = 0.0 if seed_sd is not None else _interaction(a) + _interaction(b)
        variance = max(item_variance + seed_variance - twice, item_variance, seed_variance)
        parts = [*seeds, (item_variance, d.size - 1)]
    return Difference(
        *names,
        estimate,
        *tested(estimate, math.sqrt(variance), parts, correction, level, higher_is_better),
        math.sqrt(item_variance),
        math.sqrt(seed_variance) if seeds else math.nan,
        n_items,
        a.shape[1],
        n_seeds,
        items,
        level,
        higher_is_better,
    )


def _matched(
    a: np.ndarray, b: np.ndarray, clusters: Sequence[object] | np.ndarray | None, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Responses to the items that every run answered, and the cluster code of each."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    for x, name in ((a, names[0]), (b, names[1])):
        if x.ndim != 2 or not len(x):
            raise InputError(f"{name}: expected responses (n_seeds, n_items), got shape {x.shape}")
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"{names[0]} has {a.shape[1]} items, {names[1]} {b.shape[1]}; give responses to the same items"
        )
    seen = ~np.isnan(np.vstack([a, b])).any(axis=0)
    if seen.sum() < 2:
        raise InputError(
            f"{names[0]} and {names[1]}: {int(seen.sum())} item(s) that every run answered, at least 2 needed"
        )
    own = None
    if clusters is not None:
        labels = np.asarray(clusters, dtype=object).astype(str)
        if labels.shape != seen.shape:
            raise InputError(f"clusters has {labels.size} entries for {seen.size} items")
        own = np.unique(labels[seen], return_inverse=True)[1]
        if own.max() == 0:
            raise InputError("all items are in one cluster; at least 2 clusters are needed")
    return a[:, seen], b[:, seen], own


def _totals(x: np.ndarray, own: np.ndarray | None) -> np.ndarray:
    """Clusters as items: totals of deviations, scaled so that their mean is the score (n_seeds, G)."""
    if own is None:
        return x
    groups = int(own.max()) + 1
    mean = x.mean()
    total = np.stack([np.bincount(own, row - mean, groups) for row in x])
    return total * (groups / x.shape[1]) + mean


def _binary(x: np.ndarray) -> bool:
    return bool(((x == 0) | (x == 1)).all())


def _mcnemar(d: np.ndarray) -> float:
    """Variance of the mean of differences in {-1, 0, 1} of equals, with one more item won by each side."""
    return float(np.abs(d).sum() + 2) / (d.size + 2) ** 2


def _seed_parts(
    a: np.ndarray, b: np.ndarray, seed_sd: float | None, seed_df: float, equal: bool
) -> list[tuple[float, float]]:
    """(variance, degrees of freedom) of the parts of the difference that seeds make; empty if unknown."""
    inverse = (1 / len(a), 1 / len(b))
    if seed_sd is not None:
        if not (seed_sd >= 0 and seed_df > 0):
            raise InputError(f"seed_sd and seed_df must not be negative, got {seed_sd} and {seed_df}")
        return [(seed_sd**2 * sum(inverse), seed_df)]
    known = [(len(x) - 1, float(x.mean(axis=1).var(ddof=1))) for x in (a, b) if len(x) > 1]
    if not known:
        return []
    if len(known) == 1 or equal:
        df = sum(k for k, _ in known)
        return [(sum(k * s2 for k, s2 in known) / df * sum(inverse), df)]
    return [(s2 * w, k) for (k, s2), w in zip(known, inverse, strict=True)]


def _interaction(x: np.ndarray) -> float:
    """Variance of the mean of all cells that seed × item makes: q / (R n); 0 if it cannot be known."""
    if len(x) < 2:
        return 0.0
    rest = x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()
    return float((rest**2).sum() / ((x.shape[0] - 1) * (x.shape[1] - 1)) / x.size)
