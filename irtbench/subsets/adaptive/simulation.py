"""Adaptive tests replayed on a response matrix: how far the estimate is off after n items, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.adaptive.answering import answer
from irtbench.subsets.adaptive.belief import Belief
from irtbench.subsets.adaptive.choosing import CRITERIA
from irtbench.subsets.adaptive.planning import ORDERS, AdaptivePlan
from irtbench.subsets.intervals import design_interval
from irtbench.subsets.sampling import design_weights

__all__ = ["simulate_adaptive", "summarize_adaptive"]


def simulate_adaptive(
    plan: AdaptivePlan,
    responses: ResponseMatrix,
    sizes: Sequence[int] = (10, 30, 100),
    *,
    orders: Sequence[str] = ORDERS,
    batch: int = 1,
    mean: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Test each model of a matrix as if it were live, and keep the estimates after so many answers.

    Args:
        plan: the test; its bank must come from other models for honest errors.
        responses: of the models to the bank's items; missing cells are never asked.
        sizes: numbers of answers after which the estimate is kept.
        orders: orders of the items to compare.
        batch: items asked at once.
        mean: also the plain mean of the items asked at random, with its design-based interval.
        seed: of the random orders; each model has its own.

    Returns:
        DataFrame ``model, order, items, truth, score, lower, upper, sd, beyond``; the last
        two NaN for the mean.

    Raises:
        InputError: sizes out of range, an unknown order, or items that the bank does not have.
    """
    sizes = sorted({int(n) for n in sizes})
    if not sizes or sizes[0] < 1 or sizes[-1] > plan.bank.n_items:
        raise InputError(f"sizes must lie between 1 and {plan.bank.n_items}, got {list(sizes)}")
    unknown = [order for order in orders if order not in ORDERS]
    if unknown or batch < 1:
        raise InputError(f"orders are {list(ORDERS)} and batch at least 1; got {unknown or batch}")
    plan.bank.refuse_foreign(responses)
    own = responses.take(items=plan.bank.item_ids)
    truth = full_score(plan, own)
    rows: list[dict[str, Any]] = []
    for order in orders:
        for m, _, belief in replays(plan, own, order, sizes, batch, seed):
            rows.append({"at": m, "order": order, **asdict(answer(plan, belief))})
    for m, values in enumerate(own.values.astype(float)) if mean else []:
        shuffled = _shuffled(values, m, seed)
        rows += [
            {"at": m, "order": "random + mean", "items": n, **_mean(plan, values, shuffled[:n])}
            for n in sizes
        ]
    columns = ["model", "order", "items", "truth", "score", "lower", "upper", "sd", "beyond"]
    table = pd.DataFrame(rows)
    at = table["at"].to_numpy(dtype=int)
    return table.assign(model=np.array(own.model_ids, dtype=object)[at], truth=truth[at])[columns]


def full_score(plan: AdaptivePlan, responses: ResponseMatrix) -> np.ndarray:
    """Full score of each model on the plan's items, over the cells that are there (n_models,)."""
    own = responses.take(items=plan.bank.item_ids)
    weight = plan.lattice.full * own.observed
    return np.asarray((weight * np.nan_to_num(own.values)).sum(axis=1) / weight.sum(axis=1), dtype=float)


def replays(
    plan: AdaptivePlan,
    responses: ResponseMatrix,
    order: str,
    sizes: Sequence[int],
    batch: int = 1,
    seed: int = 0,
) -> Iterator[tuple[int, int, Belief]]:
    """Row of the model, number of answers and belief after them, for every model and size in turn."""
    for m, values in enumerate(responses.take(items=plan.bank.item_ids).values.astype(float)):
        for n, belief in _replay(plan, values, order, sizes, batch, _shuffled(values, m, seed)):
            yield m, n, belief


def _shuffled(values: np.ndarray, m: int, seed: int) -> np.ndarray:
    """Random order of the items that a model answered."""
    found = np.random.default_rng([seed, m]).permutation(len(values))
    return found[~np.isnan(values[found])]


def _replay(
    plan: AdaptivePlan, values: np.ndarray, order: str, sizes: Sequence[int], batch: int, shuffled: np.ndarray
) -> list[tuple[int, Belief]]:
    """The beliefs after so many answers of one model."""
    nothing = np.full(len(values), np.nan)
    if order == "random":
        found = []
        for n in sizes:
            known = nothing.copy()
            known[shuffled[:n]] = values[shuffled[:n]]
            found.append((n, plan.lattice.belief(known)))
        return found
    belief, allowed, kept, asked = plan.lattice.belief(nothing), ~np.isnan(values), [], 0
    stops = set(sizes)
    while asked < min(sizes[-1], int(allowed.sum())):
        for item in CRITERIA[order](belief, plan.bank, min(batch, sizes[-1] - asked), allowed):
            belief = belief.answer(int(item), float(values[item]))
            asked += 1
            if asked in stops:
                kept.append((asked, belief))
    return kept


def _mean(plan: AdaptivePlan, values: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    strata = plan.lattice.strata
    weights = design_weights(chosen, strata, plan.lattice.full)
    y = values[chosen][None]
    low, high = design_interval(y, weights, strata[chosen], np.bincount(strata), plan.level)
    return {"score": float(y[0] @ weights), "lower": float(low[0]), "upper": float(high[0])}


def summarize_adaptive(table: pd.DataFrame) -> pd.DataFrame:
    """Errors by order and number of items of :func:`simulate_adaptive`.

    Returns:
        DataFrame ``order, items, mae, rmse, bias, width, coverage, spearman``: width of the interval, share
        of models that it covers, rank correlation with the truth.
    """
    from scipy.stats import spearmanr

    rows = []
    for (order, n), part in table.groupby(["order", "items"], sort=False):
        error = part["score"] - part["truth"]
        covered = (part["lower"] - 1e-9 <= part["truth"]) & (part["truth"] <= part["upper"] + 1e-9)
        ranked = len(part) > 2 and min(np.ptp(part["score"]), np.ptp(part["truth"])) > 0
        rows.append(
            {
                "order": order,
                "items": int(n),
                "mae": float(error.abs().mean()),
                "rmse": float(np.sqrt((error**2).mean())),
                "bias": float(error.mean()),
                "width": float((part["upper"] - part["lower"]).mean()),
                "coverage": float(covered.mean()),
                "spearman": float(spearmanr(part["score"], part["truth"])[0]) if ranked else np.nan,
            }
        )
    return pd.DataFrame(rows)
