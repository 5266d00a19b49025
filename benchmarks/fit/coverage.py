"""How often irtbench's 95 % intervals hold the truth, over many simulated data sets: results/coverage.md.

    python benchmarks/fit/coverage.py [--cells S1-2pl ...] [--methods svi laplace] [--sets 20]

For every data set a new truth is drawn; coverage is the mean over data sets of the share of
parameters whose interval holds the true value, with the Monte Carlo error of that mean. Continues
where it was; runs again when irtbench's code has changed.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

sys.path.pop(0)  # this folder, whose coverage.py would hide a package
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from benchmarks.fit.cells import SEED, simulate
from benchmarks.fit.measures import coverage, measure
from benchmarks.fit.store import Runs
from benchmarks.fit.tools import HERE, TOOLS

SETS = {"S1": 1.0, "S2": 0.5, "S3": 0.2}  # share of --sets: a fit in S3 takes as long as many in S1
CELLS = ["S1-2pl", "S1-3pl", "S2-2pl", "S2-3pl", "S3-2pl"]
COLUMNS = ["cover_theta", "cover_b", "cover_log_a", "cover_logit_c"]


def table(records: list[dict]) -> pd.DataFrame:
    """Mean coverage and its Monte Carlo error, by cell and tool, of the newest version."""
    rows = []
    for (cell, tool), runs in pd.DataFrame(records).groupby(["cell", "tool"], sort=False):
        row = {"cell": cell, "tool": tool, "filed_under": runs["filed_under"].iloc[-1], "sets": len(runs)}
        for name in COLUMNS:
            values = runs[name].dropna() if name in runs else pd.Series(dtype=float)
            row[name] = values.mean()
            row[f"{name}_error"] = values.std() / len(values) ** 0.5 if len(values) > 1 else float("nan")
        rows.append(row | {"p_rmse": runs["p_rmse"].mean(), "cpu_s": runs["cpu_s"].median()})
    return pd.DataFrame(rows)


def markdown(found: pd.DataFrame) -> str:
    """The page."""
    lines = [
        "# Coverage of irtbench's 95 % intervals",
        "",
        "Written by `python benchmarks/fit/coverage.py`. Share of true parameters inside their interval, averaged over"
        " data sets, ± the Monte Carlo error of the average (sd over data sets / √sets). Truth and intervals on the"
        " scale where the calibration models have mean 0 and sd 1; those of items are central intervals of the"
        " posterior, the same for a and log a, c and logit c.",
        "",
        "| cell | fit | data sets | θ | b | log a | logit c | P-RMSE | CPU s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found.itertuples():
        shown = [_share(getattr(row, name), getattr(row, f"{name}_error")) for name in COLUMNS]
        lines.append(
            f"| {row.cell} | {row.tool} | {row.sets} | {' | '.join(shown)} | {row.p_rmse:.4f} | {row.cpu_s:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _share(mean: float, error: float) -> str:
    return "–" if pd.isna(mean) else f"{mean:.3f}" if pd.isna(error) else f"{mean:.3f} ± {error:.3f}"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--methods", nargs="+", default=["svi", "laplace"])
    parser.add_argument("--sets", type=int, default=20, help="data sets in S1; half in S2, a fifth in S3")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    from benchmarks.fit.peers import irtbench as own
    from benchmarks.fit.worker import timed

    runs = Runs(given.out / "coverage.jsonl")
    plain = TOOLS["irtbench"]
    for name in given.cells:
        for k in range(max(2, round(given.sets * SETS[name.split("-")[0]]))):
            for method in given.methods:
                tool = dataclasses.replace(plain, name=f"irtbench {method}", options={"method": method})
                if runs.of(tool, name, k):
                    continue
                cell = simulate(name, seed=SEED + 1 + k)
                found, cpu, _ = timed(
                    own.fit, own.prepare(cell.responses(), cell.irt), cell.irt, seed=k, method=method
                )
                estimates = own.read(found, None)
                record = {
                    "tool": tool.name,
                    "cell": name,
                    "round": k,
                    "filed_under": plain.version,
                    "cut": None,
                }
                record |= {
                    "cpu_s": cpu,
                    "p_rmse": measure(cell, estimates)["p_rmse"],
                    **coverage(cell, estimates),
                }
                runs.add(record)
                print(f"{name} {method} {k + 1}: b {record['cover_b']:.3f}, {cpu:.1f} CPU s", flush=True)
    found = table(runs.records)
    found.to_parquet(given.out / "coverage.parquet", index=False)
    (given.out / "coverage.md").write_text(markdown(found), encoding="utf-8")
    print(f"-> {given.out / 'coverage.md'}")


if __name__ == "__main__":
    main()
