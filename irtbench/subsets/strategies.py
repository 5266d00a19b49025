"""Ways to choose items: one signature, a dict of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit

from irtbench.errors import InputError
from irtbench.irt.bank import ItemBank
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.splits import model_groups
from irtbench.subsets.anchors import anchors, correctness_features, irt_features, medoids
from irtbench.subsets.design import Limits, greedy
from irtbench.subsets.population import Population
from irtbench.subsets.sampling import allocate, design_weights
from irtbench.subsets.weighting import matching_weights

__all__ = ["DEFAULT_STRATEGY", "FIXED_PROBABILITY", "SEEDED", "STRATEGIES", "Choice", "Task", "choose"]

Choice = tuple[np.ndarray, np.ndarray]  # positions in increasing order, and their weights


@dataclass(frozen=True, eq=False)
class Task:
    """What a strategy may look at.

    Attributes:
        responses: of the calibration models to all items.
        full: weight of each item in the full score (n_items,).
        strata: code of each item's benchmark (n_items,).
        groups: code of the part within which anchors are chosen (n_items,).
        bank: calibrated items, or None.
        population: the calibration models and their moments.
        size: number of items.
        limits: what the choice must keep to.
        seed: seed of the choice.
    """

    responses: ResponseMatrix
    full: np.ndarray
    strata: np.ndarray
    groups: np.ndarray
    bank: ItemBank | None
    population: Population
    size: int
    limits: Limits
    seed: int

    @property
    def numbers(self) -> np.ndarray:
        """How many items each benchmark gives: its quota, or its share of the full score."""
        return self._numbers(self.strata)

    @property
    def free(self) -> np.ndarray:
        """(n_items,) which items are open to choice."""
        free = self.limits.allowed.copy()
        free[self.limits.required] = False
        return free

    def _numbers(self, codes: np.ndarray) -> np.ndarray:
        required = np.bincount(codes[self.limits.required], minlength=codes.max() + 1)
        available = np.bincount(codes[self.free], minlength=len(required))
        if self.limits.quota is not None and codes is self.strata:
            return np.minimum(self.limits.quota.astype(int) - required, available)
        want = allocate(self.size, np.bincount(codes, self.full), required + available)
        want = np.clip(want - required, 0, available)
        lack = self.size - len(self.limits.required) - int(want.sum())
        if lack < 0:
            return allocate(self.size - len(self.limits.required), want + 1e-9, want)
        return np.asarray(want + allocate(lack, np.bincount(codes, self.full), available - want))


def _designed(task: Task, positions: np.ndarray) -> Choice:
    chosen = np.sort(np.concatenate([task.limits.required, positions]).astype(int))
    return chosen, design_weights(chosen, task.strata, task.full)


def _matched(task: Task, positions: np.ndarray) -> Choice:
    chosen = np.sort(np.asarray(positions, dtype=int))
    start = design_weights(chosen, task.strata, task.full)
    return chosen, matching_weights(task.population.values, task.full, chosen, start)


def _random(task: Task) -> Choice:
    if task.limits.quota is not None:
        return _stratified(task)
    rng = np.random.default_rng(task.seed)
    free = np.flatnonzero(task.free)
    return _designed(task, rng.choice(free, task.size - len(task.limits.required), replace=False))


def _stratified(task: Task) -> Choice:
    rng = np.random.default_rng(task.seed)
    numbers = task.numbers
    found = [
        rng.choice(np.flatnonzero(task.free & (task.strata == h)), n, replace=False)
        for h, n in enumerate(numbers)
    ]
    return _designed(task, np.concatenate(found))


def _anchored(task: Task, features: np.ndarray, find: Callable[..., Choice]) -> Choice:
    rng = np.random.default_rng(task.seed)
    if task.limits.quota is not None or len(task.limits.required) or not task.limits.allowed.all():
        free = np.flatnonzero(task.free)
        own = task.strata[free]
        numbers = task.numbers
        parts = []
        for h in np.flatnonzero(numbers):
            here = free[own == h]
            share = task.full[here] / task.full[here].sum()
            picked, _ = find(features[here], np.zeros(len(here), dtype=int), share, int(numbers[h]), rng)
            parts.append(here[picked])
        return _matched(task, np.concatenate([task.limits.required, *parts]))
    return find(features, task.groups, task.full, task.size, rng)


def _anchor_correctness(task: Task) -> Choice:
    return _anchored(task, correctness_features(task.responses.values), anchors)


def _anchor_irt(task: Task) -> Choice:
    if task.bank is None:
        raise InputError(
            "method 'anchor-irt' needs an item bank: leave out irt=None, or choose another method"
        )
    return _anchored(task, irt_features(task.bank), anchors)


def _medoids(task: Task) -> Choice:
    """Anchor Points: k-medoids on 1 - correlation of the calibration models' responses."""
    return _anchored(task, correctness_features(task.responses.values), medoids)


