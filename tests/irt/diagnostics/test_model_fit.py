"""Fit of models: the null, guessers, leaked items, and independent computations."""

import numpy as np
import pytest
from known import bank_of, truth_of, with_cells
from scipy.optimize import brentq
from scipy.stats import median_abs_deviation

import irtbench as ib
from irtbench.irt.diagnostics import benchmark_residuals, person_fit
from irtbench.responses import ResponseMatrix


def test_lz_is_the_standardised_log_likelihood():
    s = ib.simulate(30, 40, irt="3pl", missing=0.2, seed=0)
    found = person_fit(truth_of(s), s.responses)
    p = s.bank.probability(s.abilities["ability"])
    for m in range(30):
        seen = s.responses.observed[m]
        y, q = s.responses.values[m, seen], p[m, seen]
        log = np.sum(y * np.log(q) + (1 - y) * np.log(1 - q))
        mean = np.sum(q * np.log(q) + (1 - q) * np.log(1 - q))
        sd = np.sqrt(np.sum(q * (1 - q) * np.log(q / (1 - q)) ** 2))
        assert found["lz"].iloc[m] == pytest.approx((log - mean) / sd, abs=1e-9)
        square = (y - q) ** 2
        assert found["infit"].iloc[m] == pytest.approx(square.sum() / (q * (1 - q)).sum())
        assert found["outfit"].iloc[m] == pytest.approx((square / (q * (1 - q))).mean())


def test_lz_star_is_snijders_formula_at_the_maximum():
    """W + c r0 over sqrt(n) τ with r0 = 0: only the log-likelihood's maximum solves its equation."""
    s = ib.simulate(12, 80, seed=3)
    a, b = s.items["discrimination"].to_numpy(), s.items["difficulty"].to_numpy()
    y = s.responses.values.astype(float)
    curve = lambda t: 1 / (1 + np.exp(-a * (t - b)))  # noqa: E731
    theta = np.array([brentq(lambda t, m=m: np.sum(a * (y[m] - curve(t))), -9, 9) for m in range(12)])
    fit = truth_of(s)
    fit.abilities["mean"] = theta
    found = person_fit(fit, s.responses)["lz_star"]
    for m in range(12):
        p = curve(theta[m])
        q, slope = 1 - p, a * p * (1 - p)
        w = np.log(p / q)
        c = np.sum(slope * w) / np.sum(slope * a)
        tau = np.sqrt(np.mean((w - c * a) ** 2 * p * q))
        expect = np.sum((y[m] - p) * w) / (np.sqrt(80) * tau)
        assert found.iloc[m] == pytest.approx(expect, abs=1e-6)  # brentq's tolerance


@pytest.mark.parametrize("irt", ["2pl", "3pl"])
def test_lz_star_is_standard_normal_with_estimated_abilities(irt):
    s = ib.simulate(4000, 40, irt=irt, seed=0)
    found = person_fit(s.bank, s.responses)  # abilities estimated from 40 items
    star, plain = found["lz_star"], found["lz"]
    # 4,000 models: standard error of the sd .011; left-skewed at 40 items, as in Snijders' tables
    assert abs(star.std() - 1) < 0.08
    assert abs(star.mean()) < 0.15  # second order in the error of the ability: .08 here, .03 with 160 items
    assert abs(star.std() - 1) < abs(plain.std() - 1)
    assert abs((found["p"] < 0.05).mean() - 0.05) < 0.02
    assert abs((found["p"] < 0.2).mean() - 0.2) < 0.03


def test_a_reversed_model_is_flagged():
    """It gets as many items right as a typical model, but the hard ones."""
    s = ib.simulate(120, 200, seed=5)
    rng = np.random.default_rng(1)
    typical = int(s.responses.scores().rank().sub(60).abs().argmin())
    p = s.probability[typical]
    reversed_ = np.empty(200)
    reversed_[np.argsort(p)] = np.sort(p)[::-1]
    guess = (rng.random((1, 200)) < reversed_).astype(float)
    R = with_cells(s.responses, [typical], range(200), guess)
    found = person_fit(ib.fit(R, method="laplace"), R)
    assert found["lz_star"].idxmin() == R.model_ids[typical]
    assert found["lz_star"].iloc[typical] < -8
    assert found["outfit_z"].idxmax() == R.model_ids[typical]
    others = found.drop(R.model_ids[typical])["p"]
    assert (others < 0.001).mean() < 0.02  # 119 models, .1 % nominal
    assert abs(R.scores().iloc[typical] - s.responses.scores().median()) < 0.15


