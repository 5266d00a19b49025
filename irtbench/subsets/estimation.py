"""Full scores of new models from their responses to a subset, each with an interval."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import pandas as pd

from irtbench.errors import DataWarning, ExtrapolationWarning, InputError
from irtbench.irt.abilities import AbilityPosterior, ability_posterior
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.estimators import (
    BANK_ESTIMATORS,
    ESTIMATORS,
    MODEL_FREE,
    PREDICTORS,
    coefficients,
    estimate_scores,
)
from irtbench.subsets.guaranteed import difference
from irtbench.subsets.intervals import conformal_factor, design_interval, far_factor
from irtbench.subsets.matching import matched
from irtbench.subsets.subset import Subset

__all__ = ["DEFAULT_ESTIMATOR", "default_estimator", "estimate"]

DEFAULT_ESTIMATOR = "blend"


def estimate(
    subset: Subset,
    responses: ResponseMatrix,
    method: str = "default",
    level: float = 0.9,
    *,
    by: Literal["all", "benchmark"] = "all",
    missing: Literal["raise", "ignore"] = "raise",
    extra: Literal["raise", "ignore"] = "raise",
) -> pd.DataFrame:
    """Estimate each model's score on the full benchmark from its responses to the subset.

    The interval of a mean over a probability sample comes from the sampling design and holds for any
    model. Every other one is the estimator's own sd times a conformal factor from calibration models that
    were held out, and holds for models like them; that of ``blend`` goes over to the factor of the
    strongest calibration models, predicted by the weaker half, as a model leaves the range, and there is
    never narrower than the estimator's own sd says.

    Args:
        subset: what :func:`irtbench.select` returned.
        responses: of the new models to the subset's items, in any order.
        method: ``default`` is ``blend`` (a regression within the calibration models' range, an estimate that
            reaches beyond it; with fewer than five of them, ``weighted``); ``regression`` or ``reaching``
            alone; ``difference`` (predictions corrected by a random sample: its interval holds whatever the
            IRT model); ``mean`` (raw score of the subset), ``weighted``; ``p-irt``, ``gp-irt`` (with a bank).
        level: coverage of the intervals.
        by: ``benchmark`` for the score of each benchmark, too, of a subset that was selected with
            ``by_benchmark=True``.
        missing: ``ignore`` leaves out missing items and cells; the weights of the others are raised.
        extra: ``ignore`` drops items that are not in the subset.

    Returns:
        DataFrame by model: ``score``, ``lower``, ``upper``, in [0, 1]; for ``blend``, ``regression`` and
        ``reaching`` also ``beyond``, the probability that the model lies beyond the calibration models'
        range, and a ``note`` where there is something to say. By benchmark, a column ``benchmark`` comes
        first: the rows of the full score (``all``), then those of each benchmark.

    Raises:
        InputError: unknown method, an IRT estimator without a bank, another metric, items that do
            not match, or a subset that was calibrated for the full score only.

    Warns:
        ExtrapolationWarning: models beyond the range of the calibration models.
        DataWarning: too few calibration models for a conformal interval.

    References:
        Maia Polo et al. (2024), tinyBenchmarks, https://arxiv.org/abs/2402.14992

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets import select
        >>> s = simulate(n_models=60, n_items=300, seed=0)
        >>> old, new = s.responses.take(models=slice(0, 50)), s.responses.take(models=slice(50, 60))
        >>> S = select(old, size=40)
        >>> table = estimate(S, new.take(items=S.items))
        >>> bool((table["score"] - new.scores()).abs().mean() < 0.1)
        True
    """
    if by not in ("all", "benchmark"):
        raise InputError(f"by must be 'all' or 'benchmark', got {by!r}")
    if by == "benchmark":
        return _by_benchmark(subset, responses, method, level, missing, extra)
    method = _checked(subset, method, level)
    seen = matched(subset, responses, missing, extra)
    if method == "difference":
        return _guaranteed(subset, seen, level)
    if method in PREDICTORS:
        return _predicted(subset, seen, method, level)
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


def _by_benchmark(
    subset: Subset,
    responses: ResponseMatrix,
    method: str,
    level: float,
    missing: Literal["raise", "ignore"],
    extra: Literal["raise", "ignore"],
) -> pd.DataFrame:
    """The full score and that of each part."""
    if not subset.parts:
        raise InputError(
            "this subset was calibrated for the full score only: select it again with by_benchmark=True, from"
            " responses with several benchmarks"
        )
    tables = []
    for name, part in [("all", subset), *subset.parts.items()]:
        table = estimate(part, responses, method, level, missing=missing, extra=extra)
        table.insert(0, "benchmark", name)
        tables.append(table)
    return pd.concat(tables)


def default_estimator(subset: Subset) -> str:
    """``blend``; the weighted mean where too few models calibrated to hold any out."""
    calibrated = subset.predictor is not None and bool(subset.residuals[DEFAULT_ESTIMATOR].notna().any())
    return DEFAULT_ESTIMATOR if calibrated else "weighted"


def _checked(subset: Subset, method: str, level: float) -> str:
    if method == "default":
        method = default_estimator(subset)
    if method not in ESTIMATORS:
        raise InputError(f"method must be 'default' or one of {list(ESTIMATORS)}, got {method!r}")
    if "benchmark" in subset.info and method not in (*PREDICTORS, "difference"):
        raise InputError(
            f"method {method!r} gives no score of a single benchmark; use one of"
            f" {[*PREDICTORS, 'difference']}"
        )
    if method == "difference" and not subset.info.get("probability_sample", False):
        raise InputError(
            "method 'difference' needs a subset drawn by known probabilities: select it by 'stratified' or"
            " 'random', without required or forbidden items"
        )
    if method in (*PREDICTORS, "difference") and subset.predictor is None:
        raise InputError(f"method {method!r} needs a predictor, and this subset has none: select it again")
    if method in BANK_ESTIMATORS and subset.bank is None:
        raise InputError(
            f"method {method!r} needs an item bank, and this subset has none: use 'weighted', or select again"
            " with irt='2pl'"
        )
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    return method


def _predicted(subset: Subset, seen: ResponseMatrix, method: str, level: float) -> pd.DataFrame:
    """Scores, intervals and notes of the predictor's methods."""
    assert subset.predictor is not None
    found = subset.predictor(seen.values.astype(float), method)
    score = np.clip(found.score, 0, 1)
    factor: np.ndarray | float = _factor(subset, method, level)
    if method == "blend" and "far" in subset.residuals:
        far = far_factor(subset.residuals["far"].to_numpy(dtype=float), float(factor), level)
        factor = (1 - found.outside) * factor + found.outside * far
    outside = [seen.model_ids[k] for k in np.flatnonzero(found.beyond > 0.5)]
    if outside:
        reach = "their scores rest on what reaches beyond them, with a wider interval"
        advice = "a regression does not hold there: use 'blend'" if method == "regression" else reach
        _warn_beyond(outside, advice, subset.info.get("benchmark"))
    table = {
        "score": score,
        "lower": np.clip(score - factor * found.sd, 0, 1),
        "upper": np.clip(score + factor * found.sd, 0, 1),
        "beyond": found.beyond,
        "note": found.notes(),
    }
    return pd.DataFrame(table, index=seen.models.index)


def _guaranteed(subset: Subset, seen: ResponseMatrix, level: float) -> pd.DataFrame:
    """The cross-fitted difference estimate: unbiased by the drawing of the items."""
    assert subset.predictor is not None
    found = difference(subset.predictor, subset.board.strata, seen.values.astype(float), level)
    score, lower, upper = (np.clip(x, 0, 1) for x in found)
    return pd.DataFrame({"score": score, "lower": lower, "upper": upper}, index=seen.models.index)


def _by_design(subset: Subset, method: str) -> bool:
    """Whether the estimator is a mean over a probability sample that reaches every benchmark."""
    if method not in MODEL_FREE or not subset.info.get("probability_sample", False):
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
        advice = (
            "IRT-based scores may be biased, compare with method='weighted' on a random or stratified subset"
        )
        _warn_beyond(models, advice)


def _warn_beyond(models: list[str], advice: str, benchmark: str | None = None) -> None:
    named = ", ".join(map(repr, models[:5])) + (f" and {len(models) - 5} more" if len(models) > 5 else "")
    warnings.warn(
        f"{named}: outside the range of the calibration models"
        f"{f' on {benchmark!r}' if benchmark else ''}; {advice}",
        ExtrapolationWarning,
        stacklevel=4,
    )
