"""E and its interval, windows, checkpoints at chance, the design effect."""

import numpy as np
import pytest

from irtbench.errors import InputError
from irtbench.variance import above_chance, item_interval, seed_design_effect, seed_variance
from irtbench.variance.spread import effective_df


def test_E_is_the_mean_or_the_rms_of_the_stds():
    y = np.random.default_rng(0).normal(size=(10, 21, 3))
    for ddof in (0, 1):
        stds = y.std(axis=0, ddof=ddof)
        mean, rms = (seed_variance(y, ddof=ddof, average=a)["E"] for a in ("mean", "rms"))
        assert mean.to_numpy() == pytest.approx(stds.mean(axis=0), rel=1e-12)
        assert rms.to_numpy() == pytest.approx(np.sqrt((stds**2).mean(axis=0)), rel=1e-12)


def test_window_and_included_checkpoints():
    y = np.random.default_rng(1).normal(size=(4, 6, 2))
    stds = y.std(axis=0, ddof=1)
    assert seed_variance(y, window=2)["E"].to_numpy() == pytest.approx(stds[-2:].mean(axis=0), rel=1e-12)
    sliced = seed_variance(y, window=slice(1, 3))
    assert sliced["E"].to_numpy() == pytest.approx(stds[1:3].mean(axis=0), rel=1e-12)
    include = np.array([[True, False]] * 3 + [[False, False]] * 3)
    table = seed_variance(y, include=include)
    assert table["n_steps"].tolist() == [3, 0]
    assert table["E"].iloc[0] == pytest.approx(stds[:3, 0].mean(), rel=1e-12)
    assert np.isnan(table["E"].iloc[1])


def test_missing_runs_are_left_out_of_their_checkpoint():
    y = np.random.default_rng(2).normal(size=(3, 4))
    y[0, 1] = y[1, 2] = y[2, 2] = np.nan  # one checkpoint keeps two seeds, one a single seed
    want = np.mean([y[:, 0].std(ddof=1), y[1:, 1].std(ddof=1), y[:, 3].std(ddof=1)])
    table = seed_variance(y)
    assert table["E"].item() == pytest.approx(want, rel=1e-12)
    assert table["n_steps"].item() == 3


def test_checkpoints_at_chance():
    scores = np.array([[0.24, 0.26, 0.31], [0.26, 0.28, 0.33]])
    # one-sided 95 % above 0.25 with 400 items: 0.25 + 1.645 · 0.02165 = 0.2856
    assert above_chance(scores, 0.25, 400)[:, 0].tolist() == [False, False, True]
    errors = above_chance(1 - scores, 0.75, 400, higher_is_better=False)
    assert errors[:, 0].tolist() == [False, False, True]
    with pytest.raises(InputError, match=r"chance must lie in \[0, 1\]"):
        above_chance(scores, 2.0, 400)


def test_a_single_checkpoint_has_the_textbook_chi_square_interval():
    y = np.random.default_rng(3).normal(size=(10, 1))
    row = seed_variance(y).iloc[0]
    # sqrt(9 / chi2) at 9 degrees of freedom, from tables: 19.023 and 2.700
    assert row["E_low"] / row["E"] == pytest.approx(0.6878, abs=1e-3)
    assert row["E_high"] / row["E"] == pytest.approx(1.8256, abs=1e-3)


