"""The page about one fit: convergence, reliability, items, pairs of items, models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from irtbench.report import fit_plots, plots, tables
from irtbench.report.drawing import svg
from irtbench.report.page import data_section, render_page, reproduce_section, save_page
from irtbench.report.wording import fit_verdict

if TYPE_CHECKING:
    from irtbench.irt import IRTFit
    from irtbench.irt.diagnostics import Diagnosis
    from irtbench.responses import ResponseMatrix

__all__ = ["render_fit_report", "write_fit_report"]

_ROWS = 12
_SECTIONS = (
    ("data", "Data"),
    ("fit", "Fit"),
    ("items", "Items"),
    ("pairs", "Pairs of items"),
    ("models", "Models"),
    ("reproduce", "Reproduce"),
)


def write_fit_report(path: str | Path, **content: Any) -> None:
    """Write the page; the arguments are those of :func:`render_fit_report`."""
    save_page(path, render_fit_report(**content))


def render_fit_report(
    *,
    responses: ResponseMatrix,
    fit: IRTFit,
    diagnosis: Diagnosis,
    config: Mapping[str, Any] | None = None,
    title: str = "How well does the fit describe the responses?",
    notes: tuple[str, ...] = (),
) -> str:
    """Return the page about a fit as HTML.

    Args:
        responses: what was fitted.
        fit: the fit.
        diagnosis: from :func:`irtbench.irt.diagnostics.diagnose`.
        config: command, options, inputs and versions.
        title: heading of the page.
        notes: sentences to print on top.
    """
    return render_page(
        "fit.html.j2",
        title=title,
        notes=notes,
        verdict=fit_verdict(diagnosis, converged=fit.converged),
        sections=_SECTIONS,
        data=data_section(responses),
        fit=_fit(fit, diagnosis),
        items=_items(responses, fit, diagnosis),
        pairs=_pairs(diagnosis),
        models=_models(diagnosis),
        reproduce=reproduce_section(responses, config or {}),
    )


def _fit(fit: IRTFit, diagnosis: Diagnosis) -> dict[str, Any]:
    from irtbench.irt.diagnostics import test_information

    reliability = diagnosis.reliability
    precision = fit_plots.precision_of_ability(test_information(fit), fit.abilities["mean"])
    return {
        "text": repr(fit),
        "converged": fit.converged,
        "elbo": svg(plots.elbo_trace(fit.elbo), "elbo"),
        "ranges": tables.as_table(tables.parameter_ranges(fit.bank.items)),
        "marginal": f"{reliability['marginal']:.3f}",
        "empirical": f"{reliability['empirical']:.3f}",
        "precision": svg(precision, "precision"),
    }


def _items(responses: ResponseMatrix, fit: IRTFit, diagnosis: Diagnosis) -> dict[str, Any]:
    items = diagnosis.items
    curves = fit_plots.item_characteristic_curves(fit.bank, abilities=fit.abilities["mean"])
    shown = ["n", "share_right", "infit", "infit_z", "outfit", "outfit_z", "lz", "item_rest"]
    has_z = items["infit_z"].notna().any()
    order = items[["infit_z", "outfit_z"] if has_z else ["infit", "outfit"]].max(axis=1)
    worst = items.loc[order.sort_values(ascending=False, kind="stable").index[:_ROWS], shown]
    negative = items.loc[items["negative"], shown].sort_values("item_rest")
    return {
        "curves": svg(curves, "curves"),
        "scatter": svg(plots.discrimination_difficulty(fit.bank.items), "items"),
        "fits": svg(fit_plots.infit_outfit(items), "fits") if has_z else None,
        "worst": tables.as_table(worst, digits=2),
        "negative": tables.as_table(negative.head(5 * _ROWS), digits=2) if len(negative) else None,
        "negatives": len(negative),
        "look": tables.as_table(tables.items_to_look_at(responses, fit.bank.items)),
    }


def _pairs(diagnosis: Diagnosis) -> dict[str, Any] | None:
    pairs = diagnosis.pairs
    if pairs.empty:
        return None
    return {
        "plot": svg(fit_plots.q3_pairs(pairs), "pairs"),
        "table": tables.as_table(pairs),
        "shown": len(pairs),
    }


def _models(diagnosis: Diagnosis) -> dict[str, Any]:
    shown = ["n", "share_right", "ability", "infit", "outfit", "lz_star", "p"]
    odd = diagnosis.models.sort_values("lz_star", kind="stable")[shown].head(_ROWS)
    residuals = diagnosis.benchmarks
    several = len(set(residuals.index.get_level_values("benchmark"))) > 1
    order = residuals["standing"].sort_values(ascending=False, kind="stable").index[:_ROWS]
    return {
        "odd": tables.as_table(odd),
        "benchmarks": tables.as_table(pd.DataFrame(residuals.loc[order])) if several else None,
    }
