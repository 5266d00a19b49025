r"""Estimators of a full score that share one form: responses seen, and curves expected.

.. math:: \hat s_m = \sum_{i ∈ S} c_i\, y_{mi} + E\big[\sum_i d_i P_i(θ_m) \mid y_m\big]

An estimator is a choice of c and d. With f the weights of the full score, w the subset's weights:

========  ==========================================  =========================================
name      c                                           d
========  ==========================================  =========================================
mean      1/n; macro: 1/(B n_b) in benchmark b        0
weighted  w                                           0
p-irt     f                                           f on the items not seen
gp-irt    λ c(weighted) + (1 − λ) c(p-irt)            (1 − λ) d(p-irt), λ per group of items
========  ==========================================  =========================================

The others stand in :mod:`irtbench.subsets.predictor` (``blend``, ``regression``, ``reaching``) and in
:mod:`irtbench.subsets.guaranteed` (``difference``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from irtbench.irt.abilities import AbilityPosterior
from irtbench.irt.bank import ItemBank

__all__ = [
    "BANK_ESTIMATORS",
    "ESTIMATORS",
    "MODEL_FREE",
    "PREDICTORS",
    "Board",
    "Curves",
    "coefficients",
    "estimate_scores",
    "mixing",
    "patterns",
]

MODEL_FREE = ("mean", "weighted")
BANK_ESTIMATORS = ("p-irt", "gp-irt")
PREDICTORS = ("blend", "regression", "reaching")
ESTIMATORS = (*MODEL_FREE, *BANK_ESTIMATORS, *PREDICTORS, "difference")


@dataclass(frozen=True, eq=False)
class Board:
    """The full benchmark and the chosen items, as arrays.

    Attributes:
        full: weight f of each item in the full score (n_items,), sums to 1.
        chosen: positions of the subset's items (size,).
        weights: their weights w (size,), sum to 1.
        groups: code of the group of each item (n_items,): the parts that gp-IRT mixes separately.
        strata: code of the benchmark of each item (n_items,).
        error: mean absolute error b of the IRT model's prediction of each group's mean (n_groups,).
        variance: mean variance v of a model's responses within each group (n_groups,).
        macro: whether the full score averages benchmarks rather than items.
    """

    full: np.ndarray
    chosen: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    strata: np.ndarray
    error: np.ndarray
    variance: np.ndarray
    macro: bool = False


@dataclass(frozen=True, eq=False)
class Curves:
    """The items' response curves, tabulated once.

    Attributes:
        grid: abilities (n_grid,), increasing.
        p: P_i(θ) on the grid, (n_grid, n_items).
    """

    grid: np.ndarray
    p: np.ndarray

    @classmethod
    def of(cls, bank: ItemBank) -> Curves:
        """Tabulate a bank on [-8, 8], 0.1 apart: linear interpolation errs by at most 1.2e-4 a²."""
        grid = np.linspace(-8.0, 8.0, 161)
        return cls(grid, bank.probability(grid))

    @cached_property
    def noise(self) -> np.ndarray:
        """Variance P(1 - P) of one response on the grid, (n_grid, n_items)."""
        return np.asarray(self.p * (1 - self.p))


def mixing(error: np.ndarray, variance: np.ndarray, n: np.ndarray) -> np.ndarray:
    r"""Weight of the weighted mean in gp-IRT, :math:`λ = b^2 / (b^2 + v / 4n)`; 0 where n is 0.

    Args:
        error: b (n_groups,), mean absolute error of the IRT model's prediction, in score units.
        variance: v (n_groups,), mean variance of a model's responses.
        n: number of items seen (n_groups,).

    References:
        Maia Polo et al. (2024), tinyBenchmarks, https://arxiv.org/abs/2402.14992

    Example:
        >>> mixing(np.array([0.0, 0.05, 0.05]), np.full(3, 0.2), np.array([20, 20, 0])).round(3).tolist()
        [0.0, 0.5, 0.0]
    """
    sampling = variance / (4 * np.maximum(n, 1))
    total = error**2 + sampling
    return np.where((n > 0) & (total > 0), error**2 / np.where(total > 0, total, 1), 0.0)


def coefficients(method: str, board: Board, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients c of the responses seen (size,) and d of the expected curves (n_items,).

    Args:
        method: ``mean``, ``weighted``, ``p-irt`` or ``gp-irt``.
        board: the benchmark and the chosen items.
        seen: (size,) which of the chosen items have a response; at least one.
    """
    n_items = len(board.full)
    weights = np.where(seen, board.weights, 0.0)
    weights = weights / weights.sum()
    if method == "mean":
        return _plain(board, seen), np.zeros(n_items)
    if method == "weighted":
        return weights, np.zeros(n_items)
    own = np.where(seen, board.full[board.chosen], 0.0)
    d = board.full.copy()
    d[board.chosen] -= own
    if method == "p-irt":
        return own, d
    group = board.groups[board.chosen]
    n_groups = len(board.error)
    lam = mixing(board.error, board.variance, np.bincount(group[seen], minlength=n_groups))
    in_group = np.bincount(group, weights, n_groups)[group]
    within = np.bincount(board.groups, board.full)[group] * weights / np.where(in_group > 0, in_group, 1)
    return lam[group] * within + (1 - lam[group]) * own, (1 - lam[board.groups]) * d


