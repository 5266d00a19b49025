"""Choose the items of a subset: one door for every strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.files import versions
from irtbench.irt.bank import ItemBank
from irtbench.responses.checks import refuse_beyond_unit
from irtbench.responses.matrix import Average, ResponseMatrix, item_weights
from irtbench.subsets.calibration import calibrate
from irtbench.subsets.crossfit import CrossFit
from irtbench.subsets.estimators import Board
from irtbench.subsets.limits import limits_of
from irtbench.subsets.population import Population, Prepared, prepare
from irtbench.subsets.predictor import build_predictor, held_out_errors
from irtbench.subsets.strategies import (
    DEFAULT_STRATEGY,
    FIXED_PROBABILITY,
    STRATEGIES,
    Choice,
    Task,
    choose,
)
from irtbench.subsets.subset import Subset

if TYPE_CHECKING:
    from irtbench.irt.fitted import IRTFit

__all__ = ["DEFAULT_STRATEGY", "STRATEGIES", "select"]

_FIT_BANK = ("random", "stratified", "anchor-correctness", "anchor-irt")  # p-IRT and gp-IRT come with them


def select(
    responses: ResponseMatrix,
    size: int = 100,
    method: str = "default",
    *,
    bank: ItemBank | IRTFit | None = None,
    irt: str | None = "auto",
    average: Average = "micro",
    per_benchmark: bool = True,
    by_benchmark: bool = False,
    folds: int = 5,
    seed: int = 0,
    device: str = "auto",
    fitted: CrossFit | None = None,
    prepared: Prepared | None = None,
    quotas: Mapping[str, int] | None = None,
    required: Sequence[str] = (),
    forbidden: Sequence[str] = (),
    cost: Mapping[str, float] | pd.Series | str | None = None,
    budget: float | None = None,
) -> Subset:
    """Choose items whose responses will estimate the full score of a new model.

    Args:
        responses: of the calibration models to the full benchmark.
        size: number of items, 1 … n_items; not used with quotas or a budget.
        method: ``default`` (``robust``: least variance of the full score, for models like the calibration
            models and far beyond them; up to 120 of them, an item from each class of difficulty); ``random``,
            ``stratified`` by benchmark; ``anchor-correctness``, ``anchor-irt`` (k-means on responses or IRT
            parameters), ``medoids`` (of the items' correlations); ``information`` (Fisher's, at each quantile
            of ability), ``disagreement``, ``discrimination``, ``lasso``, ``forward`` (greedy regression),
            ``steady`` (moves with the model, not with its seed or checkpoint).
        bank: calibrated items, or the fit that they come from, for ``p-irt`` and ``gp-irt``.
        irt: IRT model to fit for them if there is no bank; None for none; ``auto`` fits a 2PL for random,
            stratified and anchors only.
        average: full score in which every item counts the same (``micro``) or every benchmark (``macro``).
        per_benchmark: choose anchors, and mix gp-IRT, within each benchmark; else over all items.
        by_benchmark: calibrate the score of each benchmark, too, for ``estimate(..., by="benchmark")``: the
            same items, and what they say of that benchmark.
        folds: folds of models for calibrating the intervals.
        seed: seed of the choice, of the folds and of the fit.
        device: where to fit (``auto``, ``cpu``, ``cuda`` …).
        fitted: :func:`irtbench.subsets.crossfit.cross_fit` of these responses, to share it between
            subsets; None fits the folds here.
        prepared: :func:`irtbench.subsets.population.prepare` of these responses, likewise: its folds and
            their seed are then taken.
        quotas: number of items of each benchmark.
        required: ids of items that must be in the subset.
        forbidden: ids of items that must not (contaminated, broken …).
        cost: price of each item by its id, or the column of the items table that holds it.
        budget: what the subset may cost.

    Returns:
        A :class:`Subset`.

    Raises:
        InputError: unknown method, a size out of range, a bank that lacks items, no bank where one is
            needed, or limits that cannot be kept.

    Warns:
        DataWarning: few calibration models.

    References:
        Maia Polo et al. (2024), tinyBenchmarks, https://arxiv.org/abs/2402.14992; Vivek et al. (2024),
        Anchor Points, https://arxiv.org/abs/2309.08638; Krause, Singh & Guestrin (2008), Near-optimal
        sensor placements, https://jmlr.org/papers/v9/krause08a.html

    Example:
        >>> from irtbench.irt import simulate
        >>> s = simulate(n_models=40, n_items=200, seed=0)
        >>> select(s.responses, size=20)
        Subset: 20 of 200 items by robust, no bank, calibrated on 40 models
    """
    if bank is not None and not isinstance(bank, ItemBank):
        bank = bank.bank
    refuse_beyond_unit(responses)
    method = _checked(method, irt, bank, folds)
    if quotas is None and budget is None:
        _check_size(responses, size)
    full = item_weights(responses.benchmarks, average)
    limits, size = limits_of(responses, int(size), quotas, required, forbidden, cost, budget)
    if irt == "auto":
        irt = "2pl" if method in _FIT_BANK else None
    if bank is None and irt is not None:
        from irtbench.irt import fit

        bank = fit(responses, irt=irt, device=device, seed=seed).bank
    if bank is not None:
        bank.refuse_foreign(responses)
        bank = bank.take(responses.item_ids)
    strata = _codes(responses.benchmarks)
    groups = strata if per_benchmark else np.zeros_like(strata)
    if prepared is None:
        prepared = prepare(responses, average=average, folds=folds, seed=seed, device=device)
    prepared.refuse_other(responses)
    task = Task(responses, full, strata, groups, bank, prepared.population, size, limits, seed)
    everything = size == responses.n_items and np.isinf(limits.budget) and limits.allowed.all()
    chosen, weights = (np.arange(size), full) if everything else choose(method, task)
    unknown = np.zeros(groups.max() + 1)
    board = Board(full, chosen, weights, groups, strata, unknown, unknown, average == "macro")
    fixed = method in FIXED_PROBABILITY or everything
    made: dict[tuple[str, ...], Choice] = {}  # by the models that calibrate: both kinds of errors need it

    def repeat(population: Population, own: ItemBank | None = None) -> Choice:
        models = tuple(population.responses.model_ids)
        if models not in made:
            part = replace(
                task, responses=population.responses, bank=bank if own is None else own, population=population
            )
            made[models] = choose(method, part)
        return made[models]

    def again(others: ResponseMatrix, own: ItemBank | None) -> Choice:
        return repeat(prepared.of_models(others, device, prepared.seed), own)

    calibration = calibrate(
        responses, board, bank, prepared.folds, prepared.seed, device, fitted, None if fixed else again
    )

    def items_of(population: Population) -> np.ndarray:
        return chosen if fixed else repeat(population)[0]

    residuals = calibration.residuals.join(held_out_errors(prepared, full, items_of), how="outer")
    names = pd.Index(np.unique(responses.benchmarks.astype(str)) if per_benchmark else ["all"], name="group")
    weight = np.full(len(full), np.nan)
    weight[chosen] = weights
    benchmark = pd.DataFrame(
        {
            "benchmark": responses.benchmarks.astype(str),
            "group": names.to_numpy(dtype=object)[groups],
            "full_weight": full,
            "weight": weight,
        },
        index=responses.items.index,
    )
    info = {
        "method": method,
        "size": len(chosen),
        "seed": seed,
        "average": average,
        "per_benchmark": per_benchmark,
        "folds": prepared.folds,
        "metric": responses.metric.name,
        "higher_is_better": responses.metric.higher_is_better,
        "span": calibration.span,
        "probability_sample": method in FIXED_PROBABILITY and limits.free,
        "cost": None if cost is None else float(limits.cost[chosen].sum()),
        "responses": {"n_models": responses.n_models, "fingerprint": responses.fingerprint},
        "versions": versions(),
    }
    mixture = pd.DataFrame(
        {"error": calibration.error, "variance": calibration.variance}, index=names.astype(object)
    )
    predictor = build_predictor(prepared.population, full, chosen)
    found = Subset(benchmark, mixture, residuals, bank, info, predictor)
    several = by_benchmark and len(np.unique(strata)) > 1
    return replace(found, parts=_parts(found, prepared, items_of)) if several else found


def _parts(
    subset: Subset, prepared: Prepared, items_of: Callable[[Population], np.ndarray]
) -> dict[str, Subset]:
    """The same items, calibrated for the score of each benchmark."""
    of, chosen, found = subset.benchmark["benchmark"].to_numpy(), subset.board.chosen, {}
    for name in np.unique(of.astype(str)):
        full = (of == name) / (of == name).sum()
        weight = np.where(of == name, subset.benchmark["weight"], subset.benchmark["weight"] * 0)
        total = np.nansum(weight)
        found[str(name)] = replace(
            subset,
            benchmark=subset.benchmark.assign(full_weight=full, weight=weight / total if total else weight),
            residuals=held_out_errors(prepared, full, items_of),
            info={**subset.info, "average": "micro", "benchmark": str(name)},
            bank=None,
            predictor=build_predictor(prepared.population, full, chosen),
        )
    return found


def _check_size(responses: ResponseMatrix, size: int) -> None:
    if size != int(size) or not 1 <= size <= responses.n_items:
        raise InputError(f"size must be a whole number from 1 to {responses.n_items} (the items), got {size}")


def _checked(method: str, irt: str | None, bank: ItemBank | None, folds: int) -> str:
    if method == "default":
        method = DEFAULT_STRATEGY
    if method not in STRATEGIES:
        raise InputError(f"method must be 'default' or one of {list(STRATEGIES)}, got {method!r}")
    if folds < 2:
        raise InputError(f"folds must be at least 2, got {folds}")
    if method == "anchor-irt" and irt is None and bank is None:
        raise InputError(
            "method 'anchor-irt' needs an item bank: leave out irt=None, or choose another method"
        )
    return method


def _codes(names: np.ndarray) -> np.ndarray:
    return np.asarray(np.unique(names.astype(str), return_inverse=True)[1]).reshape(-1)
