"""How wide intervals must be: calibration models tested as if they were new, with banks of the others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from irtbench.errors import ConvergenceWarning, InputError
from irtbench.irt.bank import ItemBank
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.splits import model_groups
from irtbench.subsets.adaptive.answering import Parts, parts
from irtbench.subsets.adaptive.simulation import full_score, replays
from irtbench.subsets.crossfit import CrossFit, Fold
from irtbench.subsets.intervals import conformal_factor

if TYPE_CHECKING:
    from irtbench.subsets.adaptive.planning import AdaptivePlan

__all__ = ["calibrated", "group_folds"]

_WEAK, _STRONG = 0.5, 0.3
_FEW = 20  # models, below which a half of them calibrates no bank
_LEAST = 1.0  # no future model is taken to be less far off than the wide posterior itself says


def calibrated(
    plan: AdaptivePlan,
    responses: ResponseMatrix,
    sizes: Sequence[int],
    *,
    batch: int,
    most: int,
    fitted: CrossFit,
    seed: int,
    device: str,
) -> AdaptivePlan:
    """The plan with the range of the calibration models and with intervals that cover those held out.

    First the strongest three tenths, with a bank of the weaker half: as many sds of the reach as cover them
    (1 at least). Then the models of each fold, with a bank of the others: as many sds of the belief as make
    the whole interval cover them (the normal quantile at least).

    Args:
        plan: with its spread of abilities.
        responses: of the calibration models.
        sizes: numbers of answers at which the interval is calibrated.
        batch: items asked at once in these trials.
        most: models to try of each kind, drawn at random.
        fitted: banks without each fold.
        seed: of the models tried.
        device: where the bank of the weaker half is fitted.
    """
    from scipy.stats import norm

    scores = full_score(plan, responses)
    plan = replace(plan, span=_span(scores))
    normal = float(norm.ppf((1 + plan.level) / 2))
    far: dict[int, float] = {}
    if responses.n_models >= _FEW:
        for n, trials in _trials(_beyond(plan, responses, scores, most, seed, device), sizes, batch).items():
            z = np.array([(truth - found.outside) / found.outside_sd for truth, found in trials])
            far[n] = max(conformal_factor(z, plan.level)[0], _LEAST)
    plan = replace(plan, far=far)
    near: dict[int, float] = {}
    for n, trials in _trials(_folds(plan, responses, scores, fitted, most, seed), sizes, batch).items():
        z = np.array([_needed(truth, found, plan.far_factor(n)) for truth, found in trials])
        near[n] = max(conformal_factor(z, plan.level)[0], normal)
    return replace(plan, factors=near)


def group_folds(
    responses: ResponseMatrix, bank: ItemBank, folds: int = 5, seed: int = 0, device: str = "auto"
) -> CrossFit:
    """Banks calibrated without each fold of the models, whole families in one fold: a new one has no sister.

    Where families are not known, or too few, or one has most models: all runs of a model in one fold.

    Args:
        responses: of the calibration models to all items.
        bank: gives the IRT model and its likelihood.
        folds: number of folds, of about the same size.
        seed: of the folds.
        device: where to fit.
    """
    number = _group_numbers(responses, folds, seed)
    found = []
    for k in range(number.max() + 1):
        others = responses.take(models=number != k)
        found.append(Fold(responses.take(models=number == k), _refitted(others, bank, seed, device)))
    return CrossFit(tuple(found))


def _group_numbers(responses: ResponseMatrix, folds: int, seed: int) -> np.ndarray:
    """Number of the fold of each model (n_models,): the largest group first, into the smallest fold."""
    groups = model_groups(responses)
    with suppress(InputError):
        families = model_groups(responses, "family")
        if families.nunique() >= 2 * folds and families.value_counts().iloc[0] <= len(families) / 2:
            groups = families
    sizes = groups.value_counts(sort=False)
    sizes = sizes.iloc[np.random.default_rng(seed).permutation(len(sizes))].sort_values(
        ascending=False, kind="stable"
    )
    total = np.zeros(min(folds, len(sizes)), dtype=int)
    number = {}
    for name, size in sizes.items():
        number[name] = int(total.argmin())
        total[number[name]] += size
    return groups.map(number).to_numpy(dtype=int)


def _needed(truth: float, found: Parts, far: float) -> float:
    """The factor of the belief's sd at which the interval of one trial just reaches the truth; at least 0."""
    missed = (truth - found.score) ** 2 - found.half_width(0.0, far) ** 2
    return math.sqrt(max(missed, 0.0) / max((1 - found.beyond) * found.inside_sd**2, 1e-300))


def _trials(
    cases: Iterable[tuple[AdaptivePlan, ResponseMatrix]], sizes: Sequence[int], batch: int
) -> dict[int, list[tuple[float, Parts]]]:
    """By number of answers: true score and estimates of each model tried."""
    found: dict[int, list[tuple[float, Parts]]] = {n: [] for n in sizes}
    for plan, part in cases:
        truth = full_score(plan, part)
        for m, n, belief in replays(plan, part, plan.order, sizes, batch):
            found[n].append((float(truth[m]), parts(plan, belief)))
    return {n: trials for n, trials in found.items() if trials}


def _folds(
    plan: AdaptivePlan,
    responses: ResponseMatrix,
    scores: np.ndarray,
    fitted: CrossFit,
    most: int,
    seed: int,
) -> Iterator[tuple[AdaptivePlan, ResponseMatrix]]:
    """Some models of each fold, and the plan that the other models would have made."""
    each = max(1, most // len(fitted.folds))
    for number, fold in enumerate(fitted.folds):
        few = np.random.default_rng([seed, number]).permutation(fold.responses.n_models)[:each]
        others = ~responses.models.index.isin(fold.responses.models.index)
        own = replace(plan, bank=fold.bank.take(plan.bank.item_ids), span=_span(scores[others]))
        yield own, fold.responses.take(models=few, items=plan.bank.item_ids)


def _beyond(
    plan: AdaptivePlan, responses: ResponseMatrix, scores: np.ndarray, most: int, seed: int, device: str
) -> Iterator[tuple[AdaptivePlan, ResponseMatrix]]:
    """Some of the strongest models, and the plan that the weaker half would have made."""
    from irtbench.subsets.adaptive.planning import benchmark_spread

    n = responses.n_models
    order = np.argsort(scores if responses.metric.higher_is_better else -scores, kind="stable")
    weak, strong = np.sort(order[: int(_WEAK * n)]), order[n - int(_STRONG * n) :]
    few = np.random.default_rng([seed, n]).permutation(strong)[:most]
    old = responses.take(models=weak)
    bank = _refitted(old, plan.bank, seed, device)
    own = replace(plan, bank=bank, spread=benchmark_spread(bank, old), span=_span(scores[weak]))
    yield own, responses.take(models=few, items=bank.item_ids)


def _refitted(responses: ResponseMatrix, bank: ItemBank, seed: int, device: str) -> ItemBank:
    """The bank's items calibrated on other models, in the bank's order."""
    from irtbench.irt import fit, recipe

    same = replace(recipe(bank.irt), likelihood=bank.likelihood)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the user's own fit has said so already
        found = fit(responses, irt=same, method="laplace", seed=seed, device=device)
    return found.bank.take(bank.item_ids)


def _span(scores: np.ndarray) -> tuple[float, float]:
    return float(scores.min()), float(scores.max())
