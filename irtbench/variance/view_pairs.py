"""Everything that two views of the same runs say about each other, for a page or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.crossing_points import crossings, on_one_scale
from irtbench.variance.curve_tables import curve_table
from irtbench.variance.halves import one_run_each
from irtbench.variance.runs import runs_of
from irtbench.variance.views import agreement_of_views, views_by_benchmark

__all__ = ["Views", "compare_views"]

_LEAST = 4  # models, of a correlation


@dataclass(frozen=True, eq=False)
class Views:
    """What :func:`compare_views` found.

    Attributes:
        curves: name of each view → :func:`~irtbench.variance.curve_table`.
        table: of :func:`~irtbench.variance.views_by_benchmark`.
        order: benchmarks, those that cross over first.
        unit: both views lie within [0, 1].
        one_scale: both metrics have the same bounds and direction.
        crossings: of :func:`~irtbench.variance.crossings`; None if the views differ in their metrics.
        crossing: its row that shows a crossover best, or the first; None likewise.
        scores: mean over benchmarks of each run at its last checkpoint, a column a view; runs of both.
        agreement: of :func:`~irtbench.variance.agreement_of_views`; None for fewer than four runs.
    """

    curves: Mapping[str, pd.DataFrame]
    table: pd.DataFrame
    order: tuple[str, ...]
    unit: bool
    one_scale: bool
    crossings: pd.DataFrame | None
    crossing: Mapping[str, Any] | None
    scores: pd.DataFrame
    agreement: pd.DataFrame | None


def compare_views(
    views: Mapping[str, ResponseMatrix],
    *,
    family: str | Sequence[str] = "family",
    seed: str = "seed",
    step: str = "step",
    level: float = 0.95,
    resamples: int = 1000,
) -> Views:
    """Compare two views of the same runs (choice and completion, or a discrete and a continuous metric).

    Args:
        views: names of the two views → responses of the same recipes.
        family: see :func:`irtbench.variance.runs_of`.
        seed: likewise.
        step: likewise.
        level: coverage of all intervals.
        resamples: of all bootstraps.

    Returns:
        A :class:`Views`.

    Raises:
        InputError: not two views, or of other recipes or benchmarks.
    """
    if len(views) != 2:
        raise InputError(f"two views are compared, got {list(views)}")
    how: dict[str, Any] = {
        "family": family,
        "seed": seed,
        "step": step,
        "level": level,
        "resamples": resamples,
    }
    names = {"family": family, "seed": seed, "step": step}
    curves = {name: curve_table(runs_of(R, **names), level=level) for name, R in views.items()}  # type: ignore[arg-type]
    table = views_by_benchmark(views, **how)
    one, other = views.values()
    unit = one.metric.unit and other.metric.unit
    same = on_one_scale(one, other)
    found = crossings(views, **how) if one.metric == other.metric else None
    ends = {name: one_run_each(R, **names).scores("macro") for name, R in views.items()}  # type: ignore[arg-type]
    scores = pd.DataFrame(ends).dropna()
    agreement = None
    if len(scores) >= _LEAST and (scores.std() > 0).all():
        agreement = agreement_of_views(*(scores[name].to_numpy() for name in views), level=level)
    order = list(dict.fromkeys(table["benchmark"]))
    best = None
    if found is not None:
        ranked = found.sort_values("probability", ascending=False, kind="stable")
        ranked = ranked.assign(none=ranked["crossover"].isna()).sort_values("none", kind="stable")
        order = list(dict.fromkeys(ranked["benchmark"]))
        best = {str(k): v for k, v in ranked.iloc[0].to_dict().items() if k != "none"}
    return Views(curves, table, tuple(order), unit, same, found, best, scores, agreement)
