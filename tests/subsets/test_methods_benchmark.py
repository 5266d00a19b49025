"""The tables of benchmarks/subsets: no leaks, measures checked independently, pages from tables."""

import shutil
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr, t
from shared import SHARED, needs_shared

import irtbench as ib
from benchmarks.subsets import baselines, boards, curve, noise, tables, which
from benchmarks.subsets.protocol import ALL, CONTROL, DEFAULT, run_split
from benchmarks.subsets.summary import by_draw, by_split, paired
from benchmarks.subsets.targets import benchmark_score, own_weights
from irtbench.irt import simulate
from irtbench.responses.matrix import item_weights
from irtbench.responses.splits import split
from irtbench.subsets.population import prepare

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "subsets" / "results"


@pytest.fixture(scope="module")
def matrix():
    s = simulate(n_models=60, n_items=180, seed=3)
    names = np.repeat(["a", "b", "c"], [60, 100, 20])
    return ib.ResponseMatrix.of(
        s.responses.values, s.responses.models, list(s.responses.item_ids), benchmark=names
    )


@pytest.fixture(scope="module")
def found(matrix):
    methods = (
        DEFAULT,
        "random + mean",
        CONTROL,
        "stratified + difference",
        "lasso + ridge",
        "stratified + AIPW",
    )
    return run_split(matrix, split(matrix, n_splits=1)[0], (30, 500), "macro", draws=2, methods=methods)


def test_a_split_holds_each_method_size_draw_target_and_model_once(matrix, found):
    keys = ["method", "size", "seed", "benchmark", "model"]
    assert not found.duplicated(keys).any()
    assert set(found["size"]) == {30}  # the board has 180 items
    draws = found.groupby("method")["seed"].nunique()
    assert draws.to_dict() == {
        DEFAULT: 1,
        "random + mean": 2,
        CONTROL: 2,
        "stratified + difference": 2,
        "lasso + ridge": 1,
        "stratified + AIPW": 2,
    }
    # of 20 items a benchmark's own score is not worth a row
    assert set(found["benchmark"]) == {ALL, "a", "b"}


def test_truths_are_the_scores_of_models_that_did_not_calibrate(matrix, found):
    part = split(matrix, n_splits=1)[0]
    assert set(found["model"]) == set(part.test)
    scores = matrix.scores("macro")
    truth = found[found["benchmark"] == ALL].groupby("model")["truth"].first()
    assert np.allclose(truth, scores[truth.index])
    own = matrix.take(benchmark="b").scores()
    truth = found[found["benchmark"] == "b"].groupby("model")["truth"].first()
    assert np.allclose(truth, own[truth.index])


def test_estimates_beat_the_mean_of_the_calibration_models(matrix, found):
    old = matrix.scores("macro")[list(split(matrix, n_splits=1)[0].calibration)]
    part = found[(found["method"] == DEFAULT) & (found["benchmark"] == ALL)]
    assert (part["score"] - part["truth"]).abs().mean() < 0.6 * (old.mean() - part["truth"]).abs().mean()


