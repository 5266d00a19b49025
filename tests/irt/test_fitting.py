"""Fits against the truth they were simulated from."""

import numpy as np
import pytest
import torch
from recovery import recovery

import irtbench as ib
from irtbench.irt.recipes import Recipe, Steps
from irtbench.responses.matrix import ResponseMatrix

# (models, items, irt): the largest RMSEs of P, θ, b, log a over seeds 0-4 were, in this order,
# .051 .141 .308 .017 | .059 .132 .431 .268 | .049 .182 .414 .278 | .075 .385 .260 .157: a tenth more
BOUNDS = {
    (100, 500, "1pl"): {"p": 0.056, "theta": 0.155, "b": 0.34, "log_a": 0.03},
    (100, 500, "2pl"): {"p": 0.065, "theta": 0.145, "b": 0.47, "log_a": 0.29},
    (200, 400, "3pl"): {"p": 0.054, "theta": 0.20, "b": 0.45, "log_a": 0.31},
    (600, 40, "2pl"): {"p": 0.082, "theta": 0.42, "b": 0.29, "log_a": 0.175},
}


@pytest.fixture(scope="module")
def small():
    return ib.simulate(n_models=60, n_items=90, missing=0.1, seed=5)


@pytest.fixture(scope="module")
def fitted(small):
    return ib.fit(small.responses, seed=0)


@pytest.mark.parametrize("cell", BOUNDS, ids=lambda c: "x".join(map(str, c)))
@pytest.mark.parametrize("method", ["svi", "laplace"])
def test_recovers_the_truth(cell, method):
    n_models, n_items, irt = cell
    simulation = ib.simulate(n_models, n_items, irt=irt, missing=0.1, seed=0)
    found = recovery(simulation, ib.fit(simulation.responses, irt=irt, method=method))
    for name, bound in BOUNDS[cell].items():
        assert found[name] < bound, name
    # nominal 95 %; abilities of one population share its scale, so their coverage varies by about .03
    assert found["cover_theta"] > 0.87
    assert found["cover_b"] > 0.82


def test_recovers_guessing():
    simulation = ib.simulate(1500, 60, irt="3pl", seed=1)
    guessing = ib.fit(simulation.responses, irt="3pl").bank.items["guessing"]
    error = guessing - simulation.items["guessing"]
    # guessing is U(.1, .3): sd .058 around its mean; only items that are hard for many models show it
    assert abs(error.mean()) < 0.03
    assert np.sqrt((error**2).mean()) < 0.06
    hard = simulation.items["difficulty"] > 0.5
    assert np.corrcoef(guessing[hard], simulation.items["guessing"][hard])[0, 1] > 0.4


def test_binomial_counts_say_more_than_one_sample():
    many = ib.simulate(60, 60, samples=16, seed=2)
    one = ResponseMatrix.of(
        (many.responses.values > 0.5).astype(float), many.responses.models, many.responses.items
    )
    assert many.responses.kind == "binomial"
    from_counts, from_one = (recovery(many, ib.fit(R)) for R in (many.responses, one))
    # 16 samples a cell: the error of P falls by about 4; binarising also biases it
    assert from_counts["p"] < 0.35 * from_one["p"]


def test_continuous_responses_fit_their_means():
    simulation = ib.simulate(80, 100, seed=3)
    R = ResponseMatrix.of(simulation.probability, simulation.responses.models, simulation.responses.items)
    assert R.kind == "continuous"
    found = recovery(simulation, ib.fit(R))
    # without noise only shrinkage is left: of a fit that allows for Bernoulli noise; binary data give .09
    assert found["p"] < 0.05


def test_same_seed_same_fit_other_seed_nearly(small, fitted):
    again, other = ib.fit(small.responses, seed=0), ib.fit(small.responses, seed=1)
    assert again.fingerprint == fitted.fingerprint
    distance = (other.abilities["mean"] - fitted.abilities["mean"]).abs() / fitted.abilities["sd"]
    assert distance.max() < 0.25  # posterior sds: the Monte Carlo error of SVI


def test_order_of_items_and_models_does_not_matter(small, fitted):
    rng = np.random.default_rng(0)
    R = small.responses
    shuffled = R.take(models=rng.permutation(R.n_models), items=rng.permutation(R.n_items))
    other = ib.fit(shuffled, seed=0)
    items = other.bank.items.loc[R.item_ids]
    distance = (items["difficulty"] - fitted.bank.items["difficulty"]).abs() / items["difficulty_sd"]
    assert distance.max() < 0.35


