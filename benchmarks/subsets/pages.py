"""The pages of the tables: all methods on openllm_v2, the other boards, the learning curve, the noise."""

from __future__ import annotations

import pandas as pd

from benchmarks.subsets.boards import BOARDS
from benchmarks.subsets.markdown import difference, errors, written_by
from benchmarks.subsets.protocol import ALL, CONTROL, DEFAULT
from benchmarks.subsets.summary import mean_of, paired

__all__ = ["boards_page", "curve_page", "methods_page", "noise_page"]

GOALS = [  # what the project set itself: kind, measure, items, best known before, goal
    ("random", "mae", 10, 2.60, 2.4),
    ("random", "mae", 30, 1.96, 1.8),
    ("random", "mae", 100, 1.28, 1.15),
    ("random", "mae", 200, 0.94, 0.85),
    ("family", "mae", 30, 2.19, 2.0),
    ("family", "mae", 100, 1.39, 1.25),
    ("weak-to-strong", "mae", 30, 4.68, 4.4),
    ("weak-to-strong", "mae", 100, 3.01, 2.7),
    ("random", "spearman", 100, 0.970, 0.975),
]
CELL = (
    "Each cell: mean absolute error in points (100 times the difference of two scores in [0, 1]), in brackets the"
    f" paired difference to `{CONTROL}` in the same splits with a 95 % interval (Nadeau & Bengio's, which allows for"
    " the overlap of the splits), coverage of nominal 90 % intervals where the method gives one, and ρ, Spearman's"
    " with the full ranking."
)


def _cell(rows: pd.DataFrame) -> str:
    """What a cell says, and how many random draws are behind it."""
    return f"{CELL} Models that test never calibrate. Random items: {rows['draws'].max()} draws a split."


def methods_page(rows: pd.DataFrame, selections: pd.DataFrame) -> str:
    """All methods on openllm_v2."""
    full = rows[rows["benchmark"] == ALL]
    lines = ["# Subset methods on openllm_v2", ""]
    lines += [written_by("python benchmarks/subsets/run.py` and `tables.py"), ""]
    lines += ["426 models, 2,191 items: " + BOARDS["openllm_v2"].note + ". " + _cell(full), ""]
    lines += ["![Error by number of items](openllm_v2.svg)", "", *_goals(full)]
    for kind in full["kind"].unique():
        n = full.loc[full["kind"] == kind, "split"].nunique()
        lines += [f"## {kind}: {n} splits", "", *errors(full, kind)]
    lines += ["## Each benchmark from the same items", "", *_by_benchmark(rows)]
    if len(selections):
        lines += ["## Ways to choose items, all with the default estimator", ""]
        lines += ["Paired differences to the default in the same splits.", "", *_selections(full, selections)]
    cost = full[full["method"] == DEFAULT].groupby("size")[["build_s", "estimate_ms"]].mean()
    said = [f"{n} items {r.build_s:.1f} CPU s and {r.estimate_ms:.2f} ms a model" for n, r in cost.iterrows()]
    lines += [
        "## Cost",
        "",
        "Default, to build (with the fits of models held out for the intervals) and to estimate: ",
    ]
    return "\n".join([*lines[:-1], lines[-1] + "; ".join(said) + ".", ""])