@pytest.mark.parametrize("estimator", ["blend", "regression", "difference", "weighted", "gp-irt"])
def test_the_full_score_as_a_target_is_what_estimate_gives(matrix, estimator):
    old, new = matrix.take(models=slice(0, 45)), matrix.take(models=slice(45, 60))
    shared = prepare(old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        subset = ib.select(old, 40, "stratified", prepared=shared, device="cpu")
        seen = new.take(items=subset.items)
        wanted = ib.estimate(subset, seen, estimator)["score"].to_numpy()
    full = item_weights(matrix.benchmarks, "micro")
    assert np.allclose(benchmark_score(subset, shared.population, seen, estimator, full), wanted, atol=1e-9)


def test_a_mean_of_a_benchmark_is_that_of_its_own_items(matrix):
    old, new = matrix.take(models=slice(0, 45)), matrix.take(models=slice(45, 60))
    shared = prepare(old)
    subset = ib.select(old, 40, "stratified", irt=None, prepared=shared)
    seen = new.take(items=subset.items)
    weights = own_weights(matrix)
    assert set(weights) == {"a", "b"}
    assert all(np.isclose(w.sum(), 1) for w in weights.values())
    got = benchmark_score(subset, shared.population, seen, "weighted", weights["a"])
    assert np.allclose(got, seen.take(benchmark="a").scores())
    only_b = ib.select(old, 5, "stratified", irt=None, prepared=shared, quotas={"b": 5})
    seen = new.take(items=only_b.items)
    assert np.isnan(benchmark_score(only_b, shared.population, seen, "weighted", weights["a"])).all()
    assert np.isfinite(benchmark_score(only_b, shared.population, seen, "blend", weights["a"])).all()


def test_measures_of_a_split(found):
    rows = by_split(found).set_index(["method", "benchmark"])
    part = found[(found["method"] == CONTROL) & (found["benchmark"] == ALL)]
    row = rows.loc[(CONTROL, ALL)]
    error = 100 * (part["score"] - part["truth"])
    assert row["mae"] == pytest.approx(error.abs().mean())
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert row["bias"] == pytest.approx(error.mean())
    inside = (part["lower"] <= part["truth"]) & (part["truth"] <= part["upper"])
    assert row["coverage"] == pytest.approx(inside.mean())
    rho = [spearmanr(p["score"], p["truth"]).statistic for _, p in part.groupby("seed")]
    assert row["spearman"] == pytest.approx(np.mean(rho))
    assert row["kind"] == "random"
    assert row["models"] == part["model"].nunique()
    draws = by_draw(found)
    part = found[(found["method"] == "random + mean") & (found["benchmark"] == ALL)]
    assert len(draws) == 2
    assert draws["mae"].mean() == pytest.approx(100 * (part["score"] - part["truth"]).abs().mean())


def test_paired_difference_is_the_corrected_resampled_t():
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, 8), rng.normal(2, 1, 8)
    same = {"kind": "random", "benchmark": ALL, "size": 30, "models": 20, "n_calibration": 80}
    rows = pd.concat(
        pd.DataFrame({**same, "method": name, "split": [f"random-{k:02d}" for k in range(8)], "mae": values})
        for name, values in ((CONTROL, x), ("other", y))
    )
    d = paired(rows).loc[("random", ALL, "other", 30)]
    half = t.ppf(0.975, 7) * np.sqrt((1 / 8 + 20 / 80) * (y - x).var(ddof=1))
    assert d["difference"] == pytest.approx((y - x).mean())
    assert [d["low"], d["high"]] == pytest.approx([(y - x).mean() - half, (y - x).mean() + half])
    assert paired(rows).loc[("random", ALL, CONTROL, 30)].tolist() == [0, 0, 0]


@pytest.fixture(scope="module")
def board(matrix):
    y = matrix.values.astype(float)
    strata = np.unique(matrix.benchmarks.astype(str), return_inverse=True)[1]
    return baselines.Board(y[:45], y[45:], strata, item_weights(matrix.benchmarks, "macro"))


def test_point_biserial_is_the_correlation_with_the_score(board):
    score, got = board.old @ board.full, baselines.point_biserial(board)
    constant = board.old.std(axis=0) == 0
    assert (got[constant] == 0).all()
    wanted = [np.corrcoef(board.old[:, j], score)[0, 1] for j in np.flatnonzero(~constant)]
    assert np.allclose(got[~constant], wanted)


def test_anchors_are_spread_by_benchmark_and_their_weights_by_cluster(board):
    chosen, weight = baselines.anchors(board, 30, board.old.T, np.random.default_rng(0))
    assert weight.sum() == pytest.approx(1)
    assert len(chosen) <= 30
    assert np.bincount(board.strata, weight) == pytest.approx(board.share)
    everything, weight = baselines.anchors(board, 180, np.arange(180.0)[:, None], np.random.default_rng(0))
    assert np.isin(np.flatnonzero(board.strata == 2), everything).all()  # its 20 items: a cluster each
    mean = baselines.anchor_mean(board, everything, weight)
    assert np.corrcoef(mean, board.new @ board.full)[0, 1] > 0.95  # nearly all items


