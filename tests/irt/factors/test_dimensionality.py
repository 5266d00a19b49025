"""The number of dimensions by responses held out."""

import numpy as np
import pytest
from factor_truth import simulate_factors

import irtbench as ib
from irtbench.irt.factors import dimensionality
from irtbench.irt.factors.choosing import _mean


def test_finds_the_number_of_dimensions():
    table = dimensionality(simulate_factors(100, 300, 2, seed=0).responses, 4)
    assert list(table.index) == [0, 1, 2, 3, 4]
    assert table["log_loss"].idxmin() == 2
    assert (table["gain"] / table["gain_se"]).loc[[1, 2]].min() > 3
    assert (table["gain"] / table["gain_se"]).loc[[3, 4]].max() < 2


def test_gains_are_differences():
    table = dimensionality(simulate_factors(40, 60, 1, missing=0.2, samples=3).responses, 2, seed=1)
    np.testing.assert_allclose(table["gain"].iloc[1:], -table["log_loss"].diff().iloc[1:])
    assert table["gain"].isna().tolist() == [True, False, False]


def test_item_means_are_the_baseline():
    R = simulate_factors(30, 40, 1, seed=0).responses
    hidden = np.random.default_rng(0).random(R.shape) < 0.1
    easy = (np.where(hidden, 0, R.values).sum(axis=0) + 0.5) / ((~hidden).sum(axis=0) + 1)
    p = np.broadcast_to(easy, R.shape)[hidden]
    expected = -np.where(R.values[hidden] == 1, np.log(p), np.log1p(-p)).mean()
    assert dimensionality(R, 1)["log_loss"][0] == pytest.approx(expected)


def test_standard_errors_are_over_models():
    rng = np.random.default_rng(0)
    effect = rng.normal(size=(2000, 50))  # 50 models, all 20 cells of one alike
    found = [_mean(np.repeat(e, 20), np.repeat(np.arange(50), 20)) for e in effect.T.reshape(-1, 50)]
    means, errors = np.array(found).T
    assert np.sqrt((errors**2).mean()) == pytest.approx(means.std(), rel=0.05)  # 2000 samples: 2 %
    assert means.std() == pytest.approx(50**-0.5, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"max_dimensions": 30}, "tell 1 to 29"), ({"share": 1.0}, "share must lie")]
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ib.InputError, match=message):
        dimensionality(simulate_factors(30, 40, 1).responses, **arguments)
