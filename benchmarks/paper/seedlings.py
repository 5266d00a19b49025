"""The paper's tables and figures on the fleet that ships: seeds, checkpoints, framings, items, subsets.

    python benchmarks/paper/seedlings.py        # or: make paper

Reads the responses of the catalogue (models/responses/seedlings), writes Parquet and pictures into
results/seedlings, and the page README.md of this folder.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.paper.nlu_tables import summary
from benchmarks.paper.nlu_test_sets import estimates
from benchmarks.paper.seedlings_page import write_page
from irtbench.errors import DataWarning
from irtbench.files import atomic_file
from irtbench.report import drawing
from irtbench.report.variance_plots import item_halves
from irtbench.report.view_plots import view_scatter, views_side_by_side
from irtbench.responses import ResponseMatrix, read
from irtbench.variance import (
    compare_views,
    curves,
    one_run_each,
    pruning_sweep,
    runs_of,
    split_stability,
    statistics_by_half,
    variance_report,
)

HERE = Path(__file__).resolve().parent
METRICS = ("acc", "prob", "prob_options", "margin")
SHARES = (0.0, 0.25, 0.5, 0.75)  # of the items, pruned


def main(argv: Sequence[str] | None = None) -> None:
    """Compute every table, and write them and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="seedlings", help="folder of responses; else the catalogue's")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--size", type=int, default=100, help="items of a subset")
    parser.add_argument("--draws", type=int, default=100, help="random subsets of each benchmark")
    parser.add_argument("--choices", type=int, default=20, help="starts of k-means behind the anchors")
    parser.add_argument("--splits", type=int, default=200, help="of the models, for the items")
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    warnings.simplefilter("ignore", DataWarning)
    began, load = time.process_time(), os.getloadavg()[0]

    def step(name: str) -> None:
        print(f"{time.process_time() - began:6.0f} CPU s  {name}", flush=True)

    R = {f"{f}_{m}": load_part(given.data, f"{f}_{m}") for f in ("completion", "choice") for m in METRICS}
    found: dict[str, Any] = {}
    step("Tables 1 and 2: seeds, discrete and continuous")
    found["noise"] = noise_tables(R, given.resamples, given.seed)
    found["snr"] = snr_steps(R)
    step("Figure 2: framings")
    views = compare_views({k: of_seeds(R[f"{k}_acc"]) for k in ("completion", "choice")})
    found["framings"], found["crossings"] = views.table, views.crossings
    ends = {k: one_run_each(R[f"{k}_acc"]) for k in ("completion", "choice")}
    found["agreement"] = agreement(ends)
    step("Figure 3: items")
    found["stability"] = by_benchmark(
        ends["completion"], lambda own: split_stability(own, n_splits=given.splits, seed=given.seed)
    )
    found["pruning"] = by_benchmark(R["completion_acc"], lambda own: pruned(own, given.seed))
    step("orders of the data and of the examples")
    found["arms"] = arms(R)
    found["orders"] = shot_orders(given.data)
    subsets = []
    for name in ["all", *dict.fromkeys(R["completion_acc"].benchmarks)]:
        own = R["completion_acc"] if name == "all" else R["completion_acc"].take(benchmark=name)
        if own.n_items <= given.size:
            continue
        step(f"Tables 3 and 4: {name}")
        subsets.append(subset_table(own, name, given))
    found["subsets"] = pd.concat({s.name: s.table for s in subsets}, names=["benchmark", "method"])
    folder = given.out / "results" / "seedlings"
    for name, table in found.items():
        with atomic_file(folder / f"{name}.parquet") as path:
            plain = table.reset_index()
            plain.attrs = {}
            plain.to_parquet(path, index=False)
    pictures(folder, views, ends)
    settings = {k: getattr(given, k) for k in ("size", "draws", "choices", "splits", "resamples", "seed")}
    settings |= {"cpu": time.process_time() - began, "load": load}
    write_page(given.out / "README.md", found, R, settings)
    step(f"wrote {given.out / 'README.md'}")


def load_part(data: str, name: str) -> ResponseMatrix:
    """One matrix: of the catalogue (``seedlings``), or of a folder."""
    return read(f"{data}/{name}" if data == "seedlings" else Path(data) / f"{name}.parquet")


def of_seeds(R: ResponseMatrix) -> ResponseMatrix:
    """Rows of the seed study: one recipe, one order of the data."""
    return R.take(models=(R.models["family"] == "seeds").to_numpy())


def population(R: ResponseMatrix) -> ResponseMatrix:
    """Rows of the models that are no replicates."""
    return R.take(models=(R.models["arm"] == "population").to_numpy())


def noise_tables(R: dict[str, ResponseMatrix], resamples: int, seed: int) -> pd.DataFrame:
    """The variance report of every framing and metric, on the seeds; and on all items together."""
    parts = {}
    for name, whole in R.items():
        framing, _, metric = name.partition("_")
        own = of_seeds(whole)
        flat = ResponseMatrix(own.values, own.models, own.items.assign(benchmark="all"), own.metric)
        tables = []
        for matrix in (own, flat):
            chance = matrix.items.groupby("benchmark", sort=False)["chance"].mean().to_dict()
            how = {"chance": chance if metric in ("acc", "prob_options") else None}
            tables.append(variance_report(matrix, **how, resamples=resamples, seed=seed))
        parts[framing, metric] = pd.concat(tables).droplevel("family")
    return pd.concat(parts, names=["framing", "metric"]).sort_index()


