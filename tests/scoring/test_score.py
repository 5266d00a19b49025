"""The command ``score``: questions and models in, matrices out; it goes on, shares, estimates and refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from tiny import save_model, tiny_model
from typer.testing import CliRunner

import irtbench as ib
from irtbench.cli import app

QUESTIONS = [
    {
        "id": f"q{k}",
        "question": f"Which number follows {k}?",
        "choices": [str(k + 1), str(k + 2), "none"],
        "answer": 0,
    }
    for k in range(14)
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two question sets, and a fleet of two tiny models."""
    folder = tmp_path_factory.mktemp("inputs")
    for name, rows in (("after", QUESTIONS), ("before", [{**q, "answer": 1} for q in QUESTIONS[:9]])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for seed in (0, 1):
        save_model(folder / f"tiny-{seed}", seed=seed)
    tables = "".join(f'[[models]]\nid = "tiny-{seed}"\nseed = {seed}\nstep = 10\n' for seed in (0, 1))
    (folder / "fleet.toml").write_text('[defaults]\nfamily = "tiny"\n' + tables)
    return folder


def invoke(*arguments):
    return CliRunner().invoke(app, ["score", *map(str, arguments)], catch_exceptions=False)


def sets(inputs, *names):
    return [x for name in names or ("after", "before") for x in ("--questions", inputs / f"{name}.jsonl")]


COMMON = ("--framing", "choice,completion", "--shots", 0, "--engine", "serial", "--device", "cpu")


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory):
    """A whole run of the fleet, by the command."""
    out = tmp_path_factory.mktemp("finished") / "runs"
    result = invoke(
        "--fleet", inputs / "fleet.toml", *sets(inputs), *COMMON, "--samples", "--json", "-o", out
    )
    assert result.exit_code == 0, result.stderr
    return out, json.loads(result.stdout), result.stderr


def test_matrices_hold_every_model_and_item(finished):
    out, said, _ = finished
    names = [f"responses_{m}_{f}.parquet" for f in ("choice", "completion") for m in ("acc", "prob")]
    assert sorted(said["responses"]) == sorted(str(out / name) for name in names)
    for name in names:
        R = ib.read(out / name)
        assert R.shape == (2, 23)
        assert R.observed.all()
        assert set(R.benchmarks) == {"after", "before"}
        assert (list(R.models["seed"]), set(R.models["family"])) == ([0, 1], {"tiny"})
        assert R.fingerprint == said["responses"][str(out / name)]["fingerprint"]
    assert not said["failed"]


def test_the_matrices_are_what_a_plain_pass_of_transformers_gives(inputs, finished):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    R = ib.read(finished[0] / "responses_prob_completion.parquet")
    A = ib.read(finished[0] / "responses_acc_completion.parquet")
    for row, seed in enumerate((0, 1)):
        tokenizer = AutoTokenizer.from_pretrained(inputs / f"tiny-{seed}")
        model = AutoModelForCausalLM.from_pretrained(inputs / f"tiny-{seed}", dtype=torch.float64)
        for column, question in enumerate(QUESTIONS):
            context = f"Question: {question['question']}\nAnswer:"
            sums = []
            for choice in question["choices"]:
                whole = tokenizer(f"{context} {choice}").input_ids
                n = len(tokenizer(context).input_ids)
                with torch.no_grad():
                    logp = model(torch.tensor([whole])).logits[0].log_softmax(-1)
                sums.append(sum(float(logp[i - 1, whole[i]]) for i in range(n, len(whole))))
            item = list(R.items.index).index(R.items.index[column])
            # 1e-4 nats is the bound on log-likelihoods in float32; the matrix itself is float32
            assert R.values[row, item] == pytest.approx(np.exp(sums[0]), rel=2e-4)
            assert A.values[row, item] == (int(np.argmax(sums)) == 0)


def test_the_summary_is_shown_and_written(finished):
    out, said, told = finished
    table = pd.read_csv(out / "summary.csv")
    assert len(table) == len(said["summary"]) == 2 * 2 * 2
    assert (table["lower"] <= table["acc"]).all()
    assert "Accuracy with 95 % interval" in told
    assert str(out / "responses_acc_choice.parquet") in told


