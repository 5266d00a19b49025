"""How every picture looks: axes, colours, direct labels, and SVG that fits into a page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

__all__ = [
    "CONTROL_COLOUR",
    "DASHES",
    "GREY",
    "INK",
    "MARKERS",
    "PALETTE",
    "key",
    "label_lines",
    "new_axes",
    "new_panels",
    "save",
    "svg",
]

# Okabe & Ito (2008), without yellow (too light on white); the control is always grey.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "*")
CONTROL_COLOUR = "#7f7f7f"
GREY = "#b8b8b8"
INK = "#1f2328"  # in a page it becomes the text's colour, so that pictures follow a dark theme

_STYLE = {
    "svg.fonttype": "path",
    "font.family": "sans-serif",
    "axes.edgecolor": INK,
    "text.color": INK,
}


def new_axes(ax: Any = None, *, width: float = 6.4, height: float = 4.0) -> Any:
    """Return ``ax``, or the axes of a new figure that pyplot does not know of; strip both of clutter."""
    if ax is None:
        ax = Figure(figsize=(width, height), layout="constrained").add_subplot()
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(INK)
        ax.spines[side].set_linewidth(0.8)
    ax.tick_params(colors=INK, labelsize=9, which="both")
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_color(INK)
        axis.label.set_fontsize(10)
    ax.set_axisbelow(True)
    ax.grid(axis="y", color=GREY, alpha=0.35, linewidth=0.6)
    return ax


def new_panels(
    n: int, *, columns: int = 3, width: float = 7.6, height: float = 2.1, **share: Any
) -> list[Any]:
    """Return ``n`` axes of one new figure, row by row.

    Args:
        n: number of panels.
        columns: at most so many side by side.
        width: of the figure.
        height: of each row.
        share: ``sharex`` or ``sharey``, as matplotlib's.
    """
    columns = min(columns, n)
    rows = -(-n // columns)
    figure = Figure(figsize=(width, 0.6 + height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **share).ravel()
    for ax in axes[n:]:
        ax.set_visible(False)
        above = axes[list(axes).index(ax) - columns]
        above.xaxis.set_tick_params(labelbottom=True)
    return [new_axes(ax) for ax in axes[:n]]


def key(ax: Any, looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the key of a figure above all its panels, in as few even rows as its width allows.

    Args:
        ax: any axes of the figure.
        looks: name → how its line is drawn.
    """
    from matplotlib.lines import Line2D

    room = ax.figure.get_figwidth() / (0.075 * max(map(len, looks)) + 0.5)  # inches a name takes
    rows = -(-len(looks) // max(1, int(room)))
    columns = -(-len(looks) // rows)

    handles = [Line2D([], [], **look) for look in looks.values()]
    ax.figure.legend(
        handles,
        list(looks),
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )


def label_lines(ax: Any, ends: Sequence[tuple[str, float, float, str]], *, gap: float = 0.052) -> None:
    """Write each line's name at its right end, apart enough to be read.

    Args:
        ax: axes with everything in them.
        ends: name, x, y and colour of each line's last point.
        gap: least distance between two names, as a share of the axes' height.
    """
    ax.get_xlim(), ax.get_ylim()  # matplotlib settles the limits when it is asked for them
    to_axes = ax.transData + ax.transAxes.inverted()
    points = [to_axes.transform((x, y)) for _, x, y, _ in ends]
    heights = _apart(np.array([p[1] for p in points]), gap)
    for (name, _, _, colour), (x, y), height in zip(ends, points, heights, strict=True):
        ax.annotate(
            name,
            xy=(x, y),
            xytext=(x + 0.08, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            ha="left",
            fontsize=9,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5)},
            annotation_clip=False,
        )


def save(ax: Any, path: str | Path, *, kind: str | None = None, dpi: int = 160) -> None:
    """Write the figure of ``ax`` to a file, the same bytes every time.

    Args:
        ax: axes of the figure.
        path: file.
        kind: ``svg``, ``png`` or ``pdf``; else by the file's name.
        dpi: dots an inch.
    """
    kind = kind or Path(path).suffix.removeprefix(".")
    extra: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": dpi}
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "irtbench"}):
        ax.figure.savefig(path, format=kind, facecolor="white", **extra)


def svg(ax: Any, name: str, alt: str = "") -> str:
    """Return the figure of ``ax`` as an SVG element for a page.

    Args:
        ax: axes to draw.
        name: prefix of every id, so that several pictures can share a page.
        alt: what the picture shows, for those who cannot see it.
    """
    stream = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        ax.figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href").replace(INK, "currentColor")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1) if alt else text


def _apart(y: np.ndarray, gap: float) -> np.ndarray:
    """Move sorted heights as little as needed so that neighbours are ``gap`` apart (pool what collides)."""
    order = np.argsort(y, kind="stable")
    blocks: list[list[float]] = []  # sum of (height - offset), count
    for value in y[order]:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and _top(blocks[-2], gap) + gap > _bottom(blocks[-1], gap):
            total, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + count]
    placed = [_bottom(block, gap) + k * gap for block in blocks for k in range(int(block[1]))]
    floor = np.arange(len(y)) * gap  # none below the axis
    result = np.empty(len(y))
    result[order] = np.maximum(placed, floor)
    return result


def _bottom(block: list[float], gap: float) -> float:
    return block[0] / block[1] - (block[1] - 1) * gap / 2


def _top(block: list[float], gap: float) -> float:
    return block[0] / block[1] + (block[1] - 1) * gap / 2
