"""How many calibration models are enough: error at 30 and 100 items over 4 to 400 of them.

    python benchmarks/subsets/curve.py [--splits 24] [--quick]

In each repeat the same random models test, and the sets of calibration models are nested. Finished repeats are
kept; ``tables.py`` turns them into ``curve.md`` and ``curve.svg``.
"""

from __future__ import annotations

import argparse
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import irtbench as ib  # noqa: E402
from benchmarks.subsets.boards import BOARDS, read_board  # noqa: E402
from benchmarks.subsets.protocol import CONTROL, DEFAULT, run_split  # noqa: E402
from benchmarks.subsets.run import SPLITS  # noqa: E402
from irtbench.files import atomic_file  # noqa: E402
from irtbench.responses.splits import Split  # noqa: E402

__all__ = ["COUNTS", "METHODS", "main", "repeat"]

COUNTS = (4, 8, 15, 30, 60, 120, 240, 400)
SIZES = (30, 100)
TEST = 100
METHODS = (
    DEFAULT,
    CONTROL,
    "random + mean",
    "robust + regression",
    "stratified + gp-irt",
    "stratified + difference",
    "lasso + ridge",
    "IRT anchors + gp-IRT",
)
WHERE = ("openllm_v2", "openllm_v1_metabench")


def repeat(R: ib.ResponseMatrix, name: str, number: int, counts: tuple[int, ...] = COUNTS) -> pd.DataFrame:
    """One repeat: rows of :func:`run_split` for each number of calibration models that the board has."""
    order = np.random.default_rng([11, number]).permutation(R.n_models)
    ids = np.array(R.model_ids, dtype=object)[order]
    test, rest = tuple(ids[:TEST]), ids[TEST:]
    parts = [
        run_split(
            R,
            Split(f"models-{number:02d}", tuple(rest[:n]), test),
            SIZES,
            BOARDS[name].average,
            draws=2,
            methods=METHODS,
            by_benchmark=False,
        )
        for n in counts
        if n <= len(rest)
    ]
    return pd.concat(parts, ignore_index=True).assign(pool=R.n_models)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", nargs="*", default=list(WHERE), choices=list(WHERE))
    parser.add_argument("--splits", type=int, default=SPLITS, help="repeats")
    parser.add_argument("--quick", action="store_true", help="one repeat, another folder")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/subsets/.splits"))
    given = parser.parse_args()
    work = given.work / "quick" if given.quick else given.work
    boards = {name: read_board(given.data, name, models=None) for name in given.board}
    for k in range(1 if given.quick else given.splits):
        for name, R in boards.items():
            path = work / f"curve-{name}" / f"{k:02d}.parquet"
            if path.is_file():
                continue
            began = time.process_time()
            found = repeat(R, name, k)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as temporary:
                found.to_parquet(temporary, index=False)
            print(f"{name}, repeat {k}: {time.process_time() - began:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
