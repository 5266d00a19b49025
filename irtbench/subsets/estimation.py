"""Full scores of new models from their responses to a subset, each with an interval."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import pandas as pd

from irtbench.errors import DataWarning, ExtrapolationWarning, InputError
from irtbench.irt.abilities import AbilityPosterior, ability_posterior
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.estimators import ESTIMATORS, MODEL_FREE, coefficients, estimate_scores
from irtbench.subsets.intervals import conformal_factor, design_interval
from irtbench.subsets.matching import matched
from irtbench.subsets.subset import Subset

__all__ = ["DEFAULT_ESTIMATOR", "estimate"]

DEFAULT_ESTIMATOR = "gp-irt"


def estimate(
    subset: Subset,
    responses: ResponseMatrix,
    method: str = "default",
    level: float = 0.9,
    *,
    missing: Literal["raise", "ignore"] = "raise",
    extra: Literal["raise", "ignore"] = "raise",
) -> pd.DataFrame:
    """Estimate each model's score on the full benchmark from its responses to the subset.

    The interval of a mean over a probability sample comes from the sampling design; every other one is
    the estimator's own sd times a conformal factor from the calibration models. The first holds for
    any model, the second for models like those of the calibration.

    Args:
        subset: what :func:`irtbench.select` returned.
        responses: of the new models to the subset's items, in any order.
        method: ``mean`` (raw score of the subset), ``weighted``, ``p-irt``, ``gp-irt`` or ``default``
            (``gp-irt``, or ``weighted`` without a bank).
        level: coverage of the intervals.
        missing: ``ignore`` leaves out missing items and cells; the weights of the others are raised.
        extra: ``ignore`` drops items that are not in the subset.

    Returns:
        DataFrame by model: ``score``, ``lower``, ``upper``, in [0, 1].

    Raises:
        InputError: unknown method, an IRT estimator without a bank, another metric, or items that do
            not match.

    References:
        Maia Polo et al. (2024), tinyBenchmarks, https://arxiv.org/abs/2402.14992

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets import select
        >>> s = simulate(n_models=60, n_items=300, seed=0)
        >>> old, new = s.responses.take(models=slice(0, 50)), s.responses.take(models=slice(50, 60))
        >>> S = select(old, size=40, bank=s.bank)
        >>> table = estimate(S, new.take(items=S.items))
        >>> bool((table["score"] - new.scores()).abs().mean() < 0.1)
        True
    """
    method = _checked(subset, method, level)
    seen = matched(subset, responses, missing, extra)
    posterior = None if subset.bank is None else ability_posterior(subset.bank, seen)
    score, sd = estimate_scores(method, subset.board, seen.values, subset.curves, posterior)
    score = np.clip(score, 0, 1)
    if _by_design(subset, method):
        lower, upper = _design_limits(subset, method, seen.values, level)
    else:
        factor = _factor(subset, method, level)
        lower, upper = score - factor * sd, score + factor * sd
    if posterior is not None and method not in MODEL_FREE:
        _warn_outside(subset, posterior, seen)
    table = {"score": score, "lower": np.clip(lower, 0, 1), "upper": np.clip(upper, 0, 1)}
    return pd.DataFrame(table, index=seen.models.index)


def _checked(subset: Subset, method: str, level: float) -> str:
    if method == "default":
        method = DEFAULT_ESTIMATOR if subset.bank is not None else "weighted"
    if method not in ESTIMATORS:
        raise InputError(f"method must be 'default' or one of {list(ESTIMATORS)}, got {method!r}")
    if method not in MODEL_FREE and subset.bank is None:
        raise InputError(
            f"method {method!r} needs an item bank, and this subset has none: use 'weighted', or select again"
            " without irt=None"
        )
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    return method


def _by_design(subset: Subset, method: str) -> bool:
    """Whether the estimator is a mean over a probability sample that reaches every benchmark."""
    if method not in MODEL_FREE or subset.method not in ("random", "stratified"):
        return False
    strata = subset.board.strata
    return len(np.unique(strata[subset.board.chosen])) == strata.max() + 1


def _design_limits(
    subset: Subset, method: str, values: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    board = subset.board
    simple = (method, subset.method, board.macro) == ("mean", "random", False)
    strata = np.zeros_like(board.strata) if simple else board.strata
    everything = np.ones(len(board.chosen), dtype=bool)
    weights = coefficients(method, board, everything)[0]
    return design_interval(values, weights, strata[board.chosen], np.bincount(strata), level)


def _factor(subset: Subset, method: str, level: float) -> float:
    factor, guaranteed = conformal_factor(subset.residuals[method].to_numpy(dtype=float), level)
    if not guaranteed:
        n = subset.info["responses"]["n_models"]
        basis = "their spread" if len(subset.residuals) else "the estimator's own sd"
        warnings.warn(
            f"few calibration models ({n}): the {100 * level:g} % intervals rest on {basis} and may be too"
            " narrow; calibrate on more models or use a lower level",
            DataWarning,
            stacklevel=3,
        )
    return factor


def _warn_outside(subset: Subset, posterior: AbilityPosterior, seen: ResponseMatrix) -> None:
    """Warn of models beyond every calibration model by more than their sd, in ability or weighted mean.

    The posterior of θ is drawn towards 0, so with few items an outlier's weighted mean shows it first.
    """
    score, score_sd = estimate_scores("weighted", subset.board, seen.values, subset.curves, posterior)
    outside = np.zeros(len(score), dtype=bool)
    measures = {"ability": (posterior.mean, posterior.sd), "score": (score, score_sd)}
    for name, (mean, sd) in measures.items():
        low, high = subset.info["span"][name]
        outside |= (mean - sd > high) | (mean + sd < low)
    models = [seen.model_ids[k] for k in np.flatnonzero(outside)]
    if models:
        named = ", ".join(map(repr, models[:5])) + (f" and {len(models) - 5} more" if len(models) > 5 else "")
        warnings.warn(
            f"{named}: outside the range of the calibration models; IRT-based scores may be biased, compare"
            " with method='weighted' on a random or stratified subset",
            ExtrapolationWarning,
            stacklevel=3,
        )
