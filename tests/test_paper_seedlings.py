"""benchmarks/paper on the seedlings: the tables of the paper, and ours against direct computations."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.paper.madaan import TABLE_1, TABLE_2, TABLES_3_4
from benchmarks.paper.seedlings import agreement, main, shot_orders
from irtbench.responses import read


def test_the_tables_of_the_paper_agree_with_each_other():
    both = TABLE_2.index
    assert TABLE_2["mean"].equals(TABLE_1.loc[both, "mean"])  # both are of the last checkpoint
    assert (TABLE_2["mean"] / TABLE_2["snr"]).to_numpy() == pytest.approx(
        TABLE_2["std"].to_numpy(), abs=0.006
    )
    assert TABLES_3_4["E"].equals(TABLE_1.loc[TABLES_3_4.index, "E"])
    p = TABLE_1["mean"] / 100  # the interval over items is nearly that of a mean of 0s and 1s
    analytic = 196 * np.sqrt(p * (1 - p) / TABLE_1["size"])
    assert (TABLE_1["ci"] / analytic).between(0.75, 1.1).all()  # it is averaged over earlier checkpoints


def test_agreement_of_framings_by_hand():
    ends = {}
    for framing in ("completion", "choice"):
        R = read(f"seedlings/{framing}_acc")
        ends[framing] = R.take(models=(R.models["arm"] == "population").to_numpy())
    found = agreement(ends)
    sums = [ends[f].values[:, ends[f].benchmarks == "sums"].mean(axis=1) for f in ends]
    assert found.loc["sums", "pearson"] == pytest.approx(np.corrcoef(*sums)[0, 1], abs=1e-6)
    assert ((found["low"] < found["pearson"]) & (found["pearson"] < found["high"])).all()


def test_orders_of_the_examples_by_hand():
    found = (
        shot_orders("seedlings").set_index(["framing", "benchmark", "step"]).loc[("choice", "facts", 2800)]
    )
    R = read("seedlings/choice_acc_orders").take(benchmark="facts")
    table = R.models.assign(score=R.values.mean(axis=1)).query("step == 2800")
    within = table.groupby("seed")["score"].var(ddof=1).mean()
    assert found["sd_orders"] == pytest.approx(np.sqrt(within), rel=1e-5)
    between = table.groupby("seed")["score"].mean().var(ddof=1) - within / 6
    assert found["sd_seeds"] == pytest.approx(np.sqrt(max(between, 0)), rel=1e-5)


@pytest.mark.slow
def test_the_page_is_written_from_the_shipped_responses(tmp_path):
    main(["--out", str(tmp_path), *["--draws", "4", "--choices", "2", "--splits", "4", "--resamples", "100"]])
    text = (tmp_path / "README.md").read_text()
    for heading in (
        "What agrees",
        "Table 1",
        "Table 2",
        "Figure 2",
        "Figure 3",
        "Tables 3 and 4",
        "order of the data",
    ):
        assert heading in text
    assert "nan" not in text
    folder = tmp_path / "results" / "seedlings"
    assert {p.suffix for p in folder.iterdir()} == {".parquet", ".svg"}
    noise = pd.read_parquet(folder / "noise.parquet").set_index(["framing", "metric", "benchmark"])
    R = read("seedlings/choice_acc").take(benchmark="older")
    seeds = R.models.assign(score=R.values.mean(axis=1)).query("arm == 'seeds'")
    E = seeds.groupby("step")["score"].std(ddof=1).mean()
    assert noise.loc[("choice", "acc", "older"), "E"] == pytest.approx(E, rel=1e-5)
    subsets = pd.read_parquet(folder / "subsets.parquet").set_index(["benchmark", "method"])
    parts = subsets.loc[("facts", "IRT"), ["size", "estimator", "selection"]].sum()
    assert subsets.loc[("facts", "IRT"), "total"] == pytest.approx(parts, rel=1e-6)