def _best(task: Task, value: np.ndarray) -> Choice:
    """Take the items with the largest value within each benchmark."""
    parts = [task.limits.required]
    for h, n in enumerate(task.numbers):
        own = np.flatnonzero(task.free & (task.strata == h))
        parts.append(own[np.argsort(-value[own], kind="stable")[:n]])
    return _matched(task, np.concatenate(parts))


def _information(task: Task) -> Choice:
    """Per benchmark and quantile of ability, the unused item with the most Fisher information."""
    latent, ability = task.population.latent, task.population.ability
    parts = [task.limits.required]
    for h, n in enumerate(task.numbers):
        own = np.flatnonzero(task.free & (task.strata == h))
        if not n:
            continue
        theta = np.quantile(ability[:, latent.own[own[0]]], (np.arange(n) + 0.5) / n)
        p = expit(theta[:, None] * latent.slope[own] + latent.intercept[own])
        information = latent.slope[own] ** 2 * p * (1 - p)
        taken = np.zeros(len(own), dtype=bool)
        for row in information:
            taken[np.argmax(np.where(taken, -1.0, row))] = True
        parts.append(own[taken])
    return _matched(task, np.concatenate(parts))


def _disagreement(task: Task) -> Choice:
    """The items on which the calibration models disagree most: largest variance of the response."""
    return _best(task, task.population.values.var(axis=0))


def _discrimination(task: Task) -> Choice:
    """The items that correlate most with the score on the other items of their benchmark."""
    y, value = task.population.values, np.zeros(len(task.full))
    for h in range(task.strata.max() + 1):
        own = task.strata == h
        x = y[:, own] - y[:, own].mean(axis=0)
        rest = x.sum(axis=1, keepdims=True) - x
        size = np.sqrt((x**2).sum(axis=0) * (rest**2).sum(axis=0))
        value[own] = np.where(size > 0, (x * rest).sum(axis=0) / np.where(size > 0, size, 1), -1.0)
    return _best(task, value)


def _lasso(task: Task) -> Choice:
    """The items on the lasso path from the responses to the full score, with at most ``size`` of them."""
    from sklearn.linear_model import lasso_path

    y = task.population.values
    score = y @ task.full
    free = np.flatnonzero(task.free)
    x = y[:, free] - y[:, free].mean(axis=0)
    weights = lasso_path(x, score - score.mean(), alphas=120, eps=1e-4, max_iter=3000)[1]
    entered = np.abs(weights) > 1e-10
    first = np.where(entered.any(axis=1), entered.argmax(axis=1), entered.shape[1])
    along = np.abs((x * (score - score.mean())[:, None]).sum(axis=0)) / np.sqrt((x**2).sum(axis=0) + 1e-12)
    order = free[np.lexsort((-along, first))]
    room = task.size - len(task.limits.required)
    if task.limits.quota is not None:
        keep = [order[task.strata[order] == h][:n] for h, n in enumerate(task.numbers)]
        return _matched(task, np.concatenate([task.limits.required, *keep]))
    return _matched(task, np.concatenate([task.limits.required, order[:room]]))


