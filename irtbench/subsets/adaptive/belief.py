r"""What a model's answers so far say about its abilities, and through them about its full score.

A model has an ability in each benchmark, scattered about its general one:

.. math:: θ ∼ N(0, 1), \quad t_b = θ + u_b, \quad u_b ∼ N(0, σ_b^2), \quad P(y_i = 1) = P_i(t_{b(i)})

All on one grid. With σ = 0 there is one ability, as in the bank; with σ > 0 an answer tells most about its
own benchmark and something about the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from irtbench.irt.bank import ItemBank

__all__ = ["GRID", "Belief", "Lattice"]

GRID = np.linspace(-6.0, 6.0, 121)
_FLOOR = 1e-6  # no answer is taken to be quite impossible: a slip would decide everything


@dataclass(frozen=True, eq=False)
class Lattice:
    """The items on the grid of abilities.

    Attributes:
        p: P_i(t) on the grid (n_grid, n_items).
        full: weight f of each item in the full score (n_items,), sums to 1.
        strata: code of the benchmark of each item (n_items,).
        spread: σ of each benchmark (n_benchmarks,).
    """

    p: np.ndarray
    full: np.ndarray
    strata: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(
        cls, bank: ItemBank, full: np.ndarray, strata: np.ndarray, spread: Sequence[float] | np.ndarray
    ) -> Lattice:
        """Tabulate a bank's curves."""
        p = np.clip(bank.probability(GRID), _FLOOR, 1 - _FLOOR)
        return cls(p, full, strata, np.asarray(spread, dtype=float))

    @cached_property
    def members(self) -> list[np.ndarray]:
        """Positions of the items of each benchmark."""
        return [np.flatnonzero(self.strata == b) for b in range(len(self.spread))]

    @cached_property
    def blocks(self) -> list[np.ndarray]:
        """Curves of the items of each benchmark, (n_grid, n_members)."""
        return [np.ascontiguousarray(self.p[:, own]) for own in self.members]

    @cached_property
    def squares(self) -> list[np.ndarray]:
        """Their squares."""
        return [block**2 for block in self.blocks]

    @cached_property
    def kernels(self) -> list[np.ndarray]:
        """p(t | θ) on the grid for each benchmark, (n_grid, n_grid), rows sum to 1."""
        return [kernel(sigma) for sigma in self.spread]

    @cached_property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """Log P and log(1 - P), (n_grid, n_items)."""
        return np.log(self.p), np.log1p(-self.p)

    def belief(self, values: np.ndarray) -> Belief:
        """What responses (n_items,), NaN where not asked, say about the abilities."""
        right, wrong = self.logits
        log = np.zeros((len(self.spread), len(GRID)))
        for b, own in enumerate(self.members):
            asked = own[~np.isnan(values[own])]
            log[b] = right[:, asked] @ values[asked] + wrong[:, asked] @ (1 - values[asked])
        return Belief(self, values, log)


