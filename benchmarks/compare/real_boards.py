"""Compare subset methods on real leaderboards: the tables in benchmarks/compare/results.

    python benchmarks/compare/real_boards.py [--data ../shared/data] [--out benchmarks/compare/results] [BOARD ...]

Reads the response matrices of the reference data (see the README there for sources and licences), holds
models out 24 times and writes a summary a board and kind of split, as CSV and as one Markdown page. A run
that was stopped continues where it was.
"""

import argparse
import os
import platform
import time
import warnings
from pathlib import Path

import pandas as pd

import irtbench as ib
from irtbench.files import versions

SIZES = [10, 30, 100, 200]
BOARDS = {
    # board, kinds of split, average, what is kept of it
    "openllm_v2": (["random", "family", "weak-to-strong"], "macro", ["ifeval", "musr", "math_hard"]),
    "mmlu_pro": (["random"], "micro", None),
    "swebench_agent": (["random", "date"], "micro", None),
}


def board(data: Path, name: str, keep: list[str] | None) -> ib.ResponseMatrix:
    """Read a board, without models whose responses repeat those of another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ib.DataWarning)
        R = ib.read(data / name / "responses.parquet")
    if keep is not None:
        R = R.take(benchmark=keep)
        R = R.take(models=R.observed.any(axis=1))
    twin = pd.DataFrame(R.values).duplicated().to_numpy()
    R = R.take(models=~twin)
    dates = data / name / "models.csv"
    if dates.is_file():
        table = pd.read_csv(dates).set_index("model")["date"].reindex(R.model_ids)
        R = ib.ResponseMatrix.of(R.values, R.models.assign(date=table.to_numpy()), R.items, metric=R.metric)
    return R


def markdown(summaries: dict[tuple[str, str], tuple[str, pd.DataFrame, float, list[str]]]) -> str:
    """The page of all tables, in percentage points."""
    lines = [
        "# Subset methods on real leaderboards",
        "",
        "Written by `python benchmarks/compare/real_boards.py`. MAE, bias and differences in percentage points;"
        " `vs random` is the paired difference of MAE to a random subset of the same size with its plain mean,"
        " with a 95 % interval; coverage is of nominal 90 % intervals on models that did not calibrate.",
        "",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; "
        + ", ".join(f"{k} {v}" for k, v in versions().items()),
    ]
    for (name, split), (about, summary, seconds, said) in summaries.items():
        lines += ["", f"## {name}, {split} splits", "", f"{about}. {seconds:.0f} s.", ""]
        lines += [f"> warned: {text}\n" for text in said]
        lines += [
            "| items | method | MAE | RMSE | bias | coverage | Spearman | Kendall | sd over seeds | vs random |"
        ]
        lines += ["|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
        for row in summary.itertuples():
            difference = "–"
            if row.mae_diff != 0:
                difference = f"{100 * row.mae_diff:+.2f} [{100 * row.mae_diff_lower:+.2f}, {100 * row.mae_diff_upper:+.2f}]"
            lines += [
                f"| {row.size} | {row.method} | {100 * row.mae:.2f} | {100 * row.rmse:.2f} | {100 * row.bias:+.2f}"
                f" | {row.coverage:.3f} | {row.spearman:.3f} | {row.kendall:.3f} | {100 * row.seed_sd:.2f}"
                f" | {difference} |"
            ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("boards", nargs="*", default=list(BOARDS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/compare/results"))
    parser.add_argument(
        "--work", type=Path, default=Path("benchmarks/compare/.splits"), help="finished splits"
    )
    parser.add_argument("--splits", type=int, default=24)
    parser.add_argument("--jobs", type=int)
    given = parser.parse_args()
    done = {}
    for name in given.boards:
        splits, average, keep = BOARDS[name]
        R = board(given.data, name, keep)
        for split in splits:
            began = time.perf_counter()
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", ib.DataWarning)
                found = ib.compare(
                    R, SIZES, split=split, n_splits=given.splits, average=average, folder=given.work / name / split,
                    n_jobs=given.jobs, progress=True,
                )  # fmt: skip
            summary = ib.summarize(found)
            about = f"{R.n_models} models × {R.n_items} items, {average} average, {given.splits} splits, 2 subsets each"
            texts = [str(w.message) for w in said if issubclass(w.category, ib.DataWarning)]
            done[name, split] = (about, summary, time.perf_counter() - began, texts)
            given.out.mkdir(parents=True, exist_ok=True)
            summary.round(5).to_csv(given.out / f"{name}-{split}.csv", index=False)
            (given.out / "README.md").write_text(markdown(done), encoding="utf-8")
            print(f"{name} {split}: {time.perf_counter() - began:.0f} s -> {given.out}", flush=True)


if __name__ == "__main__":
    main()
