"""The summary against numbers computed by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import irtbench as ib
from irtbench.compare.methods import CONTROL


def comparison(seed=0, n_splits=5, n_models=6, n_seeds=2):
    rng = np.random.default_rng(seed)
    rows = []
    for method, noise in ((CONTROL, 0.1), ("default", 0.05)):
        for split in range(n_splits):
            truth = np.random.default_rng(split).random(n_models)
            for k in range(n_seeds):
                score = truth + noise * rng.normal(size=n_models)
                for m in range(n_models):
                    rows.append(
                        (
                            method,
                            10,
                            k,
                            f"s{split}",
                            f"m{m}",
                            truth[m],
                            score[m],
                            score[m] - 0.1,
                            score[m] + 0.1,
                            18,
                        )
                    )
    columns = [
        "method",
        "size",
        "seed",
        "split",
        "model",
        "truth",
        "score",
        "lower",
        "upper",
        "n_calibration",
    ]
    return pd.DataFrame(rows, columns=columns)


def test_against_the_formulas():
    table = comparison()
    row = ib.summarize(table).set_index("method").loc["default"]
    own = table[table["method"] == "default"]
    error = own["score"] - own["truth"]
    assert row["mae"] == pytest.approx(error.abs().mean())
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert row["bias"] == pytest.approx(error.mean())
    assert row["coverage"] == pytest.approx((error.abs() <= 0.1).mean())
    parts = [part for _, part in own.groupby(["split", "seed"])]
    assert row["spearman"] == pytest.approx(
        np.mean([stats.spearmanr(p["score"], p["truth"]).statistic for p in parts])
    )
    assert row["kendall"] == pytest.approx(
        np.mean([stats.kendalltau(p["score"], p["truth"]).statistic for p in parts])
    )
    assert row["seed_sd"] == pytest.approx(own.groupby(["split", "model"])["score"].std().mean())
    assert (row["splits"], row["models"]) == (5, 6)


def test_paired_difference_is_nadeau_and_bengio():
    table = comparison()
    row = ib.summarize(table).set_index("method").loc["default"]
    absolute = (table["score"] - table["truth"]).abs()
    by_split = absolute.groupby([table["method"], table["split"]]).mean().unstack("split")
    difference = by_split.loc["default"] - by_split.loc[CONTROL]
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 6 / 18) * difference.var(ddof=1))
    assert row["mae_diff"] == pytest.approx(difference.mean())
    assert row["mae_diff_lower"] == pytest.approx(difference.mean() - half)
    assert row["mae_diff_upper"] == pytest.approx(difference.mean() + half)


def test_one_split_has_no_interval_and_one_seed_no_sd():
    summary = ib.summarize(comparison(n_splits=1, n_seeds=1))
    assert summary[["seed_sd", "mae_diff_lower"]].isna().all(axis=None)
    assert summary["mae_diff"].notna().all()


def test_constant_scores_have_no_rank():
    table = comparison().assign(score=0.5)
    assert ib.summarize(table)["spearman"].isna().all()


def test_bad_tables_are_refused():
    with pytest.raises(ib.InputError, match="lacks the column"):
        ib.summarize(comparison().drop(columns="truth"))
    with pytest.raises(ib.InputError, match="no rows"):
        ib.summarize(comparison().iloc[:0])
