"""Do cheap scores order models as the scores that count do? Shares of pairs, of many draws at once."""

from __future__ import annotations

import numpy as np

__all__ = ["pair_agreement", "rank_taus"]

_CHUNK = 4_000_000  # comparisons held at once


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
