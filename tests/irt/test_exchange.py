"""ArviZ export, on the major that is installed and, by a stand-in, on the other."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import irtbench as ib


@pytest.fixture(scope="module")
def fit():
    return ib.fit(ib.simulate(12, 8, irt="3pl", seed=0).responses, irt="3pl", method="laplace")


@pytest.mark.filterwarnings("ignore::Warning")  # arviz 0.23 warns of its own future at import
def test_real_arviz(fit):
    posterior = fit.to_arviz(draws=50, seed=1)["posterior"]
    assert set(posterior.data_vars) == {
        "ability",
        "discrimination",
        "difficulty",
        "guessing",
        "upper_asymptote",
    }
    assert posterior["ability"].dims == ("chain", "draw", "model")
    assert list(posterior["item"].values) == fit.bank.item_ids
    assert posterior["difficulty"].shape == (1, 50, 8)
    assert np.array_equal(posterior["difficulty"].values[0], fit.bank.draws(50, seed=1)["difficulty"])


@pytest.mark.parametrize("version", ["0.23.4", "1.3.0"])
def test_each_major_gets_its_own_call(fit, monkeypatch, version):
    calls = []
    stand_in = SimpleNamespace(__version__=version, from_dict=lambda *a, **k: calls.append((a, k)))
    monkeypatch.setitem(sys.modules, "arviz", stand_in)
    fit.to_arviz(draws=5)
    (positional, named), *_ = calls
    posterior = named["posterior"] if version.startswith("0") else positional[0]["posterior"]
    assert posterior["ability"].shape == (1, 5, 12)
    assert named["dims"]["guessing"] == ["item"]
