"""Multidimensional fits against the truth they were simulated from."""

import numpy as np
import pytest
import torch
from factor_truth import rmse, simulate_factors, to_truth

import irtbench as ib
from irtbench.irt import FactorFit, fit_factors
from irtbench.responses.matrix import ResponseMatrix

# (models, items, D): largest RMSEs of P, θ, slopes, intercepts over both methods and seeds 0-4, plus a tenth
BOUNDS = {
    (100, 1000, 3): (0.095, 0.165, 0.29, 0.325),
    (200, 400, 2): (0.069, 0.23, 0.215, 0.23),
    (600, 40, 2): (0.109, 0.60, 0.197, 0.177),
}


@pytest.fixture(scope="module")
def truth():
    return simulate_factors(80, 200, 2, missing=0.1, seed=0)


@pytest.fixture(scope="module")
def fitted(truth):
    return fit_factors(truth.responses, 2)


@pytest.mark.parametrize("cell", BOUNDS, ids=lambda c: "x".join(map(str, c)))
@pytest.mark.parametrize("method", ["svi", "laplace"])
def test_recovers_the_truth(cell, method):
    truth = simulate_factors(*cell, missing=0.1, seed=0)
    fit = fit_factors(truth.responses, cell[2], method=method)
    found = to_truth(fit, truth)
    errors = (
        rmse(fit.probability() - truth.probability),
        rmse(found.ability - truth.ability),
        rmse(found.slopes - truth.slopes),
        rmse(found.items[:, -1] - truth.intercept),
    )
    assert all(e < bound for e, bound in zip(errors, BOUNDS[cell], strict=True)), errors
    ability_sd = np.sqrt(np.einsum("mjj->mj", found.ability_cov))
    covered = (np.abs(found.ability - truth.ability) < 1.96 * ability_sd).mean()
    item_sd = np.sqrt(np.einsum("ijj->ij", found.items_cov))
    items_covered = (
        np.abs(found.items - np.column_stack([truth.slopes, truth.intercept])) < 1.96 * item_sd
    ).mean()
    # nominal 95 %; over seeds 0-4 it was .92-.96 for abilities, and for items .88-.95 (svi) and .78-.95
    # (laplace), worst where items are few
    assert covered > 0.9
    assert items_covered > (0.86 if method == "svi" else 0.76)


@pytest.mark.parametrize("method", ["laplace", "svi"])
def test_one_dimension_is_the_2pl(method):
    s = ib.simulate(100, 300, missing=0.1, seed=0)
    one, two_pl = fit_factors(s.responses, 1, method=method), ib.fit(s.responses, irt="2pl", method=method)
    assert one.items["slope_1"].mean() > 0
    # The priors differ (normal slopes here, log-normal there), which matters for items that the data say
    # little about: P differed by .013, a fifth of its error against the truth, abilities by .11 posterior sds
    error = rmse(one.probability() - s.probability)
    assert rmse(one.probability() - two_pl.probability()) < 0.35 * error
    distance = (one.abilities["mean_1"] - two_pl.abilities["mean"]) / two_pl.abilities["sd"]
    assert rmse(distance) < 0.2
    assert (one.abilities["sd_1"] / two_pl.abilities["sd"]).mean() == pytest.approx(1, abs=0.06)


def test_svi_is_at_least_as_good_as_its_start(truth, fitted):
    elbo = fitted.elbo["elbo"]
    # a one-sample ELBO has an sd of some 5 nats here; the start is one of the guides that SVI can reach
    assert elbo[-20:].mean() > elbo[:2].mean() - 5
    laplace = fit_factors(truth.responses, 2, method="laplace")
    assert np.abs(fitted.probability() - laplace.probability()).mean() < 0.02


def test_other_seeds_and_orders_give_the_same(truth, fitted):
    R = truth.responses
    rng = np.random.default_rng(0)
    shuffled = R.take(models=rng.permutation(R.n_models), items=rng.permutation(R.n_items))
    for other in (fit_factors(R, 2, seed=2), fit_factors(shuffled, 2, seed=1)):
        abilities, items = other.abilities.loc[R.model_ids], other.items.loc[R.item_ids]
        for d in "12":
            theta = (abilities[f"mean_{d}"] - fitted.abilities[f"mean_{d}"]) / fitted.abilities[f"sd_{d}"]
            slope = (items[f"slope_{d}"] - fitted.items[f"slope_{d}"]) / fitted.items[f"slope_{d}_sd"]
            # posterior sds: Monte Carlo errors were .05-.06 over pairs of seeds
            assert max(rmse(theta), rmse(slope)) < 0.12


def test_laplace_does_not_depend_on_the_order(truth):
    R = truth.responses
    fit = fit_factors(R, 2, method="laplace")
    turned = fit_factors(
        R.take(models=slice(None, None, -1), items=slice(None, None, -1)), 2, method="laplace"
    )
    np.testing.assert_allclose(turned.abilities.loc[R.model_ids], fit.abilities, atol=1e-4)  # float32 sums


