"""Abilities of new models against brute force, and their coverage."""

import numpy as np
import pytest
from factor_truth import rmse, simulate_between, simulate_factors, to_truth
from scipy.optimize import minimize

import irtbench as ib
from irtbench.irt import fit_factors
from irtbench.irt.factors import abilities_of
from irtbench.responses.matrix import Metric, ResponseMatrix


def log_posterior(theta, fit, y):
    p = fit.posterior
    z = theta @ p.slopes.T + p.items[:, -1]
    prior = ((theta @ np.linalg.inv(p.correlation)) * theta).sum(axis=-1)
    seen = ~np.isnan(y)
    return (np.nan_to_num(y) * z - seen * np.logaddexp(0, z)).sum(axis=-1) - 0.5 * prior


@pytest.fixture(scope="module")
def truth():
    return simulate_factors(300, 60, 2, seed=0)


@pytest.fixture(scope="module")
def fit(truth):
    return fit_factors(truth.responses.take(models=slice(0, 200)), 2, rotation="oblimin", method="laplace")


@pytest.mark.parametrize("n_items", [4, 60])
def test_eap_is_the_posterior_mean(truth, fit, n_items):
    R = truth.responses.take(models=slice(200, 203), items=slice(0, n_items))
    found = abilities_of(fit, R)
    axis = np.linspace(-6, 6, 161)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    for m in range(R.n_models):
        y = np.full(60, np.nan)
        y[:n_items] = R.values[m]
        log = log_posterior(grid, fit, y)
        weight = np.exp(log - log.max())
        weight /= weight.sum()
        mean = weight @ grid
        cov = (weight[:, None] * (grid - mean)).T @ (grid - mean)
        # 11 × 11 nodes on a posterior that is skewed where items are few; the grid itself is exact
        np.testing.assert_allclose(found.mean[m], mean, atol=1e-3)
        np.testing.assert_allclose(found.cov[m], cov, atol=2e-3)


def test_the_mode_with_many_dimensions(truth):
    fit = fit_factors(truth.responses.take(models=slice(0, 200)), 5, rotation="oblimin", method="laplace")
    R = truth.responses.take(models=slice(200, 203))
    found = abilities_of(fit, R)
    for m in range(3):
        best = minimize(lambda t: -log_posterior(t, fit, R.values[m]), np.zeros(5), tol=1e-10)  # noqa: B023
        np.testing.assert_allclose(found.mean[m], best.x, atol=1e-4)


def test_intervals_cover_new_models(truth, fit):
    R = truth.responses.take(models=slice(200, 300))
    found = abilities_of(fit, R)
    new = to_truth(fit, truth)
    matrix = np.linalg.lstsq(fit.posterior.ability, new.ability, rcond=None)[0].T
    mean, cov = found.mean @ matrix.T, matrix @ found.cov @ matrix.T
    z = (mean - truth.ability[200:]) / np.sqrt(np.einsum("mjj->mj", cov))
    # 200 values, nominal 95 %, two standard errors are .03; items are known to some .15 only
    assert (np.abs(z) < 1.96).mean() > 0.88
    p = fit.probability(found)
    assert p.shape == (100, 60)
    assert rmse(p - truth.probability[200:]) < 0.12  # item means: .22


def test_a_model_without_responses_has_the_prior(fit, truth):
    values = truth.responses.values[:2].copy()
    values[1] = np.nan
    found = abilities_of(fit, ResponseMatrix.of(values, items=truth.responses.items))
    np.testing.assert_allclose(found.mean[1], 0, atol=1e-9)
    np.testing.assert_allclose(found.cov[1], fit.posterior.correlation, atol=1e-6)


def test_another_benchmark_tells_by_correlation():
    truth = simulate_between(200, 40, np.array([[1, 0.9], [0.9, 1]]), seed=0)
    fit = fit_factors(truth.responses, by="benchmark", method="laplace")
    seen = truth.responses.take(models=slice(0, 3), benchmark="b0")
    found = abilities_of(fit, seen)
    phi = fit.correlation.loc["b0", "b1"]
    # E[θ₂ | y₁] = Φ₂₁ E[θ₁ | y₁] for normal abilities: exact
    np.testing.assert_allclose(found.mean[:, 1], phi * found.mean[:, 0], atol=1e-6)


def test_foreign_responses_are_refused(fit, truth):
    with pytest.raises(ib.InputError, match="'x' is not in the fit"):
        abilities_of(fit, ResponseMatrix.of([[1, 0]], items=["x", truth.responses.item_ids[0]]))
    R = truth.responses
    other = fit_factors(R, 1, method="laplace")
    with pytest.raises(ib.InputError, match="belong to another fit"):
        fit.probability(abilities_of(other, R))
    with pytest.raises(ib.InputError, match="calibrated on metric 'acc'"):
        abilities_of(fit, ResponseMatrix(R.values, R.models, R.items, Metric("prob")))
