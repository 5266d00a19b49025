"""The report: one HTML file that needs nothing else, from the results that the other rooms return."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from irtbench.compare import CONTROL
from irtbench.report import plots, tables, wording
from irtbench.report.drawing import svg
from irtbench.report.page import data_section, render_page, reproduce_section, save_page

if TYPE_CHECKING:
    from irtbench.irt import IRTFit
    from irtbench.responses import ResponseMatrix
    from irtbench.subsets import Subset

__all__ = ["render_report", "write_report"]

_SECTIONS = (
    ("data", "Data"),
    ("fit", "Fit"),
    ("items", "Chosen items"),
    ("errors", "Errors"),
    ("intervals", "Intervals"),
    ("reproduce", "Reproduce"),
)


def write_report(path: str | Path, **content: Any) -> None:
    """Write the report; the arguments are those of :func:`render_report`."""
    save_page(path, render_report(**content))


def render_report(
    *,
    responses: ResponseMatrix,
    comparison: pd.DataFrame,
    summary: pd.DataFrame,
    fit: IRTFit | None = None,
    subset: Subset | None = None,
    level: float = 0.9,
    config: Mapping[str, Any] | None = None,
    title: str = "How few items are enough?",
    notes: tuple[str, ...] = (),
) -> str:
    """Return the report as HTML.

    Args:
        responses: what was compared on.
        comparison: from :func:`irtbench.compare`.
        summary: from :func:`irtbench.summarize`.
        fit: a fit on all the responses.
        subset: a subset chosen from all the responses, for the reader to use.
        level: level of the intervals in ``comparison``.
        config: command, options, inputs and versions.
        title: heading of the page.
        notes: sentences to print on top (``The data are simulated.``).
    """
    errors = _errors(comparison, summary)
    return render_page(
        "report.html.j2",
        title=title,
        notes=notes,
        verdict=errors["verdict"],
        sections=_SECTIONS,
        data=data_section(responses),
        fit=None if fit is None else _fit(responses, fit, subset),
        chosen=None if subset is None else _chosen(subset),
        errors=errors,
        intervals=_intervals(summary, level),
        reproduce=reproduce_section(responses, config or {}),
    )


def _fit(responses: ResponseMatrix, fit: IRTFit, subset: Subset | None) -> dict[str, Any]:
    items = fit.bank.items
    weights = None if subset is None else subset.table["weight"]
    return {
        "text": repr(fit),
        "message": fit.message,
        "converged": fit.converged,
        "elbo": svg(plots.elbo_trace(fit.elbo), "elbo"),
        "scatter": svg(plots.discrimination_difficulty(items, weights), "items"),
        "ranges": tables.as_table(tables.parameter_ranges(items)),
        "look": tables.as_table(tables.items_to_look_at(responses, items)),
    }


def _chosen(subset: Subset) -> dict[str, Any]:
    table = tables.chosen_items(subset.table)
    return {
        "text": repr(subset),
        "table": tables.as_table(table),
        "shown": len(table),
        "size": len(subset.items),
    }


def _errors(comparison: pd.DataFrame, summary: pd.DataFrame) -> dict[str, Any]:
    size = int(summary["size"].max())
    best = summary[summary["size"] == size].nsmallest(1, "mae")["method"].iloc[0]
    shown = list(dict.fromkeys([CONTROL, best]))
    return {
        "verdict": wording.verdict(summary),
        "by_size": wording.by_size(summary),
        "tally": wording.tally(summary),
        "models": int(summary["models"].max()),
        "splits": int(summary["splits"].max()),
        "size": size,
        "plot": svg(plots.size_error(summary, comparison), "size"),
        "truth": [
            svg(plots.estimate_against_truth(comparison, method, size), f"truth{k}")
            for k, method in enumerate(shown)
            if ((comparison["method"] == method) & (comparison["size"] == size)).any()
        ],
        "table": tables.error_table(summary),
    }


def _intervals(summary: pd.DataFrame, level: float) -> dict[str, Any] | None:
    shown = summary.dropna(subset=["coverage"])
    if shown.empty:
        return None
    wide = shown.pivot_table(index="method", columns="size", values="coverage", sort=False)
    wide.columns = [f"{size} items" for size in wide.columns]
    return {
        "level": f"{100 * level:g} %",
        "plot": svg(plots.coverage(summary, level), "coverage"),
        "table": tables.as_table(wide),
    }
