"""The plan of an adaptive test: items, full score, spread of abilities, and how wide intervals must be."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from irtbench.errors import DataWarning, InputError
from irtbench.irt.bank import ItemBank
from irtbench.responses.matrix import Average, ResponseMatrix, item_weights
from irtbench.subsets.adaptive.belief import GRID, Lattice, kernel
from irtbench.subsets.adaptive.choosing import CRITERIA
from irtbench.subsets.adaptive.reach import reaching_items
from irtbench.subsets.latent import Latent

if TYPE_CHECKING:
    from irtbench.subsets.crossfit import CrossFit

__all__ = ["ORDERS", "AdaptivePlan", "Order", "adaptive_plan", "benchmark_spread"]

Order = Literal["score", "information", "random"]
ORDERS = (*CRITERIA, "random")
SIZES = (5, 10, 20, 50, 100, 200)
_SPREADS = np.array([0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0])
_FEW = 5  # models, below which nothing is learned of the spread or of the errors


@dataclass(frozen=True, eq=False, repr=False)
class AdaptivePlan:
    """What every session of a test shares.

    Attributes:
        bank: the items that may be asked.
        average: full score in which every item (``micro``) or every benchmark (``macro``) counts the same.
        order: next items by what they tell of the full ``score``, by ``information`` about the ability, or
            at ``random``.
        level: coverage of the intervals.
        spread: benchmark → sd σ of a model's ability there about its general one.
        factors: items asked → half width of the interval in posterior sds; empty: the normal quantile.
        far: the same for a model beyond the calibration models' range, in sds of the reach.
        span: lowest and highest full score of the calibration models; None: every model is taken to be one
            like them.
        seed: of the random order.
    """

    bank: ItemBank
    average: Average = "micro"
    order: Order = "score"
    level: float = 0.9
    spread: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[int, float] = field(default_factory=dict)
    far: Mapping[int, float] = field(default_factory=dict)
    span: tuple[float, float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise InputError(f"order must be one of {list(ORDERS)}, got {self.order!r}")
        if not 0 < self.level < 1:
            raise InputError(f"level must lie between 0 and 1, got {self.level}")
        if min(self.spread.values(), default=0) < 0:
            raise InputError("spread holds standard deviations; none can be negative")

    def __repr__(self) -> str:
        sure = (
            f"calibrated at {', '.join(map(str, self.factors))} items" if self.factors else "not calibrated"
        )
        return f"AdaptivePlan: {self.bank.n_items} items by {self.order}, intervals {sure}"

    @cached_property
    def benchmarks(self) -> np.ndarray:
        """Benchmark of each item (n_items,)."""
        return benchmarks_of(self.bank)

    @cached_property
    def lattice(self) -> Lattice:
        """The items on the grid."""
        names, strata = np.unique(self.benchmarks.astype(str), return_inverse=True)
        spread = [self.spread.get(str(name), 0.0) for name in names]
        return Lattice.of(self.bank, item_weights(self.benchmarks, self.average), strata.reshape(-1), spread)

    @cached_property
    def latent(self) -> Latent:
        """The items for a model that may lie beyond the calibration models."""
        return reaching_items(self.bank, self.lattice.strata, self.lattice.spread)

    def factor(self, asked: int) -> float:
        """Half width of the interval in posterior sds after so many answers, between those calibrated."""
        return self._between(self.factors, asked)

    def far_factor(self, asked: int) -> float:
        """The same for a model beyond the calibration models' range, in sds of the reach."""
        return self._between(self.far, asked)

    def _between(self, factors: Mapping[int, float], asked: int) -> float:
        if not factors:
            from scipy.stats import norm

            return float(norm.ppf((1 + self.level) / 2))
        sizes = sorted(factors)
        return float(np.interp(np.log1p(asked), np.log1p(sizes), [factors[n] for n in sizes]))


def benchmarks_of(bank: ItemBank) -> np.ndarray:
    """Benchmark of each item of a bank (n_items,), ``all`` if it does not say."""
    if "benchmark" in bank.metadata:
        return np.asarray(bank.metadata["benchmark"].astype(str), dtype=object)
    return np.full(bank.n_items, "all", dtype=object)