def test_svi_and_laplace_agree_where_items_are_many():
    R = ib.simulate(100, 1000, seed=4).responses
    svi, laplace = (ib.fit(R, method=m) for m in ("svi", "laplace"))
    assert np.abs(svi.probability() - laplace.probability()).mean() < 0.01


def test_convergence_is_judged_on_the_elbo(fitted):
    assert fitted.converged
    assert "ELBO was flat" in fitted.message
    window = Steps().window
    last, before = fitted.elbo["elbo"].to_numpy()[-2 * window :].reshape(2, window)[::-1]
    noise = np.sqrt((last.var(ddof=1) + before.var(ddof=1)) / window)
    assert last.mean() - before.mean() < max(Steps().tolerance * fitted.bank.n_items, 2 * noise)


def test_too_few_steps_warn(small):
    with pytest.warns(ib.ConvergenceWarning, match="raise max_steps"):
        fit = ib.fit(small.responses, irt=Recipe("2pl", steps=Steps(max_steps=5)))
    assert not fit.converged


def test_scale_is_fixed_by_the_calibration_models(fitted):
    theta = fitted.abilities
    assert theta["mean"].mean() == pytest.approx(0, abs=1e-9)
    assert (theta["mean"] ** 2 + theta["sd"] ** 2).mean() == pytest.approx(1, abs=1e-6)


def test_leaves_no_global_state(small):
    import pyro

    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    before = torch.distributions.Distribution._validate_args
    ib.fit(small.responses, seed=9)
    assert torch.equal(torch.rand(3), expected)
    assert len(list(pyro.get_param_store().keys())) == 0
    assert torch.distributions.Distribution._validate_args is before


def test_a_fit_serves_as_its_bank(small, fitted):
    from_fit = ib.ability(fitted, small.responses)
    assert from_fit.equals(ib.ability(fitted.bank, small.responses))
    assert ib.select(small.responses, 10, bank=fitted).bank.fingerprint == fitted.bank.fingerprint


def test_save_and_load(fitted, tmp_path):
    fitted.save(tmp_path / "fit")
    again = ib.load(tmp_path / "fit")
    assert again.fingerprint == fitted.fingerprint
    assert repr(again) == repr(fitted).replace(f"{fitted.seconds:.1f}", f"{again.seconds:.1f}")
    assert again.bank.items.equals(fitted.bank.items)
    assert again.abilities.equals(fitted.abilities)
    assert again.elbo.equals(fitted.elbo)
    assert ib.ItemBank.load(tmp_path / "fit").fingerprint == fitted.bank.fingerprint


@pytest.mark.parametrize("irt", ["1pl", "2pl", "3pl", "4pl"])
def test_extreme_items_and_models_stay_finite(irt):
    R = ib.simulate(30, 40, seed=0).responses
    values = R.values.copy()
    values[:, 0], values[:, 1], values[0], values[1] = 1, 0, 1, 0
    values[:, 2] = 1 - values[:, 3:].mean(axis=1).round()  # runs against ability
    fit = ib.fit(ResponseMatrix.of(values), irt=irt)
    assert np.isfinite(fit.bank.items.to_numpy(dtype=float)).all()
    assert np.isfinite(fit.abilities.to_numpy()).all()
    p = fit.probability()
    assert ((p > 0) & (p < 1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"irt": "5pl"}, "irt must be"),
        ({"method": "magic"}, "method must be"),
        ({"device": "toaster"}, "device must be"),
    ],
)
def test_bad_arguments(small, arguments, message):
    with pytest.raises(ib.InputError, match=message):
        ib.fit(small.responses, **arguments)


def test_one_model_is_too_few():
    with pytest.raises(ib.InputError, match="at least 2 models"):
        ib.fit(ResponseMatrix.of([[1, 0, 1]]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none(small):
    with pytest.raises(ib.InputError, match="no CUDA device"):
        ib.fit(small.responses, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("cell", BOUNDS, ids=lambda c: "x".join(map(str, c)))
def test_cuda_equals_cpu(cell):
    n_models, n_items, irt = cell
    R = ib.simulate(n_models, n_items, irt=irt, seed=0).responses
    on = {device: ib.fit(R, irt=irt, device=device) for device in ("cpu", "cuda")}
    distance = (on["cpu"].abilities["mean"] - on["cuda"].abilities["mean"]).abs() / on["cpu"].abilities["sd"]
    assert distance.max() < 0.25  # other random numbers: the Monte Carlo error of SVI
