"""Pages and plots from what ``run.py``, ``curve.py`` and ``noise.py`` have finished.

    python benchmarks/subsets/tables.py [--work benchmarks/subsets/.splits] [--out benchmarks/subsets/results]
    python benchmarks/subsets/tables.py --work none      # pages again from the committed Parquet files

Writes ``<board>.parquet`` (errors by split), ``random.parquet`` (of each random draw), ``selections.parquet``,
``curve-<board>.parquet`` and ``noise.parquet``, then all pages and plots from these files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from benchmarks.subsets import pages, plots
from benchmarks.subsets.boards import BOARDS
from benchmarks.subsets.curve import WHERE
from benchmarks.subsets.protocol import ALL, CONTROL, DEFAULT
from benchmarks.subsets.summary import by_draw, by_split
from benchmarks.subsets.which import which_page
from irtbench.files import atomic_file

__all__ = ["collect", "main", "write"]

SHOWN = (
    DEFAULT,
    CONTROL,
    "stratified + gp-irt",
    "stratified + difference",
    "lasso + ridge",
    "IRT anchors + gp-IRT",
)
WITH_INTERVALS = (DEFAULT, CONTROL, "stratified + gp-irt", "stratified + difference")


def collect(work: Path, out: Path) -> None:
    """Sum up the finished splits into the Parquet files that are committed."""
    bands, selections = [], []
    for name in BOARDS:
        parts = sorted((work / name).glob("*.parquet"))
        rows = {p: by_split(pd.read_parquet(p)) for p in parts}
        main_ = [r for p, r in rows.items() if not p.stem.endswith("-selections")]
        selections += [r.assign(board=name) for p, r in rows.items() if p.stem.endswith("-selections")]
        if main_:
            _keep(_in_order(pd.concat(main_), name), out / f"{name}.parquet")
            draws = [by_draw(pd.read_parquet(p)) for p in parts if not p.stem.endswith("-selections")]
            bands.append(pd.concat(draws, ignore_index=True).assign(board=name))
    for name in WHERE:
        parts = sorted((work / f"curve-{name}").glob("*.parquet"))
        if parts:
            rows_ = pd.concat([by_split(pd.read_parquet(p)) for p in parts], ignore_index=True)
            _keep(rows_, out / f"curve-{name}.parquet")
    noise = [pd.read_parquet(p) for p in sorted((work / "noise").glob("*.parquet"))]
    for name, found in (("random", bands), ("selections", selections), ("noise", noise)):
        if found:
            _keep(pd.concat(found, ignore_index=True), out / f"{name}.parquet")


def write(out: Path) -> None:
    """Write pages and plots of the Parquet files that are there."""
    boards = {name: t for name in BOARDS if (t := _read(out, name)) is not None}
    curves = {name: t for name in WHERE if (t := _read(out, f"curve-{name}")) is not None}
    full = {name: rows[rows["benchmark"] == ALL] for name, rows in boards.items()}
    band, selections, noise = (_read(out, name) for name in ("random", "selections", "noise"))
    found: dict[str, str] = {}
    if "openllm_v2" in boards and band is not None:
        own = pd.DataFrame() if selections is None else selections[selections["board"] == "openllm_v2"]
        found["methods"] = pages.methods_page(boards["openllm_v2"], own)
        plots.size_error(
            "openllm_v2", full["openllm_v2"], band[band["board"] == "openllm_v2"], out / "openllm_v2.svg"
        )
    others = {name: rows for name, rows in boards.items() if name != "openllm_v2"}
    if others and band is not None:
        found["boards"] = pages.boards_page(others)
        plots.overview({n: full[n] for n in others}, band, SHOWN, out / "boards.svg")
        plots.coverage(full, WITH_INTERVALS, out / "coverage.svg")
    if curves:
        found["curve"] = pages.curve_page(curves)
        plots.learning(curves, out / "curve.svg")
    if noise is not None:
        found["noise"] = pages.noise_page(noise)
    if "openllm_v2" in boards:
        found["which_method"] = which_page(boards, curves, noise)
    for name, text in found.items():
        (out / f"{name}.md").write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def _in_order(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Kinds of splits as the board names them."""
    place = {kind: k for k, kind in enumerate(BOARDS[name].kinds)}
    return rows.sort_values("kind", key=lambda kinds: kinds.map(place), kind="stable", ignore_index=True)


def _keep(table: pd.DataFrame, path: Path) -> None:
    with atomic_file(path) as temporary:
        table.round(5).to_parquet(temporary, index=False)


def _read(out: Path, name: str) -> pd.DataFrame | None:
    path = out / f"{name}.parquet"
    return pd.read_parquet(path) if path.is_file() else None


def main() -> None:
    """Sum up, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("benchmarks/subsets/.splits"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/subsets/results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.work.is_dir():
        collect(given.work, given.out)
    write(given.out)


if __name__ == "__main__":
    main()
