"""Seed variance: how far a score moves when only the training's random seed changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.resampling import seed_counts
from irtbench.variance.spread import as_curves, effective_df, final, seed_std
from irtbench.variance.standard_errors import stated

__all__ = ["above_chance", "seed_variance"]


def seed_variance(
    scores: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    ddof: int = 1,
    average: Literal["mean", "rms"] = "mean",
    window: int | slice | None = None,
    include: np.ndarray | None = None,
    interval: Literal["chi2", "bootstrap"] = "chi2",
    df: Literal["estimated", "seeds"] = "estimated",
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Seed mean at the last checkpoint, and E, the standard deviation over seeds along training.

    .. math:: E = \frac{1}{T} \sum_t \mathrm{std}_r(S_{rt}) \quad\text{or (rms)}\quad
              \sqrt{\tfrac{1}{T} \sum_t \mathrm{var}_r(S_{rt})}

    The interval is for the true standard deviation. ``chi2``: from the checkpoints' common variance
    with the effective degrees of freedom of :func:`effective_df`, since a seed's deviations at
    neighbouring checkpoints are alike; with five seeds or fewer and deviations that hardly change along
    training (correlation 0.9) these are too many, and ``df="seeds"`` (R − 1, whatever the correlation) is
    safe. ``bootstrap``: percentile over resampled seeds; too low and too narrow with few seeds. The
    interval of the mean is Student's.

    Args:
        scores: (n_seeds, n_steps) or (n_seeds, n_steps, n_groups), NaN where a run is missing.
        names: name of each group (benchmark).
        ddof: 1 (unbiased variance) or 0; the paper does not say.
        average: of the standard deviations (the paper's) or of the variances.
        window: last so many checkpoints, or a slice of them; None takes all.
        include: (n_steps,) or (n_steps, n_groups) checkpoints that count, such as
            :func:`above_chance`.
        interval: see above.
        df: see above.
        level: coverage.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Table with a row a group: ``n_seeds``, ``n_steps`` that count, ``mean``, ``mean_low``,
        ``mean_high``, ``E``, ``E_low``, ``E_high``, ``df``; the choices in ``attrs``.

    Raises:
        InputError: shapes that do not fit, or fewer than two seeds.

    References:
        Madaan et al. (2024), https://arxiv.org/abs/2406.10229, section 3.1

    Example:
        >>> scores = np.array([[0.1, 0.3, 0.5], [0.2, 0.3, 0.7]])
        >>> seed_variance(scores)[["mean", "E", "E_low", "E_high", "df"]].round(3).to_dict("records")
        [{'mean': 0.6, 'E': 0.071, 'E_low': 0.04, 'E_high': 2.828, 'df': 1.0}]
    """
    from scipy.stats import chi2, t

    y = as_curves(scores)
    n_seeds, _, n_groups = y.shape
    _check_choices(average=average, interval=interval, df=df)
    counted = _counted(y, window, include)
    rows, tails = [], [(1 - level) / 2, (1 + level) / 2]
    for g in range(n_groups):
        at_end = final(y[..., g])
        mean, n = at_end.mean(), len(at_end)
        half = t.ppf(tails[1], n - 1) * at_end.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        part = y[:, counted[:, g], g]
        found = {"n_seeds": n_seeds, "n_steps": part.shape[1], "mean": mean}
        found |= {"mean_low": mean - half, "mean_high": mean + half}
        if part.shape[1] == 0:
            rows.append(found | dict.fromkeys(("E", "E_low", "E_high", "df"), np.nan))
            continue
        E = _average(seed_std(part, ddof), average)
        freedom = effective_df(part) if df == "estimated" else n_seeds - 1.0
        if interval == "chi2":
            rms = _average(seed_std(part), "rms")
            shape = 1.0  # mean of the stds over their rms: below 1 if they differ
            if average == "mean" and rms > 0:
                shape = min(1.0, _average(seed_std(part), "mean") / _c4(part) / rms)
            low, high = (shape * rms * np.sqrt(freedom / chi2.ppf(q, freedom)) for q in reversed(tails))
        else:
            low, high = np.quantile(_resampled(part, ddof, average, resamples, seed), tails)
        rows.append(found | {"E": E, "E_low": low, "E_high": high, "df": freedom})
    table = stated(
        {column: [row[column] for row in rows] for column in rows[0]},
        ddof=ddof,
        average=average,
        window=str(window),
        interval=interval,
        df=df,
        level=level,
    )
    table.index = pd.Index(range(n_groups) if names is None else list(names), name="benchmark")
    return table


