"""Abilities of new models against brute force, and their coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import irtbench as ib
from irtbench.responses.matrix import Metric, ResponseMatrix


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 60), st.sampled_from(["1pl", "2pl", "3pl"]), st.integers(0, 1000))
def test_eap_is_the_posterior_mean(n_items, irt, seed):
    s = (
        ib.simulate(6, n_items, irt=irt, missing=0.2, seed=seed)
        if n_items > 5
        else ib.simulate(6, n_items, irt=irt, seed=seed)
    )
    grid = np.linspace(-8, 8, 8001)
    p = s.bank.probability(grid)
    y, seen = np.nan_to_num(s.responses.values), s.responses.observed
    log = y @ np.log(p).T + (seen - y) @ np.log1p(-p).T - grid**2 / 2
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ grid
    found = ib.ability(s.bank, s.responses)
    # 1e-6: cubic interpolation of the log-likelihood between nodes .05 apart
    np.testing.assert_allclose(found["mean"], mean, atol=1e-6)
    np.testing.assert_allclose(found["sd"], np.sqrt(weight @ grid**2 - mean**2), atol=1e-6)
    mode = ib.ability(s.bank, s.responses, method="map")["mean"]
    np.testing.assert_allclose(mode, grid[log.argmax(axis=1)], atol=2e-3)  # the grid's own spacing


def test_intervals_cover_new_models():
    s = ib.simulate(400, 60, irt="3pl", seed=0)
    found = ib.ability(s.bank, s.responses)
    z = (s.abilities["ability"] - found["mean"]) / found["sd"]
    # 400 models: 95 % ± 2 standard errors of a share
    assert abs((z.abs() < 1.96).mean() - 0.95) < 0.03


def test_many_items_need_no_finer_nodes():
    s = ib.simulate(20, 20_000, seed=0)
    eap, mode = (ib.ability(s.bank, s.responses, method=m) for m in ("eap", "map"))
    assert eap["sd"].max() < 0.06
    np.testing.assert_allclose(eap["mean"], mode["mean"], atol=1e-3)
    np.testing.assert_allclose(eap["sd"], mode["sd"], rtol=1e-2)


def test_a_model_without_responses_has_the_prior():
    s = ib.simulate(3, 10, seed=0)
    values = s.responses.values.copy()
    values[1] = np.nan
    found = ib.ability(s.bank, ResponseMatrix.of(values, items=s.responses.items)).iloc[1]
    assert found["mean"] == pytest.approx(0, abs=1e-9)
    assert found["sd"] == pytest.approx(1, abs=1e-6)


def test_order_of_items_does_not_matter():
    s = ib.simulate(10, 30, seed=0)
    found = ib.ability(s.bank, s.responses.take(items=slice(None, None, -1)))
    np.testing.assert_allclose(found, ib.ability(s.bank, s.responses), atol=1e-9)


def test_foreign_responses_are_refused():
    s = ib.simulate(5, 10, seed=0)
    with pytest.raises(ib.InputError, match="'x' is not in the bank"):
        ib.ability(s.bank, ResponseMatrix.of([[1, 0]], items=["x", s.responses.item_ids[0]]))
    other = ResponseMatrix(s.responses.values, s.responses.models, s.responses.items, Metric("prob"))
    with pytest.raises(ib.InputError, match="calibrated on metric 'acc'"):
        ib.ability(s.bank, other)
    with pytest.raises(ib.InputError, match="method must be"):
        ib.ability(s.bank, s.responses, method="mle")
