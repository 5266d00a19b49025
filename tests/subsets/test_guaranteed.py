"""Guaranteed mode: unbiased whatever the IRT model, and covering."""

import numpy as np
import pytest

from irtbench.errors import InputError
from irtbench.irt import simulate
from irtbench.subsets import estimate, select
from irtbench.subsets.guaranteed import active
from irtbench.subsets.population import prepare


@pytest.fixture(scope="module")
def wrong():
    """Calibrated on the weak; the new models answer by another world's rules."""
    R = simulate(60, 200, n_benchmarks=2, seed=0).responses
    other = simulate(25, 200, n_benchmarks=2, seed=9).responses
    return R, prepare(R, folds=2), type(R)(other.values, other.models, R.items, R.metric)


def test_difference_is_unbiased_and_covers_under_a_wrong_model(wrong):
    R, prepared, new = wrong
    truth, errors, covered = new.scores().to_numpy(), [], []
    for seed in range(60):
        subset = select(R, 30, "stratified", irt=None, prepared=prepared, seed=seed)
        found = estimate(subset, new.take(items=subset.items), "difference")
        errors.append(found["score"].to_numpy() - truth)
        covered.append((found["lower"] <= truth) & (truth <= found["upper"]))
    mean = np.mean(errors, axis=0)
    error = np.std(errors, axis=0) / np.sqrt(60)
    # each of 25 models' means within 4 standard errors, and all together within 2.5 of their own
    assert (np.abs(mean) < 4 * error).all()
    assert np.abs(mean.mean()) < 2.5 * np.std([e.mean() for e in errors]) / np.sqrt(60)
    assert np.mean(covered) > 0.86  # nominal 0.9, 1,500 correlated cases


def test_active_is_unbiased_and_covers_under_a_wrong_model(wrong):
    R, prepared, new = wrong
    predictor = select(R, 30, "robust", irt=None, prepared=prepared).predictor
    truth = new.scores().to_numpy()
    runs = [active(predictor, new, 30, seed=seed) for seed in range(60)]
    errors = np.array([r["score"].to_numpy() - truth for r in runs])
    error = errors.std(axis=0) / np.sqrt(60)
    assert (np.abs(errors.mean(axis=0)) < 4 * error).all()
    covered = [(r["lower"] <= truth) & (truth <= r["upper"]) for r in runs]
    assert np.mean(covered) > 0.86


def test_all_items_leave_no_error(wrong):
    R, prepared, new = wrong
    predictor = select(R, 30, "robust", irt=None, prepared=prepared).predictor
    few = new.take(models=slice(0, 3))
    assert (active(predictor, few, 200)["score"] - few.scores()).abs().max() < 0.03


def test_refusals(wrong):
    R, prepared, new = wrong
    subset = select(R, 30, "robust", irt=None, prepared=prepared)
    with pytest.raises(InputError, match="drawn by known probabilities"):
        estimate(subset, new.take(items=subset.items), "difference")
    with pytest.raises(InputError, match="size must be from 2"):
        active(subset.predictor, new, 500)
