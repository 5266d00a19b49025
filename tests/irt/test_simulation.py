"""The simulator does what it says."""

import numpy as np
import pytest

import irtbench as ib


def test_responses_follow_their_probabilities():
    s = ib.simulate(300, 300, irt="3pl", seed=0)
    z = (s.responses.values - s.probability) / np.sqrt(s.probability * (1 - s.probability))
    assert abs(z.mean()) < 5 / 300  # five standard errors of the mean of 90,000
    assert abs((z**2).mean() - 1) < 0.1


def test_samples_and_missing_cells():
    s = ib.simulate(50, 100, samples=5, missing=0.3, seed=0)
    assert s.responses.kind == "binomial"
    assert abs(s.responses.observed.mean() - 0.7) < 0.03  # 5,000 cells: sd .0065
    assert set(np.unique(s.responses.trials)) == {0, 5}


def test_abilities_are_standard_normal_and_newer_models_abler():
    s = ib.simulate(4000, 4, seed=0)
    theta = s.abilities["ability"]
    assert abs(theta.mean()) < 0.15  # organisations share .4 of the variance: 667 of them
    assert abs(theta.std() - 1) < 0.06
    newer = s.responses.models["date"].rank()
    assert np.corrcoef(newer, theta)[0, 1] > 0.5


def test_benchmarks_differ_only_where_asked():
    same, apart = (
        ib.simulate(200, 30, n_benchmarks=3, seed=0),
        ib.simulate(200, 30, n_benchmarks=3, benchmark_sd=0.5, seed=0),
    )
    assert (same.abilities["benchmark-1"] == same.abilities["ability"]).all()
    assert abs((apart.abilities["benchmark-2"] - apart.abilities["ability"]).std() - 0.5) < 0.1


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_models": 0},
        {"n_items": 2, "n_benchmarks": 3},
        {"irt": "5pl"},
        {"precision": 0.0},
        {"negative": 1.5},
        {"missing": 1.0},
        {"samples": 0},
        {"benchmark_sd": -1},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(ib.InputError):
        ib.simulate(**arguments)
