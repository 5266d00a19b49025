"""Which items to ask next: by what they tell about the full score, or about the ability."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from irtbench.irt.bank import ItemBank
from irtbench.irt.curves import information
from irtbench.subsets.adaptive.belief import GRID, Belief

__all__ = ["CRITERIA", "by_information", "by_score", "expected_reduction"]


def expected_reduction(belief: Belief) -> np.ndarray:
    r"""How much the variance of the full score is expected to fall by one answer to each item.

    .. math:: V - E_{y_j}[V \mid y_j] = \frac{\operatorname{Cov}(s, y_j)^2}{\operatorname{Var}(y_j)}, \quad
        \operatorname{Cov}(s, y_j) = \operatorname{Cov}(g, P_j) + f_j\, E[P_j (1 - P_j)]

    with g the expected share of the open items in the score, by the law of total variance: exact for 0/1
    answers under the posterior.

    Args:
        belief: what is known.

    Returns:
        Array (n_items,); 0 for items that were asked.
    """
    own = belief.lattice.full * belief.noise
    shared = belief.covariance(None, belief.rest)
    variance = np.maximum(belief.means * (1 - belief.means), 1e-12)
    return np.where(belief.open, (shared + own) ** 2 / variance, 0.0)


def by_score(belief: Belief, bank: ItemBank, size: int, allowed: np.ndarray) -> np.ndarray:
    r"""The ``size`` items that together reduce the variance of the full score most, one after the other.

    Each next item maximises the reduction given those before it in the batch, whose answers are not known
    yet: covariances are conditioned on them linearly, as in a Gaussian process,

    .. math:: c ← c - k\, c_j / d_j, \quad d ← d - k^2 / d_j, \quad
              k = \operatorname{Cov}(y, y_j \mid \text{batch})

    so two items that tell the same are not both taken. For ``size`` 1 it is exact.

    References:
        Krause, Singh & Guestrin (2008), Near-optimal sensor placements in Gaussian processes,
        https://www.jmlr.org/papers/v9/krause08a.html
    """
    c = belief.covariance(None, belief.rest) + belief.lattice.full * belief.noise
    d = np.maximum(belief.means * (1 - belief.means), 1e-12)
    free = allowed & belief.open
    chosen: list[int] = []
    rows: list[np.ndarray] = []
    for _ in range(min(size, int(free.sum()))):
        j = int(np.argmax(np.where(free, c**2 / d, -1.0)))
        chosen.append(j)
        free[j] = False
        if len(chosen) == size:
            break
        b = int(belief.lattice.strata[j])
        k = belief.covariance(b, belief.lattice.p[:, j])
        k[j] += belief.noise[j]
        for row in rows:
            k = k - row * row[j]
        row = k / np.sqrt(d[j])
        c = c - row * (c[j] / np.sqrt(d[j]))
        d = np.maximum(d - row**2, 1e-12)
        rows.append(row)
    return np.array(chosen, dtype=int)


def by_information(belief: Belief, bank: ItemBank, size: int, allowed: np.ndarray) -> np.ndarray:
    """The ``size`` items with the largest Fisher information at the ability in their own benchmark.

    References:
        Lord (1980), ch. 10; Hofmann et al. (2025), Fluid Language Model Benchmarking,
        https://arxiv.org/abs/2509.11106
    """
    ability = belief.own @ GRID
    a, b, c, d = bank.curve_parameters
    value = np.empty(len(belief.values))
    for k, own in enumerate(belief.lattice.members):
        value[own] = information([ability[k]], a[own], b[own], c[own], d[own])[0]
    free = allowed & belief.open
    order = np.argsort(np.where(free, -value, np.inf), kind="stable")
    return order[: min(size, int(free.sum()))]


CRITERIA: dict[str, Callable[[Belief, ItemBank, int, np.ndarray], np.ndarray]] = {
    "score": by_score,
    "information": by_information,
}
