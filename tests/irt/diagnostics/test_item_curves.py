"""Curves, test information and reliability."""

import numpy as np
import pytest
from known import bank_of, truth_of
from scipy.integrate import quad
from scipy.stats import norm

import irtbench as ib
from irtbench.errors import InputError
from irtbench.irt import diagnostics


def test_curves_are_the_formula():
    R = ib.ResponseMatrix.of([[1, 0], [0, 1]], items=["u", "v"])
    bank = bank_of(R, [1.0, 2.0], [0.0, 1.0], [0.0, 0.25])
    table = diagnostics.item_curves(bank, [-1.0, 1.0])
    sigma = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(table.loc["u", "probability"], [1 - sigma, sigma])
    np.testing.assert_allclose(table.loc["u", "information"], sigma * (1 - sigma))
    assert table.loc[("v", 1.0), "probability"] == pytest.approx(0.625)
    # a² (1 - c)² (s t)² / (P Q) at θ = b: 4 · .5625 · .0625 / (.625 · .375)
    assert table.loc[("v", 1.0), "information"] == pytest.approx(0.6)


def test_test_information_is_the_sum_of_the_items(monkeypatch):
    s = ib.simulate(10, 37, irt="3pl", seed=0)
    items = diagnostics.item_curves(s.bank)
    monkeypatch.setattr(diagnostics.curves, "_CELLS", 810)  # ten items at a time
    table = diagnostics.test_information(s.bank)
    by_theta = items.groupby(level="theta")
    np.testing.assert_allclose(table["information"], by_theta["information"].sum())
    np.testing.assert_allclose(table["sem"] ** -2, table["information"])
    np.testing.assert_allclose(table["expected_score"], by_theta["probability"].mean())
    assert (table["posterior_sd"] < np.minimum(table["sem"], 1)).all()


def test_sem_is_the_spread_of_the_estimates():
    n, theta = 600, 0.5
    s = ib.simulate(n, 120, seed=0)
    rng = np.random.default_rng(0)
    p = s.bank.probability([theta])
    R = ib.ResponseMatrix.of((rng.random((n, 120)) < p).astype(float), items=s.responses.items)
    table = diagnostics.test_information(s.bank, [theta])
    sd = ib.ability(s.bank, R, method="map")["mean"].std()
    # the mode shrinks by I / (I + 1); the sd of 600 draws has a standard error of 3 %
    information = table["information"].iloc[0]
    assert sd == pytest.approx(table["sem"].iloc[0] * information / (information + 1), rel=0.09)


def test_reliability_is_its_integral_and_its_ratio():
    s = ib.simulate(200, 30, seed=0)
    fit = truth_of(s, sd=0.3)
    found = diagnostics.reliability(fit)
    inside = lambda t: norm.pdf(t) / (diagnostics.test_information(s.bank, [t])["information"].iloc[0] + 1)  # noqa: E731
    # 1e-6: the tails beyond ±6 and the trapezoid of a smooth function
    assert found["marginal"] == pytest.approx(1 - quad(inside, -8, 8)[0], abs=1e-6)
    variance = np.var(fit.abilities["mean"], ddof=1)
    assert found["empirical"] == pytest.approx(variance / (variance + 0.09))


def test_reliability_is_the_squared_correlation_with_the_truth():
    s = ib.simulate(3000, 25, seed=1)
    theta = ib.ability(s.bank, s.responses)
    fit = truth_of(s)
    fit.abilities[["mean", "sd"]] = theta
    found = diagnostics.reliability(fit)
    squared = np.corrcoef(theta["mean"], s.abilities["ability"])[0, 1] ** 2
    # the simulated abilities have sd about 1; a squared correlation of 3,000 has a standard error of .006
    assert found["empirical"] == pytest.approx(squared, abs=0.02)
    # at 25 items 1 / (I + 1) is a rough posterior variance
    assert found["marginal"] == pytest.approx(squared, abs=0.04)


def test_theta_is_checked():
    s = ib.simulate(10, 5, seed=0)
    for bad in ([], [np.nan], [[1.0, 2.0]]):
        with pytest.raises(InputError, match="finite abilities"):
            diagnostics.item_curves(s.bank, bad)