def above_chance(
    scores: np.ndarray,
    chance: float | np.ndarray,
    n_items: int | np.ndarray,
    *,
    higher_is_better: bool = True,
    level: float = 0.95,
) -> np.ndarray:
    r"""Checkpoints at which the seeds' mean score is clearly above chance.

    .. math:: \bar S_t > c + z \sqrt{c (1 - c) / N}

    Args:
        scores: (n_seeds, n_steps) or (n_seeds, n_steps, n_groups) accuracies.
        chance: score of guessing, for each group or all.
        n_items: items of each group.
        higher_is_better: False for an error rate, which lies below chance then.
        level: one-sided level of "clearly". The seeds answer the same items, so that their number
            does not help.

    Returns:
        Boolean array (n_steps, n_groups).

    Raises:
        InputError: chance outside [0, 1], where its binomial error is not known.

    Example:
        >>> above_chance(np.array([[0.26, 0.5], [0.27, 0.5]]), 0.25, 100)[:, 0].tolist()
        [False, True]
    """
    from scipy.stats import norm

    mean = np.nanmean(as_curves(scores), axis=0)
    c = np.asarray(chance, dtype=np.float64)
    if ((c < 0) | (c > 1)).any():
        raise InputError(f"chance must lie in [0, 1], got {c.max():g}; use include= for other metrics")
    margin = norm.ppf(level) * np.sqrt(c * (1 - c) / np.asarray(n_items))
    return np.asarray((mean - c) * (1 if higher_is_better else -1) > margin)


def _counted(y: np.ndarray, window: int | slice | None, include: np.ndarray | None) -> np.ndarray:
    """Which checkpoints count for which group: in the window, included, and with two seeds."""
    _, n_steps, n_groups = y.shape
    inside = np.zeros(n_steps, dtype=bool)
    if isinstance(window, int):
        if window < 1:
            raise InputError(f"window is the number of last checkpoints, at least 1, got {window}")
        window = slice(max(0, n_steps - window), None)
    inside[slice(None) if window is None else window] = True
    counted = inside[:, None] & ((~np.isnan(y)).sum(axis=0) > 1)
    if include is None:
        return np.asarray(counted)
    mask = np.asarray(include, dtype=bool)
    mask = mask[:, None] if mask.ndim == 1 else mask
    if mask.shape not in ((n_steps, 1), (n_steps, n_groups)):
        raise InputError(f"include has shape {mask.shape}, expected {(n_steps,)} or {(n_steps, n_groups)}")
    return np.asarray(counted & mask)


def _check_choices(**given: str) -> None:
    allowed = {"average": ("mean", "rms"), "interval": ("chi2", "bootstrap"), "df": ("estimated", "seeds")}
    for name, value in given.items():
        if value not in allowed[name]:
            raise InputError(f"{name} must be {' or '.join(map(repr, allowed[name]))}, got {value!r}")


def _average(stds: np.ndarray, average: str) -> float:
    return float(stds.mean() if average == "mean" else np.sqrt((stds**2).mean()))


def _c4(part: np.ndarray) -> float:
    """Mean of a normal sample's std over the true one, averaged over the checkpoints' numbers of seeds."""
    from scipy.special import gammaln

    n = (~np.isnan(part)).sum(axis=0)
    return float(np.mean(np.sqrt(2 / (n - 1)) * np.exp(gammaln(n / 2) - gammaln((n - 1) / 2))))


def _resampled(part: np.ndarray, ddof: int, average: str, resamples: int, seed: int) -> np.ndarray:
    part = part[~np.isnan(part).any(axis=1)]  # seeds with all these checkpoints
    n = len(part)
    if n < 2:
        return np.full(resamples, np.nan)
    weights = seed_counts(np.random.default_rng(seed), n, resamples) / n
    deviation = part - part.mean(axis=0)
    variance = np.maximum(weights @ deviation**2 - (weights @ deviation) ** 2, 0) * n / (n - ddof)
    if average == "mean":
        return np.asarray(np.sqrt(variance).mean(axis=1))
    return np.asarray(np.sqrt(variance.mean(axis=1)))
