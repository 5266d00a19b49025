"""Pictures of one subset: every model's estimate beside its full score, and seeds in full and subset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from irtbench.report.drawing import CONTROL_COLOUR, INK, PALETTE, key, new_axes, new_panels
from irtbench.report.variance_plots import looks, step_axis
from irtbench.report.view_plots import run_lines

__all__ = ["sorted_estimates", "subset_curves"]


def sorted_estimates(
    estimates: pd.DataFrame, size: int, *, level: float = 0.9, scale: float = 100.0, ax: Any = None
) -> Any:
    """All models in the order of their full scores, each with its estimate and interval.

    Args:
        estimates: from :func:`irtbench.compare.subset_study`.
        size: items of the subset.
        level: of the intervals.
        scale: what scores are multiplied by.
        ax: axes to draw into.
    """
    ax = new_axes(ax, width=7.6, height=4.0)
    rows = scale * estimates.sort_values("full", kind="stable")
    x = np.arange(1, len(rows) + 1)
    below, above = (
        (rows["score"] - rows["lower"]).clip(lower=0),
        (rows["upper"] - rows["score"]).clip(lower=0),
    )
    dot = float(np.clip(800 / len(rows), 4, 16))
    ax.scatter(x, rows["random"], s=dot, color=CONTROL_COLOUR, marker="x", linewidths=0.9)
    ax.errorbar(x, rows["score"], yerr=[below, above], fmt="none", ecolor=PALETTE[0], alpha=0.35, lw=0.9)
    ax.scatter(x, rows["score"], s=dot, color=PALETTE[0], linewidths=0)
    ax.plot(x, rows["full"], color=INK, linewidth=1.4)
    ax.set_xlabel("models, from the lowest full score to the highest (rank)")
    ax.set_ylabel("score (points)")
    key(
        ax,
        {
            "full score (all items)": {"color": INK, "linewidth": 1.4},
            f"estimate from {size} items, {100 * level:g} % interval": {
                "color": PALETTE[0],
                "marker": "o",
                "markersize": 4,
                "linewidth": 0.9,
            },
            f"{size} random items": {
                "color": CONTROL_COLOUR,
                "marker": "x",
                "markersize": 4,
                "linestyle": "",
            },
        },
    )
    return ax


def subset_curves(curves: pd.DataFrame, size: int, *, scale: float = 100.0) -> list[Any]:
    """A line a seed from all items, from the subset and from random items of the same number.

    Args:
        curves: from :func:`irtbench.compare.subset_study`.
        size: items of the subset.
        scale: what scores are multiplied by.

    Returns:
        The three axes.
    """
    families = list(dict.fromkeys(curves["family"]))[: len(PALETTE)]
    own = looks(families)
    axes = new_panels(3, height=3.0, sharey=True)
    titles = {"full": "all items", "chosen": f"the subset, {size} items", "control": f"{size} random items"}
    for ax, (role, title) in zip(axes, titles.items(), strict=True):
        rows = curves[curves["role"] == role]
        for family in families:
            run_lines(ax, rows[rows["family"] == family], own[family], scale)
        step_axis(ax, rows, few=True)
        ax.set_title(title, fontsize=10, loc="left", color=INK)
        ax.set_xlabel("checkpoint (step)")
    axes[0].set_ylabel("score (points)")
    if len(families) > 1:
        key(axes[0], own)
    return axes
