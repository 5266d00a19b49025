"""What the calibration models say about the estimators: gp-IRT's mixture, and the size of the errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.irt.abilities import ability_posterior
from irtbench.irt.bank import ItemBank
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.crossfit import CrossFit, Fold, cross_fit, fold_numbers
from irtbench.subsets.estimators import BANK_ESTIMATORS, MODEL_FREE, Board, estimate_scores

__all__ = ["MIN_MODELS", "Calibration", "calibrate", "full_scores"]

MIN_MODELS = 5
Choose = Callable[[ResponseMatrix, ItemBank | None], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Outcome of cross-fitting.

    Attributes:
        residuals: by calibration model, (full score − estimate) / sd of each estimator; no rows if there
            are too few models.
        error: mean absolute error b of the IRT model's prediction of each group's mean (n_groups,).
        variance: mean variance v of a model's responses within each group (n_groups,).
        span: smallest and largest ``ability`` and ``score`` (weighted mean) of the calibration models, as
            the subset measures them; empty without a bank.
    """

    residuals: pd.DataFrame
    error: np.ndarray
    variance: np.ndarray
    span: dict[str, list[float]]


def calibrate(
    responses: ResponseMatrix,
    board: Board,
    bank: ItemBank | None,
    folds: int,
    seed: int,
    device: str,
    fitted: CrossFit | None = None,
    choose: Choose | None = None,
) -> Calibration:
    """Cross-fit: estimate each fold of models with items and a bank that it had no part in.

    Args:
        responses: of the calibration models to all items.
        board: the benchmark and the chosen items (its ``error`` and ``variance`` are found here).
        bank: all items, or None.
        folds: number of folds of models.
        seed: seed of the folds.
        device: where the folds' banks are fitted.
        fitted: what :func:`irtbench.subsets.crossfit.cross_fit` returned, if several subsets share it.
        choose: repeats the choice of items on the other models and their bank, for a strategy that looks
            at them: the errors are then those of the strategy, not of items that suit these models.
    """
    truth = full_scores(responses.values, board.full, board.strata)
    variance = _group_variance(responses.values, board.groups, len(board.error))
    enough = (~np.isnan(truth)).sum() >= MIN_MODELS
    span, error = {}, board.error
    if bank is not None:
        span = _span(board, bank, responses.take(items=board.chosen))
        if fitted is None or not enough:
            itself = CrossFit((Fold(responses, bank),))
            fitted = cross_fit(responses, bank, folds, seed, device) if enough else itself
        if sorted(m for fold in fitted.folds for m in fold.responses.model_ids) != sorted(
            responses.model_ids
        ):
            raise InputError(
                "the folds given in 'fitted' are of other models; make them from the same responses"
            )
        error = fitted.prediction_error(board.groups, board.full)
    methods = MODEL_FREE if bank is None else (*MODEL_FREE, *BANK_ESTIMATORS)
    known = replace(board, error=error, variance=variance)
    z = {method: np.full(len(truth), np.nan) for method in methods} if enough else {}
    for at, fold in _parts(responses, fitted if bank is not None else None, folds, seed) if enough else []:
        own = known
        if choose is not None:
            others = responses.take(models=np.setdiff1d(np.arange(responses.n_models), at))
            chosen, weights = choose(others, None if fold is None else fold.bank)
            own = replace(known, chosen=chosen, weights=weights)
        part = responses.take(models=at, items=own.chosen)
        for method, values in _residuals(methods, own, part, truth[at], fold).items():
            z[method][at] = values
    return Calibration(_table(z, methods, responses.model_ids, truth), error, variance, span)


def _parts(
    responses: ResponseMatrix, fitted: CrossFit | None, folds: int, seed: int
) -> list[tuple[np.ndarray, Fold | None]]:
    """Rows of each fold, and the fold if there is a bank."""
    if fitted is not None:
        index = responses.models.index
        return [(index.get_indexer(fold.responses.models.index), fold) for fold in fitted.folds]
    number = fold_numbers(responses, folds, seed)
    return [(np.flatnonzero(number == k), None) for k in range(number.max() + 1)]


def full_scores(values: np.ndarray, full: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Full score of each model; NaN where less than half of some stratum was observed."""
    score, known = np.zeros(len(values)), np.ones(len(values), dtype=bool)
    for h in range(strata.max() + 1):
        part = values[:, strata == h]
        seen = (~np.isnan(part)).sum(axis=1)
        known &= seen >= part.shape[1] / 2
        score += full[strata == h].sum() * np.nansum(part, axis=1) / np.maximum(seen, 1)
    return np.where(known, score, np.nan)


def _span(board: Board, bank: ItemBank, subset: ResponseMatrix) -> dict[str, list[float]]:
    usable = subset.take(models=subset.observed.any(axis=1))
    ability = ability_posterior(bank, usable).mean
    score = estimate_scores("weighted", board, usable.values)[0]
    ranges = {"ability": ability, "score": score}
    return {name: [float(x.min()), float(x.max())] for name, x in ranges.items()}


def _group_variance(values: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    variance = np.zeros(n_groups)
    for g in range(n_groups):
        part = values[:, groups == g].astype(float)
        some = (~np.isnan(part)).any(axis=1)
        variance[g] = np.nanvar(part[some], axis=1).mean() if some.any() else 0.25
    return variance


def _residuals(
    methods: tuple[str, ...], board: Board, subset: ResponseMatrix, truth: np.ndarray, fold: Fold | None
) -> dict[str, np.ndarray]:
    curves = None if fold is None else fold.curves
    posterior = None if fold is None else ability_posterior(fold.bank, subset)
    usable = subset.observed.any(axis=1)
    found = {}
    for method in methods:
        z = np.full(len(truth), np.nan)
        rows = np.flatnonzero(usable)
        own = (
            None
            if posterior is None
            else replace(posterior, theta=posterior.theta[rows], weight=posterior.weight[rows])
        )
        score, sd = estimate_scores(method, board, subset.values[rows], curves, own)
        z[rows] = (truth[rows] - np.clip(score, 0, 1)) / sd
        found[method] = z
    return found


def _table(
    z: dict[str, np.ndarray], methods: tuple[str, ...], models: list[str], truth: np.ndarray
) -> pd.DataFrame:
    index = pd.Index(models, name="model", dtype=object)
    if not z:
        return pd.DataFrame(columns=list(methods), index=index[:0], dtype=float)
    return pd.DataFrame(z, index=index)[~np.isnan(truth)]
