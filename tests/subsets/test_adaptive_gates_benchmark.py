"""The committed pages of benchmarks/subsets are those that the committed tables give."""

from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "subsets" / "results"


def same(page, name):
    """Whether the page is the committed one but for the line that says where it was written."""
    there = (RESULTS / f"{name}.md").read_text(encoding="utf-8").splitlines()
    here = page.splitlines()
    assert len(here) == len(there)
    return [k for k, (a, b) in enumerate(zip(here, there, strict=True)) if a != b and "Written by" not in a]


@pytest.mark.skipif(not (RESULTS / "gates.parquet").is_file(), reason="not measured here")
def test_gates():
    from benchmarks.subsets.gates import page

    table, pairs = (pd.read_parquet(RESULTS / f"{name}.parquet") for name in ("gates", "gates_pairs"))
    repeats = int(table["gates"].max())
    assert same(page(table, pairs, 0.0, repeats), "gates") == []
    null = table[(table["drop"] == 0) & table["method"].str.startswith("gate")]
    share = null["alarms"].sum() / null["gates"].sum()
    assert share < 0.05 + 3 * (0.05 * 0.95 / null["gates"].sum()) ** 0.5  # the level, and three binomial sds


@pytest.mark.skipif(not (RESULTS / "adaptive.parquet").is_file(), reason="not measured here")
def test_adaptive():
    from benchmarks.subsets.adaptive import page

    table = pd.read_parquet(RESULTS / "adaptive.parquet")
    assert same(page(table, 0.0, Namespace(splits=0, models=0)), "adaptive") == []
