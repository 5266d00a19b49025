"""Pictures of two views of the same runs: side by side, and where one overtakes the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from irtbench.report.drawing import GREY, INK, PALETTE, key, label_lines, new_axes, new_panels
from irtbench.report.variance_plots import MOST, looks, step_axis
from irtbench.variance.crossing_points import positions

__all__ = ["run_lines", "view_crossover", "view_scatter", "views_side_by_side"]


def views_side_by_side(
    curves: Mapping[str, pd.DataFrame],
    benchmarks: Sequence[str],
    *,
    one_scale: bool = True,
    unit: str = "points",
    scale: float = 100.0,
) -> list[Any]:
    """Scores over checkpoints in each view, a panel a benchmark; thin: a seed, thick: a recipe's mean.

    Args:
        curves: name of each view → from :func:`irtbench.variance.curve_table`.
        benchmarks: which, in this order; at most 24.
        one_scale: the views can share an axis; else the second has one of its own, on the right.
        unit: of the scores as drawn.
        scale: what they are multiplied by.

    Returns:
        The axes, one a benchmark.
    """
    names, own = list(benchmarks)[:MOST], looks(list(curves))
    axes = new_panels(len(names), height=2.0 if len(names) > 1 else 3.4)
    columns = min(3, len(names))
    for k, (name, ax) in enumerate(zip(names, axes, strict=True)):
        last = k == len(names) - 1 or k % columns == columns - 1
        for j, (view, table) in enumerate(curves.items()):
            rows = table[table["benchmark"] == name]
            side = ax if one_scale or j == 0 else _right(ax, f"{view} ({unit})" if last else "", own[view])
            for _, part in rows.groupby("family", sort=False):
                run_lines(side, part, own[view], scale)
        step_axis(ax, rows, few=columns > 1)
        ax.set_title(name, fontsize=10, loc="left", color=INK)
        if k % columns == 0:
            ax.set_ylabel(f"score ({unit})" if one_scale else f"{next(iter(curves))} ({unit})")
        if k >= len(names) - columns:
            ax.set_xlabel("checkpoint (step)")
    key(axes[0], own)
    return axes


def view_crossover(
    curves: Mapping[str, pd.DataFrame],
    crossing: Mapping[str, Any],
    *,
    unit: str = "points",
    scale: float = 100.0,
    ax: Any = None,
) -> Any:
    """One recipe's runs in both views, and where one overtakes the other for good.

    Args:
        curves: as of :func:`views_side_by_side`.
        crossing: a row of :func:`irtbench.variance.crossings`.
        unit: of the scores as drawn.
        scale: what they are multiplied by.
        ax: axes to draw into.
    """
    ax, own, ends = new_axes(ax, width=7.0, height=3.6), looks(list(curves)), []
    for view, table in curves.items():
        here = (table["benchmark"] == crossing["benchmark"]) & (table["family"] == crossing["family"])
        x, y = run_lines(ax, table[here], own[view], scale)
        ends.append((view, x[-1], y[-1], own[view]["color"]))
    step_axis(ax, table[here])
    if not np.isnan(crossing["crossover"]):
        at, low, high = (crossing[c] for c in ("crossover", "low", "high"))
        if np.isfinite(low) and high > low:
            ax.axvspan(low, high, color=GREY, alpha=0.3, linewidth=0)
        ax.axvline(at, color=INK, linewidth=1.2, linestyle="--")
        ax.annotate(
            f"{crossing['winner']} overtakes",
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=INK,
        )
    ax.set_xlabel("checkpoint (step)")
    ax.set_ylabel(f"score ({unit})")
    label_lines(ax, ends, gap=0.08)
    return ax


def view_scatter(
    scores: pd.DataFrame,
    *,
    unit: str = "points",
    scale: float = 100.0,
    same_scale: bool = True,
    ax: Any = None,
) -> Any:
    """Score of every model in one view over its score in the other.

    Args:
        scores: a row a model, a column a view.
        unit: of the scores as drawn.
        scale: what they are multiplied by.
        same_scale: draw the line of equal scores.
        ax: axes to draw into.
    """
    ax = new_axes(ax, width=4.6, height=4.2)
    first, second = scores.columns
    x, y = scale * scores[first], scale * scores[second]
    if same_scale:
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        ax.plot(ends, ends, color=INK, linewidth=0.8)
        ax.set_aspect("equal", adjustable="datalim")
    ax.scatter(x, y, s=16, color=PALETTE[0], alpha=0.75, linewidths=0)
    ax.set_xlabel(f"{first} ({unit})")
    ax.set_ylabel(f"{second} ({unit})")
    return ax


def _right(ax: Any, label: str, look: Mapping[str, Any]) -> Any:
    """An axis on the right for another scale."""
    other = ax.twinx()
    for name in ("top", "left", "bottom"):
        other.spines[name].set_visible(False)
    other.spines["right"].set_color(look["color"])
    other.tick_params(colors=look["color"], labelsize=9)
    other.set_ylabel(label, color=look["color"], fontsize=10)
    return other


def run_lines(
    ax: Any, rows: pd.DataFrame, look: dict[str, Any], scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Thin line of each seed and thick one of their mean; returns the latter."""
    wide = rows.pivot_table(index="checkpoint", columns="seed", values="score") * scale
    steps = rows.drop_duplicates("checkpoint").set_index("checkpoint")["step"]
    x = np.array(positions(steps.reindex(wide.index).tolist()))
    ax.plot(
        x,
        wide,
        color=look["color"],
        linewidth=0.7,
        alpha=0.45,
        marker="o" if len(x) == 1 else "",
        markersize=4,
    )
    mean = wide.mean(axis=1).to_numpy()
    ax.plot(x, mean, color=look["color"], linewidth=2.0)
    return x, mean
