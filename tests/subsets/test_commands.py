"""The commands adapt, gate, export and banks: what they write and print, and their exit codes."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import irtbench as ib
from irtbench.cli import app
from irtbench.irt import simulate
from irtbench.responses import ResponseMatrix
from irtbench.subsets.adaptive import resume
from irtbench.subsets.banks import list_banks, load_bank, load_plan, load_subset


def irtbench(*arguments, input=None):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, input=input)


def done(*arguments, code=0, input=None):
    result = irtbench(*arguments, input=input)
    assert result.exit_code == code, result.stderr
    return result


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    s = simulate(n_models=45, n_items=90, n_benchmarks=2, seed=3)
    old, new = s.responses.take(models=slice(0, 35)), s.responses.take(models=slice(35, 45))
    old.save(folder / "old.parquet")
    new.save(folder / "new.parquet")
    s.bank.save(folder / "bank")
    subset = ib.select(old, 20, bank=s.bank, folds=3)
    subset.save(folder / "subset")
    return folder, s, new, subset


@pytest.mark.parametrize("command", ["adapt", "gate", "export", "banks"])
def test_every_command_has_help(command):
    assert command in done("--help").stdout
    assert "Usage" in done(command, "--help").stdout


def test_export_writes_every_kind(world, tmp_path):
    folder, s, _, subset = world
    for to, name in (("samples", "s.json"), ("json", "i.json"), ("csv", "i.csv"), ("card", "c.md")):
        done("export", folder / "subset", "--to", to, "-o", tmp_path / name)
        assert (tmp_path / f"{name}.config.json").is_file()
    assert sum(map(len, json.loads((tmp_path / "s.json").read_text()).values())) == 20
    again = irtbench("export", folder / "subset", "--to", "csv", "-o", tmp_path / "i.csv")
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    for source in ("subset", "bank"):
        done("export", folder / source, "--to", "catsim", "-o", tmp_path / f"{source}.npy")
        np.testing.assert_allclose(np.load(tmp_path / f"{source}.npy")[:, 1], s.items["difficulty"])
    task = ["--task", "benchmark-1=one", "--match", "position", "--name", "mine"]
    found = done("export", folder / "subset", "--to", "lm-eval", "-o", tmp_path / "t", *task, "--json")
    assert json.loads(found.stdout) == {"out": str(tmp_path / "t"), "to": "lm-eval", "items": 20}
    assert "estimate --method blend" in " ".join(found.stderr.split())
    assert json.loads((tmp_path / "t" / "formula.json").read_text())["tasks"]["benchmark-1"] == "one"
    rows = "item,key\n" + "".join(f"{item},k{n}\n" for n, item in enumerate(subset.items))
    (tmp_path / "keys.csv").write_text(rows)
    how = ["--match", "uid", "--keys", tmp_path / "keys.csv"]
    done("export", folder / "subset", "--to", "lm-eval", "-o", tmp_path / "t", *how, "--force")
    content = json.loads((tmp_path / "t" / "formula.json").read_text())
    assert [item["key"] for item in content["items"]] == [f"k{n}" for n in range(20)]
    for wrong in (["--task", "x"], ["--match", "hash"], ["--keys", folder / "new.parquet"]):
        assert (
            irtbench("export", folder / "subset", "--to", "lm-eval", "-o", tmp_path / "w", *wrong).exit_code
            == 2
        )
    assert not (tmp_path / "w").exists()


def test_a_file_where_a_folder_is_meant_is_called_one(world, tmp_path):
    folder, *_ = world
    out = ["-o", tmp_path / "x"]
    state = ["--state", tmp_path / "s.json"]
    for command, makes in (
        (["export", folder / "old.parquet", "--to", "csv", *out], "irtbench subset RESPONSES -o FOLDER"),
        (["export", folder / "old.parquet", "--to", "catsim", *out], "irtbench fit RESPONSES -o FOLDER"),
        (["adapt", folder / "old.parquet", *state], "irtbench fit RESPONSES -o FOLDER"),
        (["gate", folder / "old.parquet", "--bank", folder / "old.parquet", *out], "irtbench fit RESPONSES"),
    ):
        found = irtbench(*command)
        assert found.exit_code == 2
        assert "old.parquet: is a file; give the folder of a" in found.stderr
        assert makes in found.stderr
    found = irtbench("export", folder / "subset" / "subset.json", "--to", "csv", *out)
    assert f"give the folder that it lies in, {folder / 'subset'}" in found.stderr
    found = irtbench("adapt", folder / "bank" / "bank.json", *state)
    assert f"give the folder that it lies in, {folder / 'bank'}" in found.stderr


def test_adapt_goes_on_from_call_to_call(world, tmp_path):
    folder, s, new, _ = world
    row = dict(zip(new.item_ids, new.values[2], strict=True))
    state = tmp_path / "s.json"
    options = ["--state", state, "--batch", 8, "--budget", 20]
    asked = done("adapt", folder / "bank", *options).stdout.split()
    assert len(asked) == 8
    for n in (8, 16, 20):
        (tmp_path / "a.csv").write_text("item,response\n" + "".join(f"{i},{row[i]:g}\n" for i in asked))
        found = done("adapt", folder / "bank", *options, "--answers", tmp_path / "a.csv", "--json")
        content = json.loads(found.stdout)
        assert content["items"] == n
        asked = content["next"]
    assert content["finished"] == "budget"
    assert asked == []
    test = resume(state, s.bank)
    assert test.estimate().score == content["score"]
    assert abs(content["score"] - new.scores().iloc[2]) < 0.2
    again = irtbench("adapt", folder / "bank", *options, "--answers", tmp_path / "a.csv")
    assert (again.exit_code, "answered already" in again.stderr) == (2, True)
    (tmp_path / "b.csv").write_text("one,two,three\n")
    assert (
        "is no response"
        in irtbench("adapt", folder / "bank", *options, "--answers", tmp_path / "b.csv").stderr
    )
    assert "--simulate" in irtbench("adapt", folder / "bank").stderr


def test_adapt_says_when_a_model_is_beyond_those_of_the_calibration(world, tmp_path):
    folder, s, *_ = world
    options = ["--state", tmp_path / "s.json", "--calibrate", folder / "old.parquet"]
    found = json.loads(done("adapt", folder / "bank", *options, "--batch", 60, "--json").stdout)
    assert found["beyond"] < 0.5
    (tmp_path / "a.json").write_text(json.dumps(dict.fromkeys(found["next"], 1)))
    ran = done("adapt", folder / "bank", *options[:2], "--answers", tmp_path / "a.json", "--json")
    found = json.loads(ran.stdout)
    assert found["beyond"] > 0.5
    assert "beyond the calibration models' range" in " ".join(ran.stderr.split())
    assert resume(tmp_path / "s.json", s.bank).estimate().beyond == found["beyond"]


def test_adapt_talks_line_by_line(world, tmp_path):
    folder, s, _, _ = world
    ids = iter(s.bank.item_ids)
    lines = "".join(f'{{"{i}": 1}}\n' for i in ids)  # whatever it asks, all answers come, in the bank's order
    options = ["--answers", "-", "--batch", 90, "--state", tmp_path / "s.json"]
    found = done("adapt", folder / "bank", *options, input=lines)
    assert sorted(found.stdout.split()) == sorted(s.bank.item_ids)
    assert "finished (all)" in found.stderr
    assert "score 1.0000" in found.stderr
    assert "not those of a model like the calibration's" in found.stderr
    cut = done("adapt", folder / "bank", *options, "--force", input=lines[: lines.index("\n") + 1])
    assert "1 items" in cut.stderr


def test_adapt_simulates(world, tmp_path):
    folder, *_ = world
    options = [
        "--simulate",
        folder / "new.parquet",
        "--sizes",
        "5,20",
        "--batch",
        5,
        "-o",
        tmp_path / "t.parquet",
    ]
    content = json.loads(done("adapt", folder / "subset", *options, "--json").stdout)
    assert {row["order"] for row in content["table"]} == {"score", "information", "random", "random + mean"}
    assert {row["items"] for row in content["table"]} == {5, 20}
    assert (tmp_path / "t.parquet").is_file()


def test_gate_passes_fails_and_refuses(world, tmp_path):
    folder, _, new, _ = world
    one = new.model_ids[0]
    same = new.take(models=[one])
    same.save(tmp_path / "same.parquet")
    broken = ResponseMatrix(np.zeros_like(same.values), same.models, same.items)
    broken.save(tmp_path / "broken.parquet")
    base = [folder / "new.parquet", "--base-model", one]
    plan = ["--plan", tmp_path / "p.json"]
    how = ["--size", 40, "--delta", 0.02, "--bank", folder / "bank", "--looks", 2]
    made = json.loads(done("gate", *base, "-o", tmp_path / "p.json", *how, "--json").stdout)
    assert len(made["items"]) == 40
    assert {row["drop"] for row in made["power"]} == {0.0, 0.02, 0.04, 0.07}
    found = done("gate", base[0], tmp_path / "same.parquet", *plan, "--json")
    assert json.loads(found.stdout)["passed"] is True
    done(
        "gate", base[0], tmp_path / "same.parquet", *plan, "--strict", code=1
    )  # 40 items cannot show ± 2 points
    found = done("gate", base[0], tmp_path / "broken.parquet", *plan, "-o", tmp_path / "v.json", code=1)
    assert "FAIL" in found.stderr
    assert json.loads((tmp_path / "v.json").read_text())["outcome"] == "worse"
    done("gate", *base, tmp_path / "broken.parquet", code=1)  # without a plan: all common items
    done("gate", *base, tmp_path / "same.parquet")
    for wrong in (
        [*base],
        [base[0], tmp_path / "nowhere.parquet"],
        [*base, tmp_path / "same.parquet", *plan[:1]],
    ):
        assert irtbench("gate", *wrong).exit_code == 2


def test_a_bank_is_made_listed_and_used(world, tmp_path):
    folder, _, new, _ = world
    about = ["--licence", "MIT", "--source", "simulated, revision 3", "--item-ids", "item numbers"]
    short = ["--sizes", "10,20", "--splits", 2, "--kinds", "random", "--device", "cpu"]
    out = tmp_path / "banks" / "mine"
    refused = irtbench("banks", "--make", folder / "old.parquet", "-o", out, *short)
    assert (refused.exit_code, "--licence is needed" in refused.stderr) == (2, True)
    done("banks", "--make", folder / "old.parquet", "-o", out, *about, *short)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"bank.json", "items.parquet", "card.json", "CARD.md", "subsets/10/subset.json"} <= files
    assert not [name for name in files if name.startswith("subsets/10/bank")]
    listed = json.loads(done("banks", "--home", tmp_path / "banks", "--json").stdout)["banks"]
    assert [(row["name"], row["licence"], row["subsets"]) for row in listed] == [("mine", "MIT", "10, 20")]
    assert 0 < listed[0]["error"] < 0.2
    card = (out / "CARD.md").read_text()
    for text in ("simulated, revision 3", "item numbers", "| random | 10 | default |", "When not to use it"):
        assert text in card
    subset = load_subset("mine", 20, tmp_path / "banks")
    assert subset.size == 20
    assert subset.bank.fingerprint == load_bank("mine", tmp_path / "banks").fingerprint
    new.take(items=subset.items).save(tmp_path / "seen.parquet")
    found = done("estimate", "--bank", out, "--size", 20, tmp_path / "seen.parquet", "--json")
    scores = [row["score"] for row in json.loads(found.stdout)["scores"]]
    expected = ib.estimate(subset, new.take(items=subset.items))["score"]
    np.testing.assert_allclose(scores, expected, atol=1e-9)
    plan = load_plan(out)
    assert set(plan.spread) == {"benchmark-1", "benchmark-2"}
    assert plan.factors
    asked = done("adapt", out, "--state", tmp_path / "s.json", "--batch", 5)
    assert len(asked.stdout.split()) == 5
    assert dict(resume(tmp_path / "s.json", plan.bank).plan.factors) == dict(plan.factors)
    other = done("adapt", out, "--state", tmp_path / "t.json", "--average", "macro")
    assert "intervals are for micro average" in other.stderr
    with pytest.raises(ib.InputError, match="subsets of 10, 20 items"):
        load_subset("mine", 30, tmp_path / "banks")
    with pytest.raises(ib.InputError, match="no bank 'other'"):
        load_bank("other", tmp_path / "banks")
    (out / "subsets" / "10" / "benchmark.parquet").unlink()
    with pytest.raises(ib.InputError):
        load_subset("mine", 10, tmp_path / "banks")
    for wrong in (["estimate", folder / "subset"], ["estimate", "--bank", "other", folder / "new.parquet"]):
        assert irtbench(*wrong).exit_code == 2


def test_banks_that_ship_load():
    """Every bank in models/banks: its card names a licence, its subsets load and belong to it."""
    for row in list_banks().itertuples():
        bank = load_bank(row.name)
        assert bank.n_items == row.items
        assert row.licence
        for size in map(int, filter(None, row.subsets.split(", "))):
            assert load_subset(row.name, size).bank.fingerprint == bank.fingerprint


def test_a_bank_needs_its_origin(world, tmp_path):
    from irtbench.subsets.banks import write_bank

    _, s, _, subset = world
    about = {"name": "x", "licence": "MIT", "source": "here", "item_ids": "numbers"}
    for lacking in ("licence", "source", "item_ids"):
        with pytest.raises(ib.InputError, match=lacking):
            write_bank(tmp_path / "b", s.bank, [subset], **{**about, lacking: " "})
    with pytest.raises(ib.InputError, match="another bank"):
        write_bank(tmp_path / "b", s.bank.take(s.bank.item_ids[::-1]), [subset], **about)
    write_bank(tmp_path / "b", s.bank, [], **about)
    assert "Not measured." in (tmp_path / "b" / "CARD.md").read_text()
    with pytest.raises(ib.InputError, match="has no subsets"):
        load_subset("b", None, tmp_path)
    shutil.rmtree(tmp_path / "b")
