"""A against B on every benchmark of a matrix, by their names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.decisions import compare_recipes
from irtbench.variance.difference import Difference, Items
from irtbench.variance.multiplicity import Control, adjusted
from irtbench.variance.power import seeds_needed
from irtbench.variance.runs import runs_of
from irtbench.variance.standard_errors import stated

__all__ = ["decide"]


def decide(
    R: ResponseMatrix,
    a: str,
    b: str,
    *,
    family: str = "family",
    seed: str = "seed",
    step: str = "step",
    at: str | None = None,
    clusters: str | None = None,
    items: Items = "sampled",
    seed_sd: float | None = None,
    control: Control = "holm",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare two runs or two recipes on each benchmark, and on all items together.

    Args:
        R: responses.
        a: model id of a run, or name of a recipe, whose runs are its seeds.
        b: likewise.
        family: column of the recipe.
        seed: column of the replicate.
        step: column of the checkpoint.
        at: checkpoint of the recipes; None takes the last one.
        clusters: column of the items table that says which items belong together.
        items: ``sampled`` or ``fixed``, see :func:`compare_recipes`.
        seed_sd: sd of a run's score over seeds, if it is known.
        control: error over the benchmarks that ``p_adjusted`` is adjusted for.
        level: coverage of the intervals; a verdict needs ``p_adjusted`` of at most 1 - ``level``.

    Returns:
        DataFrame by benchmark (``all`` last, if there are several; not adjusted): ``a`` and ``b`` (scores),
        ``difference``, ``low``, ``high``, ``p_value``, ``p_adjusted``, ``probability`` (that a is better),
        ``better`` (name; missing if not told apart), ``detectable`` (difference that such data show 80 % of
        the time), ``item_se``, ``seed_se``, ``n_items``, ``seeds_a``, ``seeds_b``, ``seeds_needed`` (a
        side, to find a difference as large as this one on these items, from the seeds' noise alone; NaN if
        that is unknown).

    Raises:
        InputError: unknown names, or see :func:`compare_recipes`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame({"family": list("xxxyyy"), "seed": [0, 1, 2] * 2}, index=list("abcdef"))
        >>> y = rng.random((6, 400)) < np.r_[[0.5] * 3, [0.8] * 3][:, None]
        >>> decide(ResponseMatrix.of(y, table), "y", "x")[["better", "seeds_a"]].to_dict("index")
        {'all': {'better': 'y', 'seeds_a': 3}}
    """
    sides = [_rows(R, name, family, seed, step, at) for name in (a, b)]
    if clusters is not None and clusters not in R.items:
        raise InputError(f"the items table has no column {clusters!r} (columns: {', '.join(R.items)})")
    own = None if clusters is None else R.items[clusters].to_numpy()
    names = list(dict.fromkeys(R.benchmarks))
    parts = {name: R.benchmarks == name for name in names}
    if len(names) > 1:
        parts["all"] = np.ones(R.n_items, dtype=bool)
    rows = {}
    for name, part in parts.items():
        result = compare_recipes(
            *(R.values[np.ix_(side, part)] for side in sides),
            clusters=None if own is None else own[part],
            items=items,
            seed_sd=seed_sd,
            higher_is_better=R.metric.higher_is_better,
            level=level,
            names=(a, b),
        )
        rows[name] = _row(result, [float(np.nanmean(R.values[np.ix_(side, part)])) for side in sides])
    table = stated(pd.DataFrame.from_dict(rows, orient="index"), items=items, control=control, level=level)
    table.index.name = "benchmark"
    single = table["p_value"].to_numpy()
    table.insert(6, "p_adjusted", np.r_[adjusted(single[: len(names)], control), single[len(names) :]])
    table["better"] = table["better"].where(table["p_adjusted"] <= 1 - level, None)
    return table


def _rows(R: ResponseMatrix, name: str, family: str, seed: str, step: str, at: str | None) -> np.ndarray:
    """Rows of a run, or of a recipe's seeds at one checkpoint."""
    if name in R.models.index:
        return np.array([R.model_ids.index(name)])
    known = runs_of(R, family=family, seed=seed, step=step, min_seeds=1) if family in R.models else []
    found = [runs for runs in known if runs.family == name]
    if not found:
        some = ", ".join([runs.family for runs in known][:10] or R.model_ids[:10])
        raise InputError(f"no model and no {family} {name!r}; there are {some}")
    if step not in R.models:
        own = np.flatnonzero(R.models[family].astype(str) == name)
        return np.asarray(own)
    steps = [str(x) for x in found[0].steps]
    wanted = steps[-1] if at is None else str(at)
    if wanted not in steps:
        raise InputError(f"{name!r} has no checkpoint {wanted!r}; it has {', '.join(steps)}")
    position = found[0].steps[steps.index(wanted)]
    here = (R.models[family].astype(str) == name) & _is(R.models[step], position)
    return np.flatnonzero(here)


def _is(column: pd.Series, value: Any) -> pd.Series:
    """Where a column holds this checkpoint, as number or as text."""
    if isinstance(value, str):
        return column.astype(str) == value
    return pd.to_numeric(column, errors="coerce") == value


def _row(result: Difference, scores: list[float]) -> dict[str, Any]:
    seeds = math.nan
    if result.seed_se > 0 and result.estimate != 0:
        inverse = sum(1 / n for n in result.n_seeds)
        seeds = seeds_needed(abs(result.estimate), result.seed_se / math.sqrt(inverse), level=result.level)
    return {
        "a": scores[0],
        "b": scores[1],
        "difference": result.estimate,
        "low": result.low,
        "high": result.high,
        "p_value": result.p_value,
        "probability": result.probability,
        "better": result.better,
        "detectable": result.detectable,
        "item_se": result.item_se,
        "seed_se": result.seed_se,
        "n_items": result.n_items,
        "seeds_a": result.n_seeds[0],
        "seeds_b": result.n_seeds[1],
        "seeds_needed": seeds,
    }
