"""A subset's variance against the full benchmark's: what is only its size, and what the method adds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.agreement import mdad
from irtbench.variance.monotonicity import kendall
from irtbench.variance.ordering import pair_agreement, rank_taus
from irtbench.variance.spread import seed_std
from irtbench.variance.standard_errors import stated

__all__ = ["Estimate", "SubsetVariance", "random_estimates", "subset_variance"]

Estimate = Callable[
    [np.ndarray, np.ndarray], np.ndarray
]  # responses (…, size), positions (size,) → scores (…)
_ROLES = ("full", "chosen", "control", "plain")
_EQUAL = 1e-9  # sd of scores that differ by rounding alone


@dataclass(frozen=True, eq=False)
class SubsetVariance:
    """What :func:`subset_variance` found.

    Attributes:
        methods: a row by ``full``, ``chosen``, ``control`` (random items, same estimator) and ``plain``
            (random items, mean): ``draws``, ``E``, ``E_low``, ``E_high``, ``ratio`` (of E to the full
            one), ``monotonicity``, ``snr`` (mean over the root mean square of its sd over draws, mean over
            recipes; those whose seeds score the same are left out), ``bias``, ``rmse`` (of the estimates of
            the full scores), ``se`` (sd over draws), ``rank_tau``, ``decision_accuracy``, ``mdad`` with
            ``mdad_low`` and ``mdad_high`` (over runs; the random items are taken as they are).
        parts: a row by ``size`` (plain - full), ``estimator`` (control - plain), ``choice`` (chosen -
            control) and ``total``, their sum: ``E``, ``low``, ``high``, ``p_value``.
        independent: E that ``size`` random items had if seeds moved every item by itself, E √(N/n).
        shared_sd: part of the full E (root mean square over checkpoints) that a run's items share, and
            that no number of items takes away.
        own_sd: part (likewise) from items that move by themselves, which grows as √(N/n).
    """

    methods: pd.DataFrame
    parts: pd.DataFrame
    independent: float
    shared_sd: float
    own_sd: float


def random_estimates(
    values: np.ndarray, size: int, n_draws: int = 100, *, estimate: Estimate | None = None, seed: int = 0
) -> np.ndarray:
    """Score runs from random subsets of items: the control of every subset.

    Args:
        values: (…, n_items) responses, NaN where missing.
        size: items of each subset.
        n_draws: number of subsets; the same ``seed`` draws the same ones for every estimator.
        estimate: turns responses (…, size) and positions (size,) into scores (…); None takes the mean.
        seed: of the draws.

    Returns:
        Array (n_draws, …) of estimates.

    Raises:
        InputError: a size out of range.

    Example:
        >>> values = np.tile([0.0, 1.0], (2, 3, 50))
        >>> random_estimates(values, 100, n_draws=2).tolist()
        [[[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]]
    """
    n_items = values.shape[-1]
    if not 1 <= size <= n_items:
        raise InputError(f"size must lie between 1 and {n_items} (the items), got {size}")
    rng, found = np.random.default_rng(seed), []
    for _ in range(n_draws):
        chosen = np.sort(rng.choice(n_items, size, replace=False))
        part = values[..., chosen].astype(np.float64)
        found.append(_mean(part) if estimate is None else np.asarray(estimate(part, chosen)))
    return np.stack(found)


def subset_variance(
    full: np.ndarray,
    chosen: np.ndarray,
    control: np.ndarray,
    plain: np.ndarray,
    *,
    n_items: int,
    size: int,
    higher_is_better: bool = True,
    bin_width: float = 0.005,
    level: float = 0.95,
) -> SubsetVariance:
    r"""Tell apart what a subset's seed variance owes to its size, its estimator and the choice of items.

    .. math:: E_\text{chosen} - E_\text{full} =
        \underbrace{E_\text{plain} - E_\text{full}}_\text{size} +
        \underbrace{E_\text{control} - E_\text{plain}}_\text{estimator} +
        \underbrace{E_\text{chosen} - E_\text{control}}_\text{choice}

    E is the sd over seeds, mean over checkpoints, recipes and draws. From random items of both numbers,
    :math:`V_n = τ^2 + σ^2 / n` gives the part τ that a run's items share and the part σ that they do not.
    Intervals: jackknife over the runs of each recipe (at least three; t with one degree of freedom less for
    each recipe), with the spread over random draws; the chosen items are taken as they are. ``p_value`` of
    ``choice``: rank of the chosen items' E among the random draws', two-sided; it needs no assumption.

    Args:
        full: (n_seeds, n_steps) or (n_recipes, n_seeds, n_steps) full scores, NaN where a run is missing.
        chosen: estimates from the chosen items, of the same shape, or with draws in front.
        control: (n_draws, …) estimates from random items of the same number by the same estimator.
        plain: (n_draws, …) means of random items of the same number.
        n_items: items of the full benchmark, N.
        size: items of the subset, n.
        higher_is_better: direction of the scores.
        bin_width: of the gaps of MDAD.
        level: coverage of the intervals.

    Returns:
        A :class:`SubsetVariance`.

    Raises:
        InputError: shapes that do not fit, fewer than two seeds, or a size out of range.

    References:
        Madaan et al. (2024), section 5, https://arxiv.org/abs/2406.10229; Efron & Tibshirani (1993), An
        Introduction to the Bootstrap, ch. 11 (jackknife)

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, (10, 5, 1000)).astype(float)
        >>> draws = random_estimates(y, 100)
        >>> found = subset_variance(y.mean(2), y[..., :100].mean(2), draws, draws, n_items=1000, size=100)
        >>> found.parts["E"].round(3).to_dict()
        {'size': 0.032, 'estimator': 0.0, 'choice': -0.004, 'total': 0.028}
    """
    scores = _checked(full, chosen, control, plain, n_items, size)
    E = {name: _E(x) for name, x in scores.items()}
    means = np.array([E[name].mean() for name in _ROLES])
    runs_error, df = _jackknife(scores)
    from scipy.stats import t

    reach = t.ppf((1 + level) / 2, df) if df > 0 else math.nan
    draw = [_draw_variance(E[name]) for name in _ROLES]
    half = reach * np.sqrt(np.diag(runs_error) + draw)
    methods = pd.DataFrame({"draws": [len(scores[name]) for name in _ROLES], "E": means}, index=list(_ROLES))
    methods["E_low"], methods["E_high"] = np.maximum(means - half, 0), means + half
    methods["ratio"] = means / means[0]
    up = 1 if higher_is_better else -1
    others = [_measures(scores[name], scores["full"][0], up, bin_width, level) for name in _ROLES]
    methods = methods.join(pd.DataFrame(others, index=list(_ROLES)))
    methods.attrs = {"ddof": 1, "average": "mean", "tau": "b", "level": level, "bin_width": bin_width}
    both = len(E["control"]) == len(E["plain"])
    pairs = {"size": (3, 0), "estimator": (2, 3), "choice": (1, 2), "total": (1, 0)}
    rows = {}
    for name, (more, less) in pairs.items():
        contrast = np.zeros(4)
        contrast[more], contrast[less] = 1, -1
        spread = draw[more] + draw[less]
        if name == "estimator" and both:
            spread = _draw_variance(E["control"] - E["plain"])
        half_width = reach * math.sqrt(max(contrast @ runs_error @ contrast, 0) + spread)
        value = float(contrast @ means)
        rows[name] = (value, value - half_width, value + half_width)
    parts = stated(
        pd.DataFrame.from_dict(rows, orient="index", columns=["E", "low", "high"]),
        interval="jackknife over runs, with draws",
        df=df,
        level=level,
        paired_draws=both,
    )
    parts["p_value"] = np.nan
    parts.loc["choice", "p_value"] = _rank_p(E["chosen"], E["control"])
    shared, own = _shared(scores, n_items, size)
    return SubsetVariance(methods, parts, means[0] * math.sqrt(n_items / size), shared, own)


def _checked(
    full: np.ndarray, chosen: np.ndarray, control: np.ndarray, plain: np.ndarray, n_items: int, size: int
) -> dict[str, np.ndarray]:
    """Scores of each role as (n_draws, n_recipes, n_seeds, n_steps)."""
    if not 1 <= size < n_items:
        raise InputError(f"size must lie between 1 and {n_items - 1} (the items less one), got {size}")
    shape = np.shape(full)
    if len(shape) not in (2, 3) or shape[-2] < 2:
        raise InputError(
            f"full scores of shape {shape}; give (recipes,) seeds × checkpoints of two or more seeds"
        )
    found = {}
    for name, x in zip(_ROLES, (full, chosen, control, plain), strict=True):
        array = np.asarray(x, dtype=np.float64)
        if array.shape[array.ndim - len(shape) :] != shape or array.ndim > len(shape) + 1:
            raise InputError(f"{name}: estimates of shape {array.shape} for full scores of shape {shape}")
        recipes = shape if len(shape) == 3 else (1, *shape)
        found[name] = array.reshape(-1, *recipes)
    return found


def _mean(part: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is there; NaN where nothing is."""
    n = (~np.isnan(part)).sum(axis=-1)
    return np.asarray(np.where(n > 0, np.nansum(part, axis=-1) / np.maximum(n, 1), np.nan))


