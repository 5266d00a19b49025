"""The page about the variance of a benchmark: seeds, checkpoints, items, views and a subset, in pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from irtbench.report import findings, subset_plots, tables, variance_plots, view_plots
from irtbench.report.drawing import PALETTE, svg
from irtbench.report.page import data_section, render_page, reproduce_section, save_page

if TYPE_CHECKING:
    from irtbench.compare import SubsetStudy
    from irtbench.responses import ResponseMatrix
    from irtbench.variance import Views

__all__ = ["render_variance_report", "write_variance_report"]

_SECTIONS = {
    "data": "Data",
    "noise": "Noise",
    "signal": "Signal",
    "views": "Two views",
    "items": "Items",
    "subset": "Subset",
    "reproduce": "Reproduce",
}


def write_variance_report(path: str | Path, **content: Any) -> None:
    """Write the page; the arguments are those of :func:`render_variance_report`."""
    save_page(path, render_variance_report(**content))


def render_variance_report(
    *,
    responses: ResponseMatrix,
    table: pd.DataFrame,
    curves: pd.DataFrame,
    views: Mapping[str, Views] | None = None,
    halves: pd.DataFrame | None = None,
    stability: pd.DataFrame | None = None,
    study: SubsetStudy | None = None,
    config: Mapping[str, Any] | None = None,
    title: str = "How far can a difference be trusted?",
    notes: tuple[str, ...] = (),
) -> str:
    """Return the page about noise and signal as HTML.

    Args:
        responses: what was measured.
        table: from :func:`irtbench.variance.variance_report`.
        curves: from :func:`irtbench.variance.curve_table`.
        views: name of each other view → from :func:`irtbench.variance.compare_views`.
        halves: from :func:`irtbench.variance.statistics_by_half`.
        stability: from :func:`irtbench.variance.split_stability`.
        study: from :func:`irtbench.compare.subset_study`.
        config: command, options, inputs and versions.
        title: heading of the page.
        notes: sentences to print on top.
    """
    unit, scale = ("points", 100.0) if responses.metric.unit else (responses.metric.name, 1.0)
    scaled: dict[str, Any] = {"unit": unit, "scale": scale}
    content: dict[str, Any] = {
        "noise": _noise(table, curves, scaled),
        "signal": _signal(table),
        "views": [_view(found, k) for k, found in enumerate((views or {}).values())],
        "items": None if halves is None or stability is None else _items(halves, stability),
        "subset": None if study is None else _subset(study),
    }
    shown = [(name, words) for name, words in _SECTIONS.items() if content.get(name, True)]
    return render_page(
        "variance.html.j2",
        title=title,
        notes=notes,
        verdict=findings.variance_verdict(table, **scaled),
        sections=shown,
        data=data_section(responses),
        reproduce=reproduce_section(responses, config or {}),
        **content,
    )


def _noise(table: pd.DataFrame, curves: pd.DataFrame, scaled: dict[str, Any]) -> dict[str, Any]:
    level, scale = table.attrs["level"], scaled["scale"]
    names = variance_plots.by_ratio(table)
    picture = variance_plots.seed_curves(curves, names, **scaled)
    found = findings.curves_finding(table, level=level, **scaled)
    strips = findings.strips_finding(table, level=level)
    shown = pd.DataFrame(
        {
            "items": table["n_items"],
            "seeds": table["n_seeds"],
            "mean": _limits(table, "mean", scale, ends=("low", "high")),
            "E": _limits(table, "E", scale),
            "items ±": _numbers(table["item_half_width"] * scale),
            "E / SE": _limits(table, "ratio", 1),
            "design effect": _limits(table, "effect", 1),
        },
        index=table.index,
    )
    return {
        **scaled,
        "choices": table.attrs,
        "level": f"{100 * level:g} %",
        "table": tables.as_table(shown),
        "drawn": len(picture),
        "benchmarks": len(names),
        "recipes": curves["family"].nunique(),
        "most_recipes": len(PALETTE),
        "curves": svg(
            picture[0], "curves", f"Scores of every seed over checkpoints, {len(picture)} benchmarks. {found}"
        ),
        "curves_finding": found,
        "strips": svg(
            variance_plots.seed_strips(curves, table, **scaled),
            "strips",
            f"Deviation of each seed from its recipe's mean, a row a benchmark. {strips}",
        ),
        "strips_finding": strips,
    }


def _signal(table: pd.DataFrame) -> dict[str, Any]:
    shown = pd.DataFrame(
        {
            "monotonicity": _limits(table, "monotonicity", 1),
            "p": _numbers(table["monotonicity_p"], 3),
            "SNR": _limits(table, "snr", 1, 1),
            "SNR above chance": _limits(table, "snr_chance", 1, 1),
            "decision accuracy": _limits(table, "decision", 1),
        },
        index=table.index,
    )
    known = [c for c in shown if (shown[c] != "–").any()]
    return {
        "table": tables.as_table(shown[known]),
        "chance": "SNR above chance" in known,
        "order": "monotonicity" in known,
    }


def _view(found: Views, k: int) -> dict[str, Any]:
    first, second = found.curves
    scaled: dict[str, Any] = (
        {"unit": "points", "scale": 100.0} if found.unit else {"unit": "score", "scale": 1.0}
    )
    level = found.table.attrs["level"]
    sides = view_plots.views_side_by_side(found.curves, found.order, one_scale=found.one_scale, **scaled)
    text = findings.views_finding(found.table, level)
    rows = found.table.set_index(["benchmark", "family", "view"])
    shown = pd.DataFrame(
        {
            "mean": _numbers(rows["mean"] * scaled["scale"]),
            "E": _limits(rows, "E", scaled["scale"]),
            "SNR": _limits(rows, "snr", 1, 1),
            "monotonicity": _limits(rows, "monotonicity", 1),
            "decision accuracy": _limits(rows, "decision_accuracy", 1),
        },
        index=rows.index,
    )
    section: dict[str, Any] = {
        "first": first,
        "second": second,
        "sides": svg(
            sides[0], f"views{k}", f"{first} and {second} over checkpoints, a panel a benchmark. {text}"
        ),
        "sides_finding": text,
        "table": tables.as_table(shown),
        "one_scale": found.one_scale,
        "crossing": None,
        "scatter": None,
    }
    if found.crossing is not None:
        says = findings.crossing_finding(found.crossing, (first, second), level)
        picture = view_plots.view_crossover(found.curves, found.crossing, **scaled)
        section |= {"crossing": svg(picture, f"crossing{k}", f"One recipe in both views. {says}")}
        section |= {"crossing_finding": says, "crossings": tables.as_table(_crossings(found.crossings))}
    if found.agreement is not None:
        says = findings.scatter_finding(found.agreement, (first, second), level)
        picture = view_plots.view_scatter(found.scores, same_scale=found.one_scale, **scaled)
        section |= {"scatter": svg(picture, f"scatter{k}", f"{second} over {first}, a dot a run. {says}")}
        section |= {"scatter_finding": says}
    return section


def _crossings(table: pd.DataFrame) -> pd.DataFrame:
    shown = table[["benchmark", "family", "winner"]].copy()
    shown["crossover"] = _limits(table, "crossover", 1, 0, ends=("low", "high"))
    shown["resamples with one"] = [f"{x:.0%}" for x in table["probability"]]
    return shown.set_index(["benchmark", "family"])


def _items(halves: pd.DataFrame, stability: pd.DataFrame) -> dict[str, Any]:
    text = findings.halves_finding(stability)
    picture = variance_plots.item_halves(halves)
    return {
        "plot": svg(
            picture[0],
            "halves",
            f"Discrimination over difficulty of the items, two halves of the models. {text}",
        ),
        "finding": text,
        "models": int(halves.attrs.get("models", 0)),
    }


def _subset(study: SubsetStudy) -> dict[str, Any]:
    first, second = findings.estimates_finding(study), findings.subset_curves_finding(study)
    parts = study.variance.parts * [100, 100, 100, 1]
    shown = pd.DataFrame(
        {"E (points)": _limits(parts, "E", 1, ends=("low", "high")), "p": _numbers(parts["p_value"], 3)},
        index=parts.index.rename("part"),
    )
    sorted_ = subset_plots.sorted_estimates(study.estimates, study.size, level=study.level)
    lines = subset_plots.subset_curves(study.curves, study.size)
    return {
        "size": study.size,
        "n_items": study.n_items,
        "method": study.method,
        "estimates": svg(sorted_, "estimates", f"Models by full score, with their estimates. {first}"),
        "estimates_finding": first,
        "curves": svg(
            lines[0], "subsetcurves", f"Seed curves from all items, the subset and random items. {second}"
        ),
        "curves_finding": second,
        "parts": tables.as_table(shown),
    }


def _limits(
    table: pd.DataFrame, column: str, scale: float, digits: int = 2, ends: tuple[str, str] | None = None
) -> list[str]:
    low, high = ends or (f"{column}_low", f"{column}_high")
    texts = zip(*(_numbers(table[c] * scale, digits) for c in (column, low, high)), strict=True)
    return [m if "–" in (a, b) else f"{m} ({a} to {b})" for m, a, b in texts]


def _numbers(values: pd.Series, digits: int = 2) -> list[str]:
    return [
        "–" if x != x else "∞" if x == float("inf") else f"{x:.{digits}f}".replace("-", "−") for x in values
    ]