def adaptive_plan(
    bank: ItemBank,
    responses: ResponseMatrix | None = None,
    *,
    average: Average = "micro",
    order: Order = "score",
    level: float = 0.9,
    sizes: Sequence[int] = SIZES,
    batch: int = 1,
    most: int = 80,
    fitted: CrossFit | None = None,
    folds: int = 5,
    seed: int = 0,
    device: str = "auto",
) -> AdaptivePlan:
    """Plan an adaptive test; with the calibration models' responses also the spread and the intervals.

    The models are tested as if they were new, each with a bank that the others calibrated; the interval after
    n answers is as many posterior sds wide as covers ``level`` of them (conformal). That holds for models
    like them. As a model leaves their range of scores, the estimate goes over to an IRT model that reaches
    beyond it, with an interval that covers the strongest of them where the weaker half calibrates
    (:mod:`irtbench.subsets.adaptive.answering`; measured in benchmarks/subsets/results/adaptive.md).

    Args:
        bank: calibrated items, all of the full benchmark.
        responses: of the models that calibrated it; None: one ability, and normal intervals.
        average: the full score.
        order: how items are chosen.
        level: coverage of the intervals.
        sizes: numbers of answers at which the interval is calibrated.
        batch: items asked at once in these trials.
        most: calibration models to try of each kind, drawn at random.
        fitted: banks without each fold of these models, if they are there already.
        folds: folds of models, whole families in one where they are known.
        seed: of the folds, of the models tried and of the random order.
        device: where the folds' banks are fitted.

    Raises:
        InputError: responses to other items, or an argument out of range.

    Example:
        >>> from irtbench.irt import simulate
        >>> adaptive_plan(simulate(n_models=20, n_items=50, seed=0).bank)
        AdaptivePlan: 50 items by score, intervals not calibrated
    """
    plan = AdaptivePlan(bank, average=average, order=order, level=level, seed=seed)
    if responses is None:
        return plan
    bank.refuse_foreign(responses)
    if set(responses.item_ids) != set(bank.item_ids):
        raise InputError(f"the responses have {responses.n_items} items, the bank {bank.n_items}: give all")
    if responses.n_models < _FEW:
        warnings.warn(
            f"few calibration models ({responses.n_models}): one ability and normal intervals are assumed",
            DataWarning,
            stacklevel=2,
        )
        return plan
    from irtbench.subsets.adaptive.calibrating import calibrated, group_folds

    plan = replace(plan, spread=benchmark_spread(bank, responses))
    fitted = group_folds(responses, bank, folds, seed, device) if fitted is None else fitted
    sizes = sorted({int(n) for n in sizes if 0 < n < bank.n_items})
    trials: dict[str, Any] = {"batch": batch, "most": most, "fitted": fitted, "seed": seed, "device": device}
    return calibrated(plan, responses, sizes, **trials)


def benchmark_spread(bank: ItemBank, responses: ResponseMatrix) -> dict[str, float]:
    r"""Sd of a model's ability in each benchmark about its general one, by marginal likelihood.

    .. math:: \hat σ = \arg\max \sum_m \log \int N(θ) \prod_b \int N(t; θ, σ_b^2)
              \prod_{i ∈ b} P_i(t)^{y_{mi}} (1 - P_i(t))^{1 - y_{mi}}\, dt\, dθ

    by coordinate ascent over a grid of values from 0 to 2. One benchmark alone has no spread.

    Args:
        bank: calibrated items.
        responses: of several models to them.

    Returns:
        σ by benchmark.
    """
    names, strata = np.unique(benchmarks_of(bank).astype(str), return_inverse=True)
    if len(names) == 1:
        return {str(names[0]): 0.0}
    own = responses.take(items=bank.item_ids)
    right, wrong = Lattice.of(bank, np.ones(bank.n_items), strata, np.zeros(len(names))).logits
    y, seen = np.nan_to_num(own.values).astype(float), own.observed.astype(float)
    logs = [
        y[:, at] @ right[:, at].T + (seen - y)[:, at] @ wrong[:, at].T
        for at in (np.flatnonzero(strata == b) for b in range(len(names)))
    ]
    logs = [log - log.max(axis=1, keepdims=True) for log in logs]
    kernels = [kernel(s) for s in _SPREADS]
    # log E[likelihood | θ] of every benchmark, value of σ and model
    table = [[np.log(np.maximum(np.exp(log) @ k.T, 1e-300)) for k in kernels] for log in logs]
    at = [len(_SPREADS) // 2] * len(names)
    for _ in range(4):
        for b in range(len(names)):
            others = -(GRID**2) / 2 + sum(table[k][at[k]] for k in range(len(names)) if k != b)
            fits = [_log_sum(others + option).sum() for option in table[b]]
            at[b] = int(np.argmax(fits))
    return {str(name): float(_SPREADS[k]) for name, k in zip(names, at, strict=True)}


def _log_sum(x: np.ndarray) -> np.ndarray:
    top = x.max(axis=1)
    return np.asarray(top + np.log(np.exp(x - top[:, None]).sum(axis=1)))