def _E(x: np.ndarray) -> np.ndarray:
    """Sd over seeds, mean over checkpoints and recipes, of each draw (n_draws,)."""
    return _mean(seed_std(np.moveaxis(x, 2, 0)).reshape(len(x), -1))


def _jackknife(scores: dict[str, np.ndarray]) -> tuple[np.ndarray, int]:
    """Covariance of the four E that the runs make, by leaving out one at a time; degrees of freedom."""
    there = ~np.isnan(scores["full"][0]).all(axis=2)
    covariance, df = np.zeros((4, 4)), 0
    for f, seeds in enumerate(there):
        n = int(seeds.sum())
        if n < 3:
            return np.full((4, 4), np.nan), 0
        left = []
        for s in np.flatnonzero(seeds):
            without = {name: x.copy() for name, x in scores.items()}
            for x in without.values():
                x[:, f, s] = np.nan
            left.append([_E(without[name]).mean() for name in _ROLES])
        deviation = np.array(left) - np.mean(left, axis=0)
        covariance += (n - 1) / n * deviation.T @ deviation
        df += n - 1
    return covariance, df


def _draw_variance(E: np.ndarray) -> float:
    return float(E.var(ddof=1) / len(E)) if len(E) > 1 else 0.0


def _rank_p(chosen: np.ndarray, control: np.ndarray) -> float:
    if len(chosen) > 1:
        from scipy.stats import mannwhitneyu

        return float(mannwhitneyu(chosen, control).pvalue)
    more, less = (control >= chosen[0] - 1e-12).sum(), (control <= chosen[0] + 1e-12).sum()
    return float(min(1.0, 2 * (1 + min(more, less)) / (1 + len(control))))


