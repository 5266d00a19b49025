"""Intervals: known cases, sane limits, coverage of the design-based one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from irtbench.responses.matrix import item_weights
from irtbench.subsets.intervals import conformal_factor, design_interval, wilson
from irtbench.subsets.sampling import design_weights, stratified_sample


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 10), (50, 50), (70, 100)])
def test_wilson_is_scipy_s(k, n):
    expected = binomtest(k, n).proportion_ci(0.9, method="wilson")
    low, high = wilson(np.array([k / n]), np.array([1 / n]), 0.9)
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))


def test_one_stratum_of_a_large_benchmark_is_wilson():
    y = np.array([[1.0] * 7 + [0.0] * 13])
    low, high = design_interval(y, np.full(20, 1 / 20), np.zeros(20, int), np.array([10**9]), 0.9)
    expected = binomtest(7, 20).proportion_ci(0.9, method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-6)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=30), st.integers(0, 40))
def test_limits_hold_the_mean_and_stay_inside(y, more):
    y = np.array([y])
    n = y.shape[1]
    low, high = design_interval(y, np.full(n, 1 / n), np.zeros(n, int), np.array([n + more]), 0.9)
    assert 0 <= low[0] <= y.mean() + 1e-6
    assert y.mean() - 1e-6 <= high[0] <= 1
    assert (high[0] - low[0] > 1e-9) == (more > 0)


def test_equal_responses_keep_a_width():
    strata = np.repeat([0, 1], 5)
    y = np.array([[1.0] * 5 + [0.0] * 5, [1.0] * 10])
    low, high = design_interval(y, np.full(10, 0.1), strata, np.array([100, 100]), 0.9)
    assert (high - low > 0.1).all()


def test_continuous_responses_have_narrower_limits():
    y = np.array([[0.4, 0.6] * 20, [0.0, 1.0] * 20])
    low, high = design_interval(y, np.full(40, 1 / 40), np.zeros(40, int), np.array([1000]), 0.9)
    assert high[0] - low[0] < 0.4 * (high[1] - low[1])


@pytest.mark.parametrize("size", [10, 40, 150])
@pytest.mark.parametrize("p", [(0.5, 0.5, 0.5), (0.05, 0.4, 0.8), (0.95, 0.97, 0.9)])
def test_coverage_of_the_design_based_interval(size, p):
    rng = np.random.default_rng(size)
    strata = np.repeat([0, 1, 2], [60, 140, 200])
    full = item_weights(strata.astype(str), "micro")
    sizes, hits, draws = np.bincount(strata), 0, 1500
    for _ in range(draws):
        y = (rng.random(400) < np.array(p)[strata]).astype(float)
        chosen = stratified_sample(strata, full, size, rng)
        weights = design_weights(chosen, strata, full)
        low, high = design_interval(y[None, chosen], weights, strata[chosen], sizes, 0.9)
        hits += low[0] - 1e-12 <= y @ full <= high[0] + 1e-12
    # 0.025 = 3 standard errors; a mean of few 0/1 responses is a lattice, so it may cover more
    assert 0.9 - 0.025 - 0.01 * (size == 10) <= hits / draws <= 0.985


def test_conformal_factor_has_the_finite_sample_rank():
    z = np.arange(1.0, 20.0)
    assert conformal_factor(z, 0.9) == (18.0, True)
    assert conformal_factor(-z, 0.95) == (19.0, True)
    factor, guaranteed = conformal_factor(z[:8], 0.9)
    assert factor > 8
    assert not guaranteed
    assert conformal_factor(np.empty(0), 0.9) == (pytest.approx(1.645, abs=1e-3), False)


def test_conformal_factor_covers_new_models():
    rng = np.random.default_rng(0)
    z = rng.standard_t(3, (4000, 21))
    hits = [abs(row[-1]) <= conformal_factor(row[:-1], 0.9)[0] for row in z]
    # exact coverage is 19/21 = 0.905, its standard error 0.005
    assert np.mean(hits) == pytest.approx(19 / 21, abs=0.015)
