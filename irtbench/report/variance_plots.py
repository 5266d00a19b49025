"""Pictures of noise: curves of every seed, seeds at the end, items in two halves of the models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from irtbench.report.drawing import DASHES, GREY, INK, PALETTE, key, new_axes, new_panels
from irtbench.variance.crossing_points import positions

__all__ = ["item_halves", "looks", "seed_curves", "seed_strips", "step_axis"]

MOST = 24  # benchmarks in one picture
_RECIPES = len(PALETTE)


def seed_curves(
    curves: pd.DataFrame,
    benchmarks: Sequence[str] | None = None,
    *,
    unit: str = "points",
    scale: float = 100.0,
) -> list[Any]:
    """Scores over checkpoints, a panel a benchmark and a line a seed, each with its interval over items.

    With a single checkpoint the seeds stand side by side, a dot and its interval each.

    Args:
        curves: from :func:`irtbench.variance.curve_table`.
        benchmarks: which, in this order; all if None. At most 24 are drawn, of at most six recipes.
        unit: of the scores as drawn.
        scale: what they are multiplied by.

    Returns:
        The axes, one a benchmark.
    """
    names = list(dict.fromkeys(curves["benchmark"]) if benchmarks is None else benchmarks)[:MOST]
    families = list(dict.fromkeys(curves["family"]))[:_RECIPES]
    own = looks(families)
    axes = new_panels(len(names), height=2.0 if len(names) > 1 else 3.4)
    columns = min(3, len(names))
    single = len(set(curves["checkpoint"])) == 1
    for k, (name, ax) in enumerate(zip(names, axes, strict=True)):
        rows = curves[curves["benchmark"] == name]
        ax.set_title(_short(name), fontsize=10, loc="left", color=INK)
        if k % columns == 0:
            ax.set_ylabel(f"score ({unit})")
        if single:
            _side_by_side(ax, rows, own, scale)
            continue
        for family in families:
            part = rows[rows["family"] == family]
            order = part.drop_duplicates("checkpoint").sort_values("checkpoint")
            at = dict(zip(order["checkpoint"], positions(order["step"].tolist()), strict=True))
            for _, line in part.groupby("seed", sort=False):
                line = line.dropna(subset=["score"])
                x = line["checkpoint"].map(at)
                low, high = (scale * line[end] for end in ("low", "high"))
                ax.fill_between(x, low, high, color=own[family]["color"], alpha=0.07, linewidth=0)
                ax.plot(x, scale * line["score"], **{**own[family], "linewidth": 1.0})
        step_axis(ax, rows, few=columns > 1)
        if k >= len(names) - columns:
            ax.set_xlabel("checkpoint (step)")
    if len(families) > 1:
        key(axes[0], own)
    return axes


def _side_by_side(ax: Any, rows: pd.DataFrame, own: dict[str, dict[str, Any]], scale: float) -> None:
    x = 0
    for family, look in own.items():
        part = rows[rows["family"] == family].dropna(subset=["score"])
        at = x + np.arange(len(part))
        half = scale * (part["high"] - part["score"])
        ax.errorbar(
            at, scale * part["score"], yerr=half, fmt="o", color=look["color"], markersize=3.5, lw=0.9
        )
        x += len(part) + 1  # a gap between recipes
    ax.set_xticks([])
    ax.set_xlabel("seeds")


def seed_strips(
    curves: pd.DataFrame, table: pd.DataFrame, *, unit: str = "points", scale: float = 100.0, ax: Any = None
) -> Any:
    """Every seed's score at its last checkpoint, less its recipe's mean; grey: what the items leave open.

    Args:
        curves: from :func:`irtbench.variance.curve_table`.
        table: from :func:`irtbench.variance.variance_report`; benchmarks stand in the order of E over the
            items' standard error, at most 24.
        unit: of the scores as drawn.
        scale: what they are multiplied by.
        ax: axes to draw into.
    """
    order = by_ratio(table)[:MOST]
    families = list(dict.fromkeys(curves["family"]))[:_RECIPES]
    colours = {name: look["color"] for name, look in looks(families).items()}
    ax = new_axes(ax, width=7.6, height=1.1 + 0.34 * len(order))
    known = curves.dropna(subset=["score"])
    last = known.groupby(["family", "benchmark"])["checkpoint"].transform("max")
    ends = known[known["checkpoint"] == last]
    gap = 0.5 / max(len(families), 2)
    for k, name in enumerate(order):
        half = scale * float(table.xs(name, level="benchmark")["item_half_width"].mean())
        ax.barh(k, 2 * half, left=-half, height=0.66, color=GREY, alpha=0.35, linewidth=0)
        for f, family in enumerate(families):
            own = ends[(ends["benchmark"] == name) & (ends["family"] == family)]["score"]
            y = np.full(len(own), k + (f - (len(families) - 1) / 2) * gap)
            ax.plot(
                scale * (own - own.mean()), y, "|", color=colours[family], markersize=8, markeredgewidth=1.8
            )
    reach = 1.05 * max(map(abs, ax.dataLim.intervalx))  # a bar alone would end at the frame
    ax.set_xlim(-reach, reach)
    ax.axvline(0, color=INK, linewidth=0.7)
    ax.set_yticks(range(len(order)), [_short(name) for name in order])
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GREY, alpha=0.35, linewidth=0.6)
    ax.set_xlabel(f"a seed's score less its recipe's mean, last checkpoint ({unit})")
    marks: dict[str, dict[str, Any]] = {
        name: {"color": colour, "marker": "|", "linestyle": "", "markeredgewidth": 1.8}
        for name, colour in colours.items()
    }
    marks["95 % interval over items"] = {"color": GREY, "linewidth": 7, "alpha": 0.5}
    key(ax, marks)
    return ax


def item_halves(halves: pd.DataFrame, *, most: int = 3000) -> list[Any]:
    """Discrimination over difficulty of every item, among the weaker and among the stronger models.

    Args:
        halves: from :func:`irtbench.variance.statistics_by_half`.
        most: items drawn of each half; of more, some are left out at equal distances.

    Returns:
        The axes of both halves.
    """
    axes = new_panels(2, columns=2, height=3.0, sharex=True, sharey=True)
    for ax, name, colour in zip(axes, ("weaker", "stronger"), PALETTE, strict=False):
        rows = halves.loc[name].dropna(subset=["item_rest"])
        rows = rows.iloc[:: max(1, -(-len(rows) // most))]
        room = 0.7 / max(float(rows["n_models"].max()), 20.0) if len(rows) else 0.0
        aside = room * (np.random.default_rng(0).random(len(rows)) - 0.5)
        ax.axhline(0, color=INK, linewidth=0.7)
        ax.scatter(rows["difficulty"] + aside, rows["item_rest"], s=7, color=colour, alpha=0.4, linewidths=0)
        ax.set_title(f"{name} half of the models", fontsize=10, loc="left", color=INK)
        ax.set_xlabel("difficulty (share of the models that fail)")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.0f} %"))
    axes[0].set_ylabel("discrimination (item-rest correlation)")
    return axes


def by_ratio(table: pd.DataFrame) -> list[str]:
    """Benchmarks from the largest mean E over the items' standard error to the smallest."""
    ratio = table.groupby(level="benchmark", sort=False)["ratio"].mean()
    return list(ratio.sort_values(ascending=False, kind="stable", na_position="last").index)


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour of each recipe (or view), in order."""
    return {
        name: {"color": PALETTE[k % len(PALETTE)], "linewidth": 1.6, "linestyle": DASHES[k // len(PALETTE)]}
        for k, name in enumerate(names)
    }


def step_axis(ax: Any, rows: pd.DataFrame, *, few: bool = False) -> None:
    """Name the checkpoints on the x axis: numbers as such, or their names where one is none.

    Args:
        ax: axes.
        rows: columns ``checkpoint`` and ``step``.
        few: there is little room.
    """
    order = rows.drop_duplicates("step").sort_values("checkpoint")["step"].tolist()
    at = positions(order)
    if [str(int(x)) if x.is_integer() else str(x) for x in at] == order or len(order) > 12:
        ax.xaxis.set_major_locator(MaxNLocator(4 if few else 7, integer=True))
        ax.xaxis.set_major_formatter(FuncFormatter(_plain_steps(max(at))))
    else:
        ax.set_xticks(at, order)


def _plain_steps(largest: float) -> Callable[[float, int], str]:
    """Write ``143000`` as ``143k`` on an axis that goes so far."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if largest >= 10 * size:
            return lambda x, _: f"{x / size:g}{letter}" if x else "0"
    return lambda x, _: f"{x:g}"


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
