"""Item fit against brute force, against R mirt, under the null and under misfit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known import bank_of, truth_of, with_cells
from scipy.stats import beta, binom
from shared import SHARED, needs_shared

import irtbench as ib
from irtbench.errors import InputError
from irtbench.irt.bank import ItemBank
from irtbench.irt.diagnostics import item_fit, item_rest_correlation
from irtbench.irt.diagnostics.cells import expected

# R mirt, tests/testthat/test-01-mirtOne.R: 2PL of LSAT7 (slopes and intercepts), and its items' Zh
MIRT_A = np.array([0.988, 1.081, 1.706, 0.7651, 0.7358])
MIRT_D = np.array([1.8561, 0.808, 1.8043, 0.486, 1.8545])
MIRT_ZH = [1.431838, 6.354917, 5.310844, 5.804449, 0.696139]


def by_hand(y, n, p):
    """Wright & Masters' formulas for one item, the moments of k from scipy's binomial."""
    k = np.round(y * n)
    moments = [np.array([(binom.pmf(np.arange(m + 1), m, q) * (np.arange(m + 1) - m * q) ** r).sum()
                         for m, q in zip(n, p, strict=True)]) for r in (2, 4)]  # fmt: skip
    w, c = moments
    square = (k - n * p) ** 2
    infit, outfit = square.sum() / w.sum(), (square / w).mean()
    q_in = np.sqrt((c - w**2).sum()) / w.sum()
    q_out = np.sqrt((c / w**2).sum() / len(k) ** 2 - 1 / len(k))
    q_in, q_out = min(q_in, 2**0.5), min(q_out, 2**0.5)  # the cap that the docstring names
    z = [(np.cbrt(v) - 1) * 3 / q + q / 3 for v, q in ((infit, q_in), (outfit, q_out))]
    return infit, z[0], outfit, z[1]


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(["2pl", "3pl"]), st.integers(1, 4), st.sampled_from([0.0, 0.3]), st.integers(0, 99))
def test_mean_squares_are_the_formulas(irt, samples, missing, seed):
    s = ib.simulate(25, 4, irt=irt, samples=samples, missing=missing, seed=seed)
    found = item_fit(truth_of(s), s.responses)
    p = s.bank.probability(s.abilities["ability"])
    for i in range(4):
        seen = s.responses.observed[:, i]
        n = np.ones(25, int) if s.responses.trials is None else s.responses.trials[:, i]
        expect = by_hand(s.responses.values[seen, i], n[seen], p[seen, i])
        # 1e-5: responses are kept in float32
        np.testing.assert_allclose(found.iloc[i, 2:6].to_numpy(float), expect, rtol=1e-5, atol=1e-5)
        assert found["n"].iloc[i] == seen.sum()


@needs_shared
def test_item_log_likelihood_is_mirts():
    counts = pd.read_csv(SHARED / "data" / "classic" / "lsat7_counts.csv")
    R = ib.ResponseMatrix.of(np.repeat(counts.iloc[:, :5].to_numpy(), counts["count"], axis=0))
    found = item_fit(bank_of(R, MIRT_A, -MIRT_D / MIRT_A), R)
    # .005: mirt's own tolerance is .01, and its abilities come from a quadrature of 61 nodes
    np.testing.assert_allclose(found["lz"], MIRT_ZH, atol=5e-3)


def test_z_is_standard_normal_under_the_truth():
    s = ib.simulate(300, 2000, irt="3pl", seed=1)
    found = item_fit(truth_of(s), s.responses)
    for name in ("infit_z", "outfit_z", "lz"):
        assert abs(found[name].mean()) < 0.1  # 2,000 items: standard error .022; the cube root is not exact
        assert 0.85 < found[name].std() < 1.1
        # 5 % nominal; the cube root makes short tails of skewed sums
        assert 0.02 < (found[name].abs() > 1.96).mean() < 0.07


def test_noise_and_steps_are_told_apart():
    s = ib.simulate(300, 60, seed=2)
    rng = np.random.default_rng(0)
    order = s.abilities["ability"].rank().to_numpy() / 300
    R = with_cells(s.responses, range(300), [3], (rng.random(300) < 0.5)[:, None])
    R = with_cells(R, range(300), [5], (order > 0.5)[:, None])
    found = item_fit(s.bank, R)
    assert found["infit_z"].idxmax() == R.item_ids[3]
    assert found["infit_z"].iloc[3] > 5
    assert found["infit_z"].idxmin() == R.item_ids[5]
    assert found["infit"].iloc[5] < 0.7
    assert found["item_rest"].idxmin() == R.item_ids[3]


def test_item_rest_correlation_is_numpys():
    s = ib.simulate(50, 12, missing=0.3, samples=3, seed=0)
    R = with_cells(s.responses, range(50), [4], np.ones((50, 1)))
    R = ib.ResponseMatrix.of(R.values, items=R.item_ids, trials=np.where(R.observed, 3, 0))
    found = item_rest_correlation(R)
    right = np.nan_to_num(R.values) * R.trials
    for i in range(12):
        seen = R.observed[:, i] & (R.trials.sum(axis=1) > R.trials[:, i])
        rest = (right.sum(axis=1) - right[:, i]) / np.maximum(R.trials.sum(axis=1) - R.trials[:, i], 1)
        if i == 4:
            assert np.isnan(found.iloc[i])
        else:
            expect = np.corrcoef(R.values[seen, i], rest[seen])[0, 1]
            assert found.iloc[i] == pytest.approx(expect, abs=1e-6)


def test_items_against_the_trend_are_marked(monkeypatch):
    s = ib.simulate(40, 6, seed=0)
    a = np.array([1.0, -1.0, 1.0, 2.0, -0.5, 1.0])
    b = np.linspace(-1, 1, 6)
    monkeypatch.setattr(ItemBank, "curve_parameters", property(lambda self: (a, b, 0 * a)))
    assert item_fit(s.bank, s.responses)["negative"].tolist() == list(a < 0)
    cells = expected(truth_of(s), s.responses).block(slice(0, 6))
    theta, h = s.abilities["ability"].to_numpy(), 1e-5
    slope = (s.bank.probability(theta + h) - s.bank.probability(theta - h)) / (2 * h)
    np.testing.assert_allclose(cells.slope, slope, atol=1e-8)  # error of a central difference: h²


def test_continuous_responses_have_no_z():
    s = ib.simulate(60, 20, seed=0)
    R = ib.ResponseMatrix.of(s.probability, s.responses.models, s.responses.items)
    found = item_fit(s.bank, R)
    assert found[["infit_z", "outfit_z", "lz"]].isna().all(axis=None)
    assert (found["infit"] < 0.1).all()  # the responses are the curves themselves


def test_abilities_are_the_fits_own_where_it_knows_the_models():
    s = ib.simulate(30, 10, seed=0)
    fit = truth_of(s)
    some = s.responses.take(models=[5, 2, 9], items=[3, 1])
    both = expected(fit, some)
    np.testing.assert_array_equal(both.theta, s.abilities["ability"].iloc[[5, 2, 9]])
    assert both.bank.item_ids == some.item_ids
    new = ib.ResponseMatrix.of(some.values, ["new", "newer", "newest"], some.items)
    np.testing.assert_allclose(expected(fit, new).theta, ib.ability(s.bank, new)["mean"])


def test_other_items_and_other_things_are_refused():
    s = ib.simulate(30, 10, seed=0)
    with pytest.raises(InputError, match="not in the bank"):
        item_fit(s.bank, ib.ResponseMatrix.of(s.responses.values, items=[f"x{k}" for k in range(10)]))
    with pytest.raises(InputError, match="expected a ResponseMatrix"):
        item_fit(s.bank, s.responses.values)


def test_beta_responses_have_their_own_moments():
    s = ib.simulate(400, 600, precision=8.0, seed=0)
    found = item_fit(truth_of(s), s.responses)
    for name in ("infit_z", "outfit_z", "lz"):
        assert abs(found[name].mean()) < 0.15  # 600 items: standard error .04; the cube root is not exact
        assert 0.9 < found[name].std() < 1.1
    cells = expected(truth_of(s), s.responses).block(slice(0, 3))
    phi, p = s.items["precision"].to_numpy()[1], cells.p[7, 1]
    law = beta(p * phi, (1 - p) * phi)
    assert cells.variance[7, 1] == pytest.approx(law.var())
    assert cells.fourth[7, 1] == pytest.approx(law.var() ** 2 * (3 + law.stats("k")))


@needs_shared
def test_the_wrong_key_of_sat12_is_found():
    table = pd.read_csv(SHARED / "data" / "classic" / "sat12_scored.csv")
    R = ib.ResponseMatrix.of(table[[c for c in table if c.lower().startswith("item")]])
    found = item_fit(ib.fit(R, method="laplace"), R)
    assert found["item_rest"].idxmin() == R.item_ids[31]  # item 32: the key is suspected to be wrong
    assert found["item_rest"].iloc[31] < 0.1
