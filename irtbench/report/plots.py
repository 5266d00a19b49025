"""The pictures: each returns its Axes, and draws into ``ax`` if one is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from irtbench.compare import CONTROL
from irtbench.errors import InputError
from irtbench.report.drawing import CONTROL_COLOUR, DASHES, GREY, INK, MARKERS, PALETTE, label_lines, new_axes

__all__ = [
    "coverage",
    "discrimination_difficulty",
    "elbo_trace",
    "estimate_against_truth",
    "size_error",
]


def size_error(summary: pd.DataFrame, comparison: pd.DataFrame | None = None, *, ax: Any = None) -> Any:
    """Subset size → mean absolute error of each method, beside the random control.

    Args:
        summary: from :func:`irtbench.summarize`.
        comparison: from :func:`irtbench.compare`; with it the control gets a band, from the 10 %
            to the 90 % quantile of its error over splits and seeds.
        ax: axes to draw into.

    Returns:
        The axes.
    """
    ax = new_axes(ax, width=7.6, height=4.4)
    if comparison is not None:
        _control_band(ax, comparison)
    methods = _methods(summary)
    ends = []
    for method, look in _looks(methods).items():
        line = summary[summary["method"] == method].sort_values("size")
        ax.plot(line["size"], line["mae"], markersize=4.5, label=method, **look)
        ends.append((method, line["size"].iloc[-1], line["mae"].iloc[-1], look["color"]))
    ax.set_xscale("log")
    _size_ticks(ax, summary["size"])
    _plain_log(ax)
    ax.set_xlabel("items in the subset")
    ax.set_ylabel("mean absolute error of the score")
    label_lines(ax, ends)
    return ax


def estimate_against_truth(comparison: pd.DataFrame, method: str, size: int, *, ax: Any = None) -> Any:
    """Estimated against full score of every held-out model, with its interval (first seed, first split each).

    Raises:
        InputError: no rows of this method and size.
    """
    rows = comparison[(comparison["method"] == method) & (comparison["size"] == size)]
    if rows.empty:
        raise InputError(f"the comparison has no rows of method {method!r} at size {size}")
    rows = rows.sort_values(["seed", "split"]).drop_duplicates("model")
    ax = new_axes(ax, width=4.6, height=4.4)
    low, high = float(rows["truth"].min()), float(rows["truth"].max())
    ax.plot([low, high], [low, high], color=INK, linewidth=0.8, label="estimate = full score")
    below, above = (
        (rows["score"] - rows["lower"]).clip(lower=0),
        (rows["upper"] - rows["score"]).clip(lower=0),
    )
    if below.notna().any():
        ax.errorbar(
            rows["truth"],
            rows["score"],
            yerr=[below, above],
            fmt="none",
            ecolor=PALETTE[0],
            alpha=0.35,
            lw=0.9,
        )
    ax.scatter(rows["truth"], rows["score"], s=14, color=PALETTE[0], linewidths=0, label="a model")
    ax.set_xlabel("full score (all items)")
    ax.set_ylabel(f"estimate from {size} items")
    ax.set_title(method, fontsize=10, loc="left", color=INK)
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def coverage(summary: pd.DataFrame, level: float, *, ax: Any = None) -> Any:
    """Share of intervals that hold the full score, by method and size, beside the level they claim."""
    shown = summary.dropna(subset=["coverage"])
    methods = _methods(shown)
    ax = new_axes(ax, width=7.2, height=1.1 + 0.34 * max(len(methods), 1))
    ax.axvline(level, color=INK, linewidth=1.0)
    ax.text(
        level,
        1.01,
        f" nominal {level:.0%}",
        transform=ax.get_xaxis_transform(),
        fontsize=9,
        ha="center",
        color=INK,
    )
    sizes = sorted(shown["size"].unique())
    for k, size in enumerate(sizes):
        rows = shown[shown["size"] == size].set_index("method")["coverage"].reindex(methods)
        shade = 0.3 + 0.7 * (k + 1) / len(sizes)
        ax.scatter(
            rows,
            np.arange(len(methods)),
            s=34,
            color=PALETTE[0],
            alpha=shade,
            linewidths=0,
            label=f"{size} items",
        )
    ax.set_yticks(np.arange(len(methods)), methods)
    ax.invert_yaxis()
    ax.margins(y=0.12)
    ax.set_xlim(min(0.5, float(shown["coverage"].min(skipna=True)) - 0.03) if len(shown) else 0.5, 1.005)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0%}"))
    ax.set_xlabel("intervals that hold the full score")
    ax.legend(
        frameon=False,
        fontsize=9,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        labelcolor=INK,
        handletextpad=0.1,
    )
    return ax


def elbo_trace(elbo: pd.DataFrame, *, ax: Any = None) -> Any:
    """ELBO of each step of a fit. The axis starts where the steep beginning is over.

    Args:
        elbo: columns ``step`` and ``elbo``.
        ax: axes to draw into.
    """
    ax = new_axes(ax, width=6.4, height=2.8)
    ax.plot(elbo["step"], elbo["elbo"], color=PALETTE[0], linewidth=1.1)
    value = elbo["elbo"].to_numpy(dtype=float)
    if len(value) > 20:
        tail = value[len(value) // 10 :]
        low, high = float(np.nanmin(tail)), float(np.nanmax(value))
        pad = 0.08 * max(high - low, 1e-9)
        ax.set_ylim(low - pad, high + pad)
    ax.set_xlabel("step")
    ax.set_ylabel("ELBO")
    return ax


def discrimination_difficulty(
    items: pd.DataFrame, weights: pd.Series | None = None, *, ax: Any = None
) -> Any:
    """Every item's discrimination over its difficulty; the chosen ones coloured, larger with more weight.

    Args:
        items: from ``bank.items``: columns ``discrimination`` and ``difficulty``.
        weights: weight of each chosen item, by item id.
        ax: axes to draw into.
    """
    ax = new_axes(ax, width=6.4, height=4.0)
    ax.scatter(items["difficulty"], items["discrimination"], s=9, color=GREY, linewidths=0, label="item")
    if weights is not None and len(weights):
        chosen = items.loc[weights.index]
        area = 12 + 60 * (weights / weights.max()).clip(lower=0).to_numpy(dtype=float)
        ax.scatter(
            chosen["difficulty"],
            chosen["discrimination"],
            s=area,
            color=PALETTE[1],
            alpha=0.75,
            linewidths=0,
            label="chosen, larger = more weight",
        )
        ax.legend(frameon=False, fontsize=9, loc="best", labelcolor=INK)
    _plain_log(ax)
    ax.set_xlabel("difficulty b (ability at which the item is half way up its curve)")
    ax.set_ylabel("discrimination a")
    return ax


def _plain_log(ax: Any) -> None:
    """Logarithmic y axis with ticks written out at 1, 2, 3, 5 and 7."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def _methods(summary: pd.DataFrame) -> list[str]:
    """The control first, the others from the smallest error to the largest."""
    order = summary.groupby("method")["mae"].mean().sort_values(kind="stable").index
    return [m for m in order if m == CONTROL] + [m for m in order if m != CONTROL]