@pytest.mark.parametrize(
    ("n_seeds", "n_steps", "rho", "allowed"),
    [
        # 4 sd of 400 simulations at 95 % are 4.4 points
        (10, 1, 0.0, 0.044),
        (10, 21, 0.0, 0.044),
        (10, 21, 0.9, 0.044),
        (5, 5, 0.5, 0.044),
        (3, 5, 0.0, 0.044),
        (3, 21, 0.0, 0.044),
    ],
)
def test_intervals_of_E_cover_the_true_value_at_their_level(n_seeds, n_steps, rho, allowed):
    rng = np.random.default_rng(4)
    sigma = np.linspace(1, 0.5, n_steps)
    t = np.arange(n_steps)
    root = np.linalg.cholesky(rho ** np.abs(t[:, None] - t) if rho else np.eye(n_steps))
    y = np.moveaxis(rng.normal(size=(400, n_seeds, n_steps)) @ root.T * sigma, 0, 2)
    table = seed_variance(y)
    covered = ((table["E_low"] <= sigma.mean()) & (sigma.mean() <= table["E_high"])).mean()
    assert abs(covered - 0.95) <= allowed
    safe = seed_variance(y, df="seeds")
    assert ((safe["E_low"] <= sigma.mean()) & (sigma.mean() <= safe["E_high"])).mean() >= 0.95 - allowed


def test_the_interval_is_of_the_mean_std_where_stds_differ():
    sigma = np.array([1.0, 0.1])
    y = np.random.default_rng(9).normal(size=(400, 2)) * sigma
    row = seed_variance(y).iloc[0]
    # 400 seeds: the std of 1 is known to 3.5 %, 7 % at 95 %; the mean is 0.55, the rms 0.71
    assert row["E_low"] < 0.55 < row["E_high"] < 0.61
    rms = seed_variance(y, average="rms").iloc[0]
    assert 0.61 < rms["E_low"] < np.sqrt((sigma**2).mean()) < rms["E_high"]


def test_bootstrap_over_many_seeds_agrees_with_chi_square():
    y = np.random.default_rng(5).normal(size=(80, 1))
    chi, boot = (seed_variance(y, interval=how).iloc[0] for how in ("chi2", "bootstrap"))
    # 0.06 is a fifth of the width: the skewness that a percentile bootstrap of 80 misses
    assert boot[["E_low", "E_high"]].to_numpy(float) == pytest.approx(
        chi[["E_low", "E_high"]].to_numpy(float), abs=0.06
    )


def test_effective_degrees_of_freedom_between_one_and_all_checkpoints():
    rng = np.random.default_rng(6)
    same = np.repeat(rng.normal(size=(30, 1)), 8, axis=1)
    assert effective_df(same) == pytest.approx(29, rel=1e-9)
    # independent: 29 · 8 = 232; the estimate of tr(Σ²) is within some 15 %
    assert effective_df(rng.normal(size=(30, 8))) == pytest.approx(232, rel=0.2)


def test_design_effect_is_the_notes_formula_without_the_bias_of_few_seeds():
    y = (np.random.default_rng(7).random((6, 500)) < 0.4).astype(float)
    row = seed_design_effect(y).iloc[0]
    p = y.mean(axis=0)
    E = y.mean(axis=1).std(ddof=1)
    notes = E**2 * 500 / (p * (1 - p)).mean()
    assert row["effect"] == pytest.approx(notes * 5 / 6, rel=1e-9)
    se = np.sqrt((item_interval(y, "clt")["se"] ** 2).mean())
    assert row["ratio"] == pytest.approx(E / se, rel=1e-9)


def test_design_effect_with_missing_responses_stays_near_one():
    rng = np.random.default_rng(8)
    y = (rng.random((40, 5, 400)) < 0.4).astype(float)
    y[rng.random(y.shape) < 0.1] = np.nan
    # 4 sd of a variance from 39 · 5 degrees of freedom are 0.41
    assert seed_design_effect(y)["effect"].item() == pytest.approx(1, abs=0.41)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y: seed_variance(y[0]), "seeds × checkpoints"),
        (lambda y: seed_variance(y, average="median"), "average must be 'mean' or 'rms'"),
        (lambda y: seed_variance(y, window=0), "at least 1"),
        (lambda y: seed_variance(y, include=np.ones(9)), "include has shape"),
        (lambda y: seed_design_effect(y[:1]), "two or more seeds"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call(np.zeros((3, 4)))
