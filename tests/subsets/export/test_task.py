"""The exported lm-eval task: against a stand-in for lm-eval, and (peer) in lm-eval itself, offline."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from shared import SHARED

import irtbench as ib
from irtbench.irt import simulate
from irtbench.responses import ResponseMatrix
from irtbench.responses.readers.lm_eval_files import doc_hash
from irtbench.subsets import select
from irtbench.subsets.export import export_lm_eval

STAND_IN = """
from types import SimpleNamespace


class ConfigurableTask:
    DOCS = []

    def __init__(self, config=None):
        self.config = SimpleNamespace(**config)
        self.task_docs = self.eval_docs

    @property
    def eval_docs(self):
        return self.DOCS

    def process_results(self, doc, results):
        return {"acc": float(results[0] == doc["gold"]), "f1": 0.0}
"""


@pytest.fixture
def lm_eval(tmp_path, monkeypatch):
    """A package called lm_eval with just the class that the exported task builds on."""
    home = tmp_path / "stand-in" / "lm_eval" / "api"
    home.mkdir(parents=True)
    (home.parent / "__init__.py").write_text("")
    (home / "__init__.py").write_text("")
    (home / "task.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path / "stand-in")
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "lm_eval"]:
        del sys.modules[name]


def task_of(folder, docs, config):
    spec = importlib.util.spec_from_file_location("exported_task", folder / "task.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ConfigurableTask.DOCS = docs
    return module.SubsetTask(config=config)


def benchmark(docs, ids, metric="acc"):
    s = simulate(n_models=30, n_items=len(docs), seed=3)
    R = ResponseMatrix.of(s.responses.values, items=ids, benchmark="quiz", metric=metric)
    return R, select(R, 8, "stratified", irt=None)


@pytest.mark.parametrize("match", ["hash", "position", "uid"])
def test_items_are_found_by_id_and_answers_may_come_in_any_order(lm_eval, tmp_path, match):
    docs = [{"uid": f"u{k}", "text": f"question {k}", "gold": k % 4} for k in range(40)]
    ids = {
        "hash": [f"quiz/{doc_hash(doc)[:16]}" for doc in docs],
        "position": [f"quiz-{k}" for k in range(40)],
        "uid": [f"quiz/u{k}" for k in range(40)],
    }[match]
    R, subset = benchmark(docs, ids)
    export_lm_eval(subset, tmp_path / "t", match=None if match == "hash" else match, method="weighted")
    moved = docs if match == "position" else docs[::-1]  # a data set in another order
    task = task_of(tmp_path / "t", moved, {"task": "quiz", "class": None})
    assert {ids[docs.index(doc)] for doc in task.eval_docs} == set(subset.items)
    right = dict(zip(ids, R.values[5] == 1, strict=True))
    pairs = []
    for doc in task.eval_docs:
        item = ids[docs.index(doc)]
        found = task.process_results(doc, [doc["gold"] if right[item] else -1])
        assert set(found) == {"full_score", "full_score_lower", "full_score_upper"}
        assert found["full_score"] == (item, float(right[item]))
        pairs.append(found["full_score"])
    expected = ib.estimate(subset, R.take(models=[5], items=subset.items), "weighted").iloc[0]
    shuffled = [pairs[k] for k in np.random.default_rng(1).permutation(len(pairs))]
    for name, value in zip(task.aggregation(), expected, strict=True):
        assert task.aggregation()[name](shuffled) == pytest.approx(value, abs=1e-9)
        assert np.isnan(task.aggregation()[name](shuffled[1:]))
        assert np.isnan(task.aggregation()[name]([*shuffled, shuffled[0]]))


def test_a_document_that_is_there_twice_is_two_items(lm_eval, tmp_path):
    docs = [{"text": f"question {k // 2}", "gold": 1} for k in range(8)]
    ids = [f"quiz/{doc_hash(doc)[:16]}" + ("#2" if k % 2 else "") for k, doc in enumerate(docs)]
    _, subset = benchmark(docs, ids)
    export_lm_eval(subset, tmp_path / "t")
    task = task_of(tmp_path / "t", docs, {"task": "quiz"})
    pairs = [task.process_results(doc, [1])["full_score"] for doc in task.eval_docs]
    assert sorted(item for item, _ in pairs) == sorted(ids)


@pytest.mark.filterwarnings("ignore::irtbench.errors.ExtrapolationWarning")
def test_the_task_of_one_benchmark_gives_the_blend_and_logs_its_note(lm_eval, tmp_path, caplog):
    docs = [{"text": f"question {k}", "gold": 1} for k in range(40)]
    ids = [f"quiz/{doc_hash(doc)[:16]}" for doc in docs]
    R, _ = benchmark(docs, ids)
    subset = select(R, 12, irt=None, folds=3)
    export_lm_eval(subset, tmp_path / "t")
    task = task_of(tmp_path / "t", docs, {"task": "quiz"})
    pairs = [task.process_results(doc, [1])["full_score"] for doc in task.eval_docs]
    perfect = ResponseMatrix.of(np.ones((1, 12)), items=subset.items, benchmark="quiz", metric="acc")
    expected = ib.estimate(subset, perfect).iloc[0]
    limits = {"full_score": "score", "full_score_lower": "lower", "full_score_upper": "upper"}
    for name, limit in limits.items():
        assert task.aggregation()[name](pairs) == pytest.approx(expected[limit], abs=1e-6)  # see test_blend
    assert expected["note"]
    (record,) = caplog.records  # once, not with every limit
    assert record.getMessage() == f"quiz: {expected['note']} (probability {expected['beyond']:.2f})"


def test_another_data_set_or_metric_is_refused(lm_eval, tmp_path):
    docs = [{"text": f"question {k}", "gold": 1} for k in range(20)]
    ids = [f"quiz/{doc_hash(doc)[:16]}" for doc in docs]
    _, subset = benchmark(docs, ids)
    export_lm_eval(subset, tmp_path / "t")
    other = [dict(doc, text=doc["text"] + "!") for doc in docs]
    with pytest.raises(ValueError, match="0 of the subset's 8 items"):
        task_of(tmp_path / "t", other, {"task": "quiz"})
    _, subset = benchmark(docs, ids, metric="acc_norm")
    export_lm_eval(subset, tmp_path / "u")
    task = task_of(tmp_path / "u", docs, {"task": "quiz"})
    with pytest.raises(ValueError, match="no metric 'acc_norm', but acc, f1"):
        task.process_results(task.eval_docs[0], [1])


def lm_eval_python():
    """A Python that has lm-eval: the one that is named, else the benchmarks' own, made if missing."""
    from benchmarks.environments import environment
    from benchmarks.scoring.launch import HERE, LM_EVAL

    if os.environ.get("IRTBENCH_LMEVAL_PYTHON"):
        return os.environ["IRTBENCH_LMEVAL_PYTHON"]
    try:
        return environment("lm_eval", LM_EVAL, HERE)
    except subprocess.CalledProcessError:
        pytest.skip("lm-eval cannot be installed here; name a Python that has it in IRTBENCH_LMEVAL_PYTHON")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Two tiny models' full runs in lm-eval, and a subset of what they were asked, exported."""
    if not (SHARED / "data" / "questions").is_dir():
        pytest.skip("the reference data ../shared are not here")
    python, out = lm_eval_python(), tmp_path_factory.mktemp("peer") / "run"
    script = Path(__file__).parents[2] / "responses" / "lm_eval_run.py"
    subprocess.run([python, script, SHARED / "data" / "questions", out], check=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ib.DataWarning)  # copa has documents twice
        R = ib.read(out / "logs", metric="acc_norm")
    s = simulate(n_models=40, n_items=R.n_items, seed=0)  # the two models are too few to calibrate a bank
    values = np.vstack([R.values, s.responses.values])
    everyone = ResponseMatrix.of(values, items=R.items, metric="acc_norm")
    subset = select(everyone, 40, average="macro", folds=3, device="cpu")
    export_lm_eval(subset, out / "subset", name="mini")
    one = select(everyone.take(benchmark="tiny_copa"), 15, folds=3, device="cpu")
    export_lm_eval(one, out / "one", name="alone")
    return python, out, subset, one, R.take(models=["tiny/llama-1"])