def _looks(methods: list[str]) -> dict[str, dict[str, Any]]:
    """Colour tells the selection, marker and dashes the estimator; the control is grey."""
    selections = sorted({_parts(m)[0] for m in methods} - {"random"})
    estimators = sorted({_parts(m)[1] for m in methods})
    colours = {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(selections)}
    looks = {}
    for method in methods:
        selection, estimator = _parts(method)
        k = estimators.index(estimator)
        looks[method] = {
            "color": colours.get(selection, INK),
            "marker": MARKERS[k % len(MARKERS)],
            "linestyle": DASHES[k % len(DASHES)],
            "linewidth": 1.4,
        }
    if CONTROL in looks:
        looks[CONTROL] = {"color": CONTROL_COLOUR, "marker": "o", "linestyle": "-", "linewidth": 3.0}
    return looks


def _parts(method: str) -> tuple[str, str]:
    selection, _, estimator = method.partition(" + ")
    return selection, estimator


def _control_band(ax: Any, comparison: pd.DataFrame) -> None:
    control = comparison[comparison["method"] == CONTROL]
    if control.empty:
        return
    error = (control["score"] - control["truth"]).abs()
    by_split = error.groupby([control["size"], control["seed"], control["split"]]).mean()
    low, high = (by_split.groupby(level=0).quantile(q) for q in (0.1, 0.9))
    ax.fill_between(
        low.index,
        low,
        high,
        color=CONTROL_COLOUR,
        alpha=0.18,
        linewidth=0,
        label="random + mean: 80 % of splits",
    )


def _size_ticks(ax: Any, sizes: pd.Series) -> None:
    ticks = sorted(sizes.unique())
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
