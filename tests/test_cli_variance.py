"""The command variance: tables, files and refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import irtbench as ib
from irtbench.cli import app
from irtbench.commands.variance_page import left_out
from irtbench.responses import from_long
from irtbench.variance import component_report, runs_of, variance_report


def irtbench(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two recipes with three seeds and four checkpoints, one without replicates, two benchmarks."""
    folder = tmp_path_factory.mktemp("variance")
    rng = np.random.default_rng(0)
    easy = rng.normal(size=60)
    rows = [("a", s, t) for s in range(3) for t in range(4)] + [
        ("b", s, t) for s in range(3) for t in range(4)
    ]
    rows += [("single", 0, t) for t in range(4)]
    long = pd.DataFrame(
        [
            (f, s, 100 * t, f"q{i}", "xy"[i % 2], int(rng.random() < 1 / (1 + np.exp(1 - t - easy[i]))))
            for f, s, t in rows
            for i in range(60)
        ],
        columns=["model", "seed", "step", "item", "benchmark", "response"],
    )
    long["family"] = long["model"]
    from_long(long).save(folder / "r.parquet")
    long.rename(columns={"seed": "run"}).assign(
        model=long["model"] + "-" + long["seed"].astype(str), recipe=long["model"]
    ).drop(columns="family").to_parquet(folder / "renamed.parquet")
    ib.simulate(n_models=6, n_items=20, seed=0).responses.save(folder / "plain.parquet")
    return folder


def test_json_and_folder_hold_what_the_functions_return(files, tmp_path):
    out = tmp_path / "v"
    result = irtbench(
        "variance", files / "r.parquet", "-o", out, "--chance", "0.25", "--resamples", 200, "--json"
    )
    assert result.exit_code == 0, result.stderr
    R = ib.read(files / "r.parquet")
    want = variance_report(R, chance=0.25, resamples=200).reset_index()
    found = json.loads(result.stdout)
    assert found["left_out"] == ["single"]
    assert found["choices"]["ddof"] == 1
    assert found["benchmarks"][0]["E"] == pytest.approx(want["E"][0], rel=1e-9)
    assert {path.name for path in out.iterdir()} == {
        *("variance.parquet", "components.parquet", "curves.parquet", "variance.json", "config.json"),
        "report.html",
    }
    pd.testing.assert_frame_equal(pd.read_parquet(out / "variance.parquet"), want)
    components = component_report(R, resamples=200).reset_index()
    pd.testing.assert_frame_equal(pd.read_parquet(out / "components.parquet"), components)
    assert json.loads((out / "variance.json").read_text()) == found
    curves = pd.read_parquet(out / "curves.parquet")
    assert len(curves) == 2 * 3 * 4 * 2
    scores = R.take(benchmark="x").scores()
    one = curves.query("family == 'a' and seed == '1' and step == '200' and benchmark == 'x'")
    assert one["score"].item() == pytest.approx(scores["a@seed=1@step=200"], abs=1e-6)  # float32 on its way


def test_tables_name_their_choices(files):
    result = irtbench("variance", files / "r.parquet", "--resamples", 200, "--ddof", 0, "--aggregate", "rms")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    for text in (
        "in points",
        "ddof 0",
        "rms over checkpoints",
        "tau_b",
        "shared random orders",
        "left out",
        "single",
    ):
        assert text in result.stderr


