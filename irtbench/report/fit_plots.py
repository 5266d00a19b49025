"""Pictures of a fit: each returns its Axes, and draws into ``ax`` if one is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from irtbench.report.drawing import DASHES, GREY, INK, PALETTE, label_lines, new_axes

if TYPE_CHECKING:
    from irtbench.irt import ItemBank

__all__ = ["infit_outfit", "item_characteristic_curves", "precision_of_ability", "q3_pairs"]

_MOST = 3000  # items drawn: a page with more would be slow to open
_WIDEST = (0.25, 4.0)  # mean squares drawn as they are; what lies beyond is drawn on the edge


def item_characteristic_curves(
    bank: ItemBank, items: list[str] | None = None, abilities: pd.Series | None = None, *, ax: Any = None
) -> Any:
    """Ability → probability of a right response, a line an item.

    Args:
        bank: a bank.
        items: ids of the items, at most 8; five from the easiest to the hardest if not given.
        abilities: abilities of models, drawn as ticks on the axis.
        ax: axes to draw into.
    """
    from irtbench.irt.diagnostics import item_curves

    if items is None:
        order = bank.items["difficulty"].sort_values(kind="stable").index
        places = np.linspace(0.05, 0.95, 5) * (len(order) - 1)
        items = list(dict.fromkeys(order[places.round().astype(int)]))
    theta = np.linspace(-3.5, 3.5, 141)
    table = item_curves(bank.take(items[:8]), theta)["probability"]
    ax = new_axes(ax, width=7.6, height=3.8)
    ends = []
    for k, item in enumerate(items[:8]):
        colour = PALETTE[k % len(PALETTE)]
        line = table.loc[item]
        ax.plot(line.index, line, color=colour, linestyle=DASHES[k // len(PALETTE)], linewidth=1.5)
        ends.append((_short(item), theta[-1], float(line.iloc[-1]), colour))
    if abilities is not None:
        ax.plot(abilities, np.full(len(abilities), -0.02), "|", color=INK, alpha=0.5, markersize=7)
    ax.set_xlim(theta[0], theta[-1])
    ax.set_ylim(-0.04, 1.02)
    ax.set_xlabel("ability θ")
    ax.set_ylabel("probability of a right response")
    label_lines(ax, ends)
    return ax


def precision_of_ability(
    information: pd.DataFrame, abilities: pd.Series | None = None, *, ax: Any = None
) -> Any:
    """Ability → test information, and the standard error of measurement on an axis of its own.

    Args:
        information: from :func:`irtbench.irt.diagnostics.test_information`.
        abilities: abilities of models, drawn as ticks on the axis.
        ax: axes to draw into.
    """
    ax = new_axes(ax, width=6.4, height=3.2)
    ax.plot(information.index, information["information"], color=PALETTE[0], linewidth=1.5)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("ability θ")
    ax.set_ylabel("information (solid)")
    error = ax.twinx()
    for side in ("top", "left", "bottom"):
        error.spines[side].set_visible(False)
    error.spines["right"].set_color(INK)
    error.tick_params(colors=INK, labelsize=9)
    error.plot(information.index, information["sem"], color=PALETTE[1], linestyle="--", linewidth=1.5)
    middle = information.loc[(information.index > -3.01) & (information.index < 3.01), "sem"]
    shown = middle if len(middle) else information["sem"]
    error.set_ylim(0, 1.1 * float(shown.replace(np.inf, np.nan).max()))
    error.set_ylabel("standard error (dashed)", color=INK, fontsize=10)
    if abilities is not None:
        error.plot(abilities, np.zeros(len(abilities)), "|", color=INK, alpha=0.5, markersize=9)
    return ax


def infit_outfit(items: pd.DataFrame, *, limit: float = 3.0, ax: Any = None) -> Any:
    """Outfit over infit of each item; those whose z is beyond the limit are coloured.

    Args:
        items: from :func:`irtbench.irt.diagnostics.item_fit`.
        limit: z from which an item is coloured.
        ax: axes to draw into.
    """
    ax = new_axes(ax, width=5.4, height=4.2)
    z = items[["infit_z", "outfit_z"]]
    noisy, smooth = (z > limit).any(axis=1), (z < -limit).any(axis=1) & ~(z > limit).any(axis=1)
    rest = items[~noisy & ~smooth]
    rest = rest.iloc[:: max(1, -(-len(rest) // _MOST))]
    groups = (
        (rest, GREY, "o", "as its curve says"),
        (items[smooth], PALETTE[0], "v", f"too smooth (z < −{limit:g})"),
        (items[noisy], PALETTE[1], "^", f"too noisy (z > {limit:g})"),
    )
    for rows, colour, marker, label in groups:
        if len(rows):
            x, y = (rows[c].clip(*_WIDEST) for c in ("infit", "outfit"))
            ax.scatter(x, y, s=12, color=colour, marker=marker, linewidths=0, label=label)
    ax.axhline(1, color=INK, linewidth=0.7)
    ax.axvline(1, color=INK, linewidth=0.7)
    for axis in (ax.xaxis, ax.yaxis):
        axis.axes.set_xscale("log") if axis is ax.xaxis else axis.axes.set_yscale("log")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0, 7.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.set_xlabel("infit mean square")
    ax.set_ylabel("outfit mean square")
    if ax.collections:
        ax.legend(frameon=False, fontsize=9, loc="best", labelcolor=INK)
    return ax


def q3_pairs(pairs: pd.DataFrame, *, top: int = 15, ax: Any = None) -> Any:
    """Q3 of the pairs that stand out most, a bar a pair.

    Args:
        pairs: from :func:`irtbench.irt.diagnostics.local_dependence`.
        top: pairs to draw.
        ax: axes to draw into.
    """
    shown = pairs.head(top)
    ax = new_axes(ax, width=7.2, height=0.8 + 0.26 * max(len(shown), 1))
    place = np.arange(len(shown))
    ax.barh(place, shown["q3"], height=0.62, color=[PALETTE[0] if q > 0 else PALETTE[1] for q in shown["q3"]])
    ax.set_yticks(
        place, [f"{_short(a)} – {_short(b)}" for a, b in zip(shown["item_1"], shown["item_2"], strict=True)]
    )
    ax.invert_yaxis()
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_xlabel("correlation of the residuals, Q3")
    ax.grid(visible=False, axis="y")
    return ax


def _short(item: str, longest: int = 28) -> str:
    """Keep the end of a long id: that is what tells items of one benchmark apart."""
    return item if len(item) <= longest else f"…{item[1 - longest :]}"
