"""The experiment: its table, its control, its splits, resuming."""

import os

import numpy as np
import pandas as pd
import pytest

import irtbench as ib
from irtbench.compare.experiment import COLUMNS
from irtbench.compare.methods import CONTROL, METHODS, parse_methods

METHODS_TRIED = ["stratified + weighted", "anchor-irt + gp-irt"]


@pytest.fixture(scope="module")
def board():
    return ib.simulate(n_models=48, n_items=120, n_benchmarks=2, seed=0).responses


@pytest.fixture(scope="module")
def found(board):
    return ib.compare(board, sizes=[8, 30], methods=METHODS_TRIED, n_splits=3, n_jobs=1, seed=1)


def test_every_method_meets_the_same_models(found):
    assert list(found.columns) == COLUMNS
    assert set(found["method"]) == {CONTROL, *METHODS_TRIED}
    counts = found.groupby(["method", "size", "seed", "split"]).size()
    assert (counts == 12).all()
    assert len(counts) == 3 * 2 * 2 * 3
    assert found[["score", "lower", "upper", "truth"]].notna().all(axis=None)
    assert ((found["lower"] <= found["score"]) & (found["score"] <= found["upper"])).all()


def test_truth_is_the_full_score(board, found):
    expected = board.scores().loc[found["model"]].to_numpy()
    np.testing.assert_allclose(found["truth"], expected)


def test_test_models_did_not_calibrate(board, found):
    assert (found["n_calibration"] == 36).all()
    by_split = found.groupby("split")["model"].unique()
    for name, part in zip(by_split.index, ib.split(board, "random", 3, seed=1), strict=True):
        assert name == part.name
        assert set(by_split[name]) == set(part.test)


def test_all_items_leave_no_error(board):
    everything = ib.compare(board, sizes=[120], n_splits=1, n_jobs=1)
    assert set(everything["method"]) == set(METHODS)
    np.testing.assert_allclose(everything["score"], everything["truth"], atol=1e-6)


def test_processes_change_nothing(board, found):
    again = ib.compare(board, sizes=[8, 30], methods=METHODS_TRIED, n_splits=3, n_jobs=2, seed=1)
    pd.testing.assert_frame_equal(again, found)


def test_resumes_from_finished_splits(board, found, tmp_path, monkeypatch):
    arguments = {
        "sizes": [8, 30],
        "methods": METHODS_TRIED,
        "n_splits": 3,
        "n_jobs": 1,
        "seed": 1,
        "folder": tmp_path,
    }
    ib.compare(board, **arguments)
    files = sorted(tmp_path.glob("*.parquet"))
    assert len(files) == 3
    files[1].unlink()
    ran = []
    from irtbench.compare import experiment

    real = experiment.run_split
    monkeypatch.setattr(experiment, "run_split", lambda *a: ran.append(a[3].name) or real(*a))
    pd.testing.assert_frame_equal(ib.compare(board, **arguments), found)
    assert ran == ["random-01"]
    # another question never takes these answers
    ran.clear()
    ib.compare(board, **{**arguments, "sizes": [8], "n_splits": 1})
    assert ran == ["random-00"]


def test_callable_whatever_was_imported_first(board):
    import irtbench.compare.experiment  # noqa: F401 - binds the package over the function's name

    assert callable(ib.compare)
    assert len(ib.compare(board, sizes=[5], methods=[], n_splits=1, n_jobs=1)) == 24


def test_control_is_always_there():
    assert [m.name for m in parse_methods([])] == [CONTROL]
    assert [m.name for m in parse_methods(["anchor-irt+p-irt", CONTROL])] == [CONTROL, "anchor-irt + p-irt"]


@pytest.mark.parametrize("name", ["magic + mean", "random + magic", "+", "random mean"])
def test_unknown_methods_are_refused(name):
    with pytest.raises(ib.InputError, match="unknown method"):
        parse_methods([name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": []}, "no sizes"),
        ({"sizes": [0]}, "out of range"),
        ({"sizes": [121]}, "has 120 items"),
        ({"level": 1.0}, "level"),
        ({"n_seeds": 0}, "n_seeds"),
        ({"split": "sideways"}, "kind"),
        ({"average": "median"}, "average"),
    ],
)
def test_bad_arguments(board, arguments, message):
    with pytest.raises(ib.InputError, match=message):
        ib.compare(board, **{"methods": [], "n_splits": 1, "n_jobs": 1, **arguments})


def test_few_models_are_warned_of():
    R = ib.simulate(n_models=20, n_items=40, seed=0).responses
    with pytest.warns(ib.DataWarning, match="only 20 models"):
        ib.compare(R, sizes=[5], methods=[], n_splits=1, n_jobs=1)


def test_incomplete_models_only_calibrate(board):
    values = board.values.copy()
    values[3, :40] = np.nan
    holes = ib.ResponseMatrix.of(values, board.models, board.items)
    with pytest.warns(ib.DataWarning, match="only calibrate"):
        table = ib.compare(holes, sizes=[5], methods=["stratified + weighted"], n_splits=8, n_jobs=1)
    assert board.model_ids[3] not in set(table["model"])


@pytest.mark.slow
def test_random_control_and_stratified_are_unbiased_and_cover(board):
    R = ib.simulate(n_models=200, n_items=600, n_benchmarks=3, benchmark_sd=0.4, seed=2).responses
    summary = ib.summarize(ib.compare(R, sizes=[30, 100], n_splits=12, n_jobs=os.cpu_count(), seed=3))
    by = summary.set_index(["method", "size"])
    design = by.loc[[CONTROL, "stratified + weighted"]]
    # 24 subsets a size: the mean of 24 sampling errors of 9 points (30 items) has sd 1.8 at the most
    assert design["bias"].abs().max() < 0.055
    assert design["coverage"].between(0.84, 0.96).all()
    # calibrated intervals of all methods: 90 % nominal, 50 models a split share their subset's error
    assert by["coverage"].between(0.80, 0.97).all()
    assert (by.xs(100, level="size")["mae"] < by.xs(30, level="size")["mae"].max()).all()


def test_irt_beats_the_control_where_it_is_true():
    R = ib.simulate(n_models=120, n_items=400, seed=5).responses
    found = ib.compare(R, sizes=[20], methods=["random + p-irt"], n_splits=6, n_jobs=2, seed=0)
    row = ib.summarize(found).set_index("method").loc["random + p-irt"]
    assert row["mae_diff_upper"] < 0
