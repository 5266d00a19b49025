r"""Choose the items that leave the least variance in the full score: greedy Bayesian design.

For responses with covariance :math:`Σ = F^⊤F + \operatorname{diag}(ν)` and a score :math:`f^⊤y`, an item j
brings the variance down by
:math:`\operatorname{Cov}(y_j, f^⊤y \mid y_S)^2 / \operatorname{Var}(y_j \mid y_S)`.
Each step takes the item that brings the most, over one or several populations of models at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irtbench.subsets.moments import Moments

__all__ = ["Limits", "greedy"]

_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Limits:
    """What a choice must keep to.

    Attributes:
        required: positions that are always chosen.
        allowed: (n_items,) which items may be chosen.
        strata: (n_items,) code of each item's benchmark.
        quota: most items of each stratum (n_strata,), or None.
        cost: (n_items,) price of each item.
        budget: what the subset may cost; infinite for none.
    """

    required: np.ndarray
    allowed: np.ndarray
    strata: np.ndarray
    quota: np.ndarray | None
    cost: np.ndarray
    budget: float = np.inf

    @property
    def free(self) -> bool:
        """Whether there is no limit."""
        bound = len(self.required) or not self.allowed.all() or self.quota is not None
        return not bound and bool(np.isinf(self.budget))

    @classmethod
    def none(cls, strata: np.ndarray) -> Limits:
        """No limits."""
        n = len(strata)
        return cls(np.zeros(0, dtype=int), np.ones(n, dtype=bool), strata, None, np.ones(n))


class _State:
    """Covariances given the items chosen so far, by a growing Cholesky factor."""

    def __init__(self, moments: Moments, full: np.ndarray, size: int) -> None:
        x, noise = moments.features.astype(np.float32), moments.noise
        self.x, self.noise = x, noise
        self.with_score = x.T @ (x @ full) + noise * full
        self.variance = (x**2).sum(axis=0) + noise
        self.rows = np.zeros((size, len(full)), dtype=np.float32)

    def gain(self) -> np.ndarray:
        return np.asarray(self.with_score**2 / self.variance)

    def add(self, step: int, j: int) -> None:
        column = (self.x[:, j] @ self.x).astype(float)
        column[j] += self.noise[j]
        column -= self.rows[:step, j] @ self.rows[:step]
        row = column / np.sqrt(self.variance[j])
        self.with_score = self.with_score - row * (self.with_score[j] / np.sqrt(self.variance[j]))
        self.variance = np.maximum(self.variance - row**2, _LEAST)
        self.rows[step] = row


def greedy(
    populations: Sequence[tuple[float, Moments]], full: np.ndarray, size: int, limits: Limits
) -> np.ndarray:
    """Choose items one by one, each bringing down the weighted sum of the score's variances most.

    Where items have prices, most a unit of price; until the size or the budget is used up.

    Args:
        populations: weight and moments of each population of models.
        full: (n_items,) weight of each item in the full score.
        size: number of items.
        limits: what the choice must keep to.

    Returns:
        Positions in the order of choice.

    References:
        Krause, Singh & Guestrin (2008), Near-optimal sensor placements in Gaussian processes,
        https://jmlr.org/papers/v9/krause08a.html

    Example:
        >>> twins = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.9]])
        >>> both = Moments(np.zeros(3), twins, np.full(3, 0.01))
        >>> greedy([(1.0, both)], np.full(3, 1 / 3), 2, Limits.none(np.zeros(3, int))).tolist()
        [0, 2]
    """
    states = [(weight, _State(moments, full, size)) for weight, moments in populations]
    open_ = limits.allowed.copy()
    left = None if limits.quota is None else limits.quota.astype(float).copy()
    money = limits.budget
    chosen: list[int] = []
    must = list(limits.required)
    while len(chosen) < size:
        if must:
            j = int(must.pop(0))
        else:
            may = open_ & (limits.cost <= money)
            if left is not None:
                may &= left[limits.strata] > 0
            if not may.any():
                break
            gain = sum(weight * state.gain() for weight, state in states) / limits.cost
            j = int(np.argmax(np.where(may, gain, -1.0)))
        for _, state in states:
            state.add(len(chosen), j)
        chosen.append(j)
        open_[j] = False
        money -= limits.cost[j]
        if left is not None:
            left[limits.strata[j]] -= 1
    return np.array(chosen, dtype=int)
