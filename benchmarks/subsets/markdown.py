"""Markdown of the pages: tables of errors by method and size."""

from __future__ import annotations

import pandas as pd

from benchmarks.environments import machine
from benchmarks.subsets.protocol import CONTROL
from benchmarks.subsets.summary import mean_of, paired
from irtbench.files import versions

__all__ = ["difference", "errors", "written_by"]


def written_by(command: str) -> str:
    """What wrote a page, where."""
    m = machine()
    made = ", ".join(f"{k} {v}" for k, v in versions().items())
    return f"Written by `{command}`. Machine: {m['processor']}, shared with other work; {made}"


def difference(d: pd.Series) -> str:
    """A paired difference with its interval.

    Example:
        >>> difference(pd.Series({"difference": -1.0, "low": -1.5, "high": -0.5}))
        '−1.00 [−1.50, −0.50]'
    """
    text = f"{d['difference']:+.2f}"
    if pd.notna(d["low"]):
        text += f" [{d['low']:+.2f}, {d['high']:+.2f}]"
    return text.replace("-", "−")


def errors(rows: pd.DataFrame, kind: str, control: str = CONTROL) -> list[str]:
    """Table of one kind of splits: MAE with the difference to the control, coverage and Spearman's ρ."""
    part = rows[rows["kind"] == kind]
    sizes = sorted(part["size"].unique())
    mean, against = (x.droplevel([0, 1]) for x in (mean_of(part), paired(part, control)))
    methods = sorted(part["method"].unique(), key=lambda m: mean["mae"].unstack()[sizes].loc[m].mean())  # noqa: PD010
    lines = ["| method | " + " | ".join(f"{n} items" for n in sizes) + " |", "|---|" + "--:|" * len(sizes)]
    for method in methods:
        cells = [_cell(mean, against, method, n, control) for n in sizes]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(mean: pd.DataFrame, against: pd.DataFrame, method: str, size: int, control: str) -> str:
    if (method, size) not in mean.index or pd.isna(mean.loc[(method, size), "mae"]):
        return "–"
    own = mean.loc[(method, size)]
    text = f"**{own['mae']:.2f}**"
    if method != control and (method, size) in against.index:
        text += f" ({difference(against.loc[(method, size)])})"
    if pd.notna(own["coverage"]):
        text += f", {100 * own['coverage']:.0f} %"
    return text + (f", ρ {own['spearman']:.3f}" if pd.notna(own["spearman"]) else "")