def _shared(scores: dict[str, np.ndarray], n_items: int, size: int) -> tuple[float, float]:
    whole, part = (
        float(np.nanmean(seed_std(np.moveaxis(scores[name], 2, 0)) ** 2)) for name in ("full", "plain")
    )
    own = min(max((part - whole) / (1 / size - 1 / n_items) / n_items, 0.0), whole)
    return math.sqrt(whole - own), math.sqrt(own)


def _measures(x: np.ndarray, full: np.ndarray, up: int, bin_width: float, level: float) -> dict[str, float]:
    """What else each role's scores say, draws averaged; the last checkpoint for SNR, decisions and MDAD."""
    error, last = x - full, x[..., -1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a recipe without scores
        sd = np.sqrt(np.nanmean(seed_std(np.moveaxis(last, 2, 0)) ** 2, axis=0))
        mean = np.nanmean(_mean(last), axis=0)
    moved = sd > _EQUAL
    snr = mean[moved] / sd[moved]
    flat = full.reshape(-1)
    end, recipes = full[..., -1].reshape(-1), _mean(full[..., -1])
    decided = math.nan
    known = ~np.isnan(recipes)
    if len(set(recipes[known])) > 1:
        agreement, valid = pair_agreement(up * last[:, known], up * recipes[known])
        decided = float((agreement * valid).sum(axis=(1, 2)).mean() / valid.sum())
    tau = rank_taus(x.reshape(len(x), -1), flat)
    gaps = mdad(end, last.reshape(len(x), -1), bin_width=bin_width, level=level).iloc[0]
    return {
        "monotonicity": float(_mean(kendall(up * x).reshape(-1))),
        "snr": float(snr.mean()) if moved.any() else math.nan,
        "bias": float(np.nanmean(error)),
        "rmse": float(np.sqrt(np.nanmean(error**2))),
        "se": float(np.nanmean(x.std(axis=0, ddof=1))) if len(x) > 1 else math.nan,
        "rank_tau": float(np.mean(tau)),
        "decision_accuracy": decided,
        "mdad": gaps["mdad"],
        "mdad_low": gaps["low"],
        "mdad_high": gaps["high"],
    }
