"""Pages and plots from the finished splits of ``run.py``.

    python benchmarks/subsets/tables.py [--work benchmarks/subsets/.splits] [--out benchmarks/subsets/results]

Writes, for each board, ``<board>.parquet`` (each split's errors by method and size) and ``<board>.svg``, and for
all of them ``methods.md``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

from benchmarks.environments import machine
from benchmarks.subsets.protocol import CONTROL
from irtbench.files import atomic_file, versions

__all__ = ["by_split", "main", "paired"]

KEYS = ["kind", "method", "size"]


def by_split(found: pd.DataFrame) -> pd.DataFrame:
    """Errors of each method and size in each split: mean over test models and draws, in points."""
    error = 100 * (found["score"] - found["truth"])
    known = found["lower"].notna()
    inside = ((found["lower"] <= found["truth"]) & (found["truth"] <= found["upper"])).where(known)
    table = found.assign(
        kind=found["split"].str.rsplit("-", n=1).str[0],
        mae=error.abs(),
        bias=error,
        coverage=inside.astype(float),
        width=100 * (found["upper"] - found["lower"]),
    )
    measures = ["mae", "bias", "coverage", "width", "n_calibration", "build_s", "estimate_ms"]
    rows = table.groupby([*KEYS, "split"], sort=False)[measures].mean()
    ranks = table.groupby([*KEYS, "split", "seed"], sort=False)[["score", "truth"]].apply(
        lambda g: g["score"].corr(g["truth"], method="spearman")
    )
    rows["spearman"] = ranks.groupby(level=[*KEYS, "split"], sort=False).mean()
    rows["models"] = table.groupby([*KEYS, "split"], sort=False)["model"].nunique()
    return rows.reset_index()


def paired(rows: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Difference of MAE to the control in the same splits, with the corrected resampled t interval.

    References:
        Nadeau & Bengio (2003), Inference for the generalization error,
        https://doi.org/10.1023/A:1024068626366
    """
    from scipy.stats import t

    control = rows[rows["method"] == CONTROL].set_index(["kind", "size", "split"])["mae"]
    found = {}
    for key, part in rows.groupby(KEYS, sort=False):
        reference = control.reindex(pd.MultiIndex.from_frame(part[["kind", "size", "split"]])).to_numpy()
        difference = part["mae"].to_numpy() - reference
        k, ratio = len(difference), float((part["models"] / part["n_calibration"]).mean())
        half = np.nan
        if k > 1:
            half = t.ppf((1 + level) / 2, k - 1) * np.sqrt((1 / k + ratio) * difference.var(ddof=1))
        found[key] = (difference.mean(), difference.mean() - half, difference.mean() + half)
    index = pd.MultiIndex.from_tuples(list(found), names=KEYS)
    return pd.DataFrame(list(found.values()), index=index, columns=["difference", "low", "high"])


def _page(board: str, rows: pd.DataFrame) -> list[str]:
    lines = [f"## {board}", ""]
    differences = paired(rows)
    for kind, part in rows.groupby("kind", sort=False):
        sizes = sorted(part["size"].unique())
        lines += [f"### {kind}: {part['split'].nunique()} splits", ""]
        lines += ["| method | " + " | ".join(f"{n} items" for n in sizes) + " |"]
        lines += ["|---|" + "--:|" * len(sizes)]
        for method in part["method"].unique():
            cells = []
            for n in sizes:
                own = part[(part["method"] == method) & (part["size"] == n)]
                if own.empty:
                    cells.append("–")
                    continue
                d = differences.loc[(kind, method, n)]
                text = f"{own['mae'].mean():.2f}"
                if method != CONTROL:
                    text += f" ({d['difference']:+.2f} [{d['low']:+.2f}, {d['high']:+.2f}])"
                if own["coverage"].notna().any():
                    text += f", {100 * own['coverage'].mean():.0f} %"
                cells.append(f"{text}, ρ {own['spearman'].mean():.3f}")
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines.append("")
    ours = rows[rows["method"] == "irtbench"].groupby("size")[["build_s", "estimate_ms"]].mean()
    said = "; ".join(
        f"{n} items {r.build_s:.1f} CPU s to build, {r.estimate_ms:.2f} ms a model"
        for n, r in ours.iterrows()
    )
    return [*lines, f"irtbench: {said}.", ""]


def _plot(board: str, rows: pd.DataFrame, out: Path) -> None:
    from matplotlib.figure import Figure

    kinds = list(rows["kind"].unique())
    figure = Figure(figsize=(5 * len(kinds), 7), layout="constrained")
    axes = figure.subplots(2, len(kinds), squeeze=False, sharex=True)
    for column, kind in enumerate(kinds):
        part = rows[rows["kind"] == kind]
        above, below = axes[0][column], axes[1][column]
        for method, own in part.groupby("method", sort=False):
            mean = own.groupby("size")[["mae", "coverage"]].mean()
            strong = {"irtbench": ("black", 2.5), "random + mean": ("0.6", 1.5)}.get(method, (None, 1.0))
            style = {"color": strong[0], "linewidth": strong[1], "marker": "o", "markersize": 3}
            above.plot(mean.index, mean["mae"], label=method, **style)
            if method == "random + mean":
                spread = own.groupby("size")["mae"].quantile([0.05, 0.95]).unstack()  # noqa: PD010
                above.fill_between(spread.index, spread[0.05], spread[0.95], color="0.85")
            if mean["coverage"].notna().any():
                below.plot(mean.index, 100 * mean["coverage"], label=method, **style)
        above.set(title=f"{board}, {kind}", xscale="log", yscale="log", ylabel="MAE, points")
        below.axhspan(87, 93, color="0.9")
        below.set(ylim=(60, 100), xlabel="items", ylabel="coverage of 90 % intervals, %")
    axes[0][-1].legend(fontsize=7)
    with atomic_file(out / f"{board}.svg") as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def main() -> None:
    """Write pages and plots of what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("benchmarks/subsets/.splits"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/subsets/results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    m = machine()
    lines = [
        "# Subset methods on response matrices",
        "",
        "Written by `python benchmarks/subsets/run.py` and `tables.py`. Each cell: mean absolute error in points"
        f" (paired difference to `{CONTROL}` in the same splits, with a 95 % interval), coverage of nominal 90 %"
        " intervals on models that did not calibrate, and ρ, Spearman's with the full ranking. `irtbench` is the"
        " default (`robust` selection, `blend`); `robust + …` are its parts. CPU seconds include the fits of the"
        " models held out for the intervals.",
        "",
        f"Machine: {m['processor']}, shared with other work; "
        + ", ".join(f"{k} {v}" for k, v in versions().items()),
        "",
    ]
    for folder in sorted(p for p in given.work.iterdir() if p.is_dir()):
        parts = [
            pd.read_parquet(p) for p in sorted(folder.glob("*.parquet")) if not p.stem.endswith("-quick")
        ]
        if not parts:
            continue
        rows = by_split(pd.concat(parts, ignore_index=True))
        rows.round(5).to_parquet(given.out / f"{folder.name}.parquet", index=False)
        lines += _page(folder.name, rows)
        _plot(folder.name, rows, given.out)
    (given.out / "methods.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
