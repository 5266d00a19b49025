"""Runs and learning curves out of the models table."""

import numpy as np
import pandas as pd
import pytest

from irtbench.errors import InputError
from irtbench.responses.build import from_long
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.runs import curves, runs

RUNS = [("m", 0, 100, 2), ("m", 0, 20, 1), ("m", 0, 3, 0), ("m", 1, 3, 1), ("m", 1, 100, 3), ("n", 0, 100, 2)]


def trained():
    """Two seeds with three checkpoints each, and a model with one; benchmark y is one item of three."""
    rows = [
        (name, seed, step, item, "y" if item == "c" else "x", float(k < good))
        for name, seed, step, good in RUNS
        for k, item in enumerate("abc")
    ]
    return from_long(pd.DataFrame(rows, columns=["model", "seed", "step", "item", "benchmark", "response"]))


def test_runs_tell_name_seed_step_and_position():
    table = runs(trained())
    assert table["run"].tolist() == ["m@seed=0"] * 3 + ["m@seed=1"] * 2 + ["n@seed=0"]
    assert table["step"].tolist() == [100, 20, 3, 3, 100, 100]
    assert table["position"].tolist() == list(range(6))
    assert table.columns.tolist() == ["run", "name", "seed", "step", "position"]


def test_models_without_seeds_are_their_own_runs():
    table = runs(ResponseMatrix.of([[1], [0]], ["a", "b"]))
    assert table["run"].tolist() == ["a", "b"]
    assert table[["seed", "step"]].isna().all(axis=None)
    mixed = pd.DataFrame({"name": ["a", "a"], "seed": [1.0, np.nan]}, index=["a@seed=1", "a"])
    assert runs(ResponseMatrix.of([[1], [0]], mixed))["run"].tolist() == ["a@seed=1", "a"]


def test_curves_are_scores_by_run_and_step():
    table = curves(trained())
    assert table.columns.tolist() == [3, 20, 100]
    assert table.index.tolist() == ["m@seed=0", "m@seed=1", "n@seed=0"]
    nan = np.nan
    np.testing.assert_allclose(table, [[0, 1 / 3, 2 / 3], [1 / 3, nan, 1], [nan, nan, 2 / 3]])
    np.testing.assert_allclose(curves(trained(), "macro").loc["m@seed=0"], [0, 1 / 4, 1 / 2])


def test_curves_need_steps_that_tell_rows_apart():
    with pytest.raises(InputError, match="no column 'step'"):
        curves(ResponseMatrix.of([[1], [0]]))
    twice = pd.DataFrame({"name": ["a", "a"], "step": [5, 5]}, index=["x", "y"])
    with pytest.raises(InputError, match="run 'a' has step 5 more than once"):
        curves(ResponseMatrix.of([[1], [0]], twice))
