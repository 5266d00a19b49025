"""The default estimator: inside the range, beyond it, and saved."""

import warnings

import numpy as np
import pandas as pd
import pytest

import irtbench as ib
from irtbench.errors import DataWarning, ExtrapolationWarning
from irtbench.irt import simulate
from irtbench.subsets import Subset, estimate, select
from irtbench.subsets.estimation import default_estimator
from irtbench.subsets.population import Population, prepare


@pytest.fixture(scope="module")
def weak_and_strong():
    """240 models by score: the weaker 120 calibrate."""
    R = simulate(240, 300, n_benchmarks=2, seed=3).responses
    order = np.argsort(R.scores().to_numpy(), kind="stable")
    return R.take(models=np.sort(order[:120])), R.take(models=np.sort(order[-60:]))


@pytest.fixture(scope="module")
def subset(weak_and_strong):
    return select(weak_and_strong[0], 60, "robust")


def test_regression_is_the_conditional_mean_of_the_normal(weak_and_strong, subset):
    old, predict = weak_and_strong[0], subset.predictor
    prepared = prepare(old).population.alike
    cov = prepared.features.T @ prepared.features + np.diag(prepared.noise)
    at = predict.chosen
    y = old.values[:5, at].astype(float)
    full = predict.full
    by_hand = prepared.mean @ full + (y - prepared.mean[at]) @ np.linalg.solve(
        cov[np.ix_(at, at)], cov[at] @ full
    )
    # 1e-6: the same arithmetic in another order
    assert predict(y, "regression").score == pytest.approx(by_hand, abs=1e-6)


def test_beyond_the_range_the_blend_reaches(weak_and_strong, subset):
    _, strong = weak_and_strong
    truth, seen = strong.scores(), strong.take(items=subset.items)
    with pytest.warns(ExtrapolationWarning, match="outside the range"):
        found = estimate(subset, seen, "blend")
    with pytest.warns(ExtrapolationWarning, match="use 'blend'"):
        alone = estimate(subset, seen, "regression")
    error, other = (found["score"] - truth).abs().mean(), (alone["score"] - truth).abs().mean()
    assert error < 0.75 * other  # measured 0.5 or less at other seeds
    assert found["beyond"].mean() > 0.7
    assert found["note"].str.contains("beyond the calibration models").mean() > 0.7
    inside = (found["lower"] <= truth) & (truth <= found["upper"])
    assert inside.mean() > 0.8  # nominal 0.9; two standard errors of 60 models are 0.08


def test_inside_the_range_it_is_the_regression(subset, weak_and_strong):
    old = weak_and_strong[0]
    middle = old.take(models=np.argsort(old.scores().to_numpy())[40:80]).take(items=subset.items)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExtrapolationWarning)
        found, alone = (estimate(subset, middle, method) for method in ("blend", "regression"))
    assert found["beyond"].max() < 0.3
    assert (found["score"] - alone["score"]).abs().max() < 0.02


def test_saved_and_loaded(subset, weak_and_strong, tmp_path):
    subset.save(tmp_path / "s")
    again = Subset.load(tmp_path / "s")
    assert again.fingerprint == subset.fingerprint
    seen = weak_and_strong[0].take(items=subset.items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        assert estimate(again, seen, "blend").equals(estimate(subset, seen, "blend"))


def test_robust_and_blend_beat_a_stratified_sample_of_its_size(weak_and_strong):
    R = simulate(200, 300, n_benchmarks=3, benchmark_sd=0.5, seed=7).responses
    old, new = R.take(models=slice(0, 120)), R.take(models=slice(120, 200))
    errors = {}
    for strategy, estimator in (("robust", "blend"), ("stratified", "weighted")):
        chosen = select(old, 30, strategy, irt=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)
            table = estimate(chosen, new.take(items=chosen.items), estimator)
        errors[strategy] = (table["score"] - new.scores()).abs().mean()
    assert errors["robust"] < 0.8 * errors["stratified"]  # 0.5 or so on real matrices


def test_continuous_responses_and_few_models():
    rng = np.random.default_rng(0)
    y = np.clip(0.5 + 0.3 * rng.normal(size=(12, 1)) + 0.1 * rng.normal(size=(12, 80)), 0, 1)
    R = ib.ResponseMatrix.of(y, metric="prob")
    chosen = select(R.take(models=slice(0, 8)), 10, "robust")
    assert chosen.predictor.latent.dispersion < 1  # less noise than 0/1 responses have
    new = R.take(models=slice(8, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        with pytest.warns(DataWarning, match="few calibration models"):
            table = estimate(chosen, new.take(items=chosen.items), "blend")
    # ten responses of sd 0.1 about one level tell it within 0.03; eight models, how to weigh them, as roughly
    assert (table["score"] - new.scores()).abs().mean() < 0.08


def test_runs_of_one_model_are_held_out_together_and_a_shared_population_is_not_fitted_again(monkeypatch):
    values = simulate(20, 60, seed=0).responses.values
    runs = pd.DataFrame({"name": [f"m{k // 3}" for k in range(60)]}, index=[f"r{k}" for k in range(60)])
    R = ib.ResponseMatrix.of(np.repeat(values, 3, axis=0), runs)
    found = prepare(R)
    for trial in found.trials:
        if not trial.far:
            held = set(R.models["name"].to_numpy()[trial.test])
            assert not held & set(trial.population.responses.models["name"])

    def refuse(*_):
        raise AssertionError("fitted again")

    monkeypatch.setattr(Population, "of", refuse)
    assert select(R, 10, seed=1, prepared=found).info["folds"] == 5  # another seed, the same folds


def test_with_too_few_models_to_hold_any_out_the_default_is_the_weighted_mean():
    s = simulate(n_models=8, n_items=60, seed=0)
    few = select(s.responses.take(models=slice(0, 4)), 15)
    assert default_estimator(few) == "weighted"
    assert default_estimator(select(s.responses.take(models=slice(0, 6)), 15)) == "blend"
