"""The latent posterior against a grid, and what its shifts do."""

import numpy as np
import pytest
from scipy.special import expit

from irtbench.irt import simulate
from irtbench.subsets.latent import NARROW, Latent, Reach, fit_latent, posterior


def items(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return Latent(
        rng.lognormal(0, 0.3, n), rng.normal(0, 1, n), np.zeros((n, 2, 2)), np.zeros(n, int), np.eye(1)
    )


def test_ability_and_evidence_agree_with_a_grid():
    latent, rng = items(), np.random.default_rng(1)
    y = (rng.random((5, 30)) < 0.6).astype(float)
    found = posterior(latent, np.arange(30), y, NARROW)
    grid = np.linspace(-8, 8, 4001)
    p = expit(grid[:, None] * latent.slope + latent.intercept)
    log = y @ np.log(p).T + (1 - y) @ np.log1p(-p).T - grid**2 / 2 - np.log(2 * np.pi) / 2
    evidence = np.log(np.exp(log).sum(axis=1) * (grid[1] - grid[0]))
    # Laplace's method errs by O(1/n): about 0.01 at 30 items
    assert found.evidence == pytest.approx(evidence, abs=0.05)
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    assert found.ability[:, 0] == pytest.approx(grid[log.argmax(axis=1)], abs=0.005)  # the grid's step
    assert found.probability == pytest.approx(weight @ p, abs=0.02)  # mode for mean, MacKay for the integral


def test_a_free_shift_sets_the_mean_residual_to_zero():
    latent = items(40)
    y = np.r_[np.ones(30), np.zeros(10)][None]
    reach = Reach(1.0, 100.0, 0.0)
    loadings, _ = latent.loadings(reach)
    found = posterior(latent, np.arange(40), y, reach)
    z_mean = y.mean()
    # with the prior of the shift as good as flat its score equation is sum(y - p) = 0; MacKay's average
    # draws P towards 1/2 by less than 0.01
    assert found.probability.mean() == pytest.approx(z_mean, abs=0.01)
    assert loadings.shape == (40, 2)


def test_missing_cells_say_nothing():
    latent = items()
    y = np.ones((1, 30))
    y[0, 10:] = np.nan
    whole = posterior(latent, np.arange(10), np.ones((1, 10)), NARROW)
    holed = posterior(latent, np.arange(30), y, NARROW)
    assert holed.probability == pytest.approx(whole.probability)
    assert holed.evidence == pytest.approx(whole.evidence)


def test_few_models_share_one_ability():
    R = simulate(n_models=24, n_items=60, n_benchmarks=3, seed=0).responses
    assert fit_latent(R).dimensions == 1
    assert fit_latent(simulate(n_models=40, n_items=60, n_benchmarks=3, seed=0).responses).dimensions == 3
