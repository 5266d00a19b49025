"""Posteriors are true on average: simulation-based calibration, with the benchmark's own functions."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from irtbench.irt import nuts

SOURCE = Path(__file__).parents[2] / "benchmarks" / "fit" / "sbc.py"
spec = importlib.util.spec_from_file_location("sbc", SOURCE)
sbc = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sbc)

SINGLE = ["ability", "difference", "difficulty", "log discrimination", "score"]
MEANS = ["mean difficulty", "mean log discrimination"]


def ranks(method, populations, n_models, n_items, data_sets):
    return pd.concat([sbc.one(method, populations, n_models, n_items, k) for k in range(data_sets)])


def test_quantities_do_not_depend_on_the_scale():
    rng = np.random.default_rng(0)
    values = sbc.truth(sbc.RECIPES["learned"], 7, 5, rng)
    moved = {
        "ability": 2 * values["ability"] + 1,
        "difficulty": 2 * values["difficulty"] + 1,
        "log_discrimination": values["log_discrimination"] - np.log(2),
    }
    one, other = sbc.quantities(values), sbc.quantities(moved)
    assert all(np.allclose(one[k], other[k]) for k in one)


def test_band_holds_95_percent_of_uniform_samples():
    z = np.linspace(0.01, 0.99, 99)
    low, high = sbc.band(200, z)
    u = np.sort(np.random.default_rng(7).random((1000, 200)), axis=1)
    ecdf = np.stack([np.searchsorted(row, z, side="right") for row in u]) / 200
    inside = ((ecdf >= low) & (ecdf <= high)).all(axis=1).mean()
    assert 0.92 < inside < 0.98  # 95 %, three standard errors of a thousand samples and the band's own


def test_holm_against_a_worked_example():
    # Holm (1979): .01 * 4, .02 * 3, then never below what came before
    p = np.array([[0.01, 0.9], [0.02, 0.03]])
    assert np.allclose(sbc.holm(p), [0.04, 0.06])


@pytest.mark.slow
def test_nuts_is_calibrated(monkeypatch):
    for name, value in sbc.CHAINS.items():
        monkeypatch.setattr(nuts, name, value)
    found = sbc.table(ranks("nuts", "learned", 12, 8, 20)).set_index("quantity")
    assert (found["p"] > 1e-3).all()  # family-wise: a true posterior fails once in a thousand runs
    # sd of (truth - mean) / sd is 1; of one quantity a data set with a standard error of 1 / √40, times 3;
    # benchmarks/fit/sbc.py runs more data sets
    assert found["sd_of_z"].between(0.53, 1.47).all()


@pytest.mark.slow
def test_svi_is_calibrated_for_items_models_and_scores():
    found = sbc.table(ranks("svi", "fixed", 50, 60, 100)).set_index("quantity")
    assert (found["p"] > 1e-3).all()  # family-wise: a true posterior fails once in a thousand runs
    single, means = found.loc[SINGLE], found.loc[MEANS]
    # 300 data sets gave .942 to .946 and 1.03 to 1.06; the standard error of a hundred is .004 and .02
    assert single["cover_0.95"].between(0.93, 0.96).all()
    assert single["sd_of_z"].between(0.97, 1.12).all()
    # one a data set: standard errors of a hundred are .022 and .07; without covariances between items the
    # mean log discrimination had .78 and 1.66
    assert means["cover_0.95"].between(0.88, 1.0).all()
    assert means["sd_of_z"].between(0.8, 1.25).all()
