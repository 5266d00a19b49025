"""The banks that ship: complete, without responses, and as good as their cards say."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import irtbench as ib
from irtbench.subsets.banks import bank_folders, list_banks, load_bank, load_plan, load_subset
from tests.shared import SHARED, needs_shared

BANKS = ("arc_challenge", "cruxeval", "mmlu_pro", "openllm_v2")


def test_all_are_listed_with_their_licence_and_error():
    table = list_banks().set_index("name")
    assert set(BANKS) <= set(table.index)
    assert set(table.loc[list(BANKS), "licence"]) == {"MIT", "Apache-2.0"}
    assert (table.loc[list(BANKS), "error"] < 0.05).all()  # a random 100 items err by 0.03 to 0.04


@pytest.mark.parametrize("name", BANKS)
def test_a_bank_brings_its_subsets_its_errors_and_an_adaptive_test(name):
    bank, folder = load_bank(name), bank_folders()[name]
    card = json.loads((folder / "card.json").read_text())
    assert card["subsets"] == [30, 100, 200]
    assert {"random", "weak-to-strong"} <= {row["split"] for row in card["errors"]}
    for row in card["errors"]:
        assert row["mae_lower"] < row["mae"] < row["mae_upper"]
    for size in card["subsets"]:
        subset = load_subset(name, size)
        assert len(subset.items) == size
        assert set(subset.items) <= set(bank.items.index)
        assert subset.benchmark["full_weight"].sum() == pytest.approx(1)
    assert load_plan(folder).bank.fingerprint == bank.fingerprint


@pytest.mark.parametrize("name", BANKS)
def test_it_holds_no_responses(name):
    card = json.loads((bank_folders()[name] / "card.json").read_text())
    for path in bank_folders()[name].rglob("*"):
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            assert not {"model", "response", "correct"} & set(table.columns)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                by_model = [a for a in arrays.values() if a.ndim == 2 and a.shape[0] == card["models"]]
            # what the IRT model expects of the calibration models, none of it an answer
            assert all(((a > 0) & (a < 1)).all() for a in by_model)


@pytest.mark.parametrize("name", BANKS)
def test_a_model_that_gets_all_right_is_better_than_one_that_gets_none(name):
    subset = load_subset(name, 30)
    values = np.array([np.zeros(30), np.ones(30)])
    new = ib.ResponseMatrix.of(
        values,
        ["none", "all"],
        subset.benchmark.loc[list(subset.items)][["benchmark"]],
        metric=subset.info["metric"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ib.estimate(subset, new)
    assert found.loc["none", "score"] + 0.2 < found.loc["all", "score"]
    assert (found["lower"] < found["upper"]).all()


@needs_shared
def test_the_subset_of_100_gives_back_the_scores_of_the_models_that_calibrated():
    table = pd.read_parquet(SHARED / "data/openllm_v2/responses.parquet")
    subset = load_subset("openllm_v2", 100)
    table = table[table["benchmark"].isin(["ifeval", "musr", "math_hard"])]
    wide = table.pivot_table(index="model", columns="item", values="response", observed=True).dropna()
    wide.columns = wide.columns.astype(str)
    items = subset.benchmark.loc[list(wide.columns)][["benchmark"]]
    R = ib.ResponseMatrix.of(wide.to_numpy(), [str(m) for m in wide.index], items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ib.estimate(subset, R.take(items=subset.items))
    error = (found["score"] - R.scores("macro")).abs().mean()
    assert error < 0.0125  # 1.2 points on models that were held out, less on those that calibrated
