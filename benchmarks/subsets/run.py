"""Subset methods on response matrices: one Parquet file of every split's errors, resumable.

    python benchmarks/subsets/run.py [--splits 24] [--board openllm_v2 ...] [--kind random ...] [--quick]
    python benchmarks/subsets/run.py --selections --splits 8       # every selection with the default estimator

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

from benchmarks.subsets.boards import BOARDS, read_board, splits_of  # noqa: E402
from benchmarks.subsets.protocol import ALL, OURS, SELECTIONS, THEIRS, run_split  # noqa: E402
from irtbench.files import atomic_file  # noqa: E402

__all__ = ["main"]

SPLITS = 24
# splits of a fixed order keep 90 % of both sides: of some dozen models there are hardly more than these
ORDERED, ENOUGH, SMALL = ("weak-to-strong", "date", "seeds"), 8, 100


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", nargs="*", default=list(BOARDS), choices=list(BOARDS))
    parser.add_argument("--kind", nargs="*", help="kinds of splits; all of the board's by default")
    parser.add_argument("--method", nargs="*", choices=[*OURS, *THEIRS, *SELECTIONS])
    parser.add_argument("--selections", action="store_true", help="only these, 30 and 100 items")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--draws", type=int, default=4, help="random subsets a size")
    parser.add_argument("--quick", action="store_true", help="two splits, one draw, another folder")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/subsets/.splits"))
    given = parser.parse_args()
    methods = None if given.method is None else tuple(given.method)
    if given.selections:
        methods = tuple(SELECTIONS)
    work = given.work / "quick" if given.quick else given.work
    draws, n_splits = (1, 2) if given.quick else (given.draws, given.splits)
    for name in given.board:
        R, setting = read_board(given.data, name), BOARDS[name]
        print(name, R, flush=True)
        # as many splits whatever is run, so that number k is always the same one
        kinds = {k: splits_of(R, name, k, max(n_splits, SPLITS)) for k in given.kind or setting.kinds}
        sizes = tuple(s for s in setting.sizes if s in (30, 100)) if given.selections else setting.sizes
        # kind after kind within each number, so that a run that was stopped has as many of each
        last = {k: ENOUGH if k in ORDERED and R.n_models < SMALL else n_splits for k in kinds}
        for part in (kinds[k][n] for n in range(n_splits) for k in kinds if n < last[k]):
            path = work / name / f"{part.name}{'-selections' if given.selections else ''}.parquet"
            if path.is_file():
                continue
            began = time.process_time()
            found = run_split(
                R,
                part,
                sizes,
                setting.average,
                draws=draws,
                methods=methods,
                by_benchmark=not given.selections,
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as temporary:
                found.to_parquet(temporary, index=False)
            print(
                f"{part.name}: {time.process_time() - began:.0f} CPU s",
                *_brief(found),
                sep="\n  ",
                flush=True,
            )


def _brief(found: pd.DataFrame) -> list[str]:
    found = found[found["benchmark"] == ALL]
    error = (found["score"] - found["truth"]).abs()
    table = (100 * error).groupby([found["method"], found["size"]], sort=False).mean().unstack().round(2)  # noqa: PD010
    return table.to_string().splitlines()


if __name__ == "__main__":
    main()
