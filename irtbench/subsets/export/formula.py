"""A subset as plain numbers: what ``score.py`` needs to estimate full scores without irtbench."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from irtbench.errors import InputError
from irtbench.subsets.estimation import default_estimator
from irtbench.subsets.estimators import BANK_ESTIMATORS, MODEL_FREE, Board, coefficients
from irtbench.subsets.export.score import GRID
from irtbench.subsets.intervals import conformal_factor
from irtbench.subsets.subset import Subset

__all__ = ["benchmark_method", "exported_method", "formula"]

EXPORTED = ("blend", "mean", "weighted", "p-irt", "gp-irt")


def exported_method(subset: Subset, method: str = "default") -> str:
    """Name of the estimator that is exported: by default that of :func:`irtbench.estimate`.

    Raises:
        InputError: unknown method, or one that needs what the subset has not.
    """
    if method == "default":
        method = default_estimator(subset)
    if method not in EXPORTED:
        raise InputError(f"method must be 'default' or one of {list(EXPORTED)} for an export, got {method!r}")
    if method == "blend" and default_estimator(subset) != "blend":
        raise InputError(
            "method 'blend' needs a predictor and calibration models that were held out, and this subset has"
            " none: select it again from five models or more, or export with method='weighted'"
        )
    if method in BANK_ESTIMATORS and not _irt(subset):
        raise InputError(
            f"method {method!r} needs an item bank of 0/1 responses, and this subset has none; export with"
            " method='weighted'"
        )
    return method


def benchmark_method(subset: Subset, method: str) -> str:
    """Name of the estimator of each benchmark's own score: ``blend`` estimates the score over all only.

    With one benchmark the two are the same score; else it is ``gp-irt``, or ``weighted`` without a bank.
    """
    if method != "blend" or subset.benchmark["benchmark"].nunique() == 1:
        return method
    return "gp-irt" if _irt(subset) else "weighted"


def formula(subset: Subset, method: str, level: float) -> dict[str, Any]:
    """Numbers of the whole estimate (``whole``) and of each benchmark's own (``benchmarks``).

    Args:
        subset: what to export.
        method: what :func:`exported_method` returned.
        level: coverage of the intervals.
    """
    own_method = benchmark_method(subset, method)
    factor = 0.0
    if own_method != "blend" and not _by_design(subset, own_method, subset.board):
        factor, _ = conformal_factor(subset.residuals[own_method].to_numpy(dtype=float), level)
    strata = subset.board.strata
    names = np.unique(subset.benchmark["benchmark"].astype(str))
    everything = np.arange(len(strata))
    parts = {}
    for code, name in enumerate(names):
        own = np.flatnonzero(strata == code)
        if np.isin(subset.board.chosen, own).any():
            parts[str(name)] = _part(subset, own_method, own, factor)
    return {"whole": _part(subset, method, everything, factor), "benchmarks": parts}


def _part(subset: Subset, method: str, own: np.ndarray, factor: float) -> dict[str, Any]:
    """Numbers of the estimate of the items ``own`` from those of them that were chosen."""
    items = np.flatnonzero(np.isin(subset.board.chosen, own)).tolist()
    if method == "blend":
        return {"estimator": method, "items": items}
    board = _restricted(subset.board, own)
    seen = np.ones(len(board.chosen), dtype=bool)
    c, d = coefficients(method, board, seen)
    deviation = board.full.copy()
    deviation[board.chosen] -= c
    found: dict[str, Any] = {
        "estimator": method,
        "items": items,
        "c": c.tolist(),
        "unseen": float((deviation**2).sum()),
        "curves": None,
        "factor": factor,
        "design": None,
    }
    if subset.bank is not None and _irt(subset):
        bank = subset.bank.take([subset.bank.item_ids[k] for k in own])
        p = bank.probability(GRID)
        by_design, _ = coefficients("weighted", board, seen)
        by_model, rest = coefficients("p-irt", board, seen)
        gap = np.zeros(len(seen)) if method in MODEL_FREE else by_design - by_model
        other = np.zeros(len(GRID)) if method in MODEL_FREE else p @ rest
        curves = {"rest": p @ d, "noise": (p * (1 - p)) @ deviation**2, "other": other}
        found["parameters"] = np.column_stack(bank.curve_parameters)[board.chosen].tolist()
        found["gap"] = gap.tolist()
        found["curves"] = {name: np.round(curve, 12).tolist() for name, curve in curves.items()}
    if _by_design(subset, method, board):
        simple = (method, subset.method, board.macro) == ("mean", "random", False)
        strata = np.zeros_like(board.strata) if simple else board.strata
        found["design"] = {
            "weights": c.tolist(),
            "strata": strata[board.chosen].tolist(),
            "sizes": np.bincount(strata).tolist(),
        }
    return found


def _restricted(board: Board, own: np.ndarray) -> Board:
    """The board of some of its items, with weights that sum to 1 again."""
    if len(own) == len(board.full):
        return board
    of = np.isin(board.chosen, own)
    full, weights = board.full[own], board.weights[of]
    return replace(
        board,
        full=full / full.sum(),
        chosen=np.searchsorted(own, board.chosen[of]),
        weights=weights / weights.sum(),
        groups=board.groups[own],
        strata=np.unique(board.strata[own], return_inverse=True)[1],
        macro=False,
    )


def _by_design(subset: Subset, method: str, board: Board) -> bool:
    """Whether the interval comes from the sampling design: as in :func:`irtbench.estimate`."""
    drawn = subset.info.get("probability_sample", subset.method in ("random", "stratified"))
    if method not in MODEL_FREE or not drawn:
        return False
    return len(np.unique(board.strata[board.chosen])) == board.strata.max() + 1


def _irt(subset: Subset) -> bool:
    return subset.bank is not None and subset.bank.likelihood == "bernoulli"