@pytest.mark.parametrize("find", [baselines.ridge, baselines.pls, baselines.forest])
def test_regressions_predict_the_score_better_than_its_mean(board, find):
    items = baselines.stratified(board, 60, np.random.default_rng(0))
    truth = board.new @ board.full
    error = np.abs(find(board, items) - truth).mean()
    # 60 of 180 items tell most of what varies between models
    assert error < 0.6 * np.abs((board.old @ board.full).mean() - truth).mean()


def test_gp_irt_predicts_and_knows_what_it_saw(board):
    fit = baselines.mirt(board, dimensions=2)
    everything = np.arange(180)
    got = baselines.gp_irt(board, everything, board.full, fit, prior=1.0)
    # every item seen: p-IRT and the weighted mean are both the score, up to nothing
    assert got == pytest.approx(board.new @ board.full, abs=1e-9)


def test_lasso_chooses_as_many_items_as_asked_for(board):
    found = baselines.lasso(board, [10, 40])
    assert [len(np.unique(found[n])) for n in (10, 40)] == [10, 40]


def test_curves_calibrate_on_nested_sets_that_do_not_test(matrix, monkeypatch):
    seen = []
    monkeypatch.setattr(curve, "TEST", 20)
    monkeypatch.setattr(curve, "run_split", lambda R, s, *_, **__: seen.append(s) or pd.DataFrame({"x": [1]}))
    curve.repeat(matrix, "openllm_v2", 0, (4, 8, 40, 100))
    assert [len(s.calibration) for s in seen] == [4, 8, 40]  # 60 models, 20 test
    assert all(set(a.calibration) < set(b.calibration) for a, b in pairwise(seen))
    assert len({s.test for s in seen}) == 1
    assert not set(seen[-1].calibration) & set(seen[-1].test)


def test_seeds_of_a_recipe_are_on_one_side_of_a_split():
    R = boards.read_board(Path(), "seedlings_choice")
    arms = R.models["arm"]
    for s in boards.splits_of(R, "seedlings_choice", "random", 3):
        assert set(arms[[*s.calibration, *s.test]]) == {"population"}
    for s in boards.splits_of(R, "seedlings_choice", "seeds", 3):
        assert set(arms[list(s.calibration)]) == {"population"}
        assert set(arms[list(s.test)]) == {"seeds", "orders"}


def test_runs_that_are_scored_do_not_calibrate():
    folds, distinct = noise.fleet("choice")
    scored = []
    for fold, rows in zip(folds, distinct, strict=True):
        about = [
            x.models.assign(run=x.models["arm"] + x.models["seed"].astype(str))
            for x in (fold.calibrate, fold.scored)
        ]
        assert not set(about[0].index) & set(about[1].index)
        runs = [set(x.loc[x["arm"] != "population", "run"]) for x in about]
        assert not runs[0] & runs[1]
        assert set(fold.scored.models["arm"].iloc[rows]) == {"population"}
        scored += list(runs[1])
        assert fold.grid.shape[1:] == (5, 22)
        steps = fold.scored.models["step"].to_numpy()[fold.grid]
        assert (np.diff(steps.astype(float), axis=-1) > 0).all()
    assert len(scored) == len(set(scored)) == 15  # every run is scored once


