"""Tables of the report: which rows to show, and numbers as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from irtbench.compare import CONTROL
from irtbench.irt.diagnostics import item_rest_correlation
from irtbench.report.wording import against_control, signed
from irtbench.responses import ResponseMatrix

__all__ = [
    "as_table",
    "chosen_items",
    "error_table",
    "item_rest_correlation",
    "items_to_look_at",
    "parameter_ranges",
]

_PARAMETERS = ("discrimination", "difficulty", "guessing")


def as_table(frame: pd.DataFrame, *, digits: int = 3, marked: Any = None) -> dict[str, Any]:
    """Turn a DataFrame into what the template prints.

    Args:
        frame: the rows; a named index becomes the first columns.
        digits: decimals of numbers that are not whole.
        marked: booleans, which rows to highlight.
    """
    flat = frame.reset_index() if any(frame.index.names) else frame
    columns = [{"name": str(c).replace("_", " "), "number": flat[c].dtype.kind in "iuf"} for c in flat]
    rows = [[_text(value, digits) for value in row] for row in flat.itertuples(index=False)]
    marks = [False] * len(rows) if marked is None else [bool(m) for m in marked]
    return {"columns": columns, "rows": list(zip(rows, marks, strict=True))}


def error_table(summary: pd.DataFrame) -> dict[str, Any]:
    """Errors by size and method, the control first and highlighted, each difference said in words."""
    control = summary["method"] == CONTROL
    order = summary.assign(_control=~control).sort_values(["size", "_control", "mae"]).index
    table = summary.loc[order]
    lower, upper = table["mae_diff_lower"], table["mae_diff_upper"]
    interval = [
        f"{signed(d)} ({signed(a)} to {signed(b)})"
        for d, a, b in zip(table["mae_diff"], lower, upper, strict=True)
    ]
    is_control = (table["method"] == CONTROL).to_numpy()
    shown = pd.DataFrame(
        {
            "size": table["size"],
            "method": table["method"],
            "error (MAE)": table["mae"],
            "bias": table["bias"],
            "Kendall τ": table["kendall"],
            "seed sd": table["seed_sd"],
            "difference to random (95 %)": np.where(is_control, "", interval),
            "than random": [
                "control" if c else _short(against_control(r))
                for c, r in zip(is_control, table.to_dict("records"), strict=True)
            ],
        }
    ).reset_index(drop=True)
    return as_table(shown, digits=4, marked=is_control)


def parameter_ranges(items: pd.DataFrame) -> pd.DataFrame:
    """Range of each item parameter, and how well it is known."""
    rows = {}
    for name in _PARAMETERS:
        value, sd = items[name], items[f"{name}_sd"]
        if name == "guessing" and not value.any():
            continue
        low, median, high = value.quantile([0.05, 0.5, 0.95])
        rows[name] = {
            "lowest": value.min(),
            "5 %": low,
            "median": median,
            "95 %": high,
            "highest": value.max(),
            "typical sd": sd.median(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")


def items_to_look_at(responses: ResponseMatrix, items: pd.DataFrame | None, n: int = 12) -> pd.DataFrame:
    """Items that may be faulty: constant, against the trend, or with the lowest discrimination.

    Args:
        responses: the responses.
        items: ``bank.items`` of a fit, or None.
        n: rows at most.
    """
    table = pd.DataFrame(index=responses.items.index)
    with np.errstate(invalid="ignore"):
        table["share right"] = np.nansum(responses.values, axis=0) / np.maximum(
            responses.observed.sum(axis=0), 1
        )
    table["item-rest correlation"] = item_rest_correlation(responses)
    if items is not None:
        table["discrimination"] = items["discrimination"]
        table["difficulty"] = items["difficulty"]
    correlation = table["item-rest correlation"]
    table["why"] = np.select(
        [correlation.isna(), correlation < 0],
        ["every model responds alike", "abler models do worse: wrong key?"],
        "low discrimination",
    )
    order = table["discrimination"] if items is not None else correlation
    rank = pd.DataFrame({"against": ~(correlation < 0), "value": order}, index=table.index)
    return table.loc[rank.sort_values(["against", "value"]).index[:n]]


def chosen_items(table: pd.DataFrame, limit: int = 300) -> pd.DataFrame:
    """The chosen items, the heaviest first."""
    return table.sort_values("weight", ascending=False, kind="stable").head(limit)


def _short(words: str) -> str:
    """``better than the random subset`` → ``better``: the column's name says the rest."""
    return words.removesuffix(" the random subset").removesuffix(" than").removesuffix(" from")


def _text(value: Any, digits: int) -> str:
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{value:.{digits}f}".replace("-", "−")
    return str(value)
