"""Which items can flip: the base's probability of a right answer to each, from its answers and a bank."""

from __future__ import annotations

import numpy as np

from irtbench.irt.bank import ItemBank
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.adaptive.belief import Lattice
from irtbench.subsets.adaptive.planning import benchmarks_of

__all__ = ["expected_response", "flip_sd", "prior_mean", "prior_weight"]

_WEIGHTS = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0])
_SINGLE = 1.0  # answers that the prior counts for, where one answer an item cannot tell
_INSIDE = 0.01  # the least probability of either answer


def prior_mean(base: ResponseMatrix, benchmarks: np.ndarray, bank: ItemBank | None) -> np.ndarray:
    """Expected response to each item before the answer to it is looked at, (n_items,).

    With a bank: P_i at the base's ability in the item's benchmark, as all its answers tell it; without: the
    base's mean in the benchmark.

    Args:
        base: answers of the base, a row for each run.
        benchmarks: benchmark of each item (n_items,).
        bank: calibrated items, or None.
    """
    with np.errstate(invalid="ignore"):
        y = np.nan_to_num(np.nanmean(np.where(base.observed, base.values, np.nan), axis=0), nan=0.5)
    if bank is None:
        strata = np.unique(benchmarks.astype(str), return_inverse=True)[1].reshape(-1)
        return np.asarray((np.bincount(strata, y) / np.bincount(strata))[strata])
    own = bank.take(base.item_ids)
    strata = np.unique(benchmarks_of(own).astype(str), return_inverse=True)[1].reshape(-1)
    several = strata.max() > 0
    board = Lattice.of(own, np.ones(len(y)), strata, np.full(strata.max() + 1, 0.7 if several else 0.0))
    return board.belief(y.astype(float)).means


def prior_weight(right: np.ndarray, trials: np.ndarray, prior: np.ndarray) -> float:
    r"""How many answers the prior counts for, κ of :math:`p_i ∼ \text{Beta}(κ m_i, κ (1 - m_i))`.

    By the likelihood of the beta-binomial counts of items that were answered several times, over a grid; 1
    where none was.

    Args:
        right: sum of the responses to each item (n_items,).
        trials: answers to it (n_items,).
        prior: m (n_items,), expected response.

    Example:
        >>> k = np.repeat([0, 8], 200)
        >>> prior_weight(k, np.full(400, 8), np.full(400, 0.5))
        0.1
    """
    from scipy.special import betaln

    several = trials > 1
    if not several.any():
        return _SINGLE
    k, n, m = right[several], trials[several], np.clip(prior[several], 0.02, 0.98)
    fits = [
        float((betaln(k + w * m, n - k + w * (1 - m)) - betaln(w * m, w * (1 - m))).sum()) for w in _WEIGHTS
    ]
    return float(_WEIGHTS[int(np.argmax(fits))])


def expected_response(right: np.ndarray, trials: np.ndarray, prior: np.ndarray) -> np.ndarray:
    r"""Posterior mean of the base's expected response, :math:`(k_i + κ m_i) / (n_i + κ)`, (n_items,).

    Args:
        right: sum of the responses to each item (n_items,).
        trials: answers to it (n_items,).
        prior: m (n_items,).
    """
    weight = prior_weight(right, trials, prior)
    return np.clip((right + weight * prior) / (trials + weight), _INSIDE, 1 - _INSIDE)


def flip_sd(expected: np.ndarray, continuous: bool) -> np.ndarray:
    r"""How much the variant's response to each item may differ, up to a factor, (n_items,).

    0/1 responses: :math:`\sqrt{p(1 - p)}`, the sd of a new answer. Continuous ones, such as the probability
    of the right option: :math:`p(1 - p)`, the change that a small shift of the logit makes.
    """
    spread = expected * (1 - expected)
    return spread if continuous else np.sqrt(spread)
