"""Pictures of the tables: size → error, coverage of the intervals, error over calibration models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.subsets.protocol import CONTROL, DEFAULT
from irtbench.files import atomic_file

__all__ = ["coverage", "learning", "overview", "size_error"]

# an estimator's colour, a selection's marker: so that twenty lines can be told apart
COLOURS = {
    "blend": "black",
    "regression": "#1b7837",
    "reaching": "#7fbf7b",
    "ridge": "#2166ac",
    "PLS": "#67a9cf",
    "forest": "#762a83",
    "gp-irt": "#b2182b",
    "gp-IRT": "#e08214",
    "gp-IRT (MAP)": "#fdb863",
    "mean": "#8c8c8c",
    "difference": "#01665e",
    "AIPW": "#5ab4ac",
}
MARKERS = {
    "robust": "o",
    "random": "x",
    "stratified": "s",
    "lasso": "^",
    "information": "v",
    "correctness anchors": "D",
    "IRT anchors": "P",
    "point-biserial": "<",
    "disagreement": ">",
}
STRIPE = (87, 93)


def style(method: str) -> dict[str, Any]:
    """Line of a method; the default is thick and black, the control thick and grey."""
    selection, estimator = ("robust", "blend") if method == DEFAULT else method.split(" + ", 1)
    wide = {DEFAULT: 2.8, CONTROL: 2.2}.get(method, 1.0)
    return {
        "color": COLOURS.get(estimator, "#555555"),
        "marker": MARKERS.get(selection, "*"),
        "linewidth": wide,
        "markersize": 5 if wide > 1 else 4,
        "label": f"{method} (default)" if method == DEFAULT else method,
        "zorder": 3 if wide > 1 else 2,
        "linestyle": "--" if selection == "stratified" and method != CONTROL else "-",
    }


def size_error(board: str, rows: pd.DataFrame, band: pd.DataFrame, path: Path) -> None:
    """Error by number of items, a panel a kind of splits, every method; the range of random subsets."""
    from matplotlib.figure import Figure

    kinds = list(rows["kind"].unique())
    figure = Figure(figsize=(4.6 * len(kinds), 7.6), layout="constrained")
    axes = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        part = rows[rows["kind"] == kind]
        _band(axis, band[band["kind"] == kind])
        for method, own in part.groupby("method", sort=False):
            mean = own.groupby("size")["mae"].mean()
            axis.plot(mean.index, mean, **style(str(method)))
        _sizes(axis, sorted(part["size"].unique()))
        axis.set(title=f"{board}, {kind} ({part['split'].nunique()} splits)", yscale="log", xlabel="items")
        _decimal(axis)
    axes[0].set_ylabel("mean absolute error, points")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    _save(figure, path)


def overview(
    boards: dict[str, pd.DataFrame], bands: pd.DataFrame, methods: tuple[str, ...], path: Path
) -> None:
    """Error by number of items on every board, kinds of splits side by side, a few methods."""
    from matplotlib.figure import Figure

    columns = max(rows["kind"].nunique() for rows in boards.values())
    figure = Figure(figsize=(3.6 * columns, 2.5 * len(boards)), layout="constrained")
    axes = figure.subplots(len(boards), columns, squeeze=False)
    for line, (board, rows) in zip(axes, boards.items(), strict=True):
        kinds = list(rows["kind"].unique())
        for axis in line[len(kinds) :]:
            axis.set_axis_off()
        for axis, kind in zip(line, kinds, strict=False):
            part = rows[rows["kind"] == kind]
            _band(axis, bands[(bands["board"] == board) & (bands["kind"] == kind)])
            for method in methods:
                mean = part[part["method"] == method].groupby("size")["mae"].mean()
                axis.plot(mean.index, mean, **style(method))
            _sizes(axis, sorted(part["size"].unique()))
            axis.set_title(f"{board}, {kind}", fontsize=9)
            axis.set_yscale("log")
            _decimal(axis)
        line[0].set_ylabel("error, points")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    _save(figure, path)


def coverage(boards: dict[str, pd.DataFrame], methods: tuple[str, ...], path: Path) -> None:
    """Coverage of nominal 90 % intervals by board and kind of splits, a panel a number of items."""
    from matplotlib.figure import Figure

    table = pd.concat(rows.assign(board=board) for board, rows in boards.items())
    sizes = [n for n in (10, 30, 100, 200) if n in set(table["size"])]
    places = table[["board", "kind"]].drop_duplicates().itertuples(index=False)
    labels = {(p.board, p.kind): k for k, p in enumerate(places)}
    shown = (
        100
        * table[table["method"].isin(methods)].groupby(["method", "board", "kind", "size"])["coverage"].mean()
    )
    figure = Figure(figsize=(2.9 * len(sizes) + 1.6, 0.27 * len(labels) + 1.8), layout="constrained")
    axes = figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    for axis, n in zip(axes, sizes, strict=True):
        axis.axvspan(*STRIPE, color="0.9")
        axis.axvline(90, color="0.6", linewidth=0.8)
        for k, method in enumerate(methods):
            own = table[(table["size"] == n) & (table["method"] == method)]
            mean = 100 * own.groupby(["board", "kind"], sort=False)["coverage"].mean().dropna()
            at = [labels[key] + 0.16 * (k - (len(methods) - 1) / 2) for key in mean.index]
            look = style(method)
            axis.plot(mean, at, look["marker"], color=look["color"], markersize=5, label=look["label"])
        axis.set(title=f"{n} items", xlabel="coverage, %", xlim=(min(60, shown.min()) - 2, 101.5))
        axis.grid(axis="y", color="0.93")
        axis.set_yticks(range(len(labels)), [f"{b}, {k}" for b, k in labels])
    axes[0].invert_yaxis()
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    _save(figure, path)


def learning(curves: dict[str, pd.DataFrame], path: Path) -> None:
    """Error over the number of calibration models, a row a board, a column a number of items."""
    from matplotlib.figure import Figure

    sizes = sorted({n for rows in curves.values() for n in rows["size"]})
    figure = Figure(figsize=(5.2 * len(sizes), 3.9 * len(curves)), layout="constrained")
    axes = figure.subplots(len(curves), len(sizes), squeeze=False, sharex=True)
    for line, (board, rows) in zip(axes, curves.items(), strict=True):
        for axis, n in zip(line, sizes, strict=True):
            part = rows[rows["size"] == n]
            for method, own in part.groupby("method", sort=False):
                mean = own.groupby("n_calibration")["mae"].mean()
                axis.plot(mean.index, mean, **style(str(method)))
            _sizes(axis, sorted(part["n_calibration"].unique()))
            axis.set(title=f"{board}, {n} items", xlabel="calibration models", yscale="log")
            _decimal(axis)
        line[0].set_ylabel("mean absolute error, points")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    _save(figure, path)


def _band(axis: Any, draws: pd.DataFrame) -> None:
    if draws.empty:
        return
    spread = draws.groupby("size")["mae"].quantile([0.05, 0.95]).unstack()  # noqa: PD010
    label = "random + mean: 5 to 95 % of draws"
    axis.fill_between(spread.index, spread[0.05], spread[0.95], color="0.87", label=label, zorder=0)


def _sizes(axis: Any, sizes: list[int]) -> None:
    axis.set_xscale("log")
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.minorticks_off()


def _decimal(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axis.yaxis.set_minor_locator(LogLocator(subs=()))
    axis.grid(color="0.93")


def _save(figure: Any, path: Path) -> None:
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
