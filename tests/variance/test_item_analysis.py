"""Item statistics against scipy, item by item; splits and prunings against known truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from shared import needs_shared

from irtbench.errors import InputError
from irtbench.responses import Metric, ResponseMatrix
from irtbench.variance.item_analysis import discrimination, discrimination_of_sides, item_statistics
from irtbench.variance.pruning import pruning_sweep, rank_tau
from irtbench.variance.runs import runs_of
from irtbench.variance.stability import split_stability


def responses(seed=0, n_models=40, n_items=60, missing=0.0, slopes=None, spread=1.0):
    rng = np.random.default_rng(seed)
    slope = np.ones(n_items) if slopes is None else slopes
    ability = spread * rng.normal(size=(n_models, 1))
    p = 1 / (1 + np.exp(-slope * (ability - rng.normal(size=n_items))))
    y = (rng.random(p.shape) < p).astype(float)
    y[rng.random(p.shape) < missing] = np.nan
    return ResponseMatrix.of(y, benchmark=["a", "b"] * (n_items // 2))


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_correlations_are_scipys(missing):
    R = responses(missing=missing)
    table = item_statistics(R)
    for i in range(R.n_items):
        own = np.flatnonzero(R.benchmarks == R.benchmarks[i])
        rest = np.nanmean(R.values[:, own[own != i]].astype(float), axis=1)
        total = np.nanmean(R.values[:, own].astype(float), axis=1)
        seen = R.observed[:, i]
        y = R.values[seen, i].astype(float)
        # the same formula in double precision
        for column, score in (("item_rest", rest), ("item_total", total)):
            expected = stats.pearsonr(y, score[seen])
            assert table[column].iloc[i] == pytest.approx(expected.statistic, abs=1e-10)
        limits = stats.pearsonr(y, rest[seen]).confidence_interval(0.95)
        assert table[["item_rest_low", "item_rest_high"]].iloc[i].tolist() == pytest.approx(list(limits))
        wilson = stats.binomtest(int((1 - y).sum()), len(y)).proportion_ci(0.95, "wilson")
        found = table[["difficulty_low", "difficulty_high"]].iloc[i].tolist()
        assert found == pytest.approx(list(wilson), abs=1e-10)
        assert table["difficulty"].iloc[i] == pytest.approx(1 - y.mean())


def test_sides_are_fits_of_their_models():
    R = responses(4, missing=0.2)
    sides = np.random.default_rng(0).random((5, R.n_models)) < 0.5
    found, means = discrimination_of_sides(R, sides)
    for side, telling, mean in zip(sides, found, means, strict=True):
        alone = R.take(side)
        assert telling == pytest.approx(discrimination(alone), nan_ok=True, abs=1e-10)
        assert mean == pytest.approx(np.nanmean(alone.values, axis=0, dtype=float), nan_ok=True)


def test_items_without_variation_have_no_discrimination():
    y = responses(1).values.copy()
    y[:, 3], y[:, 4] = 1, 0.3
    table = item_statistics(ResponseMatrix.of(y))
    assert table["item_rest"].isna().to_numpy().nonzero()[0].tolist() == [3, 4]
    assert table["difficulty"].iloc[3] == 0


def test_a_loss_is_difficult_where_it_is_high():
    R = responses(2)
    loss = ResponseMatrix(R.values, R.models, R.items, Metric("brier", higher_is_better=False))
    pd.testing.assert_series_equal(item_statistics(loss)["difficulty"], 1 - item_statistics(R)["difficulty"])
    pd.testing.assert_series_equal(item_statistics(loss)["item_rest"], item_statistics(R)["item_rest"])


def test_rest_is_what_the_item_does_not_owe_itself():
    # pure noise: the item is part of its total, so item-total is near 1/sqrt(n) = 0.22 and item-rest near 0;
    # means over 20 items × 500 models, standard error 0.01
    y = np.random.default_rng(3).integers(0, 2, (500, 20))
    R = ResponseMatrix.of(y)
    assert np.mean(discrimination(R, "item_total")) == pytest.approx(1 / np.sqrt(20), abs=0.03)
    assert np.mean(discrimination(R, "item_rest")) == pytest.approx(0, abs=0.03)


def test_splits_carry_over_what_is_real():
    slopes = np.tile([0.2, 2.0], 100)
    real = responses(4, 80, 200, slopes=slopes)
    flat = responses(4, 80, 200, slopes=np.ones(200), spread=0.01)
    for R, low, high in ((real, 0.5, 1.0), (flat, -0.2, 0.2)):
        table = split_stability(R, ["random"], n_splits=20)
        assert low < table["pearson"].mean() < high
        assert (table["n_train"] == table["n_test"]).all()
        assert table["pearson"].std() > 0


def test_capability_split_is_worse_where_items_work_at_one_end_only():
    # of the items that discriminate, half do among the weak only (too easy for the strong) and half among the
    # strong only; halves at random see them all discriminate
    rng = np.random.default_rng(5)
    ability = np.r_[rng.normal(-2, 0.7, 40), rng.normal(2, 0.7, 40)][:, None]
    difficulty, slope = np.tile([-2.0, 2.0], 100), np.repeat([0.1, 2.0], 100)
    R = ResponseMatrix.of((rng.logistic(size=(80, 200)) < slope * (ability - difficulty)) * 1.0)
    table = split_stability(R, n_splits=30).groupby("kind")
    assert table["pearson"].mean()["capability"] < table["pearson"].mean()["random"] - 0.3
    assert table["pearson"].std().min() > 0
    # halves of one strength each: their scores spread less than halves at random
    assert table["spread_train"].mean()["capability"] < 0.5 * table["spread_train"].mean()["random"]


def test_splits_keep_runs_of_one_model_together():
    R = responses(6, 48)
    names = pd.DataFrame({"name": np.repeat(np.arange(24).astype(str), 2)}, index=R.models.index)
    table = split_stability(ResponseMatrix(R.values, names, R.items), n_splits=3, kept=1.0)
    assert (table[["n_train", "n_test"]] == 24).all(axis=None)
    repeated = split_stability(R, n_splits=3, seed=1)
    pd.testing.assert_frame_equal(repeated, split_stability(R, n_splits=3, seed=1))


def seeds(rng, n_items=100, n_seeds=6, n_steps=5, slopes=None):
    slope = np.ones(n_items) if slopes is None else slopes
    grid = [(s, t) for s in range(n_seeds) for t in range(n_steps)]
    ability = np.array([0.5 * t + 0.1 * rng.normal() for _, t in grid])[:, None]
    p = 1 / (1 + np.exp(-slope * (ability - 1 - rng.normal(size=n_items))))
    table = pd.DataFrame(grid, columns=["seed", "step"]).assign(family="f")
    return ResponseMatrix.of((rng.random(p.shape) < p) * 1.0, table.set_axis([f"r{k}" for k in table.index]))


def test_nothing_pruned_changes_nothing_and_measures_are_the_rooms():
    from irtbench.variance.monotonicity import monotonicity_of
    from irtbench.variance.runs import curves
    from irtbench.variance.seeds import seed_variance
    from irtbench.variance.standard_errors import standard_error

    R = seeds(np.random.default_rng(7))
    runs = runs_of(R)[0]
    found = pruning_sweep(R, runs, [0.0, 0.3], n_random=5).set_index(["share", "measure"])
    full, curve = found.loc[0.0, "pruned"], curves(runs)
    assert full["se"] == pytest.approx(standard_error(runs.values).mean())
    assert full["E"] == pytest.approx(seed_variance(curve)["E"].item())
    assert full["monotonicity"] == pytest.approx(monotonicity_of(curve, resamples=10)["monotonicity"].item())
    assert (full["drift"], full["drift_size"], full["rank_tau"]) == pytest.approx((0, 0, 1))
    kept = np.argsort(discrimination(R), kind="stable")[30:]
    part = curves(runs.take(items=np.sort(kept)))
    assert found.loc[(0.3, "E"), "pruned"] == pytest.approx(seed_variance(part)["E"].item())
    assert found.loc[(0.3, "drift"), "pruned"] == pytest.approx((part - curve).mean())
    assert found.loc[(0.3, "E"), "n_items"] == 70


def test_pruning_noise_items_raises_rank_agreement_beyond_random():
    rng = np.random.default_rng(8)
    slopes = np.tile([0.0, 2.0], 50)
    calibration = responses(9, 100, 100, slopes=slopes)
    calibration = ResponseMatrix.of(calibration.values)
    runs = runs_of(seeds(rng, slopes=slopes))
    found = pruning_sweep(calibration, runs, [0.5], n_random=100).set_index("measure")
    assert found.loc["monotonicity", "pruned"] > found.loc["monotonicity", "random_high"]
    assert found.loc["monotonicity", "as_good"] <= 0.02
    assert abs(found.loc["drift", "pruned"]) > abs(found.loc["drift", "random"])


@pytest.mark.slow
def test_false_alarms_of_the_random_control():
    # items judged by noise are pruned at random, so the share "as good" is uniform: at most 5 % of 1,000
    # prunings have a share of 0.05 or less (3 binomial standard errors: 0.021)
    rng = np.random.default_rng(10)
    runs = runs_of(seeds(rng, 40, 4, 3))
    hits = {name: [] for name in ("E", "monotonicity", "rank_tau", "se")}
    for k in range(1000):
        noise = ResponseMatrix.of(rng.integers(0, 2, (6, 40)))
        found = pruning_sweep(noise, runs, [0.5], n_random=39, seed=k).set_index("measure")["as_good"]
        for name in hits:
            hits[name].append(found[name] <= 0.05)
    for name, found in hits.items():
        assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000), name


def test_rank_tau_is_scipys():
    rng = np.random.default_rng(13)
    x, y = rng.integers(0, 8, 30).astype(float), rng.integers(0, 8, 30).astype(float)
    assert rank_tau(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert np.isnan(rank_tau(x, np.ones(30)))


def test_refusals():
    R = responses(11)
    with pytest.raises(InputError, match="at least 3"):
        item_statistics(R.take([0, 1]))
    with pytest.raises(InputError, match="at least 12"):
        split_stability(R.take(list(range(8))))
    with pytest.raises(InputError, match="kinds must"):
        split_stability(R, ["family"])
    with pytest.raises(InputError, match="item_rest"):
        discrimination(R, "point_biserial")
    S = seeds(np.random.default_rng(12))
    runs = runs_of(S)
    with pytest.raises(InputError, match="other items"):
        pruning_sweep(R, runs)
    with pytest.raises(InputError, match="shares must"):
        pruning_sweep(S, runs, [1.0])
    with pytest.raises(InputError, match="at least 2 are needed"):
        pruning_sweep(S, runs, [0.999])


@needs_shared
def test_real_items():
    from nlu import nlu

    R = nlu("arc-easy")
    best = R.take((R.models["step"] == "best").to_numpy())
    table = item_statistics(best)
    assert table["item_rest"].notna().sum() == 2376 - 112  # constant items of the data's own card
    assert table["difficulty"].mean() == pytest.approx(1 - 0.4409, abs=1e-4)
    stability = split_stability(best, n_splits=20).groupby("kind")["pearson"].mean()
    assert stability["random"] > stability["capability"]
