"""benchmarks/paper: sampled answers and two views of the same answers, against independent computations."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from shared import SHARED, needs_shared

from benchmarks.paper import cruxeval_samples, wmdp_bio_prob
from benchmarks.paper.markdown import grid, limits, over_models
from irtbench.errors import InputError

CRUX, WMDP = SHARED / "data" / "cruxeval_samples", SHARED / "data" / "wmdp_bio_prob"


def test_pass_at_is_the_share_of_draws_that_hold_a_right_answer():
    right = np.array([0, 1, 3, 5])
    for k in (1, 2, 3):
        drawn = [
            np.mean([any(j < c for j in some) for some in combinations(range(5), k)]) for c in right
        ]  # the first c of five answers are right
        assert cruxeval_samples.pass_at(right, 5, k) == pytest.approx(np.mean(drawn))


def test_generation_noise_of_simulated_answers():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 2000)
    rows = [cruxeval_samples.one((rng.random((10, 2000)) < p).astype(float)) for _ in range(20)]
    table = pd.DataFrame(rows).mean()
    answer, item = np.mean(p * (1 - p)), p.var(ddof=1)
    # 20 × 10 answers to 2000 questions: E[σ²] is known to well below 1 %
    assert table["answer_variance"] == pytest.approx(answer, rel=0.01)
    assert table["item_variance"] == pytest.approx(item, rel=0.02)
    assert table["share_answer"] == pytest.approx(answer / (answer + item), rel=0.02)
    # the sd of ten scores is known to 24 %, the mean of 20 of them to 5 %: three standard errors
    assert table["measured_sd"] == pytest.approx(np.sqrt(answer / 2000), rel=0.16)
    assert table["se_5"] == pytest.approx(np.sqrt((item + answer / 5) / 2000), rel=0.02)


def test_smallest_difference_shrinks_with_answers_to_that_of_the_questions():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.2, 0.8, 1000)
    group = {
        name: (rng.random((10, 1000)) < np.clip(p + shift, 0, 1)).astype(float)
        for name, shift in (("a", 0), ("b", 0.1))
    }
    row = cruxeval_samples.pairs(group).iloc[0]
    mde = [row[f"mde_{k}"] for k in (1, 2, 5, 10, "all")]
    assert mde == sorted(mde, reverse=True)
    noise = sum(y.var(axis=0, ddof=1).mean() for y in group.values())
    # (z.975 + z.8)² = 7.849: the squares differ by the noise of nine tenths of the answers
    assert (mde[0] ** 2 - mde[3] ** 2) / 7.849 == pytest.approx(0.9 * noise / 1000, rel=1e-3)


def test_paired_noise_is_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    y = rng.random((6, 50))
    pairs = [((y[i] - y[j]).var(ddof=1) / 50) for i, j in combinations(range(6), 2)]
    found = wmdp_bio_prob.item_noise(y)
    assert found["paired_se"] == pytest.approx(np.sqrt(np.mean(pairs)))
    assert found["se"] == pytest.approx(np.sqrt(np.mean(y.var(axis=1, ddof=1)) / 50))
    # what the spread of six scores has beyond their noise
    assert found["sd"] ** 2 == pytest.approx(max(y.mean(axis=1).var(ddof=1) - np.mean(pairs) / 2, 0))


def test_the_spread_of_simulated_models_is_found_in_samples_and_resamples():
    rng = np.random.default_rng(0)
    ability = rng.normal(0, 0.05, (40, 1))
    y = 0.5 + ability + rng.normal(0, 0.4, 800) + rng.normal(0, 0.4, (40, 800))
    found = wmdp_bio_prob.bootstrap({"acc": y, "prob": y}, 100, 0)
    value, low, high = found.loc[("acc", "sd")]
    # noise 0.4/√800 = 0.014; the sd of these 40 abilities is estimated to a few percent
    assert value == pytest.approx(ability.std(ddof=1), rel=0.1)
    assert low < value < high
    assert found.loc["prob / acc", "value"].tolist() == pytest.approx([1.0] * 5)


def test_markdown():
    assert limits((np.nan, 0, 1)) == "–"
    mean, low, high = over_models(np.array([1.0, 2.0, np.nan, 3.0]))
    assert mean == 2
    assert 1 <= low < 2 < high <= 3
    assert len(grid(pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="n")))) == 4


@needs_shared
def test_cruxeval_command(tmp_path):
    cruxeval_samples.main(["--data", str(CRUX), "--out", str(tmp_path)])
    models = pd.read_parquet(tmp_path / "cruxeval_models.parquet")
    rows = pd.read_parquet(CRUX / "responses.parquet")
    one = models[models["model"] == "phi-2"].sort_values(["task", "temperature"])
    own = rows[rows["model"] == "phi-2"].groupby(["benchmark", rows["temperature"].round(1)], observed=True)
    assert one["mean"].to_numpy(dtype=float) == pytest.approx(own["response"].mean().to_numpy())
    # the facts of the data's README: 47 % of the variance of a response, 1.1 points, at T = 0.8 on inputs
    hot = models[(models["task"] == "cruxeval_input") & (models["temperature"] == 0.8)]
    assert 100 * hot["share_answer"].mean() == pytest.approx(47, abs=0.5)
    assert 100 * hot["generation_sd"].mean() == pytest.approx(1.1, abs=0.05)
    page = (tmp_path / "cruxeval_samples.md").read_text()
    assert "| HumanEval | 164 | 11.89 | 1.11 | 1.75 | 6.79 | 3.98 | 4.95 |" in page


@needs_shared
def test_wmdp_command(tmp_path):
    wmdp_bio_prob.main(["--data", str(WMDP), "--out", str(tmp_path), "--draws", "5", "--resamples", "50"])
    noise = pd.read_parquet(tmp_path / "wmdp_noise.parquet").set_index(["view", "measure"])
    assert noise.loc[("acc", "mean"), "value"] == pytest.approx(0.6707, abs=5e-5)  # the data's README
    assert noise.loc[("prob", "mean"), "value"] == pytest.approx(0.615, abs=5e-4)
    decided = pd.read_parquet(tmp_path / "wmdp_decisions.parquet")
    own = decided[(decided["by"] == "acc") & (decided["target"] == "acc")]["agreement"]
    assert (own.diff().dropna() > 0).all()  # more items, better decisions
    assert "E, E/SE and monotonicity" in (tmp_path / "wmdp_bio_prob.md").read_text()


def test_no_data_is_one_clear_error(tmp_path):
    for script in (cruxeval_samples, wmdp_bio_prob):
        with pytest.raises(InputError, match="give the folder with --data"):
            script.main(["--data", str(tmp_path)])
