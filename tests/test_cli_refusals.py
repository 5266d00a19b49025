"""Broken inputs: each ends in one line that names the file and the cause, exit code 2, nothing written."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import irtbench as ib
from irtbench.cli import app

WIDE = "model,q1,q2,q3\n" + "".join(f"m{k},{k % 2},{(k // 2) % 2},1\n" for k in range(12))
JSON_LINE = '{"subject_id": "a", "responses": {"q1": 1, "q2": 0}}\n'


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Sound files, and damaged copies of them."""
    folder = tmp_path_factory.mktemp("refusals")
    sound = ib.simulate(n_models=24, n_items=20, seed=0)
    R = sound.responses
    R.save(folder / "r.parquet")
    sound.bank.save(folder / "bank")
    S = ib.select(R, 5, "anchor-irt", bank=sound.bank)
    S.save(folder / "subset")
    R.take(items=S.items[1:]).save(folder / "lacks_one.parquet")
    ib.ResponseMatrix.of(np.eye(5), items=[f"other-{k}" for k in range(5)]).save(folder / "unknown.parquet")
    seen = R.take(items=S.items)
    ib.ResponseMatrix(seen.values, seen.models, seen.items, ib.Metric("f1")).save(folder / "metric.parquet")
    ib.ResponseMatrix.of(R.values * 3, R.models, R.items, metric="nll").save(folder / "nll.parquet")
    plain = R.models[[]].set_axis([f"m{k}" for k in range(24)])
    ib.ResponseMatrix(R.values, plain, R.items).save(folder / "dateless.parquet")
    one = R.models[[]].set_axis([f"lab/m{k}" for k in range(24)])
    ib.ResponseMatrix(R.values, one, R.items).save(folder / "one_lab.parquet")
    whole = (folder / "r.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    shutil.copytree(folder / "bank", folder / "no_manifest")
    (folder / "no_manifest" / "bank.json").unlink()
    shutil.copytree(folder / "bank", folder / "damaged")
    content = json.loads((folder / "damaged" / "bank.json").read_text())
    (folder / "damaged" / "bank.json").write_text(json.dumps(content | {"fingerprint": "0" * 16}))
    shutil.copytree(folder / "subset", folder / "edited")
    content = json.loads((folder / "edited" / "subset.json").read_text())
    content["items"][0] = "nonsense"
    (folder / "edited" / "subset.json").write_text(json.dumps(content))
    (folder / "nothing").mkdir()
    (folder / "afile").write_text("x")
    texts = {
        "empty.csv": "",
        "header.csv": "model,q1,q2\n",
        "columns.csv": "name,colour\na,red\nb,blue\n",
        "text.csv": WIDE.replace("m1,1", "m1,yes"),
        "large.csv": WIDE.replace("m1,1", "m1,1.7"),
        "missing.csv": "model,q1,q2\na,,\nb,,\n",
        "twice.csv": "model,item,response\na,q1,1\na,q1,0\na,q2,1\n",
        "cut.jsonl": JSON_LINE + '{"subject_id": "b", "resp',
        "not.json": "certainly not JSON",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


IMPORT = "import {} -o out.parquet"
BROKEN = {
    "missing file": (IMPORT, "nowhere.csv", "no such file"),
    "missing file to fit": ("fit {} -o out", "nowhere.parquet", "no such file"),
    "empty file": (IMPORT, "empty.csv", "empty"),
    "header only": (IMPORT, "header.csv", ""),
    "empty folder": (IMPORT, "nothing", ""),
    "wrong columns": (IMPORT, "columns.csv", ""),
    "all missing": (IMPORT, "missing.csv", "missing"),
    "value of 1.7": (IMPORT, "large.csv", "1.7"),
    "text response": (IMPORT, "text.csv", "yes"),
    "duplicate cells": (IMPORT, "twice.csv", "q1"),
    "truncated Parquet": ("fit {} -o out", "cut.parquet", ""),
    "truncated JSON line": (IMPORT, "cut.jsonl", "line 2"),
    "not JSON": (IMPORT, "not.json", ""),
    "unknown format": (f"{IMPORT} --format spss", "large.csv", "spss"),
    "option of another format": (f"{IMPORT} --filter strict", "twice.csv", "filter"),
    "bank without manifest": ("subset r.parquet --size 5 --bank {} -o out", "no_manifest", "bank.json"),
    "damaged bank": ("subset r.parquet --size 5 --bank {} -o out", "damaged", "damaged"),
    "bank that is a file": ("subset r.parquet --size 5 --bank {} -o out", "afile", "bank"),
    "bank of other items": ("subset {} --size 2 --bank bank -o out", "unknown.parquet", "not in the bank"),
    "subset that is none": ("estimate {} r.parquet", "bank", "subset.json"),
    "edited subset": ("estimate {} r.parquet", "edited", "damaged or edited"),
    "no common items": ("estimate subset {} -o out.csv", "unknown.parquet", "not in the"),
    "missing items": ("estimate subset {} -o out.csv", "lacks_one.parquet", "--missing ignore"),
    "extra items": ("estimate subset {} -o out.csv", "r.parquet", "--extra ignore"),
    "wrong metric": ("estimate subset {} -o out.csv", "metric.parquet", "f1"),
    "fit of a metric beyond 1": ("fit {} -o out", "nll.parquet", "'nll' (lower is better, 0 to ∞) cannot be"),
    "subset by a metric beyond 1": ("subset {} --size 5 --irt none -o out", "nll.parquet", "metric 'nll'"),
    "comparison by a metric beyond 1": ("compare {} --sizes 5 -o out", "nll.parquet", "metric 'nll'"),
    "estimate of a metric beyond 1": ("estimate subset {} -o out.csv", "nll.parquet", "metric 'nll'"),
    "unknown estimator": ("estimate subset {} --method magic -o out.csv", "r.parquet", "magic"),
    "size of 0": ("subset {} --size 0 -o out", "r.parquet", "--size"),
    "size above the items": ("subset {} --size 21 --irt none -o out", "r.parquet", "20"),
    "size that is no number": ("subset {} --size ten -o out", "r.parquet", "integer"),
    "unknown method": ("subset {} --method magic --size 5 -o out", "r.parquet", "magic"),
    "unknown irt": ("fit {} --irt 5pl -o out", "r.parquet", "5pl"),
    "unknown split": ("compare {} --split lunar -o out", "r.parquet", "lunar"),
    "unknown method to compare": ("compare {} --methods magic+mean -o out", "r.parquet", "magic"),
    "sizes that are no numbers": ("compare {} --sizes 10,x -o out", "r.parquet", "'x'"),
    "sizes above the items": ("compare {} --sizes 5,21 -o out", "r.parquet", "21"),
    "no date column": ("compare {} --sizes 5 --split date -o out", "dateless.parquet", "date"),
    "one organisation": ("compare {} --sizes 5 --split family -o out", "one_lab.parquet", ""),
    "output exists": ("fit r.parquet -o {}", "subset", "exists already"),
    "output is a folder": ("import large.csv -o {}", "nothing", "is a folder"),
    "output is a file": ("fit r.parquet -o {}", "afile", "is a file"),
    "output below a file": ("fit r.parquet -o {}", "afile/out", "is a file"),
    "output of another kind": ("simulate -o {}", "out.csv", ".parquet"),
    "too few models": ("simulate --models 0 -o {}", "out.parquet", "--models"),
    "fewer items than benchmarks": ("simulate --items 2 --benchmarks 3 -o out.parquet", "", "n_items (2)"),
    "no output named": ("fit {}", "r.parquet", "--out"),
    "unknown option": ("fit {} --sead 1 -o out", "r.parquet", "--sead"),
    "unknown command": ("fti {}", "r.parquet", "fti"),
}
# what is wrong with an option is said before any file is looked at
OPTION = {
    "size of 0",
    "size that is no number",
    "unknown split",
    "unknown method to compare",
    "sizes that are no numbers",
    "too few models",
    "no output named",
    "unknown option",
    "unknown command",
}


def tree(folder):
    return {p.relative_to(folder): p.is_dir() or p.read_bytes() for p in folder.rglob("*")}


def refused(code, stdout, stderr):
    assert code == 2, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    lines = [x for x in stderr.splitlines() if not x.startswith("irtbench: warning: ")]
    assert len(lines) == 1, stderr
    assert lines[0].startswith("irtbench: error: ")
    return lines[0]


@pytest.mark.parametrize("case", BROKEN)
def test_broken_input_is_refused_in_one_line(case, originals, tmp_path, monkeypatch):
    command, name, cause = BROKEN[case]
    work = tmp_path / "work"
    shutil.copytree(originals, work)
    monkeypatch.chdir(work)
    before = tree(work)
    result = CliRunner().invoke(app, [*command.format(name).split(), "--quiet"], catch_exceptions=False)
    line = refused(result.exit_code, result.stdout, result.stderr)
    if case not in OPTION:
        assert name in line
    assert cause in line
    assert tree(work) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "cut.parquet", "-o", "out"),
        ("import", "large.csv", "-o", "out.parquet"),
        ("estimate", "edited", "r.parquet"),
        ("subset", "r.parquet", "--size", "0", "-o", "out"),
    ],
)
def test_a_real_process_refuses_too(arguments, originals):
    before = tree(originals)
    command = [sys.executable, "-c", "from irtbench.cli import main; main()", *arguments, "--quiet"]
    found = subprocess.run(command, cwd=originals, capture_output=True, text=True)
    refused(found.returncode, found.stdout, found.stderr)
    assert tree(originals) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_asked_for_but_absent(originals, tmp_path):
    result = CliRunner().invoke(
        app, ["fit", str(originals / "r.parquet"), "--device", "cuda", "-o", str(tmp_path / "out"), "-q"]
    )
    assert "CUDA" in refused(result.exit_code, result.stdout, result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_permission(originals, tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied", "secret.parquet")

    monkeypatch.setattr(ib, "read", forbidden)
    result = CliRunner().invoke(app, ["fit", "secret.parquet", "-o", str(tmp_path / "out"), "-q"])
    line = refused(result.exit_code, result.stdout, result.stderr)
    assert line == "irtbench: error: secret.parquet: Permission denied"


def test_a_file_where_a_folder_is_meant_is_said_to_be_one(tmp_path):
    (tmp_path / "wide.csv").write_text(WIDE)
    wide = str(tmp_path / "wide.csv")
    result = CliRunner().invoke(app, ["estimate", wide, wide])
    assert result.exit_code == 2
    assert "is a file; give a folder that irtbench wrote" in " ".join(result.stderr.split())