def _goals(full: pd.DataFrame) -> list[str]:
    mean = mean_of(full).xs(ALL, level="benchmark").xs(DEFAULT, level="method")
    lines = [
        "## The goals",
        "",
        "| splits | measure | items | best before | goal | default | |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for kind, measure, n, best, goal in GOALS:
        if (kind, n) not in mean.index:
            continue
        value = mean.loc[(kind, n), measure]
        good = value <= goal if measure == "mae" else value >= goal
        name, digits = ("error, points", 2) if measure == "mae" else ("Spearman's ρ", 3)
        verdict = (
            "met" if good else "better than before" if (value < best) == (measure == "mae") else "missed"
        )
        lines.append(
            f"| {kind} | {name} | {n} | {best:.{digits}f} | {goal} | {value:.{digits}f} | {verdict} |"
        )
    for kind in mean.index.unique(0):
        found = ", ".join(f"{100 * mean.loc[(kind, n), 'coverage']:.0f} %" for n in mean.loc[kind].index)
        sizes = ", ".join(map(str, mean.loc[kind].index))
        lines.append(f"| {kind} | coverage of 90 % | {sizes} | – | 87 to 93 % | {found} | |")
    return [*lines, ""]


def _by_benchmark(rows: pd.DataFrame, size: int = 100) -> list[str]:
    """Error of each benchmark's own score by method."""
    own = rows[(rows["benchmark"] != ALL) & (rows["size"] == size)]
    if own.empty:
        return ["No benchmark of the board has 30 items or more, or there is only one.", ""]
    lines = []
    for kind, part in own.groupby("kind", sort=False):
        table = part.groupby(["method", "benchmark"], sort=False)["mae"].mean().unstack()  # noqa: PD010
        short = [b.rpartition("/")[2] for b in table.columns]
        lines += [f"{kind}, {size} items over the whole board, error in points:", ""]
        lines += ["| method | " + " | ".join(short) + " |", "|---|" + "--:|" * len(short)]
        for method, values in table.iterrows():
            lines.append(
                f"| {method} | " + " | ".join("–" if pd.isna(v) else f"{v:.2f}" for v in values) + " |"
            )
        lines.append("")
    return lines


def _selections(full: pd.DataFrame, selections: pd.DataFrame) -> list[str]:
    same = full[
        full["method"].isin([DEFAULT, "stratified + blend"])
        & full["size"].isin(selections["size"].unique())
        & full["split"].isin(selections["split"].unique())
    ]
    both = pd.concat([same, selections], ignore_index=True)
    lines = []
    for kind in both["kind"].unique():
        n = both.loc[both["kind"] == kind, "split"].nunique()
        lines += [f"{kind}, {n} splits:", "", *errors(both, kind, control=DEFAULT)]
    return lines


def boards_page(boards: dict[str, pd.DataFrame]) -> str:
    """Every other board: a summary, then each with all methods."""
    lines = ["# Subset methods on other boards", ""]
    lines += [written_by("python benchmarks/subsets/run.py` and `tables.py"), ""]
    lines += [_cell(pd.concat(boards.values())), ""]
    lines += ["![Error by number of items on every board](boards.svg)", "", "![Coverage](coverage.svg)", ""]
    lines += ["## Default against random items", "", *_against(boards)]
    for name, rows in boards.items():
        full = rows[rows["benchmark"] == ALL]
        lines += [f"## {name}", "", f"{BOARDS[name].note[:1].upper()}{BOARDS[name].note[1:]}.", ""]
        for kind in full["kind"].unique():
            part = full[full["kind"] == kind]
            n, old, new = part["split"].nunique(), part["n_calibration"].mean(), part["models"].mean()
            lines += [
                f"### {kind}: {n} splits, {old:.0f} models calibrate, {new:.0f} test",
                "",
                *errors(full, kind),
            ]
        lines += _by_benchmark(rows)
    return "\n".join(lines)


def _against(boards: dict[str, pd.DataFrame]) -> list[str]:
    """Cells of the default against the control, and those where it does not clearly win."""
    table, open_ = [], []
    for name, rows in boards.items():
        full = rows[rows["benchmark"] == ALL]
        d = paired(full).xs(ALL, level="benchmark").xs(DEFAULT, level="method")
        for kind in full["kind"].unique():
            cells = [f"{difference(d.loc[(kind, n)])}" for n in d.loc[kind].index]
            table.append((name, kind, d.loc[kind].index, cells))
            open_ += [
                f"{name}, {kind}, {n} items ({difference(d.loc[(kind, n)])})"
                for n in d.loc[kind].index
                if not d.loc[(kind, n), "high"] < 0
            ]
    sizes = table[0][2]
    lines = [f"Paired difference of the error to `{CONTROL}`, points.", ""]
    lines += [
        "| board | splits | " + " | ".join(f"{n} items" for n in sizes) + " |",
        "|---|---|" + "--:|" * len(sizes),
    ]
    lines += [f"| {name} | {kind} | " + " | ".join(cells) + " |" for name, kind, _, cells in table]
    total = sum(len(cells) for *_, cells in table)
    said = "; ".join(open_) if open_ else "none"
    return [*lines, "", f"Cells without a clear gain: {len(open_)} of {total}: {said}.", ""]


def curve_page(curves: dict[str, pd.DataFrame]) -> str:
    """The learning curve."""
    lines = ["# How many calibration models are enough", ""]
    lines += [written_by("python benchmarks/subsets/curve.py` and `tables.py"), ""]
    text = "100 random models test; the sets of calibration models are nested. " + _cell(
        pd.concat(curves.values())
    )
    lines += [text, "", "![Error by number of calibration models](curve.svg)", ""]
    for board, rows in curves.items():
        for size in sorted(rows["size"].unique()):
            part = rows[rows["size"] == size].assign(kind="models")
            # the number of models stands where the number of items does elsewhere
            lines += [f"## {board}, {size} items: {part['split'].nunique()} repeats", ""]
            table = errors(part.assign(size=part["n_calibration"]), "models")
            lines += [table[0].replace("items", "models"), *table[1:]]
    return "\n".join(lines)


MEASURES = {
    "E": "E",
    "ratio": "E / E of all items",
    "snr": "SNR",
    "monotonicity": "monotonicity",
    "decision_accuracy": "decision accuracy",
    "mdad": "MDAD",
    "rmse": "RMSE",
    "choice": "E against random items, same estimator",
}


def noise_page(found: pd.DataFrame) -> str:
    """Seed noise of subsets of 100 items."""
    lines = ["# Lower variance: seeds and checkpoints on 100 items", ""]
    lines += [written_by("python benchmarks/subsets/noise.py` and `tables.py"), ""]
    lines += [
        "E: sd over seeds, mean over checkpoints and recipes, in points; SNR: mean over sd at the last checkpoint;"
        " monotonicity: Kendall's τ with the checkpoints; decision accuracy: share of pairs of models in the order of"
        " the full benchmark (fleet: held-out models; test sets: recipes); MDAD: smallest gap, in points, from which on"
        " pairs are in the right order 80 % of the time (fleet: held-out models; test sets: all runs at the last"
        " checkpoint); RMSE of the estimates, points. An estimator that draws scores together lowers E and raises SNR"
        " whether or not it tells runs apart; monotonicity, decisions and MDAD do not fall for it. Runs that are scored"
        " never calibrate.",
        "",
    ]
    for own, part in found[found["fleet"]].groupby("set", sort=False):
        lines += [f"## {own}", "", *_noise(part.set_index("method"))]
    others = found[~found["fleet"].astype(bool)]
    if len(others):
        numbers = [c for c in MEASURES if c in others]
        median = others.groupby("method", sort=False)[numbers].median()
        lines += [f"## nlu_test_sets: median of {others['set'].nunique()} sets", "", *_noise(median)]
        wide = others.pivot_table(index="set", columns="method", values="E", sort=False)
        better = (wide.lt(wide["random + mean"], axis=0)).sum()
        said = ", ".join(f"{m} {n}" for m, n in better.drop(["full", "random + mean"]).items())
        lines += [f"Sets of {len(wide)} with a smaller E than random items with a mean: {said}.", ""]
    return "\n".join(lines)


def _noise(table: pd.DataFrame) -> list[str]:
    lines = ["| method | " + " | ".join(MEASURES.values()) + " |", "|---|" + "--:|" * len(MEASURES)]
    for method, row in table.iterrows():
        cells = []
        for name in MEASURES:
            scale, digits = {"E": (100, 2), "rmse": (100, 2), "mdad": (100, 1), "choice": (100, 2)}.get(
                name, (1, 2)
            )
            value = scale * float(row.get(name, float("nan")))
            text = "–" if pd.isna(value) or (name == "choice" and method == "full") else f"{value:.{digits}f}"
            if name == "E" and "E_low" in row:
                text += f" [{100 * row['E_low']:.2f}, {100 * row['E_high']:.2f}]"
            if name == "choice" and "choice_low" in row and text != "–":
                text += f" [{100 * row['choice_low']:.2f}, {100 * row['choice_high']:.2f}]"
            cells.append(text.replace("-", "−"))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]
