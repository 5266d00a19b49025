"""How irtbench's cost grows with models, items, missing responses and dimensions: results/scaling.md, scaling.svg.

    python benchmarks/fit/scaling.py [--tools irtbench "irtbench laplace"] [--axes models items missing dimensions]

Each point is one fit of a simulated 2PL in a fresh process on one core. Along an axis one thing
changes from the base of 200 models × 2,000 items with 10 % missing. Continues where it was; runs
again when irtbench's code has changed.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.pop(0)  # this folder, whose coverage.py would hide a package
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

from benchmarks.environments import last_core, machine
from benchmarks.fit.cells import Cell, simulate
from benchmarks.fit.launch import Failed, launch
from benchmarks.fit.measures import measure
from benchmarks.fit.store import Runs
from benchmarks.fit.tools import HERE, TOOLS, Tool

MODELS, ITEMS = 200, 2000


def sized(models: int, items: int) -> Cell:
    """A 2PL of this size."""
    return simulate("S2-2pl", seed=1, size=(models, items))


def thinned(missing: float) -> Cell:
    """The base with a share of responses missing at random, of which a tenth of all cells stays held out."""
    cell = sized(MODELS, ITEMS)
    u = np.random.default_rng(2).random(cell.y.shape)
    return dataclasses.replace(cell, seen=~cell.held & (u < (1 - missing) / 0.9))


def turned(dimensions: float) -> Cell:
    """The size of the base with several abilities: z = Σ a_d θ_d + d, log |a| ~ N(0, 0.4), a_d ≥ 0."""
    rng, d = np.random.default_rng([3, int(dimensions)]), int(dimensions)
    theta, slopes = rng.normal(size=(MODELS, d)), np.abs(rng.normal(size=(ITEMS, d)))
    slopes *= np.exp(rng.normal(0, 0.4, (ITEMS, 1))) / np.linalg.norm(slopes, axis=1, keepdims=True)
    p = 1 / (1 + np.exp(-(theta @ slopes.T - rng.normal(0, 1.2, ITEMS))))
    held = rng.random(p.shape) < 0.1
    y, zero = (rng.random(p.shape) < p).astype(np.int8), np.zeros(ITEMS)
    return Cell("S2-2pl", y, ~held, held, theta[:, 0], zero + 1, zero, zero, p)


def as_asked(tool: Tool, axis: str, point: float) -> Tool:
    """The tool, or irtbench's multidimensional 2PL by the same method."""
    if axis != "dimensions":
        return tool
    return dataclasses.replace(
        tool, peer="irtbench_factors", options={**tool.options, "dimensions": int(point)}
    )


# an axis: its points, and the cell at a point
AXES: dict[str, tuple[list[float], Callable[[float], Cell]]] = {
    "models": ([50, 100, 200, 400, 800, 1600], lambda n: sized(int(n), ITEMS)),
    "items": ([500, 1000, 2000, 4000, 8000, 16000], lambda n: sized(MODELS, int(n))),
    "missing": ([0.1, 0.3, 0.5, 0.7, 0.9], thinned),
    "dimensions": ([1, 2, 3, 4, 6], turned),
}
SHARES = ("missing", "dimensions")  # drawn on a plain scale


def table(records: list[dict]) -> pd.DataFrame:
    """A row a point, medians over runs; ``exponent`` is the local power of growth of CPU seconds along the axis."""
    found = pd.DataFrame(records)
    place = ["axis", "tool", "point", "n_models", "n_items", "filed_under"]
    numbers = ["seen", "cpu_s", "peak_mb", "p_rmse", "theta_rmse"]
    by = found.groupby(place)
    found = by[numbers].median().assign(runs=by.size()).reset_index()
    log = np.log(found[["cpu_s", "point"]]).groupby([found["axis"], found["tool"]]).diff()
    return found.assign(exponent=log["cpu_s"] / log["point"])


