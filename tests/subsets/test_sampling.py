"""Probability samples: allocation, design weights, unbiasedness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.responses.matrix import item_weights
from irtbench.subsets.sampling import allocate, design_weights, simple_sample, stratified_sample


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.data())
def test_allocation_is_exact_and_within_what_there_is(available, data):
    available = np.array(available)
    size = data.draw(st.integers(0, int(available.sum())))
    share = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(available), max_size=len(available))))
    given = allocate(size, share, available)
    assert given.sum() == size
    assert (given >= 0).all()
    assert (given <= available).all()


@given(st.lists(st.floats(0.05, 1), min_size=1, max_size=12), st.integers(0, 300))
def test_allocation_keeps_the_quota(share, size):
    share = np.array(share) / np.sum(share)
    given = allocate(size, share, np.full(len(share), 10_000))
    assert (np.abs(given - size * share) < 1 + 1e-6).all()


def strata_of(sizes):
    return np.repeat(np.arange(len(sizes)), sizes)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_samples_have_the_size_and_weights_that_sum_to_one(sizes, data):
    strata = strata_of(sizes)
    full = item_weights(strata.astype(str), data.draw(st.sampled_from(["micro", "macro"])))
    size = data.draw(st.integers(1, len(strata)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    for chosen in (simple_sample(len(strata), size, rng), stratified_sample(strata, full, size, rng)):
        assert len(np.unique(chosen)) == size
        assert (np.diff(chosen) > 0).all()
        weights = design_weights(chosen, strata, full)
        assert (weights > 0).all()
        assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_stratified_weighted_mean_is_unbiased(average):
    rng = np.random.default_rng(0)
    strata = strata_of([40, 100, 300])
    full = item_weights(strata.astype(str), average)
    y = (rng.random(len(strata)) < np.array([0.2, 0.5, 0.9])[strata]).astype(float)
    draws = 3000
    estimates = []
    for _ in range(draws):
        chosen = stratified_sample(strata, full, 44, rng)
        estimates.append(y[chosen] @ design_weights(chosen, strata, full))
    # four standard errors of a mean over independent draws: a false alarm in 16,000 runs
    assert np.mean(estimates) == pytest.approx(y @ full, abs=4 * np.std(estimates) / np.sqrt(draws))


def test_a_census_has_the_full_weights():
    strata = strata_of([3, 5])
    full = item_weights(strata.astype(str), "macro")
    assert design_weights(np.arange(8), strata, full) == pytest.approx(full)