def test_columns_called_otherwise(files):
    result = irtbench(
        *(
            "variance",
            files / "renamed.parquet",
            "--family",
            "recipe",
            "--seed-column",
            "run",
            "--json",
            "-q",
        ),
        *("--resamples", 200),
    )
    assert result.exit_code == 0, result.stderr
    own, plain = (
        variance_report(runs, resamples=200)
        for runs in (
            runs_of(from_long(pd.read_parquet(files / "renamed.parquet")), family="recipe", seed="run"),
            runs_of(ib.read(files / "r.parquet")),
        )
    )
    assert [row["E"] for row in json.loads(result.stdout)["benchmarks"]] == pytest.approx(own["E"].tolist())
    assert own["E"].to_numpy() == pytest.approx(plain["E"].to_numpy(), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("plain.parquet", (), "no column 'seed'"),
        ("r.parquet", ("--family", "recipe"), "no column 'recipe'"),
        ("r.parquet", ("--seed-column", "step"), "tell them apart"),
        ("r.parquet", ("--chance", "z=0.5"), "no benchmark 'z'"),
        ("r.parquet", ("--chance", "x=half"), "not a number"),
        ("r.parquet", ("--exclude-chance",), "give --chance"),
        ("r.parquet", ("--last", "9"), "last 9 checkpoints"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(files, tmp_path, name, options, message):
    result = irtbench("variance", files / name, "-o", tmp_path / "v", "-q", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "v").exists()


def test_a_folder_is_not_replaced_unasked(files, tmp_path):
    out = tmp_path / "v"
    out.mkdir()
    (out / "mine.txt").write_text("x")
    result = irtbench("variance", files / "r.parquet", "-o", out)
    assert result.exit_code == 2
    assert (out / "mine.txt").read_text() == "x"


def test_other_views_and_a_subset_need_a_folder(files):
    for option in ("--beside", "--subset"):
        result = irtbench("variance", files / "r.parquet", option, files / "r.parquet")
        assert result.exit_code != 0
        assert "--out" in result.stderr


def test_two_views_of_one_name_are_refused(files, tmp_path):
    how = ["variance", files / "r.parquet", "-o", tmp_path / "v", "--resamples", 100]
    result = irtbench(*how, "--beside", files / "r.parquet")
    assert result.exit_code != 0
    assert "both views are called 'acc'" in result.stderr
    assert not (tmp_path / "v").exists()
    result = irtbench(*how, "--beside", f"again={files / 'r.parquet'}")
    assert result.exit_code == 0, result.stderr
    assert "acc and again" in (tmp_path / "v" / "report.html").read_text()


def test_a_subset_stands_beside_all_items(files, tmp_path):
    R = ib.read(files / "r.parquet")
    ib.select(R, 20, "random", irt=None).save(tmp_path / "subset")
    how = ["variance", files / "r.parquet", "--resamples", 100, "--subset", tmp_path / "subset"]
    result = irtbench(*how, "-o", tmp_path / "v")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "v" / "report.html").read_text()
    assert "Subset: 20 of 60 items" in page
    assert "no section about items: " in result.stderr  # three models are too few to be halved
    result = irtbench(*how[:-1], files, "-o", tmp_path / "w")
    assert result.exit_code != 0
    assert not (tmp_path / "w").exists()


def test_the_score_of_guessing_may_stand_with_the_items(files, tmp_path):
    R = ib.read(files / "r.parquet")
    chance = np.where(R.benchmarks == "x", 0.25, 0.5)
    ib.ResponseMatrix(R.values, R.models, R.items.assign(chance=chance), R.metric).save(
        tmp_path / "c.parquet"
    )
    how = ("--resamples", 100, "--json")
    own, given = (
        irtbench("variance", *more, *how)
        for more in ((tmp_path / "c.parquet",), (files / "r.parquet", "--chance", "x=0.25,y=0.5"))
    )
    assert "column chance" in own.stderr
    assert json.loads(own.stdout)["benchmarks"] == json.loads(given.stdout)["benchmarks"]
    ib.ResponseMatrix(R.values, R.models, R.items.assign(chance=2.0), R.metric).save(tmp_path / "d.parquet")
    refused = irtbench("variance", tmp_path / "d.parquet", *how)
    assert refused.exit_code == 2
    assert "column chance must hold numbers in [0, 1]" in refused.stderr


def test_many_recipes_without_replicates_are_named_shortly():
    assert left_out(["a", "b"]) == "left out, as they have no replicates: a, b"
    assert left_out([f"m{k}" for k in range(70)]).endswith("m3, m4 and 65 more")
