"""What check finds and what it leaves alone; describe against counting by hand."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from irtbench.errors import DataWarning, InputError
from irtbench.responses.checks import DOUBTS, check, describe
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.reading import read

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def sound():
    """Forty models that answer twenty items unlike each other."""
    return np.random.default_rng(1).integers(0, 2, (40, 20)).astype(float)


def findings(values, **options):
    table = check(ResponseMatrix.of(values), **options)
    return {
        row.finding: (row.count, row.examples)
        for row in table.set_index("finding", drop=False).itertuples(index=False, name="Row")
    }


def test_a_sound_matrix_has_no_findings():
    table = check(ResponseMatrix.of(sound()))
    assert len(table) == 0
    assert list(table.columns) == ["finding", "count", "examples", "advice"]


def test_constant_items():
    values = sound()
    values[:, 3] = 1
    values[:, 7] = 0
    values[1:, 7] = np.nan  # one response is not constant, only rare
    found = findings(values, min_responses=1)
    assert found["constant items"] == (1, "item-03")


def test_models_and_items_with_few_responses():
    values = sound()
    values[4, 5:] = np.nan
    values[9:, 2] = np.nan
    found = findings(values, min_responses=10)
    assert found["models with few responses"] == (1, "model-04")
    assert found["items with few responses"] == (1, "item-02")
    assert found["models with missing items"][0] == 32  # all without item-02, model-04 among them or not
    assert "model-04 with 25.0 %" in found["models with missing items"][1]
    assert "models with few responses" not in findings(values, min_responses=5)


def test_few_responses_are_measured_by_what_is_possible():
    found = findings(sound()[:, :6])
    assert "models with few responses" not in found


def test_identical_models_are_named_in_pairs():
    values = sound()
    values[3, 1] = np.nan
    values[5], values[8], values[9] = values[3], values[3], values[2]
    found = findings(values)
    wanted = "model-03 = model-05, model-03 = model-08, model-02 = model-09"
    assert found["identical models"] == (3, wanted)


def test_few_models_counts_models_not_runs():
    assert findings(sound()[:29])["few models"][0] == 29
    assert "few models" not in findings(sound()[:30])
    names = pd.DataFrame({"name": [f"m{k % 5}" for k in range(40)]}, index=[f"r{k}" for k in range(40)])
    table = check(ResponseMatrix.of(sound(), names)).set_index("finding")
    assert table.loc["few models", "count"] == 5


def test_continuous_responses_are_told_but_no_doubt():
    values = sound()
    values[0, :10] = 0.5
    found = findings(values)
    assert found == {"continuous responses": (10, "1.2 % of the responses")}
    assert "continuous responses" not in DOUBTS
    R = ResponseMatrix.of(values, trials=np.full(values.shape, 2))
    assert len(check(R)) == 0  # shares of counted samples


def test_min_responses_is_checked():
    with pytest.raises(InputError, match="min_responses must be at least 1"):
        check(ResponseMatrix.of(sound()), min_responses=0)


def test_describe_counts_each_benchmark():
    values = [[1, 0, 1, np.nan], [1, 1, np.nan, np.nan], [1, 0, 0, np.nan]]
    R = ResponseMatrix.of(values, benchmark=["x", "x", "y", "y"])
    table = describe(R)
    assert table.loc["x"].to_dict() == {
        "models": 3,
        "items": 2,
        "responses": 6,
        "observed": 1.0,
        "mean": pytest.approx(4 / 6),
        "model_min": 0.5,
        "model_median": 0.5,
        "model_max": 1.0,
        "constant_items": 1,
    }
    assert table.loc["y", ["models", "items", "responses"]].tolist() == [2, 2, 2]
    assert table.loc["y", ["observed", "mean", "constant_items"]].tolist() == [0.5, 0.5, 0]


def test_describe_gives_the_published_table_of_openllm_v2():
    if not DATA.is_dir():
        pytest.skip(f"no data in {DATA}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        R = read(DATA / "openllm_v2" / "responses.parquet")
    table = describe(R)
    assert table.loc["musr", ["models", "items", "responses", "constant_items"]].tolist() == [
        429,
        756,
        324324,
        10,
    ]
    wanted = [0.0504, 0.0, 0.0213, 0.3557]
    assert (
        table.loc["math_hard", ["mean", "model_min", "model_median", "model_max"]].round(4).tolist() == wanted
    )
    identical = check(R).set_index("finding").loc["identical models"]
    assert identical["count"] == 2
    assert "mistral-community/Mistral-7B-v0.2 = mistralai/Mistral-7B-v0.3" in identical["examples"]