@pytest.mark.filterwarnings("ignore:.*(constant items|few models|constant models)")  # of two
def test_samples_are_read_back(finished):
    out, *_ = finished
    R = ib.read(out / "lm_eval", format="lm-eval")
    assert R.n_models == 2
    assert R.n_items == 2 * 23
    A = np.concatenate(
        [ib.read(out / f"responses_acc_{f}.parquet").scores() for f in ("choice", "completion")]
    )
    assert R.values.mean() == pytest.approx(A.mean())


def test_a_second_run_scores_nothing_and_writes_the_same(inputs, finished, monkeypatch):
    from irtbench.scoring.fleet import jobs

    out, said, _ = finished
    monkeypatch.setattr(jobs, "load_model", lambda *_: pytest.fail("a model was loaded again"))
    result = invoke("--fleet", inputs / "fleet.toml", *sets(inputs), *COMMON, "--json", "-o", out)
    assert json.loads(result.stdout) == said


def test_one_framing_gives_plain_names_and_the_options_are_obeyed(inputs, tmp_path):
    common = ("--engine", "serial", "--device", "cpu", "--shots", 0, "--quiet", "-o")
    how = ("--framing", "completion", "--metric", "acc_norm,nll", "--limit", 5)
    result = invoke(inputs / "tiny-0", *sets(inputs, "after"), *how, *common, tmp_path / "plain")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    found = sorted(p.name for p in (tmp_path / "plain").glob("*.parquet"))
    assert found == ["responses_acc_norm.parquet", "responses_nll.parquet"]
    plain = ib.read(tmp_path / "plain" / "responses_nll.parquet")
    assert plain.shape == (1, 5)
    invoke(inputs / "tiny-0", *sets(inputs, "after"), *how, "--permute", 3, *common, tmp_path / "plain")
    again = ib.read(tmp_path / "plain" / "responses_nll.parquet")
    # the order of options changes no text of a completion, so only rounding may differ
    assert np.allclose(again.values, plain.values, atol=1e-4)
    assert len(list((tmp_path / "plain" / "jobs").iterdir())) == 2


def test_a_dry_run_counts_and_writes_nothing(inputs, finished, tmp_path):
    out = tmp_path / "none"
    result = invoke(
        "--fleet", inputs / "fleet.toml", *sets(inputs), *COMMON, "--dry-run", "--json", "-o", out
    )
    assert result.exit_code == 0, result.stderr
    assert not out.exists()
    said = json.loads(result.stdout)
    assert (said["jobs"], said["done"]) == (8, 0)
    assert sum(task["items"] for task in said["tasks"]) == 2 * 2 * 23
    runs = [json.loads(p.read_text())["run"] for p in (finished[0] / "jobs").glob("*/job.json")]
    assert sum(task["tokens"] for task in said["tasks"]) == sum(run["tokens"] for run in runs)
    count = sum(p.numel() for p in tiny_model().parameters())  # four bytes each
    assert [task["weights_gb"] for task in said["tasks"]] == pytest.approx([4 * count / 1e9] * 4)
    hours = sum(task["hours"] for task in said["tasks"])
    tokens = sum(run["tokens"] for run in runs)
    assert hours == pytest.approx(2 * count * tokens / said["flops"] / 3600)
    assert "guess" in said["source"]
    assert "8 jobs (0 done)" in result.stderr


def test_the_estimate_uses_what_was_measured(inputs, finished):
    from irtbench.scoring.fleet.estimate import speed
    from irtbench.scoring.fleet.jobs import make_groups
    from irtbench.scoring.fleet.reading import load_fleet
    from irtbench.scoring.fleet.tasks import make_tasks
    from irtbench.scoring.framings import load_framing
    from irtbench.scoring.questions.reading import read_questions

    asked = [read_questions(inputs / f"{name}.jsonl") for name in ("after", "before")]
    tasks = make_tasks(asked, [load_framing(name) for name in ("choice", "completion")], shots=0)
    groups = make_groups(load_fleet(inputs / "fleet.toml"), tasks, finished[0] / "jobs", device="cpu")
    found = speed(groups, {"tiny-0": 10**6, "tiny-1": 10**6}, "cpu")
    runs = [json.loads(p.read_text())["run"] for p in (finished[0] / "jobs").glob("*/job.json")]
    assert found.flops == pytest.approx(np.median([2e6 * run["tokens"] / run["seconds"] for run in runs]))
    assert "8 finished jobs" in found.source