def markdown(found: pd.DataFrame, about: dict) -> str:
    """The page."""
    lines = [
        "# How the cost of a fit grows",
        "",
        "Written by `python benchmarks/fit/scaling.py`: 2PL, fresh process, one core, one thread, medians over runs. *Power* is the exponent of"
        " growth from the point before: 1 where twice the size costs twice the time.",
        "",
        f"Machine: {about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB.",
        "",
        "![CPU seconds along each axis](scaling.svg)",
    ]
    for axis, here in found.groupby("axis", sort=False):
        lines += [
            "",
            f"## {axis}",
            "",
            "| models × items | missing | dimensions | fit | CPU s | power | peak MB | P-RMSE | θ RMSE |",
        ]
        lines += ["|--:|--:|--:|---|--:|--:|--:|--:|--:|"]
        for row in here.sort_values(["point", "tool"]).itertuples():
            power = f"{row.exponent:.2f}" if axis not in SHARES and np.isfinite(row.exponent) else "–"
            several = axis == "dimensions"
            lines.append(
                f"| {row.n_models} × {row.n_items:,} | {1 - row.seen:.0%} | {int(row.point) if several else 1} | {row.tool} | {row.cpu_s:.3f} | {power}"
                f" | {row.peak_mb:.0f} | {row.p_rmse:.4f}"
                f" | {'–' if several else f'{row.theta_rmse:.3f}'} |"
            )
    return "\n".join(lines) + "\n"


def plot(found: pd.DataFrame, path: Path) -> None:
    """CPU seconds along each axis, one line a fit; grey is growth in proportion to the size."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "irtbench"  # the same picture is the same file
    from matplotlib import pyplot as plt

    axes = [axis for axis in AXES if axis in set(found["axis"])]
    figure, panels = plt.subplots(1, len(axes), figsize=(3.4 * len(axes), 3.0), squeeze=False, sharey=True)
    for panel, axis in zip(panels[0], axes, strict=True):
        for tool, line in found[found["axis"] == axis].groupby("tool"):
            line = line.sort_values("point")
            panel.plot(line["point"], line["cpu_s"], marker="o", label=tool)
            if axis not in SHARES:
                x = line["point"].to_numpy()
                panel.plot(x, line["cpu_s"].iloc[-1] * x / x[-1], color="0.75", linewidth=1, zorder=0)
        panel.set_yscale("log")
        if axis not in SHARES:
            panel.set_xscale("log", base=2)
            panel.set_xticks(line["point"], [f"{int(x):,}" for x in line["point"]], fontsize=7)
        name = {"missing": "share missing", "dimensions": "dimensions"}.get(axis)
        panel.set_xlabel(f"{name} ({MODELS} × {ITEMS:,})" if name else axis)
        panel.grid(color="0.92")
    panels[0][0].set_ylabel("CPU seconds of the fit")
    panels[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def one_point(runs: Runs, tool: Tool, axis: str, point: float, turn: int, given: argparse.Namespace) -> None:
    """Fit one point of an axis, unless it was fitted before."""
    place, tool = f"{axis}-{point:g}", as_asked(tool, axis, point)
    if runs.of(tool, place, turn):
        return
    cell, data = AXES[axis][1](point), given.work.resolve() / f"scaling-{place}.npz"
    record = {"tool": tool.name, "cell": place, "round": turn, "filed_under": tool.version, "cut": None}
    record |= {"axis": axis, "point": point, "n_models": len(cell.theta), "n_items": len(cell.b)}
    record |= {"seen": float(cell.seen.mean()), "machine": machine()}
    try:
        cost, found = launch(tool, cell, data, seed=0, core=given.core, limit=given.limit)
    except Failed as error:
        print(f"{place} {tool.name}: {error}", flush=True)
        return
    finally:
        data.unlink(missing_ok=True)  # large, and quick to simulate again
    runs.add(record | cost | measure(cell, found))
    print(f"{place} {tool.name}: {cost['cpu_s']:.2f} CPU s", flush=True)


def main() -> None:
    """Run what is missing, then write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", nargs="+", default=["irtbench", "irtbench laplace"])
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--limit", type=float, default=1800.0, help="wall seconds after which a run is stopped"
    )
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--work", type=Path, default=HERE / ".work", help="simulated data")
    given = parser.parse_args()
    runs = Runs(given.out / "scaling.jsonl")
    for turn in range(given.rounds):
        for axis in given.axes:
            for point in AXES[axis][0]:
                for name in given.tools:
                    one_point(runs, TOOLS[name], axis, point, turn, given)
    if runs.records:
        found = table(runs.records)
        found.to_parquet(given.out / "scaling.parquet", index=False)
        (given.out / "scaling.md").write_text(markdown(found, runs.records[-1]["machine"]), encoding="utf-8")
        plot(found, given.out / "scaling.svg")
        print(f"-> {given.out / 'scaling.md'}")


if __name__ == "__main__":
    main()
