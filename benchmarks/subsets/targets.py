"""Scores of single benchmarks from one subset: the same items and estimators, another full score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import irtbench as ib
from irtbench.irt.abilities import ability_posterior
from irtbench.subsets.estimators import BANK_ESTIMATORS, PREDICTORS, estimate_scores
from irtbench.subsets.guaranteed import difference
from irtbench.subsets.population import Population
from irtbench.subsets.predictor import build_predictor

__all__ = ["benchmark_score", "own_weights"]


LEAST = 30  # items of a benchmark whose own score is worth a row


def own_weights(R: ib.ResponseMatrix) -> dict[str, np.ndarray]:
    """Weight of each item in each large benchmark's own score (n_items,); none where there is one benchmark."""
    names = R.benchmarks.astype(str)
    known = [b for b in dict.fromkeys(names) if (names == b).sum() >= LEAST]
    return {b: (names == b) / (names == b).sum() for b in known} if len(set(names)) > 1 else {}


def benchmark_score(
    subset: ib.Subset, population: Population, seen: ib.ResponseMatrix, estimator: str, full: np.ndarray
) -> np.ndarray:
    """Estimate a score with weights ``full`` (n_items,) from a subset chosen for another one.

    Means use only the items of that score, so they are NaN where the subset has none; the others also use
    what the rest of the subset says.
    """
    board = subset.board
    if estimator in (*PREDICTORS, "difference"):
        predictor = build_predictor(population, full, board.chosen)
        values = seen.values.astype(float)
        if estimator == "difference":
            return np.clip(difference(predictor, board.strata, values)[0], 0, 1)
        return np.clip(predictor(values, estimator).score, 0, 1)
    own = np.where(full[board.chosen] > 0, board.weights, 0.0)
    banked = estimator in BANK_ESTIMATORS
    if not own.sum():
        if not banked:
            return np.full(seen.n_models, np.nan)
        own, estimator = board.weights, "p-irt"
    posterior = None if subset.bank is None else ability_posterior(subset.bank, seen)
    method = estimator if banked else "weighted"
    target = replace(board, full=full, weights=own / own.sum())
    return np.clip(estimate_scores(method, target, seen.values, subset.curves, posterior)[0], 0, 1)
