"""Subset methods on response matrices: one Parquet file of every split's errors, resumable.

    python benchmarks/subsets/run.py [--splits 24] [--board openllm_v2 ...] [--kind random ...] [--quick]

``tables.py`` turns the results into pages and plots.
"""

from __future__ import annotations

import argparse
import os

# before NumPy is loaded: one core, so that CPU seconds mean something
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd  # noqa: E402

from benchmarks.subsets.boards import BOARDS, read_board  # noqa: E402
from benchmarks.subsets.protocol import OURS, THEIRS, run_split  # noqa: E402
from irtbench.files import atomic_file  # noqa: E402
from irtbench.responses.splits import split  # noqa: E402

__all__ = ["main"]


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", nargs="*", default=list(BOARDS), choices=list(BOARDS))
    parser.add_argument("--kind", nargs="*", help="kinds of splits; all of the board's by default")
    parser.add_argument("--method", nargs="*", choices=[*OURS, *THEIRS])
    parser.add_argument("--splits", type=int, default=24)
    parser.add_argument("--draws", type=int, default=4, help="random subsets a size")
    parser.add_argument("--quick", action="store_true", help="two splits, one draw")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/subsets/.splits"))
    given = parser.parse_args()
    methods = None if given.method is None else tuple(given.method)
    for name in given.board:
        R, setting = read_board(given.data, name), BOARDS[name]
        print(name, R, flush=True)
        kinds = {
            k: split(R, k, max(given.splits, 24), average=setting.average)
            for k in given.kind or setting.kinds
        }
        # kind after kind within each number, so that a run that was stopped has as many of each
        for part in (kinds[k][n] for n in range(2 if given.quick else given.splits) for k in kinds):
            path = given.work / name / f"{part.name}{'-quick' if given.quick else ''}.parquet"
            if path.is_file():
                continue
            began = time.perf_counter()
            draws = 1 if given.quick else given.draws
            found = run_split(R, part, setting.sizes, setting.average, draws=draws, methods=methods)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as temporary:
                found.to_parquet(temporary, index=False)
            print(f"{part.name}: {time.perf_counter() - began:.0f} s", *_brief(found), sep="\n  ", flush=True)


def _brief(found: pd.DataFrame) -> list[str]:
    error = (found["score"] - found["truth"]).abs()
    table = (100 * error).groupby([found["method"], found["size"]], sort=False).mean().unstack().round(2)  # noqa: PD010
    return table.to_string().splitlines()


if __name__ == "__main__":
    main()
