"""Do cheap scores order models as the scores that count do? Shares of pairs, of many draws at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.resampling import seed_counts
from irtbench.variance.standard_errors import stated

__all__ = ["decision_accuracy", "decision_accuracy_by_step", "pair_agreement", "rank_taus"]

_CHUNK = 4_000_000  # comparisons held at once


def decision_accuracy(
    small: np.ndarray,
    target: np.ndarray,
    *,
    higher_is_better: tuple[bool, bool] = (True, True),
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Share of pairs of models that a cheap score orders as the target does.

    .. math:: (τ + 1) / 2 \quad\text{without ties}

    Args:
        small: (n_models,) cheap scores, or (n_models, n_seeds): then of decisions from one seed each.
        target: (n_models,) scores that count, such as at full size or at the last checkpoint. Pairs with
            the same target are left out; the same cheap score counts one half.
        higher_is_better: direction of either score.
        level: coverage of the interval, percentile over resampled models.
        resamples: of the models.
        seed: of the resamples.

    Returns:
        Table with one row: ``accuracy``, ``low``, ``high``, ``tau``, ``n_pairs``, ``n_models``.

    Raises:
        InputError: fewer than two models with different targets.

    References:
        Heineman et al. (2025), https://arxiv.org/abs/2508.13144; Magnusson et al. (2025), DataDecide,
        https://arxiv.org/abs/2504.11393

    Example:
        >>> decision_accuracy([0.1, 0.3, 0.2], [1, 2, 3])[["accuracy", "tau"]].round(3).to_dict("records")
        [{'accuracy': 0.667, 'tau': 0.333}]
    """
    cheap = np.asarray(small, dtype=np.float64) * (1 if higher_is_better[0] else -1)
    goal = np.asarray(target, dtype=np.float64) * (1 if higher_is_better[1] else -1)
    cheap = cheap[:, None] if cheap.ndim == 1 else cheap
    if goal.ndim != 1 or len(cheap) != len(goal):
        raise InputError(f"{len(cheap)} cheap scores for targets of shape {goal.shape}; give one a model")
    kept = ~np.isnan(goal) & ~np.isnan(cheap).all(axis=1)
    cheap, goal = cheap[kept], goal[kept]
    (agreement,), valid = pair_agreement(cheap[None], goal)
    if not valid.any():
        raise InputError("fewer than two models with different targets; there is nothing to order")
    accuracy = (agreement * valid).sum() / valid.sum()
    counts = seed_counts(np.random.default_rng(seed), len(goal), resamples).astype(float)
    pairs = np.einsum("bi,bi->b", counts @ valid, counts)
    agreed = np.einsum("bi,bi->b", counts @ (agreement * valid), counts)
    draws = agreed[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    table = {"accuracy": [accuracy], "low": [low], "high": [high], "tau": [2 * accuracy - 1]}
    size = {"n_pairs": [int(valid.sum() / 2)], "n_models": [len(goal)]}
    return stated({**table, **size}, level=level, interval="bootstrap over models", ties="one half")


def decision_accuracy_by_step(
    scores: np.ndarray,
    target: np.ndarray | None = None,
    *,
    steps: Sequence[object] | None = None,
    higher_is_better: bool = True,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Decision accuracy of each checkpoint for the ordering at the end: how early can one decide?

    Args:
        scores: (n_models, n_steps), or (n_models, n_seeds, n_steps) for decisions from one seed each.
        target: (n_models,); the (seeds' mean) score at the last checkpoint if None. With one seed that
            makes the last step's accuracy 1 by construction.
        steps: names of the checkpoints.
        higher_is_better: direction of the scores.
        level: see :func:`decision_accuracy`.
        resamples: likewise.
        seed: likewise.

    Returns:
        Table by step, with the columns of :func:`decision_accuracy`.

    Example:
        >>> scores = np.array([[0.2, 0.3, 0.4], [0.1, 0.4, 0.5], [0.3, 0.5, 0.7]])
        >>> decision_accuracy_by_step(scores)["accuracy"].round(2).tolist()
        [0.67, 1.0, 1.0]
    """
    y = np.asarray(scores, dtype=np.float64)
    y = y[:, None] if y.ndim == 2 else y
    goal = np.nanmean(y[..., -1], axis=1) if target is None else target
    both = (higher_is_better, higher_is_better)
    parts = [
        decision_accuracy(y[..., t], goal, higher_is_better=both, level=level, resamples=resamples, seed=seed)
        for t in range(y.shape[2])
    ]
    table = pd.concat(parts, ignore_index=True)
    table.attrs = parts[0].attrs
    table.index = pd.Index(range(y.shape[2]) if steps is None else list(steps), name="step")
    return table


def pair_agreement(cheap: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of decisions from one seed each that order two models as the goal does.

    Args:
        cheap: (n_draws, n_models, n_seeds) scores, NaN where missing.
        goal: (n_models,) scores that count, complete.

    Returns:
        Agreement (n_draws, n_models, n_models), equal cheap scores counting one half and 0 where no two
        seeds are there; and which pairs have different goals (n_models, n_models), 1 or 0.

    Example:
        >>> share, valid = pair_agreement(np.array([[[0.1, 0.3], [0.2, 0.2]]]), np.array([1.0, 2.0]))
        >>> float(share[0, 0, 1]), valid.tolist()
        (0.5, [[0.0, 1.0], [1.0, 0.0]])
    """
    order = np.sign(goal[:, None] - goal)
    n_models, n_seeds = cheap.shape[1:]
    share = np.empty((len(cheap), n_models, n_models))
    chunk = max(1, _CHUNK // (n_models * n_seeds) ** 2)
    for start in range(0, len(cheap), chunk):
        part = cheap[start : start + chunk]
        sign = np.sign(part[:, :, None, :, None] - part[:, None, :, None, :])  # each seed against each
        seen = ~np.isnan(sign)
        right = (1 + np.nan_to_num(sign) * order[..., None, None]) / 2
        share[start : start + chunk] = (right * seen).sum(axis=(3, 4)) / np.maximum(seen.sum(axis=(3, 4)), 1)
    return share, (order != 0).astype(float)


def rank_taus(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""Kendall's :math:`\tau_b` of each draw (n_draws, n_models) with one list of scores (n_models,).

    Models without a score in a draw do not count in it; NaN where all that count are equal.

    Example:
        >>> rank_taus(np.array([[1.0, 2, 3], [1, 3, 2]]), np.array([1.0, 2, 3])).round(3).tolist()
        [1.0, 0.333]
    """
    first, second = np.triu_indices(len(y), 1)
    goal = np.sign(y[first] - y[second])
    found = np.empty(len(x))
    chunk = max(1, _CHUNK // max(len(first), 1))
    for start in range(0, len(x), chunk):
        part = np.asarray(x[start : start + chunk], dtype=np.float64)
        sign = np.sign(part[:, first] - part[:, second])
        known = ~np.isnan(sign) & ~np.isnan(goal)
        a, b = np.where(known, sign, 0.0), np.where(known, goal, 0.0)
        scale = np.sqrt(np.abs(a).sum(axis=1) * np.abs(b).sum(axis=1))
        total = (a * b).sum(axis=1)
        found[start : start + chunk] = np.divide(
            total, scale, out=np.full(total.shape, np.nan), where=scale > 0
        )
    return found
