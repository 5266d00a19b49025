"""A against B by name, and the commands ``decide`` and ``items``."""

import json

import numpy as np
import pandas as pd
import pytest
from shared import needs_shared
from typer.testing import CliRunner

import irtbench as ib
from irtbench.cli import app
from irtbench.errors import InputError
from irtbench.responses import Metric, ResponseMatrix
from irtbench.variance import compare_recipes, compare_runs, decide, leaderboard, seeds_needed


def responses(seed=0, n_items=300, better=0.25, n_seeds=4):
    """Two recipes, three checkpoints; ``new`` is better in benchmark x and the same in y."""
    rng = np.random.default_rng(seed)
    grid = [(f, s, t) for f in ("old", "new") for s in range(n_seeds) for t in (1, 10, 2)]
    table = pd.DataFrame(grid, columns=["family", "seed", "step"])
    table.index = [f"{f}-{s}@{t}" for f, s, t in grid]
    in_x = np.arange(n_items) % 2 == 0
    lift = np.array([better * (f == "new") + 0.01 * t for f, _, t in grid])[:, None]
    y = (rng.random((len(grid), n_items)) < 0.4 + lift * in_x) * 1.0
    items = pd.DataFrame({"benchmark": np.where(in_x, "x", "y")}, index=[f"i{k}" for k in range(n_items)])
    items["passage"] = np.arange(n_items) // 6
    return ResponseMatrix(y, table, items)


def test_recipes_at_their_last_checkpoint():
    R = responses()
    table = decide(R, "new", "old")
    assert list(table.index) == ["x", "y", "all"]
    assert table.loc["x", "better"] == "new"
    assert pd.isna(table.loc["y", "better"])
    rows = {f: (R.models["family"].eq(f) & R.models["step"].eq(10)).to_numpy() for f in ("new", "old")}
    single = compare_recipes(*(R.values[rows[f]][:, R.benchmarks == "x"] for f in ("new", "old")))
    assert table.loc["x", "difference"] == single.estimate
    assert table.loc["x", "p_adjusted"] == pytest.approx(2 * single.p_value)  # Holm over two benchmarks
    assert table.loc["all", "p_adjusted"] == table.loc["all", "p_value"]
    assert (table[["seeds_a", "seeds_b"]] == 4).all(axis=None)
    sd = single.seed_se / np.sqrt(2 / 4)
    assert table.loc["x", "seeds_needed"] == seeds_needed(abs(single.estimate), sd)
    assert table.attrs["control"] == "holm"


def test_a_checkpoint_by_name_and_clusters():
    R = responses(1)
    first = decide(R, "new", "old", at="1", clusters="passage")
    rows = {f: (R.models["family"].eq(f) & R.models["step"].eq(1)).to_numpy() for f in ("new", "old")}
    part = R.benchmarks == "y"
    single = compare_recipes(
        *(R.values[rows[f]][:, part] for f in ("new", "old")), clusters=R.items["passage"][part]
    )
    assert first.loc["y", "p_value"] == single.p_value


def test_single_runs_by_their_id():
    R = responses(2)
    table = decide(R, "new-0@10", "old-0@10")
    part = R.benchmarks == "x"
    single = compare_runs(R.take(["new-0@10"]).values[0, part], R.take(["old-0@10"]).values[0, part])
    assert table.loc["x", "p_value"] == single.p_value
    assert table["seed_se"].isna().all()
    assert table["seeds_needed"].isna().all()


@pytest.mark.slow
def test_false_alarms_over_benchmarks():
    # the same recipe twice, two benchmarks, 1,000 comparisons: any verdict by adjusted p-values in at
    # most 5 % (3 binomial standard errors: 0.021)
    alarms = 0
    for k in range(1000):
        table = decide(responses(k, n_items=40, better=0.0, n_seeds=3), "new", "old").drop(index="all")
        alarms += table["better"].notna().any()
    assert alarms / 1000 <= 0.05 + 0.021


def test_a_loss_is_better_when_lower():
    R = responses(3)
    loss = ResponseMatrix(R.values, R.models, R.items, Metric("brier", higher_is_better=False))
    assert decide(loss, "new", "old").loc["x", "better"] == "old"


def test_refusals():
    R = responses(4)
    with pytest.raises(InputError, match="no model and no family 'newer'; there are old, new"):
        decide(R, "newer", "old")
    with pytest.raises(InputError, match="no checkpoint '7'; it has 1, 2, 10"):
        decide(R, "new", "old", at="7")
    with pytest.raises(InputError, match="no column 'topic'"):
        decide(R, "new", "old", clusters="topic")
    with pytest.raises(InputError, match="several checkpoints"):
        leaderboard(R, by="family")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_command_decide(tmp_path):
    path, out = tmp_path / "r.parquet", tmp_path / "d.parquet"
    R = responses(5)
    R.save(path)
    result = run("decide", path, "new", "old", "-o", out, "--json")
    assert result.exit_code == 0, result.stderr
    assert "not told apart" in result.stderr
    content = json.loads(result.stdout)
    expected = decide(R, "new", "old")
    assert [row["p_value"] for row in content["table"]] == pytest.approx(expected["p_value"].tolist())
    assert pd.read_parquet(out)["benchmark"].tolist() == ["x", "y", "all"]
    assert run("decide", path, "new", "old", "-o", out).exit_code == 2  # it exists
    board = json.loads(run("decide", path, "--json", "--quiet").stdout)["table"]
    assert [row["model"] for row in board] == list(leaderboard(R).index)
    alone = run("decide", path, "new")
    assert alone.exit_code == 2
    assert "second name" in alone.stderr
    assert "another seed" in run("decide", path, "new-0@1", "old-0@1").stderr


def test_command_items(tmp_path):
    path, out = tmp_path / "r.parquet", tmp_path / "i.parquet"
    R = ib.simulate(n_models=20, n_items=30, seed=0).responses
    R.save(path)
    result = run("items", path, "-o", out, "--splits", 5, "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert len(content["table"]) == 30
    assert len(content["splits"]) == 10
    assert "capability" in result.stderr
    assert set(pd.read_parquet(out)) >= {"item", "difficulty", "item_rest"}
    R.take(list(range(6))).save(tmp_path / "few.parquet")
    few = run("items", tmp_path / "few.parquet")
    assert few.exit_code == 0
    assert "at least 12" in few.stderr
    drawn = tmp_path / "halves.svg"
    result = run("items", path, "--picture", drawn, "--splits", 5)
    assert result.exit_code == 0, result.stderr
    assert "between the weaker and the stronger half" in " ".join(result.stderr.split())
    assert drawn.read_text().count("<svg") == 1
    assert (tmp_path / "halves.svg.config.json").is_file()
    for bad, why in ((tmp_path / "h.gif", "ends in .svg"), (drawn, "exists")):
        refused = run("items", path, "--picture", bad)
        assert refused.exit_code == 2
        assert why in refused.stderr
    none = run("items", tmp_path / "few.parquet", "--picture", tmp_path / "few.svg")
    assert none.exit_code == 2
    assert "too few models" in none.stderr


@needs_shared
def test_real_recipes():
    from nlu import nlu

    # a thousand times the pre-training data is better, and three seeds show it
    table = decide(nlu("arc-easy"), "roberta-base-1B", "roberta-med-small-1M", at="best")
    assert table["better"].item() == "roberta-base-1B"
    assert table["p_value"].item() < 0.05
    board = leaderboard(nlu("arc-easy").take([m for m in nlu("arc-easy").model_ids if m.endswith("@best")]))
    assert board.index[0] == "albert-xxlarge-v2@best"
    assert board["tier"].iloc[-1] >= 3