def _plain(board: Board, seen: np.ndarray) -> np.ndarray:
    """Coefficients of the raw score of the items seen, averaged as the full score is."""
    if not board.macro:
        return np.asarray(seen / seen.sum())
    stratum = board.strata[board.chosen]
    members = np.bincount(stratum[seen], minlength=board.strata.max() + 1)
    return np.where(seen, 1 / np.maximum(members, 1)[stratum], 0) / (members > 0).sum()


def patterns(seen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, which items they have seen) for each distinct row of ``seen`` (n_models, size)."""
    distinct, which = np.unique(seen, axis=0, return_inverse=True)
    for k, pattern in enumerate(distinct):
        yield np.flatnonzero(which.reshape(-1) == k), pattern


def estimate_scores(
    method: str,
    board: Board,
    values: np.ndarray,
    curves: Curves | None = None,
    posterior: AbilityPosterior | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Estimated full scores and a scale of their errors.

    .. math:: \text{sd}^2 = \text{Var}\big[\sum d_i P_i(θ)\big]
              + E\big[\sum_{i ∈ S} (c_i - f_i)^2 P_i Q_i + \sum_{i ∉ S} f_i^2 P_i Q_i\big]
              + (\hat s_{\text{weighted}} - \hat s_{\text{p-irt}})^2

    over the posterior of θ: the sd were the IRT model true and, for the IRT estimators, the gap between
    the design's answer and the model's, which is what shows that it is not true of a new model. Without
    curves, every P is the (shrunk) mean response.

    Args:
        method: ``mean``, ``weighted``, ``p-irt`` or ``gp-irt``.
        board: the benchmark and the chosen items.
        values: (n_models, size) responses to the chosen items, NaN where missing.
        curves: of all items of the board; needed by all but ``mean`` and ``weighted``.
        posterior: of each model's ability, given these values.

    Returns:
        Scores (n_models,), not clipped, and standard deviations (n_models,).
    """
    score, sd = np.empty(len(values)), np.empty(len(values))
    for rows, seen in patterns(~np.isnan(values)):
        c, d = coefficients(method, board, seen)
        known = np.nan_to_num(values[rows]) @ c
        deviation = board.full.copy()
        deviation[board.chosen] -= c
        unseen = (deviation**2).astype(float)
        if curves is None or posterior is None:
            n = seen.sum()
            p = (n * known + 1) / (n + 2)
            score[rows], sd[rows] = known, np.sqrt(p * (1 - p) * unseen.sum())
            continue
        own = AbilityPosterior(posterior.theta[rows], posterior.weight[rows])
        mean, spread = own.expect(curves.grid, curves.p @ d)
        noise = own.expect(curves.grid, curves.noise @ unseen)[0]
        gap = 0.0 if method in MODEL_FREE else _gap(board, seen, values[rows], curves, own)
        score[rows], sd[rows] = known + mean, np.sqrt(spread + noise + gap**2)
    return score, np.maximum(sd, 1e-9)


def _gap(
    board: Board, seen: np.ndarray, values: np.ndarray, curves: Curves, posterior: AbilityPosterior
) -> np.ndarray:
    """Weighted mean minus p-IRT of each model (n_models,)."""
    by_design, _ = coefficients("weighted", board, seen)
    by_model, d = coefficients("p-irt", board, seen)
    expected = posterior.expect(curves.grid, curves.p @ d)[0]
    return np.asarray(np.nan_to_num(values) @ (by_design - by_model) - expected)
