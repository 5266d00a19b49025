"""What ``variance`` adds to its tables: the page with the pictures, other views, items and a subset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irtbench.commands.session import Session, about
from irtbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.compare import SubsetStudy
    from irtbench.responses import ResponseMatrix
    from irtbench.variance import Views

__all__ = ["Extras", "left_out", "write_page"]

_NAMED = 5


@dataclass(frozen=True)
class Extras:
    """What the page needs besides the tables.

    Attributes:
        beside: other views, ``[NAME=]FILE``.
        view: name of the first view; None takes its metric.
        subset: folder of a subset, or None.
        splits: splits of the models for the items.
        seed: of everything random.
        columns: names of the columns of recipe, replicate and checkpoint.
        alone: recipes that were left out.
    """

    beside: tuple[str, ...]
    view: str | None
    subset: Path | None
    splits: int
    seed: int
    columns: dict[str, Any]
    alone: list[str]


def write_page(
    path: Path,
    session: Session,
    matrix: ResponseMatrix,
    table: pd.DataFrame,
    curves: pd.DataFrame,
    extras: Extras,
) -> None:
    """Write the page, with the sections that the data allow; say what is left out, and why."""
    from irtbench.report import write_variance_report
    from irtbench.variance import one_run_each, split_stability, statistics_by_half

    notes = []
    if extras.alone:
        text = left_out(extras.alone)
        notes.append(f"{text[0].upper()}{text[1:]}.")
    halves = stability = None
    try:
        ends = one_run_each(matrix, **extras.columns)
        halves = statistics_by_half(ends)
        stability = split_stability(ends, n_splits=extras.splits, seed=extras.seed)
    except InputError as error:
        session.say(f"the report has no section about items: {error}")
    views, inputs = _views(session, matrix, extras, table.attrs["level"])
    config = session.config({str(session.options["responses"]): matrix.fingerprint, **inputs})
    write_variance_report(
        path,
        responses=matrix,
        table=table,
        curves=curves,
        views=views,
        halves=halves,
        stability=stability,
        study=None if extras.subset is None else _study(extras.subset, matrix, extras),
        config=config,
        notes=tuple(notes),
    )


def left_out(names: Sequence[str]) -> str:
    """Say which recipes have no replicates; the first few by name."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"left out, as they have no replicates: {', '.join(names[:_NAMED])}{more}"


def _views(
    session: Session, matrix: ResponseMatrix, extras: Extras, level: float
) -> tuple[dict[str, Views], dict[str, str]]:
    from irtbench.variance import compare_views

    found, inputs = {}, {}
    own = extras.view or matrix.metric.name
    for text in extras.beside:
        name, sign, file = text.partition("=")
        if not sign:
            name, file = "", text
        other = session.read(Path(file))
        name = name or other.metric.name
        if name == own:
            raise InputError(f"--beside {text}: both views are called {name!r}; give NAME=FILE, or --view")
        if name in found:
            raise InputError(f"--beside {text}: two views are called {name!r}; give NAME=FILE")
        with about(Path(file)):
            found[name] = compare_views({own: matrix, name: other}, level=level, **extras.columns)
        inputs[file] = other.fingerprint
    return found, inputs


def _study(folder: Path, matrix: ResponseMatrix, extras: Extras) -> SubsetStudy:
    from irtbench.compare import subset_study
    from irtbench.subsets import Subset

    with about(folder):
        subset = Subset.load(folder)
        return subset_study(
            subset,
            matrix,
            family=extras.columns["family"],
            seed_column=extras.columns["seed"],
            step=extras.columns["step"],
            seed=extras.seed,
        )