def lm_eval_run(python, out, logs, *more, group="mini"):
    """An exported group in lm-eval, offline."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(out / "hf")}
    command = [python, "-m", "lm_eval", "--model", "hf", "--device", "cpu", "--batch_size", "16"]
    command += ["--model_args", "pretrained=tiny/llama-1,dtype=float32", "--tasks", group]
    command += ["--include_path", out, "--log_samples", "--output_path", out / logs, "--seed", "0", *more]
    everything = {**os.environ, **offline, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=out, env=everything, capture_output=True, text=True)


def results_of(folder):
    (path,) = folder.rglob("results_*.json")
    return json.loads(path.read_text())["results"]


def scored(python, out, logs, folder="subset"):
    code = [python, "-I", out / folder / "score.py", out / logs]
    return subprocess.run(code, capture_output=True, text=True)


@contextmanager
def changed(path, lines):
    """The data set of a base task in another order, or without some of its documents."""
    before = path.read_text()
    path.write_text("\n".join(lines(before.splitlines())) + "\n")
    yield
    path.write_text(before)


@pytest.mark.peer
def test_lm_eval_itself_runs_it_and_agrees(real):
    """Also on a data set in another order, where nothing may change."""
    python, out, subset, _, model = real
    expected = ib.estimate(subset, model.take(items=subset.items)).iloc[0]
    for logs, order in (("small", lambda rows: rows), ("turned", lambda rows: rows[::-1])):
        with changed(out / "copa.jsonl", order), changed(out / "openbookqa.jsonl", order):
            ran = lm_eval_run(python, out, logs)
        assert ran.returncode == 0, ran.stderr
        found = results_of(out / logs)
        printed = scored(python, out, logs)
        assert printed.returncode == 0, printed.stderr
        scores = {row["benchmark"]: row for row in csv.DictReader(printed.stdout.splitlines())}
        for name in ("score", "lower", "upper", "beyond"):
            assert float(scores["all"][name]) == pytest.approx(expected[name], abs=1.5e-6)  # printed digits
        assert scores["all"]["note"] == expected["note"]
        for task in ("tiny_copa", "tiny_openbookqa"):
            for name in ("score", "lower", "upper"):
                metric = "full_score" if name == "score" else f"full_score_{name}"
                assert found[task][f"{metric},none"] == pytest.approx(float(scores[task][name]), abs=1e-6)


@pytest.mark.peer
def test_lm_eval_prints_the_default_estimate_of_a_benchmark_alone(real):
    python, out, _, subset, model = real
    ran = lm_eval_run(python, out, "single", group="alone")
    assert ran.returncode == 0, ran.stderr
    expected = ib.estimate(subset, model.take(items=subset.items)).iloc[0]
    found = results_of(out / "single")["tiny_copa"]
    (printed,) = csv.DictReader(scored(python, out, "single", "one").stdout.splitlines())
    for name in ("score", "lower", "upper"):
        metric = "full_score" if name == "score" else f"full_score_{name}"
        assert found[f"{metric},none"] == pytest.approx(expected[name], abs=1e-6)  # see test_blend
        assert float(printed[name]) == pytest.approx(expected[name], abs=1.5e-6)  # printed digits
    assert (printed["estimator"], printed["note"]) == ("blend", expected["note"])


@pytest.mark.peer
def test_lm_eval_gives_no_score_where_items_are_missing(real):
    python, out, subset, *_ = real
    ran = lm_eval_run(python, out, "limited", "--limit", "5")
    assert ran.returncode == 0, ran.stderr
    assert "no full score: no response to" in ran.stdout + ran.stderr
    for task in ("tiny_copa", "tiny_openbookqa"):
        assert np.isnan(float(results_of(out / "limited")[task]["full_score,none"]))
    printed = scored(python, out, "limited")
    assert (printed.returncode, "no response to" in printed.stderr) == (2, True)
    with changed(out / "openbookqa.jsonl", lambda rows: rows[:10]):
        ran = lm_eval_run(python, out, "short")
    assert ran.returncode != 0
    asked = int((subset.benchmark.loc[subset.items, "benchmark"] == "tiny_openbookqa").sum())
    assert f"of the subset's {asked} items are in its data" in ran.stdout + ran.stderr
