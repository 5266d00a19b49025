"""Splits: disjoint, whole groups, repeatable, near the size asked for, in order where order counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.errors import InputError
from irtbench.responses.matrix import Metric, ResponseMatrix
from irtbench.responses.splits import Split, split

KINDS = ["random", "family", "date", "weak-to-strong"]


@st.composite
def matrices(draw):
    """Runs of models of families with dates; several runs share a name, several names a family."""
    names = draw(
        st.lists(st.integers(0, 9), min_size=4, max_size=25).filter(lambda v: len({k % 4 for k in v}) > 1)
    )
    table = pd.DataFrame(
        {
            "name": [f"m{k}" for k in names],
            "family": [f"f{k % 4}" for k in names],
            "date": [f"2024-{draw(st.integers(1, 12)):02d}-01" for _ in names],
        },
        index=[f"r{k}" for k in range(len(names))],
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return ResponseMatrix.of(rng.integers(0, 2, (len(names), 7)), table)


@given(matrices(), st.sampled_from(KINDS), st.integers(1, 4), st.floats(0.05, 0.95), st.integers(0, 5))
@settings(deadline=None, max_examples=150)
def test_sides_are_disjoint_filled_whole_and_repeatable(R, kind, n_splits, test_size, seed):
    splits = split(R, kind, n_splits, test_size, seed)
    assert len(splits) == n_splits
    assert len({s.name for s in splits}) == n_splits
    column = "family" if kind == "family" else "name"
    for s in splits:
        assert s.calibration
        assert s.test
        assert not set(s.calibration) & set(s.test)
        assert set(s.calibration) | set(s.test) <= set(R.model_ids)
        sides = [set(R.models.loc[list(side), column]) for side in (s.calibration, s.test)]
        assert not sides[0] & sides[1]
        for side, ids in zip(sides, (s.calibration, s.test), strict=True):
            assert set(R.models.index[R.models[column].isin(side)]) == set(ids)
        if kind in ("random", "family"):
            assert len(s.calibration) + len(s.test) == R.n_models
    assert splits == split(R, kind, n_splits, test_size, seed)


def models(n=100, **columns):
    values = (np.arange(n)[:, None] > np.arange(n)[None, :]).astype(float)  # model k has score k / n
    ids = [f"org{k % 7}/m{k:03d}" for k in range(n)]
    return ResponseMatrix.of(values, pd.DataFrame(columns, index=ids))


def positions(R, ids):
    return [R.model_ids.index(model) for model in ids]


def test_random_splits_have_the_size_asked_for_and_differ():
    R = models()
    splits = split(R, n_splits=8, test_size=0.2)
    assert {len(s.test) for s in splits} == {20}
    assert len({s.test for s in splits}) == 8
    assert split(R, n_splits=8, test_size=0.2, seed=1) != splits
    often = np.bincount(np.concatenate([positions(R, s.test) for s in split(R, n_splits=200)]), minlength=100)
    assert often.min() > 20  # 50 expected, standard deviation 6.1
    assert often.max() < 80


def test_more_splits_begin_with_the_same_ones():
    assert split(models(), n_splits=5)[:2] == split(models(), n_splits=2)


def test_families_are_columns_or_organisations():
    R = models()
    for s in split(R, "family", n_splits=4):
        assert not {m.split("/")[0] for m in s.test} & {m.split("/")[0] for m in s.calibration}
    family = ["even" if k % 2 == 0 else "odd" for k in range(100)]
    sides = {frozenset(k % 2 for k in positions(R, s.test)) for s in split(models(family=family), "family")}
    assert sides == {frozenset({0}), frozenset({1})}
    with_gap = [None, None, "f", "f", "f"] + ["g"] * 95
    tested = [set(s.test) for s in split(models(family=with_gap), "family", test_size=0.01)]
    assert any("org0/m000" in t and "org1/m001" not in t for t in tested)  # no family: one of its own


def test_a_giant_family_does_not_swell_the_test_side():
    family = ["giant"] * 60 + [f"f{k // 4}" for k in range(40)]
    assert all(21 <= len(s.test) <= 29 for s in split(models(family=family), "family", test_size=0.25))


def test_family_needs_families():
    R = ResponseMatrix.of(np.eye(5))
    with pytest.raises(InputError, match="no column 'family', and no model id names an organisation"):
        split(R, "family")
    with pytest.raises(InputError, match="needs at least 2 families, there is only 'x'"):
        split(models(family=["x"] * 100), "family")


def test_date_splits_test_the_newest():
    order = np.random.default_rng(0).permutation(100)
    R = models(date=[f"20{10 + k // 12:02d}-{k % 12 + 1:02d}-15" for k in order])
    (only,) = split(R, "date", n_splits=1)
    newest = {R.model_ids[k] for k in np.flatnonzero(order >= 75)}
    assert set(only.test) == newest
    assert len(only.calibration) == 75
    for s in split(R, "date", n_splits=3):
        assert (len(s.calibration), len(s.test)) == (68, 23)
        assert set(s.test) < newest
        assert not set(s.calibration) & newest


def test_dates_come_as_text_or_timestamps_and_are_checked():
    stamps = pd.date_range("2020-01-01", periods=100)
    texts = [str(stamp.date()) for stamp in stamps]
    assert split(models(date=stamps), "date") == split(models(date=texts), "date")
    with pytest.raises(InputError, match="no column 'date'"):
        split(models(), "date")
    with pytest.raises(InputError, match=r"model 'org1/m001' has no date .*got 'soon'"):
        split(models(date=[texts[0], "soon", *texts[2:]]), "date")
    with pytest.raises(InputError, match="model 'org2/m002' has no date"):
        split(models(date=[*texts[:2], None, *texts[3:]]), "date")


def test_weak_to_strong_tests_the_strongest():
    R = models()
    (only,) = split(R, "weak-to-strong", n_splits=1)
    assert positions(R, only.calibration) == list(range(50))
    assert positions(R, only.test) == list(range(70, 100))
    for s in split(R, "weak-to-strong", n_splits=3):
        assert (len(s.calibration), len(s.test)) == (45, 27)
        assert max(positions(R, s.calibration)) < 50
        assert min(positions(R, s.test)) >= 70


def test_weak_to_strong_knows_the_direction_and_the_average():
    loss = models()
    loss = ResponseMatrix.of(loss.values, loss.models, metric=Metric("error", higher_is_better=False))
    (only,) = split(loss, "weak-to-strong", n_splits=1)
    assert sorted(positions(loss, only.test)) == list(range(30))
    values = np.zeros((4, 10))
    values[:2, :9], values[2:, 9] = 1, 1  # two are good at the nine items of x, two at the one of y
    values[0, 9] = 1
    R = ResponseMatrix.of(values, benchmark=["x"] * 9 + ["y"])
    assert split(R, "weak-to-strong", 1)[0].calibration == ("model-2", "model-3")
    values[2:, :2] = 1
    R = ResponseMatrix.of(values, benchmark=["x"] * 9 + ["y"])
    assert "model-1" in split(R, "weak-to-strong", 1, average="macro")[0].calibration


def test_a_model_without_responses_has_no_rank():
    values = np.ones((5, 2))
    values[3] = np.nan
    with pytest.raises(InputError, match="'model-3' has no responses"):
        split(ResponseMatrix.of(values), "weak-to-strong")


def test_arguments_are_checked():
    R = models()
    with pytest.raises(InputError, match="kind must be one of random, family, date, weak-to-strong, got 'x'"):
        split(R, "x")
    for size in (0, 1, -0.1):
        with pytest.raises(InputError, match="test_size must lie between 0 and 1"):
            split(R, test_size=size)
    with pytest.raises(InputError, match="n_splits"):
        split(R, n_splits=0)
    with pytest.raises(InputError, match="at least 4 models, there are 3"):
        split(R.take([0, 1, 2]))
    runs = pd.DataFrame({"name": ["m"] * 5}, index=list("abcde"))
    with pytest.raises(InputError, match=r"at least 2 models \(runs of one model stay"):
        split(ResponseMatrix.of(np.eye(5), runs))


def test_a_split_tells_its_sizes():
    assert repr(Split("random-00", ("a", "b"), ("c",))) == "Split random-00: 2 calibration, 1 test models"