def kernel(sigma: float) -> np.ndarray:
    """p(t | θ) for t = θ + N(0, σ²) on the grid, rows sum to 1; the identity at σ = 0."""
    if sigma < (GRID[1] - GRID[0]) / 4:
        return np.eye(len(GRID))
    weight = np.exp(-((GRID[:, None] - GRID) ** 2) / (2 * sigma**2))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Belief:
    """Posterior of the abilities of one model, and of its full score.

    Attributes:
        lattice: the items.
        values: responses (n_items,), NaN where not asked.
        log: log-likelihood of the answers in each benchmark on the grid (n_benchmarks, n_grid).
    """

    lattice: Lattice
    values: np.ndarray
    log: np.ndarray

    def answer(self, item: int, value: float) -> Belief:
        """The belief after one more answer."""
        right, wrong = self.lattice.logits
        values, log = self.values.copy(), self.log.copy()
        values[item] = value
        log[self.lattice.strata[item]] += value * right[:, item] + (1 - value) * wrong[:, item]
        return Belief(self.lattice, values, log)

    @cached_property
    def open(self) -> np.ndarray:
        """Which items have not been asked (n_items,)."""
        return np.isnan(self.values)

    @cached_property
    def likelihood(self) -> np.ndarray:
        """Likelihood of each benchmark's answers, scaled to at most 1, (n_benchmarks, n_grid)."""
        return np.exp(self.log - self.log.max(axis=1, keepdims=True))

    @cached_property
    def evidence(self) -> np.ndarray:
        """The same given the general ability θ, (n_benchmarks, n_grid)."""
        return np.stack([k @ x for k, x in zip(self.lattice.kernels, self.likelihood, strict=True)])

    @cached_property
    def general(self) -> np.ndarray:
        """Posterior of θ (n_grid,), sums to 1."""
        log = -(GRID**2) / 2 + np.log(np.maximum(self.evidence, 1e-300)).sum(axis=0)
        weight = np.exp(log - log.max())
        return np.asarray(weight / weight.sum())

    @cached_property
    def own(self) -> np.ndarray:
        """Posterior of the ability in each benchmark (n_benchmarks, n_grid), rows sum to 1."""
        return np.stack([self.pull(b, np.ones(len(GRID))) for b in range(len(self.log))])

    def given(self, b: int, value: np.ndarray) -> np.ndarray:
        """E[value(t_b) | θ, answers] on the grid of θ, for a value on the grid of t_b."""
        return np.asarray(self.lattice.kernels[b] @ (self.likelihood[b] * value)) / self._safe[b]

    def pull(self, b: int, value: np.ndarray) -> np.ndarray:
        """E[value(θ); t_b | answers] on the grid of t_b: the value times the posterior of t_b."""
        return self.likelihood[b] * (self.lattice.kernels[b].T @ (self.general / self._safe[b] * value))

    @cached_property
    def _safe(self) -> np.ndarray:
        return np.maximum(self.evidence, 1e-300)

    @cached_property
    def rest(self) -> np.ndarray:
        """Expected share of the items not asked in the full score, given t_b, (n_benchmarks, n_grid)."""
        weight = np.where(self.open, self.lattice.full, 0.0)
        pairs = zip(self.lattice.blocks, self.lattice.members, strict=True)
        return np.stack([block @ weight[own] for block, own in pairs])

    @cached_property
    def expected(self) -> np.ndarray:
        """The same given θ, (n_benchmarks, n_grid)."""
        return np.stack([self.given(b, g) for b, g in enumerate(self.rest)])

    @cached_property
    def means(self) -> np.ndarray:
        """Predictive mean of each item's response (n_items,)."""
        return self._by_item([w @ x for w, x in zip(self.own, self.lattice.blocks, strict=True)])

    @cached_property
    def noise(self) -> np.ndarray:
        """E[P(1 - P)] of each item (n_items,)."""
        return self.means - self._by_item(
            [w @ x for w, x in zip(self.own, self.lattice.squares, strict=True)]
        )

    def covariance(self, b: int | None, value: np.ndarray) -> np.ndarray:
        """Covariance of every item's curve with a function of the abilities (n_items,).

        Args:
            b: the function depends on the ability in this benchmark; None: it is the sum over all of them.
            value: the function on the grid, (n_grid,), or (n_benchmarks, n_grid).
        """
        every = range(len(self.log))
        terms = {b: value} if b is not None else dict(zip(every, value, strict=True))
        about = {k: self.given(k, x) for k, x in terms.items()}
        total = np.sum(list(about.values()), axis=0)
        mean = float(self.general @ total)
        found = []
        for k in every:
            weight = self.pull(k, total - about.get(k, 0.0) - mean)
            if k in terms:
                weight = weight + self.own[k] * terms[k]
            found.append(weight @ self.lattice.blocks[k])
        return self._by_item(found)

    @cached_property
    def score(self) -> tuple[float, float]:
        r"""Posterior mean and variance of the full score.

        .. math:: s = \sum_{asked} f_i y_i + \sum_{open} f_i y_i, \quad
                  V = \operatorname{Var}\Big[\sum_{open} f_i P_i\Big]
                  + E\Big[\sum_{open} f_i^2 P_i (1 - P_i)\Big]
        """
        f = self.lattice.full
        known = float(f[~self.open] @ self.values[~self.open])
        total = self.expected.sum(axis=0)
        mean = float(self.general @ total)
        second = np.stack([self.given(b, g**2) for b, g in enumerate(self.rest)])
        within = float(self.general @ (second - self.expected**2).sum(axis=0))
        between = float(self.general @ (total - mean) ** 2)
        noise = float((f[self.open] ** 2) @ self.noise[self.open])
        return known + mean, max(within + between + noise, 0.0)

    def _by_item(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        found = np.empty(len(self.values))
        for own, part in zip(self.lattice.members, parts, strict=True):
            found[own] = part
        return found