def test_a_model_that_does_not_load_leaves_the_others(inputs, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(inputs / "tiny-1", bad)
    for file in bad.glob("tokenizer*"):
        file.unlink()
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(f'[[models]]\nid = "{inputs / "tiny-0"}"\n[[models]]\nid = "{bad}"\n')
    how = (
        "--framing",
        "completion",
        "--shots",
        0,
        "--engine",
        "serial",
        "--device",
        "cpu",
        "-o",
        tmp_path / "runs",
    )
    result = invoke("--fleet", fleet, *sets(inputs, "after"), *how)
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("irtbench: error: 1 of 2 models could not be scored, first bad (")
    assert ib.read(tmp_path / "runs" / "responses_acc.parquet").model_ids == ["tiny-0"]
    alone = invoke(bad, *sets(inputs, "after"), *how)
    assert alone.exit_code == 2
    assert "bad" in alone.stderr.splitlines()[-1]


def test_a_question_that_one_model_cannot_take_leaves_the_other_sets(inputs, tmp_path):
    row = {"id": "long", "question": "Which?", "choices": ["so long" * 200, "short"], "answer": 1}
    (tmp_path / "long.jsonl").write_text(json.dumps(row) + "\n")
    how = (
        "--framing",
        "completion",
        "--shots",
        0,
        "--engine",
        "serial",
        "--device",
        "cpu",
        "-o",
        tmp_path / "runs",
    )
    asked = ("--questions", tmp_path / "long.jsonl", *sets(inputs, "after"))
    result = invoke(inputs / "tiny-0", *asked, *how)
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("irtbench: error: tiny-0: long completion: prompt 'long': an option has")
    assert len(list((tmp_path / "runs" / "jobs").glob("*/answers.parquet"))) == 1


def test_checkpoints_with_one_tokenizer_are_encoded_once(inputs, tmp_path, monkeypatch):
    from irtbench.scoring.engine import tokens
    from irtbench.scoring.engine.language_models import load_language_model
    from irtbench.scoring.fleet.working import prepare
    from irtbench.scoring.prompts import Prompt

    calls = []
    encode = tokens.encode_prompts
    monkeypatch.setattr(tokens, "encode_prompts", lambda *a: calls.append(1) or encode(*a))
    prompts = [
        Prompt(f"only here {k}", "b", "", "", f"{k} is", (" a", " bc"), ("a", "bc"), 0) for k in range(3)
    ]
    one, other = (load_language_model(inputs / f"tiny-{k}", device="cpu") for k in (0, 1))
    first, second = prepare(one, prompts, 64), prepare(other, prompts, 64)
    assert len(calls) == 1
    assert first.batches == second.batches
    (_, a), (_, b) = next(first.score(())), next(second.score(()))
    assert not np.array_equal(a.loglik, b.loglik)
    other = save_model(tmp_path / "bos", seed=0, bos=True)  # the same words, but a token before every text
    prepare(load_language_model(other, device="cpu"), prompts, 64)
    prepare(load_language_model(inputs / "tiny-0", device="cpu", max_length=9), prompts, 64)
    assert len(calls) == 3


def test_a_written_question(inputs, tmp_path):
    """Its reference answer is scored, and the model's own answers are counted."""
    rows = [{"id": f"sum{k}", "question": f"What is {k} + 3?", "answer": f"#### {k + 3}"} for k in range(4)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    how = ("--questions", tmp_path / "sums.jsonl", "--framing", "gsm8k", "--shots", 0, "--device", "cpu")
    draws = ("--repeats", 3, "--temperature", 1, "--max-new-tokens", 8, "--engine", "serial")
    result = invoke(inputs / "tiny-0", *how, *draws, "-o", tmp_path / "runs")
    assert result.exit_code == 0, result.stderr
    files = sorted(p.name for p in (tmp_path / "runs").glob("*.parquet"))
    assert files == ["responses_exact_match.parquet", "responses_prob.parquet"]
    R = ib.read(tmp_path / "runs" / files[0])
    (texts,) = (tmp_path / "runs").glob("jobs/*/written.jsonl")
    lines = {line["item"]: line for line in map(json.loads, texts.read_text().splitlines())}
    assert R.trials.tolist() == [[3, 3, 3, 3]]
    np.testing.assert_allclose(R.values[0], [np.mean(lines[item]["right"]) for item in R.item_ids])
    assert all(len(set(line["texts"])) == 3 for line in lines.values())
    greedy = invoke(inputs / "tiny-0", *how, "--max-new-tokens", 8, "-o", tmp_path / "runs")
    assert greedy.exit_code == 0, greedy.stderr  # another job, not those answers
    assert len(list((tmp_path / "runs").glob("jobs/*/written.jsonl"))) == 2
    refused = invoke(inputs / "tiny-0", *how, "--samples", "-o", tmp_path / "other")
    assert refused.exit_code == 2
    assert "no lm-eval samples" in refused.stderr


REFUSED = {
    "missing model folder": (("./gone",), "gone: no such"),
    "a folder without a model": (("{inputs}",), "no model lies there"),
    "no model": ((), "one model, or --fleet"),
    "a model and a fleet": (("{inputs}/tiny-0", "--fleet", "pythia"), "one model, or --fleet"),
    "no such fleet": (("--fleet", "pythai"), "did you mean 'pythia'"),
    "nothing of the fleet": (("--fleet", "pythia", "--only", "step=5"), "no model has 'step=5'"),
    "no such framing": (("{inputs}/tiny-0", "--framing", "riddle"), "riddle"),
    "no such metric": (("{inputs}/tiny-0", "--metric", "magic"), "no metric 'magic'"),
    "no such set": (("{inputs}/tiny-0", "--questions", "{inputs}/gone.jsonl"), "gone.jsonl"),
    "two sets of one name": (("{inputs}/tiny-0", "--questions", "{inputs}/after.jsonl"), "two question sets"),
    "too many shots": (("{inputs}/tiny-0", "--shots", "3"), "examples"),
    "an output folder of something else": (("{inputs}/tiny-0", "-o", "{inputs}"), "did not write"),
    "results of another command": (("{inputs}/tiny-0", "-o", "{other}"), "another command"),
    "an output that is a file": (("{inputs}/tiny-0", "-o", "{inputs}/after.jsonl"), "is a file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_refused_in_one_line(case, inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"program": "irtbench", "name": "fit"}')
    arguments, cause = REFUSED[case]
    arguments = [x.format(inputs=inputs, other=other) for x in arguments]
    out = [] if "-o" in arguments else ["-o", "out"]
    before = sorted(inputs.rglob("*"))
    shots = [] if "--shots" in arguments else ["--shots", 0]
    result = invoke(
        *arguments, *sets(inputs, "after"), *shots, "--device", "cpu", "--engine", "serial", *out, "-q"
    )
    assert result.exit_code == 2, result.stderr
    (line,) = [x for x in result.stderr.splitlines() if not x.startswith("irtbench: warning: ")]
    assert cause in line
    assert sorted(inputs.rglob("*")) == before
    assert not list(tmp_path.rglob("jobs"))


def test_a_run_without_questions_is_refused(inputs, tmp_path):
    result = invoke(inputs / "tiny-0", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "--questions" in result.stderr


@pytest.mark.slow
def test_killed_commands_go_on_to_the_same_matrix(inputs, tmp_path):
    """The whole command with a real model, killed at random moments until it is through."""
    big = tmp_path / "model"
    save_model(big, seed=5, hidden_size=256, intermediate_size=512, num_hidden_layers=4)
    rows = [
        {**q, "id": f"{q['id']}-{r}", "question": f"{q['question']} Try {r}."}
        for r in range(40)
        for q in QUESTIONS
    ]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code = "from irtbench.cli import main; main()"
    command = [sys.executable, "-c", code, "score", str(big), "--questions", str(tmp_path / "many.jsonl")]
    command += [
        "--framing",
        "choice,completion",
        "--shots",
        "0",
        "--budget",
        "256",
        "--device",
        "cpu",
        "-q",
        "-o",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment)
    rng = np.random.default_rng(0)
    kills = 0
    while True:
        child = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment)
        journals = tmp_path / "killed" / "jobs"
        sizes = sum(p.stat().st_size for p in journals.glob("*/*") if p.is_file())
        target = sizes + rng.integers(1, 6000)  # so that every life gets a little further
        while (
            child.poll() is None
            and sum(p.stat().st_size for p in journals.glob("*/*") if p.is_file()) < target
        ):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        if child.wait() == 0:
            break
        kills += 1
        if kills == 20:
            subprocess.run([*command, str(tmp_path / "killed")], check=True, env=environment)
            break
    assert kills == 20
    for path in (tmp_path / "whole").glob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "killed" / path.name).read_bytes()