def snr_steps(R: dict[str, ResponseMatrix]) -> pd.DataFrame:
    """Mean over sd of the seeds at every checkpoint after the start, discrete and continuous."""
    rows = []
    for framing in ("completion", "choice"):
        for metric in ("acc", "prob", "prob_options"):
            (own,) = runs_of(of_seeds(R[f"{framing}_{metric}"]))
            scores = curves(own)
            with np.errstate(divide="ignore"):  # at one checkpoint all seeds have one score: infinite
                snr = scores.mean(axis=0) / scores.std(axis=0, ddof=1)
            for t, step in enumerate(own.steps[1:], start=1):
                rows += [
                    (framing, name, int(step), metric, snr[t, k]) for k, name in enumerate(own.benchmarks)
                ]
    return pd.DataFrame(rows, columns=["framing", "benchmark", "step", "metric", "snr"])


def agreement(ends: dict[str, ResponseMatrix]) -> pd.DataFrame:
    """Pearson correlation of both framings over the models' last checkpoints, by benchmark; with r's interval."""
    a, b = ends["completion"], ends["choice"]
    rows = {}
    for name in ["all", *dict.fromkeys(a.benchmarks)]:
        x, y = ((R if name == "all" else R.take(benchmark=name)).scores() for R in (a, b))
        r = float(np.corrcoef(x, y.reindex(x.index))[0, 1])
        half = 1.96 / np.sqrt(len(x) - 3)  # of Fisher's z
        rows[name] = (r, *np.tanh(np.arctanh(r) + np.array([-half, half])), len(x))
    columns = ["pearson", "low", "high", "n_models"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("benchmark")


def by_benchmark(R: ResponseMatrix, compute: Any) -> pd.DataFrame:
    """A table of every benchmark."""
    names = list(dict.fromkeys(R.benchmarks))
    return pd.concat({name: compute(R.take(benchmark=name)) for name in names}, names=["benchmark"])


def pruned(R: ResponseMatrix, seed: int) -> pd.DataFrame:
    """Items pruned by what they tell of the population, and looked at on the seeds."""
    return pruning_sweep(population(R), runs_of(of_seeds(R)), SHARES, seed=seed)


def arms(R: dict[str, ResponseMatrix]) -> pd.DataFrame:
    """E of the arm with one order of the data, and of the one with an order each."""
    rows = []
    for framing in ("completion", "choice"):
        for own in runs_of(R[f"{framing}_acc"]):
            scores = curves(own)
            for k, name in enumerate(own.benchmarks):
                sd = scores[..., k].std(axis=0, ddof=1)
                rows.append((framing, name, own.family, len(own.seeds), sd.mean(), sd[-1]))
    columns = ["framing", "benchmark", "arm", "n_seeds", "E", "sd_last"]
    return pd.DataFrame(rows, columns=columns)


def shot_orders(data: str) -> pd.DataFrame:
    """Sd over seeds (of the mean over orders) and over orders of the examples (mean over seeds), in scores."""
    rows = []
    for framing in ("completion", "choice"):
        R = load_part(data, f"{framing}_acc_orders")
        for name in dict.fromkeys(R.benchmarks):
            own = R.take(benchmark=name)
            table = own.models.assign(score=own.scores())
            for step, part in table.groupby("step"):
                grid = part.pivot_table(index="seed", columns="shot_order", values="score").to_numpy()
                within = grid.var(axis=1, ddof=1).mean()
                between = max(grid.mean(axis=1).var(ddof=1) - within / grid.shape[1], 0.0)
                rows.append((framing, name, int(step), grid.mean(), np.sqrt(between), np.sqrt(within)))
    columns = ["framing", "benchmark", "step", "mean", "sd_seeds", "sd_orders"]
    return pd.DataFrame(rows, columns=columns)


def subset_table(R: ResponseMatrix, name: str, given: argparse.Namespace) -> Any:
    """E of IRT, IRT++ and anchors beside random items, calibrated on the population."""
    rows = R.models["arm"].isin(["seeds", "population"]).to_numpy()
    found = estimates(R.take(models=rows), "all", given.draws, given.choices, given.size, given.seed)
    return summary(found, name, "population", given.size, recipes=1)


def pictures(folder: Path, views: Any, ends: dict[str, ResponseMatrix]) -> None:
    """Figures 2 and 3."""
    drawn = {
        "framings": views_side_by_side(views.curves, views.order)[0],
        "scatter": view_scatter(
            pd.DataFrame({name: R.scores() for name, R in ends.items()}), same_scale=True
        ),
        "items": item_halves(statistics_by_half(ends["completion"]))[0],
    }
    for name, axes in drawn.items():
        with atomic_file(folder / f"{name}.svg") as path:
            drawing.save(axes, path, kind="svg")


if __name__ == "__main__":
    main()