def test_a_model_with_leaked_items_is_flagged_where_they_leaked():
    s = ib.simulate(120, 400, n_benchmarks=4, seed=7)
    cheat = int(s.abilities["ability"].sub(-0.5).abs().argmin())
    hard = s.probability[cheat] < 0.2
    leaked = np.flatnonzero(hard & (s.responses.benchmarks == "benchmark-3"))
    R = with_cells(s.responses, [cheat], leaked, 1.0)
    fit = ib.fit(R, method="laplace")
    models = person_fit(fit, R)
    name = R.model_ids[cheat]
    assert models["lz_star"].idxmin() == name
    assert models["p"].loc[name] < 1e-3  # 24 leaked items of 400
    table = benchmark_residuals(fit, R)
    assert table["z"].idxmax() == (name, "benchmark-3")
    assert table["standing"].idxmax() == (name, "benchmark-3")
    assert table.loc[(name, "benchmark-3"), "residual"] > 0.1
    easy = with_cells(s.responses, [cheat], np.flatnonzero(s.responses.benchmarks == "benchmark-3"), 1.0)
    assert benchmark_residuals(s.bank, easy)["z"].idxmax() == (name, "benchmark-3")
    assert (table.loc[name, "residual"].drop("benchmark-3") < 0).all()


def test_benchmark_z_is_standard_normal_with_estimated_abilities():
    s = ib.simulate(1500, 90, irt="3pl", n_benchmarks=3, missing=0.2, seed=0)
    table = benchmark_residuals(s.bank, s.responses)
    assert table.index.get_level_values("model")[:3].tolist() == [s.responses.model_ids[0]] * 3
    # 4,500 values, a third of them bound by the sum: standard error of the sd about .013
    assert abs(table["z"].std() - 1) < 0.04
    assert abs(table["z"].mean()) < 0.05
    expect = s.responses.values - s.bank.probability(ib.ability(s.bank, s.responses)["mean"])
    mean = np.nanmean(expect[:, s.responses.benchmarks == "benchmark-2"], axis=1)
    second = table.xs("benchmark-2", level="benchmark")
    np.testing.assert_allclose(second["residual"], mean, atol=1e-6)
    spread = median_abs_deviation(mean, scale="normal")
    np.testing.assert_allclose(second["standing"], (mean - np.median(mean)) / spread, rtol=1e-4, atol=1e-6)


def test_repeated_samples_count_as_trials():
    """k of n on one item is the same evidence as n items of the same curve."""
    rng = np.random.default_rng(0)
    a, b = np.array([1.0, 1.5, 0.7]), np.array([-0.5, 0.3, 1.0])
    single = ResponseMatrix.of((rng.random((20, 12)) < 0.5).astype(float))
    k = single.values.reshape(20, 3, 4).mean(axis=2)
    counts = ResponseMatrix.of(k, trials=np.full((20, 3), 4))
    names = ["lz", "lz_star", "share_right", "ability"]
    one = person_fit(bank_of(single, np.repeat(a, 4), np.repeat(b, 4)), single)[names]
    four = person_fit(bank_of(counts, a, b), counts)[names]
    np.testing.assert_allclose(one, four, atol=1e-6)


def test_continuous_responses_have_no_z():
    s = ib.simulate(40, 30, seed=0)
    R = ResponseMatrix.of(s.probability, s.responses.models, s.responses.items)
    found = person_fit(s.bank, R)
    assert found[["infit_z", "outfit_z"]].isna().all(axis=None)
    assert found["lz_star"].abs().max() < 0.5  # they are the curves themselves


def test_a_model_without_responses_has_no_fit():
    s = ib.simulate(10, 20, n_benchmarks=2, seed=0)
    R = with_cells(s.responses, [0], range(20), np.nan)
    R = with_cells(R, range(10), range(10, 20), np.nan)
    found = person_fit(s.bank, R)
    assert found.iloc[0].drop(["n", "ability"]).isna().all()
    assert found.iloc[1:].notna().all(axis=None)
    empty = benchmark_residuals(s.bank, R).xs("benchmark-2", level="benchmark")
    assert empty.drop(columns="n").isna().all(axis=None)


def test_one_benchmark_is_explained_by_the_ability():
    s = ib.simulate(10, 20, irt="1pl", seed=0)
    table = benchmark_residuals(s.bank, s.responses)
    assert table["z"].isna().all()  # its score is all that the ability knows


def test_beta_responses_have_a_null_of_their_own():
    s = ib.simulate(800, 60, precision=8.0, seed=0)
    found = person_fit(s.bank, s.responses)
    # 800 models: standard error of the mean .035, of the sd .025
    assert abs(found["lz_star"].mean()) < 0.12
    assert abs(found["lz_star"].std() - 1) < 0.08
