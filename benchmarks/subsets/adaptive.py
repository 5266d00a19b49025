"""Adaptive tests replayed on real leaderboards: items asked → error, width and coverage, against random order.

    python benchmarks/subsets/adaptive.py [--data ../shared/data] [--splits 6] [--models 40] [BOARD ...]

In each split the models of one side calibrate a bank (2PL) and the test's plan; models of the other side are
then tested adaptively. Writes a Parquet table, a row for each model, order and number of items, and a page.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import irtbench as ib
from benchmarks.compare.real_boards import BOARDS, board
from benchmarks.environments import machine
from irtbench.files import atomic_file, versions
from irtbench.responses.splits import split
from irtbench.subsets.adaptive import adaptive_plan, simulate_adaptive, summarize_adaptive
from irtbench.subsets.adaptive.calibrating import group_folds

SIZES = (10, 30, 100)
KINDS = {"openllm_v2": ("random", "family", "weak-to-strong"), "mmlu_pro": ("random",)}
RUNS = (("score", 1), ("score", 32), ("information", 1), ("random", 1))


def one_split(
    R: ib.ResponseMatrix,
    calibration: Any,
    test: Any,
    average: Any,
    models: int,
    k: int,
    runs: Any = RUNS,
) -> pd.DataFrame:
    """Some orders on up to ``models`` test models of one split."""
    old = R.take(models=list(calibration))
    few = np.random.default_rng([7, k]).permutation(np.array(test, dtype=object))[:models]
    new = R.take(models=list(few))
    bank = ib.fit(old, "2pl", method="laplace", device="cpu").bank
    fitted = group_folds(old, bank, folds=4, seed=k, device="cpu")
    parts = []
    for order, batch in runs:
        how: dict[str, Any] = {
            "average": average,
            "order": order,
            "sizes": SIZES,
            "fitted": fitted,
            "seed": k,
        }
        plan = adaptive_plan(bank, old, batch=batch, device="cpu", **how)
        mean = order == "random"
        found = simulate_adaptive(plan, new, SIZES, orders=[order], batch=batch, mean=mean, seed=k)
        if batch > 1:
            found["order"] = f"{order}, batches of {batch}"
        parts.append(found)
    return pd.concat(parts)


def page(table: pd.DataFrame, cpu: float, given: Any) -> str:
    """The tables of all boards, in points."""
    m = machine()
    singly = "" if "information" in set(table["order"]) else " --singly"
    lines = [
        "# Adaptive tests",
        "",
        f"Written by `python benchmarks/subsets/adaptive.py --splits {given.splits} --models {given.models}{singly}"
        f" {' '.join(table['board'].unique())}`: {cpu:.0f} CPU"
        f" s; {m['processor']}, {m['cores']} cores, Python {m['python']}; "
        + ", ".join(f"{name} {version}" for name, version in versions().items())
        + ".",
        "",
        "Mean absolute error and width of the nominal 90 % interval of the full score in points; `vs random` is the"
        " paired difference of MAE to the same estimator on items in random order, with a 95 % interval over splits."
        " *random + mean* is the mean of the items asked at random, weighted by benchmark, with its design-based"
        " interval. All other rows: posterior mean of the full score, with an interval calibrated on calibration models"
        " that were held out; *beyond*, the mean probability that the model lies outside the calibration models' scores,"
        " is the weight of the IRT model that reaches beyond them (its interval: the strongest calibration models, with"
        " a bank of the weaker half).",
    ]
    for (name, kind), part in table.groupby(["board", "split_kind"], sort=False):
        tested = part.groupby("split")["model"].nunique()
        lines += [
            "",
            f"## {name}, {kind} splits",
            "",
            f"{len(tested)} splits, {tested.sum()} tested models.",
            "",
        ]
        lines += ["| items | order | MAE | RMSE | bias | width | coverage | beyond | Spearman | vs random |"]
        lines += ["|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
        found = summarize_adaptive(part).sort_values("items", kind="stable")
        for row in found.itertuples():
            rank = part[(part["order"] == row.order) & (part["items"] == row.items)]
            rho = np.mean(
                [one[["score", "truth"]].corr("spearman").iloc[0, 1] for _, one in rank.groupby("split")]
            )
            beyond = "–" if rank["beyond"].isna().all() else f"{rank['beyond'].mean():.2f}"
            lines += [
                f"| {row.items} | {row.order} | {100 * row.mae:.2f} | {100 * row.rmse:.2f} | {100 * row.bias:+.2f}"
                f" | {100 * row.width:.1f} | {row.coverage:.3f} | {beyond} | {rho:.3f} | {_paired(part, row.order, row.items)} |"
            ]
    return "\n".join(lines) + "\n"


def _paired(part: pd.DataFrame, order: str, n: int) -> str:
    if order == "random":
        return "–"
    from scipy.stats import t

    error = (part["score"] - part["truth"]).abs().rename("error")
    rows = part.assign(error=error)[part["items"] == n]
    mean = rows.pivot_table(index="split", columns="order", values="error")
    d = (mean[order] - mean["random"]).to_numpy()
    half = t.ppf(0.975, len(d) - 1) * np.sqrt((1 / len(d) + 1 / 3) * d.var(ddof=1)) if len(d) > 1 else np.nan
    return f"{100 * d.mean():+.2f} [{100 * (d.mean() - half):+.2f}, {100 * (d.mean() + half):+.2f}]"


def main() -> None:
    here = Path(__file__).resolve()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("boards", nargs="*", default=list(KINDS))
    parser.add_argument("--data", type=Path, default=here.parents[3] / "shared/data")
    parser.add_argument("--out", type=Path, default=here.parent / "results")
    parser.add_argument("--splits", type=int, default=6)
    parser.add_argument("--models", type=int, default=40, help="models tested in a split")
    parser.add_argument(
        "--singly", action="store_true", help="only items asked one by one, by score and at random"
    )
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    runs = [run for run in RUNS if not given.singly or run in (("score", 1), ("random", 1))]
    began, rows = time.process_time(), []
    for name in given.boards:
        _, average, keep = BOARDS[name]
        R = board(given.data, name, keep)
        R = R.take(models=R.observed.mean(axis=1) > 0.99)
        for k in range(given.splits):
            for kind in KINDS[name]:
                one = split(R, kind, given.splits, average=average)[k]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = one_split(R, one.calibration, one.test, average, given.models, k, runs)
                rows.append(found.assign(board=name, split_kind=kind, split=one.name))
                print(f"{name} {one.name}: {time.process_time() - began:.0f} CPU s", flush=True)
                table = pd.concat(rows).sort_values(["board", "split_kind"], kind="stable")
                given.out.mkdir(parents=True, exist_ok=True)
                with atomic_file(given.out / "adaptive.parquet") as temporary:
                    table.drop(columns="sd").to_parquet(temporary, index=False, compression="zstd")
                cpu = time.process_time() - began
                (given.out / "adaptive.md").write_text(page(table, cpu, given), encoding="utf-8")


if __name__ == "__main__":
    main()
