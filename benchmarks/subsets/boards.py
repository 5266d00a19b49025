"""The response matrices of the tables, and how each is split and averaged."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import irtbench as ib
from irtbench.responses.matrix import Average
from irtbench.responses.splits import SplitKind

__all__ = ["BOARDS", "Setting", "read_board"]


@dataclass(frozen=True)
class Setting:
    """One matrix in the tables.

    Attributes:
        folder: of the reference data.
        kinds: of splits.
        average: full score.
        benchmarks: that are kept; None for all.
        sizes: numbers of items.
    """

    folder: str
    kinds: tuple[SplitKind, ...]
    average: Average = "micro"
    benchmarks: tuple[str, ...] | None = None
    sizes: tuple[int, ...] = (10, 30, 100, 200)


BOARDS = {
    "openllm_v2": Setting(
        "openllm_v2", ("random", "family", "weak-to-strong"), "macro", ("ifeval", "musr", "math_hard")
    ),
    "mmlu_pro": Setting("mmlu_pro", ("random", "weak-to-strong")),
    "wmdp_bio_prob": Setting("wmdp_bio_prob", ("random", "weak-to-strong")),
    "wmdp_bio_binary": Setting("wmdp_bio_prob", ("random", "weak-to-strong")),
    "alpaca_eval2": Setting("alpaca_eval2", ("random", "weak-to-strong")),
    "cruxeval_samples": Setting("cruxeval_samples", ("random", "weak-to-strong"), "macro"),
    "swebench_agent": Setting("swebench_agent", ("random", "weak-to-strong")),
}


def read_board(data: Path, name: str) -> ib.ResponseMatrix:
    """Read a matrix: complete models only, each set of weights once."""
    setting = BOARDS[name]
    table = pd.read_parquet(data / setting.folder / "responses.parquet")
    R = _matrix(name, table)
    if setting.benchmarks is not None:
        R = R.take(benchmark=list(setting.benchmarks))
    R = R.take(models=R.observed.mean(axis=1) >= 0.98)
    return R.take(models=~pd.DataFrame(R.values).duplicated().to_numpy())


def _matrix(name: str, table: pd.DataFrame) -> ib.ResponseMatrix:
    for column in ("model", "item", "benchmark"):
        if column in table:
            table[column] = table[column].astype(str)
    if name == "cruxeval_samples":
        table = table[table["temperature"].astype(float).round(1) == 0.2]
        table = table.groupby(["model", "benchmark", "item"], as_index=False)["response"].mean()
    column = "correct" if name == "wmdp_bio_binary" else "response"
    wide = table.pivot_table(index="model", columns="item", values=column, observed=True)
    items = pd.DataFrame(index=pd.Index(wide.columns.astype(str), name="item"))
    first = table.drop_duplicates("item").set_index("item")
    if "benchmark" in first:
        items["benchmark"] = first["benchmark"].reindex(items.index).to_numpy()
    metric = "acc" if set(np.unique(wide.to_numpy()[~np.isnan(wide.to_numpy())])) <= {0.0, 1.0} else "prob"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ib.DataWarning)
        return ib.ResponseMatrix.of(wide.to_numpy(), list(wide.index.astype(str)), items, metric=metric)
