"""Look a matrix over: what is in it, and what deserves a second look before it is used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.assemble import few
from irtbench.responses.matrix import ResponseMatrix

__all__ = ["DOUBTS", "check", "describe", "refuse_beyond_unit", "refuse_disconnected"]

_FEW_MODELS = 30
_WHOLE = 0.99
_Found = tuple[int, str] | None


def check(R: ResponseMatrix, min_responses: int = 10) -> pd.DataFrame:
    """List what deserves a look, a row for each kind of finding; no rows if there is none.

    Args:
        R: responses.
        min_responses: models and items with fewer responses than this are named.

    Returns:
        Table with columns ``finding``, ``count``, ``examples`` and ``advice``.

    Raises:
        InputError: ``min_responses`` is not positive.

    Example:
        >>> R = ResponseMatrix.of([[1, 0], [1, 0], [1, 1]], ["a", "b", "c"], ["q1", "q2"])
        >>> check(R)[["finding", "count", "examples"]].values.tolist()
        [['constant items', 1, 'q1'], ['identical models', 1, 'a = b'], ['few models', 3, 'a, b, c']]
    """
    if min_responses < 1:
        raise InputError(f"min_responses must be at least 1, got {min_responses}")
    found = []
    for finding, (look, advice) in _LOOKS.items():
        result = look(R, min_responses)
        if result is not None:
            found.append((finding, *result, advice.format(min_responses=min_responses)))
    return pd.DataFrame(found, columns=["finding", "count", "examples", "advice"])


def describe(R: ResponseMatrix) -> pd.DataFrame:
    """Summarise each benchmark: size, share observed, mean, spread of the models' scores.

    Args:
        R: responses.

    Returns:
        Table by benchmark with columns ``models``, ``items``, ``responses``, ``observed`` (share of
        the cells of these models), ``mean``, ``model_min``, ``model_median``, ``model_max`` and
        ``constant_items``.

    Example:
        >>> R = ResponseMatrix.of([[1, 0], [1, 1]], benchmark="quiz")
        >>> describe(R).loc["quiz", ["models", "items", "mean", "model_max", "constant_items"]].tolist()
        [2.0, 2.0, 0.75, 1.0, 1.0]
    """
    constant = _constant(R)
    rows = {}
    for benchmark in dict.fromkeys(R.benchmarks):
        columns = np.flatnonzero(R.benchmarks == benchmark)
        values, observed = R.values[:, columns].astype(np.float64), R.observed[:, columns]
        taking = observed.any(axis=1)
        scores = np.nansum(values[taking], axis=1) / observed[taking].sum(axis=1)
        count = int(observed.sum())
        rows[benchmark] = {
            "models": int(taking.sum()),
            "items": len(columns),
            "responses": count,
            "observed": count / (taking.sum() * len(columns)) if count else 0.0,
            "mean": np.nansum(values) / count if count else np.nan,
            "model_min": scores.min() if count else np.nan,
            "model_median": np.median(scores) if count else np.nan,
            "model_max": scores.max() if count else np.nan,
            "constant_items": int(constant[columns].sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("benchmark")


def refuse_beyond_unit(R: ResponseMatrix) -> None:
    """Check that the metric lies in [0, 1]: what IRT models, subsets and comparisons are made for.

    Raises:
        InputError: it has other bounds, such as ``nll``, ``bpb`` or ``margin``.

    Example:
        >>> refuse_beyond_unit(ResponseMatrix.of([[0.7, 2.3]], metric="nll"))
        Traceback (most recent call last):
        ...
        irtbench.errors.InputError: metric 'nll' (lower is better, 0 to ∞) cannot be used here, only metrics
        that lie in [0, 1]; take acc, or a probability such as prob_options
    """
    if not R.metric.unit:
        name, about = R.metric.name, str(R.metric).removeprefix(R.metric.name).strip()
        raise InputError(
            f"metric {name!r} {about} cannot be used here, only metrics that lie in [0, 1]; take acc, or a"
            " probability such as prob_options"
        )


def refuse_disconnected(R: ResponseMatrix) -> None:
    """Check that the models hang together by items that they share; models without a response are left out.

    Raises:
        InputError: groups of models without an item in common, which have no common scale.
    """
    observed = R.observed
    answered = np.count_nonzero(observed, axis=1)
    if 2 * answered.min() > R.n_items or answered.max() == R.n_items or observed.all(axis=0).any():
        return  # any two share an item
    some = observed.any(axis=1)
    reached: np.ndarray = np.zeros(R.n_models, dtype=bool)
    reached[np.argmax(some)] = True
    while True:
        items = observed[reached].any(axis=0)
        wider = np.asarray((observed & items).any(axis=1))
        if wider.sum() == reached.sum():
            break
        reached = wider
    apart = some & ~reached
    if apart.any():
        raise InputError(
            f"{int(apart.sum())} of {R.n_models} models share no item, directly or through others, with the"
            f" rest ({few(R.models.index[apart])}): they have no common scale; fit the groups one by one,"
            " or add items that models of both answered"
        )


def _constant(R: ResponseMatrix) -> np.ndarray:
    low = np.where(R.observed, R.values, np.inf).min(axis=0)
    high = np.where(R.observed, R.values, -np.inf).max(axis=0)
    return np.asarray((low == high) & (R.observed.sum(axis=0) > 1))


def _named(index: pd.Index, where: np.ndarray) -> _Found:
    return (int(where.sum()), few(index[where])) if where.any() else None


def _constant_items(R: ResponseMatrix, _: int) -> _Found:
    return _named(R.items.index, _constant(R))


def _short_models(R: ResponseMatrix, least: int) -> _Found:
    return _named(R.models.index, R.observed.sum(axis=1) < min(least, R.n_items))


def _short_items(R: ResponseMatrix, least: int) -> _Found:
    return _named(R.items.index, R.observed.sum(axis=0) < min(least, R.n_models))


def _identical_models(R: ResponseMatrix, _: int) -> _Found:
    first: dict[bytes, str] = {}
    pairs = []
    for model, row in zip(R.model_ids, R.values, strict=True):
        other = first.setdefault(row.tobytes(), model)
        if other != model:
            pairs.append(f"{other} = {model}")
    return (len(pairs), few(pairs)) if pairs else None


def _few_models(R: ResponseMatrix, _: int) -> _Found:
    names = R.models.get("name", R.models.index)
    distinct = list(dict.fromkeys(names))
    return (len(distinct), few(distinct)) if len(distinct) < _FEW_MODELS else None


def _incomplete_models(R: ResponseMatrix, _: int) -> _Found:
    share = R.observed.mean(axis=1)
    found = _named(R.models.index, share < _WHOLE)
    if found is None:
        return None
    worst = int(np.argmin(share))
    return found[0], f"least: {R.model_ids[worst]} with {100 * share[worst]:.1f} %"


def _continuous(R: ResponseMatrix, _: int) -> _Found:
    between = R.observed & (R.values > 0) & (R.values < 1)
    if R.kind != "continuous" or not R.metric.unit:
        return None
    return int(between.sum()), f"{100 * between.sum() / R.observed.sum():.1f} % of the responses"


def _beyond_unit(R: ResponseMatrix, _: int) -> _Found:
    return None if R.metric.unit else (int(R.observed.sum()), str(R.metric))


_LOOKS: dict[str, tuple[Callable[[ResponseMatrix, int], _Found], str]] = {
    "constant items": (_constant_items, "every model responds alike: they tell no models apart"),
    "models with few responses": (_short_models, "fewer than {min_responses}: their abilities will be vague"),
    "items with few responses": (_short_items, "fewer than {min_responses}: their parameters will be vague"),
    "identical models": (_identical_models, "the same responses everywhere: keep one of each"),
    "few models": (_few_models, f"fewer than {_FEW_MODELS}: item parameters will be rough"),
    "models with missing items": (
        _incomplete_models,
        "below 99 % of the items: find out why, as missing responses are seldom missing at random",
    ),
    "continuous responses": (
        _continuous,
        "neither 0/1 nor shares of counted samples: use a continuous model",
    ),
    "metric beyond [0, 1]": (
        _beyond_unit,
        "no IRT model or subset takes it: those need one in [0, 1]",
    ),
}
DOUBTS = tuple(name for name in _LOOKS if name not in ("continuous responses", "metric beyond [0, 1]"))
