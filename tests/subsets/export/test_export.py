"""Exports: the exported Python gives irtbench's own answers; items are found by id and nothing else."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import irtbench as ib
from irtbench.irt import simulate
from irtbench.responses import ResponseMatrix
from irtbench.subsets import select
from irtbench.subsets.export import (
    card,
    export_lm_eval,
    sample_lists,
    write_card,
    write_catsim,
    write_csv,
    write_json_items,
)
from irtbench.subsets.export.keys import item_keys

METHODS = ("mean", "weighted", "p-irt", "gp-irt")
# score.py evaluates the curves on its grid of 0.05, irtbench interpolates them from one of 0.1: an error of
# 1.2e-4 a² at most in a curve, less in a mean of curves
SAME = 5e-4


@pytest.fixture(scope="module")
def case():
    s = simulate(n_models=40, n_items=120, n_benchmarks=3, seed=1)
    return s, s.responses.take(models=slice(0, 30)), s.responses.take(models=slice(30, 40))


def exported(subset, folder, **how):
    export_lm_eval(subset, folder, match="position", **how)
    return folder


def run(folder, *arguments):
    code = [sys.executable, "-I", folder / "score.py", *map(str, arguments)]
    return subprocess.run(code, capture_output=True, text=True)


def table(text):
    rows = csv.DictReader(text.splitlines())
    return {(r["model"], r["benchmark"]): [float(r[k]) for k in ("score", "lower", "upper")] for r in rows}


def write_responses(path, matrix, order):
    lines = ["model,item,response"]
    for m, model in enumerate(matrix.model_ids):
        lines += [f"{model},{matrix.item_ids[k]},{matrix.values[m, k]:g}" for k in order]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("choice", ["stratified", "random", "anchor-irt"])
def test_the_exported_code_estimates_as_irtbench_does(case, tmp_path, choice, average):
    s, old, new = case
    subset = select(old, 24, choice, bank=s.bank, average=average, folds=3)
    seen = new.take(items=subset.items)
    order = np.random.default_rng(0).permutation(subset.size)
    write_responses(tmp_path / "new.csv", seen, order)
    for method in METHODS:
        folder = exported(subset, tmp_path / method, method=method, level=0.8)
        found = run(folder, tmp_path / "new.csv")
        assert found.returncode == 0, found.stderr
        ours = ib.estimate(subset, seen, method, level=0.8)
        theirs = np.array([table(found.stdout)[m, "all"] for m in new.model_ids])
        np.testing.assert_allclose(theirs, ours[["score", "lower", "upper"]], atol=SAME)


def test_a_benchmark_alone_is_the_estimate_of_its_own_subset(case, tmp_path):
    s, old, new = case
    subset = select(old, 24, "stratified", bank=s.bank, folds=3)
    seen = new.take(items=subset.items)
    write_responses(tmp_path / "new.csv", seen, range(subset.size))
    found = table(run(exported(subset, tmp_path / "t", method="weighted"), tmp_path / "new.csv").stdout)
    for name in set(s.responses.benchmarks):
        mean = seen.take(benchmark=name).scores()
        np.testing.assert_allclose([found[m, name][0] for m in mean.index], mean, atol=1e-6)  # printed digits
        assert all(found[m, name][1] <= found[m, name][0] <= found[m, name][2] for m in mean.index)


def test_without_a_bank(case, tmp_path):
    _, old, new = case
    subset = select(old, 20, "anchor-correctness", irt=None)
    seen = new.take(items=subset.items)
    write_responses(tmp_path / "new.csv", seen, range(20))
    found = table(run(exported(subset, tmp_path / "t", method="weighted"), tmp_path / "new.csv").stdout)
    ours = ib.estimate(subset, seen, "weighted")
    theirs = [found[m, "all"] for m in new.model_ids]
    np.testing.assert_allclose(theirs, ours[["score", "lower", "upper"]], atol=1e-6)  # printed digits
    with pytest.raises(ib.InputError, match="needs an item bank"):
        exported(subset, tmp_path / "u", method="gp-irt")


def test_missing_unknown_and_repeated_items_are_refused(case, tmp_path):
    s, old, _ = case
    subset = select(old, 12, bank=s.bank, folds=3)
    folder = exported(subset, tmp_path / "t")
    rows = [f"m,{item},1" for item in subset.items]
    broken = {
        "missing": (rows[1:], "no response to"),
        "unknown": ([*rows, "m,strange,1"], "not an item of this subset: 'strange'"),
        "twice": ([*rows, rows[0]], "twice"),
        "beyond": ([rows[0][:-1] + "7", *rows[1:]], "not in"),
    }
    for name, (lines, text) in broken.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["model,item,response", *lines]) + "\n")
        found = run(folder, tmp_path / f"{name}.csv")
        assert found.returncode == 2
        assert text in found.stderr


def test_logs_of_a_task_with_several_filters_need_a_choice(case, tmp_path):
    s, old, new = case
    subset = select(old, 12, bank=s.bank, folds=3)
    folder = exported(subset, tmp_path / "t", method="weighted")
    row = new.take(models=[0], items=subset.items)
    logs = tmp_path / "logs" / "m"
    logs.mkdir(parents=True)
    lines = []
    for name, values in (("strict", np.zeros(12)), ("flexible", row.values[0])):
        pairs = zip(subset.items, values, strict=True)
        lines += [json.dumps({"filter": name, "full_score": [i, float(v)]}) for i, v in pairs]
    (logs / "samples_quiz_2026.jsonl").write_text("\n".join(lines))
    found = run(folder, tmp_path / "logs")
    assert (found.returncode, "--filter, one of strict, flexible" in found.stderr) == (2, True)
    found = table(run(folder, tmp_path / "logs", "--filter", "flexible").stdout)
    expected = ib.estimate(subset, row, "weighted")["score"].iloc[0]
    assert found["m", "all"][0] == pytest.approx(expected, abs=1e-6)  # printed digits
    assert table(run(folder, tmp_path / "logs", "--filter", "strict").stdout)["m", "all"][0] == 0


def test_score_py_needs_nothing_but_numpy():
    from irtbench.subsets.export import score

    source = Path(score.__file__).read_text()
    code = (
        f"import sys\nexec(compile({source!r}, 'score.py', 'exec'), {{'__name__': 's', '__file__': 'x'}})\n"
    )
    code += "print([m for m in ('irtbench', 'pandas', 'scipy', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_folder_can_be_written_again_and_says_what_it_is(case, tmp_path):
    s, old, _ = case
    subset = select(old, 12, bank=s.bank, folds=3)
    names = {"benchmark-1": "one", "benchmark-2": "two"}
    for _ in range(2):
        exported(subset, tmp_path / "t", name="mine", tasks=names)
    files = {path.name for path in (tmp_path / "t").iterdir()}
    assert files == {
        *("mine.yaml", "task.py", "score.py", "formula.json", "items.csv", "README.md"),
        *("blend.py", "blend.npz"),
    }
    compile((tmp_path / "t" / "task.py").read_text(), "task.py", "exec")
    yaml = (tmp_path / "t" / "mine.yaml").read_text()
    assert 'task: "one"' in yaml
    assert 'task: "benchmark-3"' in yaml
    assert subset.fingerprint in yaml
    for bad in ({"nowhere": "x"}, {"benchmark-1": "x y"}, {"benchmark-1": "benchmark-2"}):
        with pytest.raises(ib.InputError):
            exported(subset, tmp_path / "u", tasks=bad)


def test_samples_are_sorted_rows_of_each_task(case):
    s, old, _ = case
    subset = select(old, 30, bank=s.bank, folds=3)
    rows = {item: k for k, item in enumerate(reversed(old.item_ids))}
    lists = sample_lists(subset, keys=rows)
    assert all(found == sorted(set(found)) for found in lists.values())
    assert sorted(k for found in lists.values() for k in found) == sorted(rows[i] for i in subset.items)
    by_number = sample_lists(subset)
    assert sorted(k for f in by_number.values() for k in f) == sorted(int(i[-3:]) for i in subset.items)
    with pytest.raises(ib.InputError, match="whole number from 0"):
        sample_lists(subset, keys=dict.fromkeys(subset.items, -1))
    with pytest.raises(ib.InputError, match="the same key"):
        sample_lists(subset, keys=dict.fromkeys(subset.items, 1))


def test_keys_of_items_named_by_lm_eval():
    names = [f"arc_easy/{k:016x}" for k in range(9)] + ["arc_easy/0000000000000003#2"]
    values = np.random.default_rng(0).integers(0, 2, (8, 10))
    subset = select(ResponseMatrix.of(values, items=names, benchmark="arc_easy"), 10, irt=None)
    assert item_keys(subset, "hash") == {n: n.removeprefix("arc_easy/") for n in names}
    other = select(ResponseMatrix.of(values), 5, irt=None)
    with pytest.raises(ib.InputError, match="doc_hash"):
        export_lm_eval(other, "nowhere")


def test_plain_files(case, tmp_path):
    import pandas as pd

    s, old, _ = case
    subset = select(old, 12, bank=s.bank, folds=3)
    write_csv(subset, tmp_path / "i.csv")
    read = pd.read_csv(tmp_path / "i.csv", index_col="item")
    assert list(read.index) == subset.items
    np.testing.assert_allclose(read["weight"], subset.weights)
    write_json_items(subset, tmp_path / "i.json")
    content = json.loads((tmp_path / "i.json").read_text())
    assert [row["item"] for row in content["items"]] == subset.items
    assert content["fingerprint"] == subset.fingerprint


def test_bank_for_catsim(case, tmp_path):
    s, *_ = case
    write_catsim(s.bank, tmp_path / "b.npy")
    write_catsim(s.bank, tmp_path / "b.csv")
    array = np.load(tmp_path / "b.npy")
    assert array.shape == (120, 4)
    a, b, c, d = array.T  # catsim's own formula
    p = c + (d - c) / (1 + np.exp(-a * (0.7 - b)))
    np.testing.assert_allclose(p, s.bank.probability([0.7])[0], atol=1e-12)
    rows = list(csv.DictReader((tmp_path / "b.csv").open()))
    assert [row["item"] for row in rows] == s.bank.item_ids
    with pytest.raises(ib.InputError, match="negative discrimination"):
        write_catsim(simulate(n_models=5, n_items=40, negative=0.5, seed=0).bank, tmp_path / "n.npy")
    with pytest.raises(ib.InputError, match="ends in"):
        write_catsim(s.bank, tmp_path / "b.txt")


def test_the_card_says_where_it_comes_from(case, tmp_path):
    s, old, _ = case
    subset = select(old, 12, bank=s.bank, folds=3)
    text = card(subset, name="small", licence="MIT")
    header = dict(line.split(": ", 1) for line in text.split("---\n")[1].splitlines())
    assert json.loads(header["license"]) == "MIT"
    assert json.loads(header["n_items"]) == 12
    assert json.loads(header["calibration_models"]) == 30
    assert json.loads(header["fingerprint"]) == subset.fingerprint
    for part in ("How it was made", "Error on held-out models", "When not to use it"):
        assert f"## {part}" in text
    write_card(subset, tmp_path / "CARD.md", name="small", licence="MIT")
    assert (tmp_path / "CARD.md").read_text() == text
