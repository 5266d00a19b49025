"""Posterior predictive checks: quiet when the fit is right, loud where it is wrong."""

import numpy as np
import pytest
from known import truth_of

import irtbench as ib
from irtbench.errors import InputError
from irtbench.irt.diagnostics import predictive_check


@pytest.mark.parametrize("samples", [1, 3])
def test_the_truth_is_not_refused(samples):
    """With the true parameters p is uniform: over 24 data sets no statistic leans to a side."""
    p = np.array(
        [
            predictive_check(truth_of(s), s.responses, draws=30, seed=k)["p"]
            for k in range(24)
            for s in [ib.simulate(40, 25, samples=samples, missing=0.1, seed=k)]
        ]
    )
    # the mean of 24 uniform numbers has a standard error of .059, their sd .289 one of .026; six statistics
    assert np.abs(p.mean(axis=0) - 0.5).max() < 0.18
    assert np.abs(p.std(axis=0) - 0.289).max() < 0.09


def test_statistics_are_those_of_the_responses():
    s = ib.simulate(50, 20, missing=0.2, seed=0)
    table = predictive_check(truth_of(s), s.responses, draws=5)
    score = s.responses.scores()
    assert table.loc["score_mean", "observed"] == pytest.approx(score.mean(), abs=1e-6)
    assert table.loc["score_sd", "observed"] == pytest.approx(score.std(ddof=0), abs=1e-6)
    item_mean = np.nanmean(s.responses.values, axis=0)
    assert table.loc["item_mean_sd", "observed"] == pytest.approx(item_mean.std(), abs=1e-6)
    assert (table["lower"] <= table["mean"]).all()
    assert (table["mean"] <= table["upper"]).all()


def test_uncertain_abilities_are_drawn():
    s = ib.simulate(60, 40, seed=0)
    certain, vague = (predictive_check(truth_of(s, sd), s.responses, draws=30)["mean"] for sd in (0.0, 1.0))
    assert vague["score_sd"] > 1.2 * certain["score_sd"]  # the abilities' variance is doubled


def test_one_discrimination_for_all_shows():
    s = ib.simulate(150, 100, seed=0)
    checks = {
        irt: predictive_check(ib.fit(s.responses, irt, method="laplace"), s.responses, draws=60)
        for irt in ("1pl", "2pl")
    }
    assert checks["1pl"].loc["item_rest_sd", "p"] == 0
    assert 0.02 < checks["2pl"].loc["item_rest_sd", "p"] < 0.98


def test_a_second_ability_shows():
    s = ib.simulate(150, 90, n_benchmarks=3, benchmark_sd=0.7, seed=0)
    table = predictive_check(ib.fit(s.responses, method="laplace"), s.responses, draws=60)
    assert table.loc["q3_mean", "p"] == 0


def test_the_same_seed_draws_the_same():
    s = ib.simulate(30, 20, seed=0)
    first, again, other = (predictive_check(s.bank, s.responses, draws=25, seed=k) for k in (1, 1, 2))
    assert first.equals(again)
    assert not first["mean"].equals(other["mean"])


def test_arguments_are_checked():
    s = ib.simulate(30, 20, seed=0)
    R = ib.ResponseMatrix.of(s.probability, s.responses.models, s.responses.items)
    with pytest.raises(InputError, match="draws must be"):
        predictive_check(s.bank, s.responses, draws=1)
    with pytest.raises(InputError, match="continuous"):
        predictive_check(s.bank, R)


def test_beta_responses_are_drawn_from_their_distribution():
    s = ib.simulate(80, 60, precision=6.0, missing=0.1, seed=0)
    table = predictive_check(truth_of(s), s.responses, draws=60)
    assert table["p"].between(0.005, 0.995).all()
    blurred = ib.ResponseMatrix.of(
        0.5 * s.responses.values + 0.5 * s.probability, s.responses.models, s.responses.items
    )
    # half the residuals: the items agree with each other more than they should
    assert predictive_check(truth_of(s), blurred, draws=60).loc["item_rest_mean", "p"] < 0.02