def test_same_seed_same_fit(truth, fitted):
    assert fit_factors(truth.responses, 2).fingerprint == fitted.fingerprint


def test_scale_order_and_sign(fitted):
    p = fitted.posterior
    second = (p.ability[:, :, None] * p.ability[:, None, :] + p.ability_cov).mean(axis=0)
    np.testing.assert_allclose(p.ability.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(second, np.eye(2), atol=1e-9)
    assert fitted.explained["share"].sum() == pytest.approx(1)
    assert (p.slopes.sum(axis=0) > 0).all()


def test_principal_axis_is_a_general_ability(truth):
    fit = fit_factors(truth.responses, 2, rotation="none", method="laplace")
    assert fit.explained["variance"].is_monotonic_decreasing
    assert (fit.items["slope_1"] > 0).mean() > 0.9  # all true slopes on it are positive
    assert np.corrcoef(fit.abilities["mean_1"], truth.responses.scores())[0, 1] > 0.9
    cross = fit.posterior.slopes.T @ fit.posterior.slopes
    assert abs(cross[0, 1]) < 1e-8 * cross[0, 0]


def test_rotations_say_the_same_otherwise(truth):
    fits = {
        r: fit_factors(truth.responses, 2, rotation=r, method="laplace")
        for r in ("none", "varimax", "oblimin")
    }
    for fit in fits.values():
        np.testing.assert_allclose(fit.probability(), fits["none"].probability(), atol=1e-9)
        np.testing.assert_allclose(fit.items["mdisc"], fits["none"].items["mdisc"])
        np.testing.assert_allclose(fit.items["mdiff"], fits["none"].items["mdiff"])
    assert abs(fits["oblimin"].correlation.loc["1", "2"]) > 0.01
    np.testing.assert_allclose(np.diag(fits["oblimin"].correlation), 1)


def test_mdisc_and_mdiff(fitted):
    items = fitted.items
    np.testing.assert_allclose(items["mdisc"] ** 2, items["slope_1"] ** 2 + items["slope_2"] ** 2)
    # at distance MDIFF along the item's own direction P is ½
    direction = items[["slope_1", "slope_2"]].to_numpy() / items[["mdisc"]].to_numpy()
    z = (direction * items[["mdiff"]].to_numpy() * items[["slope_1", "slope_2"]].to_numpy()).sum(axis=1)
    np.testing.assert_allclose(z + items["intercept"], 0, atol=1e-9)


def test_log_loss_is_of_the_responses(truth, fitted):
    p, y, seen = fitted.probability(), truth.responses.values, truth.responses.observed
    expected = -np.where(y[seen] == 1, np.log(p[seen]), np.log1p(-p[seen])).mean()
    assert fitted.log_loss == pytest.approx(expected)


def test_counts_say_more_than_one_sample():
    many = simulate_factors(50, 60, 2, samples=16, seed=2)
    one = ResponseMatrix.of((many.responses.values > 0.5).astype(float))
    errors = [rmse(fit_factors(R, 2).probability() - many.probability) for R in (many.responses, one)]
    # 16 samples a cell: the error of P falls by about 4; binarising also biases it
    assert errors[0] < 0.4 * errors[1]


def test_continuous_responses_fit_their_means():
    truth = simulate_factors(80, 150, 2, seed=3)
    R = ResponseMatrix.of(truth.probability)
    assert R.kind == "continuous"
    # without noise only the shrinkage of a fit that allows for Bernoulli noise is left: .065, not .10
    binary = rmse(fit_factors(truth.responses, 2).probability() - truth.probability)
    assert rmse(fit_factors(R, 2).probability() - truth.probability) < 0.75 * binary


def test_block_missing_data(truth):
    values = truth.responses.values.copy()
    values[:30, :80] = np.nan
    fit = fit_factors(ResponseMatrix.of(values), 2)
    # the models of the first block lack two fifths of the items; the error was .106, that of item means .19
    assert rmse((fit.probability() - truth.probability)[:30, :80]) < 0.12
    easy = np.broadcast_to(np.nanmean(values, axis=0), values.shape)
    assert rmse((easy - truth.probability)[:30, :80]) > 0.17


def test_extreme_items_and_models_stay_finite(truth):
    values = truth.responses.values.copy()
    values[:, 0], values[:, 1], values[0], values[1] = 1, 0, 1, 0
    values[:, 3] = 1 - np.nanmean(values[:, 4:], axis=1).round()  # runs against ability
    values[2], values[:, 2] = np.nan, np.nan
    fit = fit_factors(ResponseMatrix.of(values), 2)
    assert np.isfinite(fit.items.to_numpy(dtype=float)).all()
    assert np.isfinite(fit.abilities.to_numpy()).all()
    p = fit.probability()
    assert ((p > 0) & (p < 1)).all()
    without = fit.abilities.iloc[2]
    assert without["n_responses"] == 0
    assert without[["sd_1", "sd_2"]].min() > 0.9  # the prior's


def test_surplus_dimensions_explain_little(truth):
    fit = fit_factors(truth.responses, 4, rotation="none", method="laplace")
    assert fit.explained["share"].iloc[2:].sum() < 0.08


def test_convergence(truth, fitted, monkeypatch):
    assert fitted.converged
    assert "ELBO was flat" in fitted.message
    monkeypatch.setattr(
        "irtbench.irt.factors.svi.maximise_elbo.__kwdefaults__", {"max_steps": 15, "report": None}
    )
    with pytest.warns(ib.ConvergenceWarning, match="ELBO still rises"):
        assert not fit_factors(truth.responses, 2).converged


def test_leaves_no_global_state(truth):
    import pyro

    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    threads = torch.get_num_threads()
    fit_factors(truth.responses.take(items=slice(0, 20)), 2, seed=9)
    assert torch.equal(torch.rand(3), expected)
    assert len(list(pyro.get_param_store().keys())) == 0
    assert torch.get_num_threads() == threads


def test_save_and_load(fitted, tmp_path):
    fitted.save(tmp_path / "fit")
    fitted.save(tmp_path / "fit")  # what irtbench wrote may be replaced
    again = ib.load(tmp_path / "fit")
    assert isinstance(again, FactorFit)
    assert again.fingerprint == fitted.fingerprint
    assert again.items.equals(fitted.items)
    assert again.abilities.equals(fitted.abilities)
    assert again.elbo.equals(fitted.elbo)
    assert again.log_loss == fitted.log_loss
    np.testing.assert_array_equal(again.probability(), fitted.probability())
    (tmp_path / "fit" / "abilities.parquet").write_bytes(b"")
    with pytest.raises(ib.InputError, match="cannot be read"):
        ib.load(tmp_path / "fit")


def test_draws_have_the_posterior_s_moments(fitted):
    draws = fitted.draws(4000, seed=0)
    p = fitted.posterior
    sd = np.sqrt(np.einsum("ijj->ij", p.items_cov))
    # 4000 draws: a mean is known to .016 sd; the largest of some hundred is below 5 of those
    assert np.abs((draws["slope"].mean(axis=0) - p.slopes) / sd[:, :2]).max() < 0.08
    assert np.abs(draws["ability"].mean(axis=0) - p.ability).max() < 0.08
    between = ((draws["slope"][..., 0] - p.slopes[:, 0]) * (draws["intercept"] - p.items[:, 2])).mean(axis=0)
    np.testing.assert_allclose(between, p.items_cov[:, 0, 2], atol=5 * sd.max() ** 2 / 4000**0.5)


def test_to_arviz(fitted):
    posterior = fitted.to_arviz(draws=20).posterior
    assert dict(posterior["slope"].sizes) == {"chain": 1, "draw": 20, "item": 200, "dimension": 2}
    assert list(posterior["dimension"].values) == ["1", "2"]


def test_repr(fitted):
    assert repr(fitted).startswith("FactorFit: 2-dimensional 2PL, 80 models × 200 items, converged")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimensions": 80}, "can tell 1 to 79 dimensions apart"),
        ({"dimensions": 0}, "can tell 1 to 79 dimensions apart"),
        ({"rotation": "quartimax"}, "rotation must be one of varimax, oblimin, none"),
        ({"method": "nuts"}, "method must be"),
        ({"device": "toaster"}, "device must be"),
        ({"by": "colour"}, "by must be a column"),
    ],
)
def test_bad_arguments(truth, arguments, message):
    with pytest.raises(ib.InputError, match=message):
        fit_factors(truth.responses, **arguments)


def test_parts_without_a_common_model_or_item():
    values = simulate_factors(20, 30, 2).responses.values.copy()
    values[:10, :15], values[10:, 15:] = np.nan, np.nan
    R = ResponseMatrix.of(values)
    with pytest.raises(ib.InputError, match="fall into 2 parts without a model or an item in common"):
        fit_factors(R, 2, method="laplace")
    assert fit_factors(R, 1, method="laplace").converged  # its scale is that of the abilities' population
    values[0, 0] = 1.0
    assert fit_factors(ResponseMatrix.of(values), 2, method="laplace").converged


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu(truth, fitted):
    other = fit_factors(truth.responses, 2, device="cuda")
    # other random numbers: the Monte Carlo error of SVI, as between seeds
    for d in "12":
        distance = (other.abilities[f"mean_{d}"] - fitted.abilities[f"mean_{d}"]) / fitted.abilities[
            f"sd_{d}"
        ]
        assert rmse(distance) < 0.12