def test_noise_of_a_subset_and_of_the_benchmark():
    rng = np.random.default_rng(0)
    ability = rng.normal(0, 1, (4, 1)) + np.array([[-1.0, 0.0, 1.0]])  # seeds × steps
    y = (rng.random((4, 3, 150)) < 1 / (1 + np.exp(-ability[..., None]))).astype(float)
    table = pd.DataFrame(
        {"family": "r", "seed": np.repeat(range(4), 3), "step": np.tile([1, 2, 3], 4)},
        index=[f"{s}@{t}" for s in range(4) for t in (1, 2, 3)],
    )
    R = ib.ResponseMatrix.of(y.reshape(12, -1), table, [f"i{k}" for k in range(150)])
    scored, grid = noise._runs(R, [np.array(R.model_ids)], [])
    old = simulate(n_models=30, n_items=150, seed=1).responses
    about = pd.DataFrame({"family": np.repeat(np.arange(15), 2).astype(str), "step": 1, "seed": [1, 2] * 15})
    about.index = old.model_ids
    calibrate = noise._by_checkpoint(ib.ResponseMatrix.of(old.values, about, list(R.item_ids)))
    assert calibrate.models["name"].nunique() == 15  # two seeds each
    found = noise.measured([noise.Fold(calibrate, scored, grid)], [], draws=2).set_index("method")
    scores = y.mean(axis=2)
    assert found.loc["full", "E"] == pytest.approx(scores.std(axis=0, ddof=1).mean())
    assert found.loc["full", "rmse"] == 0
    assert np.isnan(found.loc["full", "mdad"])  # against itself there is no gap to find
    gap = 100 * found.loc["random + mean", "mdad"]
    assert gap == pytest.approx(round(gap))  # an edge of bins of a point
    # 100 of 150 items, drawn without replacement: the error of a mean over items
    expected = np.sqrt((y.var(axis=2, ddof=1) * (1 / 100 - 1 / 150)).mean())
    assert found.loc["random + mean", "rmse"] == pytest.approx(expected, rel=0.15)  # 100 draws of 12 runs


def test_words_follow_the_interval():
    def d(low, high):
        return pd.Series({"difference": (low + high) / 2, "low": low, "high": high})

    assert which._versus(d(-2, -1)) == "lower by 1.50 points [1.00, 2.00]"
    assert which._versus(d(1, 2)) == "higher by 1.50 points [1.00, 2.00]"
    assert which._versus(d(-1, 2)).startswith("not clearly different (+0.50")
    assert [which._advice(x) for x in (d(-2, -1), d(1, 2), d(-1, 1))] == [
        "Keep the default",
        "Do not use the default",
        "The default does no clear harm",
    ]


@needs_shared
@pytest.mark.parametrize(
    ("name", "shape", "low", "high"),
    # models × items, lowest and highest score: from the README beside each data set
    [
        ("wmdp_bio_prob", (64, 1273), 0.4782, 0.7437),
        ("wmdp_bio_binary", (64, 1273), 0.5405, 0.7753),
        ("swebench_agent", (24, 500), 0.09, 0.744),
        ("mmlu_pro", (28, 12032), 0.18, 0.70),
        ("alpaca_eval2", (58, 805), 0.02, 0.77),
    ],
)
def test_boards_are_those_of_the_reference_data(name, shape, low, high):
    R = boards.read_board(SHARED / "data", name)
    scores = R.scores(boards.BOARDS[name].average)
    assert R.shape == shape
    half = 0.005 if name in ("mmlu_pro", "alpaca_eval2") else 0.00005  # of the last digit given there
    assert abs(scores.min() - low) <= half
    assert abs(scores.max() - high) <= half
    assert not pd.DataFrame(R.values).duplicated().any()


@needs_shared
def test_openllm_v2_has_each_set_of_weights_once():
    R = boards.read_board(SHARED / "data", "openllm_v2")
    assert R.shape == (426, 2191)  # 428 complete models, two of them copies
    by = R.take(benchmark="ifeval").scores()
    assert (by.min().round(3), by.max().round(4)) == (0.037, 0.8799)
    for s in boards.splits_of(R, "openllm_v2", "family", 2):
        families = [{m.partition("/")[0] for m in side} for side in (s.calibration, s.test)]
        assert not families[0] & families[1]


@pytest.mark.skipif(not (RESULTS / "openllm_v2.parquet").is_file(), reason="not measured here")
def test_pages_are_those_that_the_committed_tables_give(tmp_path, monkeypatch):
    for name in ("size_error", "overview", "coverage", "learning"):  # pictures take most of the time
        monkeypatch.setattr(tables.plots, name, lambda *_: None)
    for path in RESULTS.glob("*.parquet"):
        shutil.copy(path, tmp_path)
    tables.write(tmp_path)
    written = sorted(tmp_path.glob("*.md"))
    assert {p.stem for p in written} >= {"methods", "which_method"}
    for path in written:
        here, there = (p.read_text(encoding="utf-8").splitlines() for p in (path, RESULTS / path.name))
        assert len(here) == len(there)
        assert [a for a, b in zip(here, there, strict=True) if a != b and "Written by" not in a] == []
