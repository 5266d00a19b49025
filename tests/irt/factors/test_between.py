"""One dimension for each benchmark: correlations, and what they are good for."""

import numpy as np
import pytest
from factor_truth import rmse, simulate_between

import irtbench as ib
from irtbench.irt import FactorFit, fit_factors
from irtbench.irt.factors import abilities_of

PHI = np.array([[1, 0.8, 0.3], [0.8, 1, 0.5], [0.3, 0.5, 1]])


@pytest.fixture(scope="module")
def truth():
    return simulate_between(300, 60, PHI, seed=0)


@pytest.mark.parametrize("method", ["svi", "laplace"])
def test_recovers_the_truth(truth, method):
    fit = fit_factors(truth.responses, by="benchmark", method=method)
    theta = (truth.ability - truth.ability.mean(axis=0)) / truth.ability.std(axis=0)
    sample = np.corrcoef(truth.ability.T)
    # 60 items a benchmark: reliability .9, and correlations are of the abilities, not of the scores
    np.testing.assert_allclose(fit.correlation.loc[["b0", "b1", "b2"], ["b0", "b1", "b2"]], sample, atol=0.05)
    found = fit.abilities[["mean_b0", "mean_b1", "mean_b2"]].to_numpy()
    assert rmse(found - theta) < 0.36  # sqrt(1 - reliability) and the uncertainty of the items
    sd = fit.abilities[["sd_b0", "sd_b1", "sd_b2"]].to_numpy()
    assert (np.abs(found - theta) < 1.96 * sd).mean() == pytest.approx(0.95, abs=0.03)
    slopes = (
        fit.items["slope"].to_numpy() / truth.ability.std(axis=0)[[int(x[1]) for x in fit.items["dimension"]]]
    )
    assert rmse(slopes - truth.slopes.sum(axis=1)) < 0.24
    assert list(fit.items["dimension"]) == list(truth.responses.benchmarks)


def test_zeros_stay_zeros_and_order_does_not_matter(truth, tmp_path):
    R = truth.responses.take(models=slice(0, 60))
    fit = fit_factors(R, by="benchmark", method="laplace")
    assert ((fit.posterior.slopes != 0) == (truth.slopes != 0)).all()
    turned = fit_factors(R.take(items=slice(None, None, -1)), by="benchmark", method="laplace")
    columns = list(fit.abilities)
    np.testing.assert_allclose(turned.abilities[columns], fit.abilities, atol=1e-4)  # float32 sums
    np.testing.assert_allclose(turned.items.loc[R.item_ids, "slope"], fit.items["slope"], atol=1e-4)
    fit.save(tmp_path / "fit")
    again = FactorFit.load(tmp_path / "fit")
    assert again.fingerprint == fit.fingerprint
    assert again.items.equals(fit.items)


def test_predicts_where_abilities_differ_by_benchmark(truth):
    R = truth.responses
    old, new = R.take(models=slice(0, 200)), R.take(models=slice(200, 300))
    fits = {
        "between": fit_factors(old, by="benchmark", method="laplace"),
        "one": fit_factors(old, 1, method="laplace"),
    }
    asked = new.take(items=np.arange(0, 180, 5))
    error = {
        k: rmse(f.probability(abilities_of(f, asked)) - truth.probability[200:]) for k, f in fits.items()
    }
    # 12 items a benchmark: one ability cannot tell the third benchmark from the others; .85 was found
    assert error["between"] < 0.92 * error["one"]


def test_one_benchmark_is_the_2pl():
    R = ib.simulate(80, 100, seed=0).responses
    between, one = fit_factors(R, by="benchmark", method="laplace"), fit_factors(R, 1, method="laplace")
    np.testing.assert_allclose(between.probability(), one.probability(), atol=0.002)  # two stopping points


def test_a_benchmark_of_one_item():
    R = ib.simulate(20, 3, n_benchmarks=2, seed=0).responses
    with pytest.raises(ib.InputError, match="has one item"):
        fit_factors(R, by="benchmark")


def test_many_benchmarks_converge():
    simulation = ib.simulate(80, 160, n_benchmarks=20, benchmark_sd=0.5, seed=0)
    fit = fit_factors(simulation.responses, by="benchmark")  # a full covariance over 20 abilities a model
    assert fit.converged
    pairs = np.triu_indices(20, 1)
    truth = np.corrcoef(simulation.abilities.iloc[:, 1:].T)[pairs].mean()
    # 8 items a benchmark: abilities have a reliability of .6; with 60 models and 30 benchmarks it was .07 off
    assert fit.correlation.to_numpy()[pairs].mean() == pytest.approx(truth, abs=0.1)