def _forward(task: Task) -> Choice:
    """Greedy forward choice for models like the calibration models: the best on them, blind beyond."""
    populations = [(1.0, task.population.alike)]
    return _matched(task, greedy(populations, task.full, task.size, task.limits))


def _robust(task: Task) -> Choice:
    """Least variance of the full score, for models like the calibration models and far beyond them.

    Where few models calibrate, one item from each of as many classes of difficulty: what they say of the
    items' covariance is not enough to leave whole classes out.
    """
    doubt, limits = task.population.doubt, task.limits
    if doubt == 1 and np.isinf(limits.budget):
        limits = _spread(task)
    populations = [(1.0, task.population.alike), (_FARTHEST * doubt, task.population.beyond)]
    return _matched(task, greedy(populations, task.full, task.size, limits))


def _spread(task: Task) -> Limits:
    """The task's limits, with a quota of one item for each class of difficulty within each benchmark."""
    easy = task.population.latent.intercept
    cells, quota = np.zeros(len(task.full), dtype=int), [0]
    for h, n in enumerate(task.numbers):
        own = np.flatnonzero(task.free & (task.strata == h))
        if n:
            rank = np.argsort(np.argsort(easy[own], kind="stable"))
            cells[own] = len(quota) + rank * n // len(own)
            quota += [1] * n
    cells[task.limits.required] = 0
    quota[0] = len(task.limits.required)
    return replace(task.limits, allowed=task.free, strata=cells, quota=np.array(quota))


def _steady(task: Task) -> Choice:
    """The items whose responses move with the model and not with its seed or checkpoint.

    By item, variance between the means of the runs of one model, less what noise within would cause,
    relative to the variance within.
    """
    names = model_groups(task.responses).to_numpy()
    code = np.unique(names, return_inverse=True)[1]
    runs = np.bincount(code)
    if not (runs > 1).any():
        raise InputError(
            "method 'steady' needs several runs of a model: rows with the same 'name' in the models table"
            " (seeds or checkpoints)"
        )
    y = task.population.values
    means = pd.DataFrame(y).groupby(code).mean().to_numpy()
    within = ((y - means[code]) ** 2).sum(axis=0) / max(len(y) - len(runs), 1)
    between = means.var(axis=0, ddof=1) - within * (1 / runs).mean() if len(runs) > 1 else 0 * within
    return _best(task, np.maximum(between, 0) / (within + 1e-3))


STRATEGIES: dict[str, Callable[[Task], Choice]] = {
    "robust": _robust,
    "random": _random,
    "stratified": _stratified,
    "anchor-correctness": _anchor_correctness,
    "anchor-irt": _anchor_irt,
    "medoids": _medoids,
    "information": _information,
    "disagreement": _disagreement,
    "discrimination": _discrimination,
    "lasso": _lasso,
    "forward": _forward,
    "steady": _steady,
}
DEFAULT_STRATEGY = "robust"
FIXED_PROBABILITY = ("random", "stratified")  # look at no response
SEEDED = (*FIXED_PROBABILITY, "anchor-correctness", "anchor-irt", "medoids")  # another seed, other items
_FARTHEST = 0.6  # weight of models far beyond, at most
_PRICED = ("robust", "forward")  # weigh what an item brings by its price


def choose(method: str, task: Task) -> Choice:
    """Choose items; with a budget, as many as it pays for."""
    if np.isinf(task.limits.budget) or method in _PRICED:
        return STRATEGIES[method](task)
    low, high = len(task.limits.required), task.size  # the cost grows with the number of items
    found: Choice | None = None
    while low < high:
        middle = (low + high + 1) // 2
        tried = STRATEGIES[method](replace(task, size=middle))
        if task.limits.cost[tried[0]].sum() <= task.limits.budget:
            low, found = middle, tried
        else:
            high = middle - 1
    if found is None:
        raise InputError(f"the budget of {task.limits.budget:g} pays for no item; raise it")
    return found
