"""The response matrices of the tables, and how each is split and averaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import irtbench as ib
from irtbench.responses.matrix import Average
from irtbench.responses.splits import Split, split

__all__ = ["BOARDS", "Setting", "complete", "matrix", "read_board", "splits_of"]

COMPLETE = 0.98  # share of the items that a model must have answered


@dataclass(frozen=True)
class Setting:
    """One matrix in the tables.

    Attributes:
        read: reads it from the folder of the reference data; its models table may have ``family``, ``date``
            and ``arm``.
        kinds: of splits; ``seeds``: models of the arm ``population`` calibrate, those of other arms test.
        average: full score.
        sizes: numbers of items.
        test_size: share of the models that test in random and family splits: fewer on small boards.
        models: number of models drawn at random (seed 0) from those that are complete; None keeps all.
    """

    read: Callable[[Path], ib.ResponseMatrix]
    kinds: tuple[str, ...]
    average: Average = "micro"
    sizes: tuple[int, ...] = (10, 30, 100, 200)
    test_size: float = 0.25
    models: int | None = None
    note: str = ""


def read_board(data: Path, name: str, models: int | None = -1) -> ib.ResponseMatrix:
    """Read a matrix: complete models only, each set of weights once.

    Args:
        data: folder of the reference data.
        name: one of :data:`BOARDS`.
        models: number of models to draw; -1 for the board's own, None for all.
    """
    setting = BOARDS[name]
    R = complete(setting.read(data))
    wanted = setting.models if models == -1 else models
    if wanted is None or wanted >= R.n_models:
        return R
    return R.take(models=np.sort(np.random.default_rng(0).choice(R.n_models, wanted, replace=False)))


def complete(R: ib.ResponseMatrix) -> ib.ResponseMatrix:
    """The models that answered (nearly) everything, each set of equal responses once."""
    R = R.take(models=R.observed.mean(axis=1) >= COMPLETE)
    return R.take(models=~pd.DataFrame(R.values).duplicated().to_numpy())


def splits_of(R: ib.ResponseMatrix, name: str, kind: str, n: int) -> list[Split]:
    """Splits of a board's models; the same ``n`` gives the same ones.

    Where one recipe was trained several times, its runs are no models of a random split: they would stand on
    both sides.
    """
    setting = BOARDS[name]
    arms = R.models["arm"].to_numpy() if "arm" in R.models else np.full(R.n_models, "population")
    population = arms == "population"
    if kind != "seeds":
        own = R.take(models=population)
        return split(own, kind, n, test_size=setting.test_size, average=setting.average)  # type: ignore[arg-type]
    ids, found = np.array(R.model_ids, dtype=object), []
    for k in range(n):
        rng = np.random.default_rng([0, k])
        sides = (ids[population], ids[~population])
        kept = [tuple(np.sort(rng.choice(x, int(np.ceil(0.9 * len(x))), replace=False))) for x in sides]
        found.append(Split(f"seeds-{k:02d}", *kept))
    return found


def matrix(
    table: pd.DataFrame,
    *,
    value: str = "response",
    trials: bool = False,
    about: pd.DataFrame | None = None,
) -> ib.ResponseMatrix:
    """A matrix from a long table; several rows of one cell are its samples."""
    table = table.astype({k: str for k in ("model", "item", "benchmark") if k in table})
    grouped = table.groupby(["model", "item"])[value]
    wide = grouped.mean().unstack()  # noqa: PD010
    count = grouped.size().unstack().reindex_like(wide).fillna(0) if trials else None  # noqa: PD010
    first = table.drop_duplicates("item").set_index("item")
    items = pd.DataFrame({"benchmark": first["benchmark"].reindex(wide.columns)})
    models = pd.DataFrame(index=wide.index)
    if about is not None:
        models = models.join(about.set_axis(about.index.astype(str)))
    y = wide.to_numpy()
    whole = trials or set(np.unique(y[~np.isnan(y)])) <= {0.0, 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ib.DataWarning)
        return ib.ResponseMatrix.of(y, models, items, metric="acc" if whole else "prob", trials=count)


def _openllm_v2(data: Path) -> ib.ResponseMatrix:
    table = pd.read_parquet(data / "openllm_v2/responses.parquet")
    return matrix(table[table["benchmark"].isin(["ifeval", "musr", "math_hard"])])


def _metabench(data: Path) -> ib.ResponseMatrix:
    table = pd.read_parquet(data / "openllm_v1_metabench/responses.parquet")
    n = table["model"].value_counts()
    return matrix(table[table["model"].isin(n.index[n >= n.max()])])


def _cruxeval(data: Path) -> ib.ResponseMatrix:
    table = pd.read_parquet(data / "cruxeval_samples/responses.parquet")
    table = table[table["temperature"].astype(float).round(1) == 0.2]
    base = table.drop_duplicates("model").set_index("model")["base_model"].astype(str)
    return matrix(table, trials=True, about=pd.DataFrame({"family": base}))


def _swebench(data: Path) -> ib.ResponseMatrix:
    about = pd.read_csv(data / "swebench_agent/models.csv").set_index("model")[["date"]]
    return matrix(pd.read_parquet(data / "swebench_agent/responses.parquet"), about=about)


def _plain(folder: str, value: str = "response") -> Callable[[Path], ib.ResponseMatrix]:
    def read(data: Path) -> ib.ResponseMatrix:
        return matrix(pd.read_parquet(data / folder / "responses.parquet"), value=value)

    return read


def _seedlings(framing: str) -> Callable[[Path], ib.ResponseMatrix]:
    def read(data: Path) -> ib.ResponseMatrix:
        from irtbench.variance import one_run_each

        return one_run_each(ib.read(f"seedlings/{framing}_acc"))

    return read


SHIFTS = ("random", "weak-to-strong")
FAMILIES = ("random", "family", "weak-to-strong")
FEW = 0.2  # of some dozen models: most must calibrate

BOARDS = {
    "openllm_v2": Setting(
        _openllm_v2, FAMILIES, "macro", note="IFEval, MuSR and MATH-hard, counting the same, as in the trial"
    ),
    "openllm_v1_metabench": Setting(
        _metabench,
        FAMILIES,
        "macro",
        models=400,
        note="400 of the 2,001 models that answered everything; benchmarks count the same, as on that"
        " leaderboard: how many items of each metabench kept says nothing of its importance",
    ),
    "mmlu_pro": Setting(
        _plain("mmlu_pro"), SHIFTS, test_size=FEW, note="14 categories; a model that lacks 14 % is left out"
    ),
    "wmdp_bio_prob": Setting(
        _plain("wmdp_bio_prob"), FAMILIES, test_size=FEW, note="probability of the right option"
    ),
    "wmdp_bio_binary": Setting(
        _plain("wmdp_bio_prob", "correct"), FAMILIES, test_size=FEW, note="the same answers, right or wrong"
    ),
    "alpaca_eval2": Setting(
        _plain("alpaca_eval2"), SHIFTS, test_size=FEW, note="judge's preference, continuous"
    ),
    "cruxeval_samples": Setting(
        _cruxeval, FAMILIES, "macro", test_size=FEW, note="temperature 0.2, share of up to ten samples"
    ),
    "swebench_agent": Setting(
        _swebench,
        ("random", "date", "weak-to-strong"),
        test_size=FEW,
        note="24 models; repositories are the benchmarks",
    ),
    "seedlings_completion": Setting(
        _seedlings("completion"),
        ("random", "seeds", "weak-to-strong"),
        note="70 small models; in `seeds` they calibrate and 15 runs of one stronger recipe test",
    ),
    "seedlings_choice": Setting(
        _seedlings("choice"),
        ("random", "seeds", "weak-to-strong"),
        note="the same models, asked with lettered options",
    ),
}
