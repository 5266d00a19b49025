"""Scores of single benchmarks from one subset, and the limits of a choice on the command line."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import irtbench as ib
from irtbench.cli import app
from irtbench.errors import ExtrapolationWarning, InputError
from irtbench.irt import simulate
from irtbench.subsets import Subset, estimate, select


@pytest.fixture(scope="module")
def world():
    R = simulate(160, 240, n_benchmarks=3, benchmark_sd=0.7, seed=5).responses
    old, new = R.take(models=slice(0, 100)), R.take(models=slice(100, 160))
    return old, new, select(old, 60, irt=None, average="macro", by_benchmark=True)


def by_benchmark(subset, new, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return estimate(subset, new.take(items=subset.items), *arguments, by="benchmark", **options)


def test_each_benchmark_has_a_score_and_an_interval_that_holds(world):
    _, new, subset = world
    table = by_benchmark(subset, new)
    assert list(table["benchmark"].unique()) == ["all", *np.unique(new.benchmarks)]
    for name, part in table.groupby("benchmark"):
        own = new if name == "all" else new.take(items=new.benchmarks == name)
        truth = own.scores("macro")
        inside = (part["lower"] <= truth) & (truth <= part["upper"])
        assert inside.mean() >= 0.8  # nominal 0.9; two standard errors of 60 models are 0.08
        half = (part["upper"] - part["lower"]).mean() / 2
        # some 20 items of 80: by themselves a 90 % interval of 1.645 sqrt(.25 / 20 * .75) = 0.16 either side
        assert half < 0.16
        assert (part["score"] - truth).abs().mean() < 0.5 * truth.std()


def test_regressions_of_the_benchmarks_average_to_that_of_the_full_score(world):
    _, new, subset = world
    table = by_benchmark(subset, new, "regression").set_index("benchmark", append=True)["score"].unstack()
    # macro: the full score is the mean of the benchmarks', so is a linear prediction; rounding alone is left
    assert table["all"].to_numpy() == pytest.approx(table.drop(columns="all").mean(axis=1), abs=1e-9)


def test_a_benchmark_without_an_item_is_told_by_the_others(world):
    old, new, _ = world
    names = np.unique(old.benchmarks)
    subset = select(old, irt=None, quotas={names[0]: 30, names[1]: 10}, by_benchmark=True)
    part = by_benchmark(subset, new).query("benchmark == @names[2]")
    truth = new.take(items=new.benchmarks == names[2]).scores()
    assert ((part["lower"] <= truth) & (truth <= part["upper"])).mean() >= 0.8
    assert part["score"].corr(truth) > 0.3  # benchmarks of one simulation correlate 1 / (1 + 0.7²) = 0.67


def test_a_random_sample_gives_each_benchmark_a_guaranteed_interval(world):
    old, new, _ = world
    subset = select(old, 60, "stratified", irt=None, by_benchmark=True)
    table = by_benchmark(subset, new, "difference")
    for name, part in table[table["benchmark"] != "all"].groupby("benchmark"):
        truth = new.take(items=new.benchmarks == name).scores()
        assert ((part["lower"] <= truth) & (truth <= part["upper"])).mean() >= 0.8


def test_saved_and_loaded_with_its_parts(world, tmp_path):
    _, new, subset = world
    subset.save(tmp_path / "s")
    again = Subset.load(tmp_path / "s")
    assert again.fingerprint == subset.fingerprint
    assert list(again.parts) == list(subset.parts)
    assert "for 'benchmark-1'" in repr(next(iter(again.parts.values())))
    pd.testing.assert_frame_equal(by_benchmark(again, new), by_benchmark(subset, new))
    other = select(world[0], 60, irt=None, average="macro")
    assert other.items == subset.items
    assert other.fingerprint != subset.fingerprint


def test_refusals(world):
    old, new, subset = world
    seen = new.take(items=subset.items)
    with pytest.raises(InputError, match="'weighted' gives no score of a single benchmark"):
        estimate(subset, seen, "weighted", by="benchmark")
    with pytest.raises(InputError, match="by must be 'all' or 'benchmark'"):
        estimate(subset, seen, by="item")
    plain = select(old, 30, irt=None)
    with pytest.raises(InputError, match="by_benchmark=True"):
        estimate(plain, new.take(items=plain.items), by="benchmark")


def test_the_model_beyond_the_range_of_a_benchmark_is_named(world):
    old, _, subset = world
    perfect = ib.ResponseMatrix(
        np.ones((1, subset.size)), old.models.iloc[:1], old.items.loc[subset.items], old.metric
    )
    with pytest.warns(ExtrapolationWarning) as caught:
        estimate(subset, perfect, by="benchmark")
    assert any("on 'benchmark-1'" in str(w.message) for w in caught)


def test_limits_and_benchmarks_on_the_command_line(world, tmp_path):
    old, new, _ = world

    def run(*arguments, code=0):
        found = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert found.exit_code == code, found.stderr
        return found

    priced = old.items.assign(tokens=1.0 + np.arange(old.n_items) % 5)
    ib.ResponseMatrix(old.values, old.models, priced, old.metric).save(tmp_path / "old.parquet")
    make = ["subset", tmp_path / "old.parquet", "--irt", "none", "--json", "-o"]
    must, never = old.item_ids[3], old.item_ids[7]
    limits = ["--quota", "benchmark-1=6", "--quota", "benchmark-3=4", "--require", must, "--forbid", never]
    found = json.loads(run(*make, tmp_path / "a", *limits, "--by-benchmark").stdout)
    assert found["size"] == 10
    assert must in found["items"]
    assert never not in found["items"]
    seen = new.take(items=found["items"])
    seen.save(tmp_path / "new.parquet")
    estimated = run("estimate", tmp_path / "a", tmp_path / "new.parquet", "--by", "benchmark", "--json")
    rows = json.loads(estimated.stdout)["scores"]
    assert len(rows) == 4 * new.n_models
    assert {row["benchmark"] for row in rows} == {"all", "benchmark-1", "benchmark-2", "benchmark-3"}
    bought = json.loads(run(*make, tmp_path / "b", "--cost", "tokens", "--budget", 30).stdout)
    assert priced.loc[bought["items"], "tokens"].sum() <= 30
    for wrong in (["--quota", "benchmark-1"], ["--quota", "benchmark-1=2", "--quota", "benchmark-1=3"]):
        assert "--quota" in run(*make, tmp_path / "c", *wrong, code=2).stderr
    assert not (tmp_path / "c").exists()
