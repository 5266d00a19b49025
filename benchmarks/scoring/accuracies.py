"""Real models on real question sets, both framings, beside lm-eval: benchmarks/scoring/results/accuracies.md.

    python benchmarks/scoring/accuracies.py --data QUESTIONS [--models SmolLM2-135M-Instruct ...] [--limit N]

Every set in the framings choice and completion by ``irtbench.scoring.score``, as ``irtbench score`` does;
evenly spaced items of each by lm-eval's own backend from the same text. Continues where it was stopped.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.environments import environment, last_core, machine
from benchmarks.scoring.launch import HERE, LM_EVAL, Runner
from benchmarks.scoring.models import MODELS, made
from irtbench.scoring.answers import Answers
from irtbench.scoring.fleet.jobs import collect
from irtbench.scoring.framings import load_framing
from irtbench.scoring.metrics import item_metrics
from irtbench.scoring.prompts import Prompt
from irtbench.scoring.questions.reading import read_questions
from irtbench.scoring.scored import score

FRAMINGS = ("choice", "completion")
KEPT = ["acc", "acc_norm", "prob_options", "bpb"]
BATCH = 8  # of lm-eval
NORMAL = 1.96


def main() -> None:
    """Score what is missing, compare, write the table."""
    given = _arguments()
    python = environment("lm_eval", LM_EVAL, HERE)
    rows = []
    for name in given.models:
        model = made(name, python, given.work)
        run = Runner(given.out / "accuracies.jsonl", {"lm_eval": python}, model, given.core)
        answered = list(_answered(model, given))
        for answers, prompts in answered:
            rows.append(_row(answers) | _beside_lm_eval(answers, prompts, run, given.lm_eval))
            print({k: v for k, v in rows[-1].items() if k != "correct"}, flush=True)
    table = pd.DataFrame(rows)
    if (given.out / "accuracies.parquet").is_file():  # what other models gave stays
        before = pd.read_parquet(given.out / "accuracies.parquet")
        table = pd.concat([before[~before["model"].isin(given.models)], table], ignore_index=True)
    table.to_parquet(given.out / "accuracies.parquet")
    (given.out / "accuracies.md").write_text("\n".join(_page(table)) + "\n", encoding="utf-8")
    print(f"-> {given.out}")


def _answered(model: Path, given: argparse.Namespace) -> Iterator[tuple[Answers, list[Prompt]]]:
    """The answers of a model and what it was asked, a pair for each set and framing."""
    questions = [read_questions(file) for file in sorted(given.data.glob("*.jsonl"))]
    framings = [load_framing(name) for name in FRAMINGS]
    folder = given.work / f"scored_{model.name}"
    scored = score(model, questions, framings, folder, limit=given.limit, executor="serial", device="cpu")
    for _, job, answers in collect(scored.groups):
        yield answers, list(scored.tasks[job.task].prompts)


def _row(answers: Answers) -> dict[str, Any]:
    """Means over the items and the standard error of the accuracy."""
    means = item_metrics(answers, KEPT)
    spread = means["acc"].std(ddof=1) / np.sqrt(len(means))
    about = {"model": answers.model, "set": answers.items["benchmark"].iloc[0], "framing": answers.framing}
    chance = float((1 / answers.items["n_options"]).mean())
    values = means.mean().astype(float).to_dict() | {"acc_se": float(spread), "chance": chance}
    return about | {"items": len(means)} | values | {"correct": means["acc"].tolist()}


def _beside_lm_eval(answers: Answers, prompts: list[Prompt], run: Runner, wanted: int) -> dict[str, Any]:
    """Accuracy of both tools on evenly spaced items, how many answers agree, and the largest distance."""
    at = np.unique(np.linspace(0, len(prompts) - 1, min(wanted, len(prompts))).astype(int))
    asked = [prompts[k] for k in at]
    cell = f"{answers.items['benchmark'].iloc[0]} {answers.framing}"
    about = {"cell": cell, "model": answers.model, "tool": "lm_eval", "part": "accuracies", "turn": 0}
    theirs = run(about, asked, {"batch_size": BATCH})
    logliks = answers.options["loglik"].to_numpy()
    sizes = answers.items["n_options"].to_numpy()
    ours = [logliks[s : s + n] for s, n in zip(answers.starts[at], sizes[at], strict=True)]
    chosen = [np.array([int(np.argmax(x)) for x in found]) for found in (ours, theirs["logliks"])]
    right = np.array([p.answer for p in asked])
    gap = max(float(np.abs(a - np.array(b)).max()) for a, b in zip(ours, theirs["logliks"], strict=True))
    found = {"both_items": len(at), "both_irtbench": float(np.mean(chosen[0] == right))}
    found["both_lm_eval"] = float(np.mean(chosen[1] == right))
    return found | {"same_answers": float(np.mean(chosen[0] == chosen[1])), "gap": gap}


def _page(table: pd.DataFrame) -> list[str]:
    """The table as Markdown, a row a set, the framings side by side."""
    found = machine()
    lines = [
        "# Real models, both framings, beside lm-eval 0.4.13",
        "",
        f"float32 on one core of {found['processor']}. Sets of 0 examples, MMLU 5. acc, and in completion acc_norm (per",
        "character); prob: of the right option among the options; bpb: bits per byte of the right option; ± is the standard",
        "error over items; the difference choice − completion (acc) is paired, with its 95 % interval; *agreement*: share of",
        "items right in one framing that are right in the other, against what two independent framings would give.",
        "*lm-eval* read the same text for evenly spaced items of the set: accuracy of irtbench / lm-eval on them, same answers,",
        "largest distance of a log-likelihood in nats. Written by accuracies.py.",
    ]
    for model, part in table.groupby("model", sort=False):
        lines += ["", f"## {model}", "", f"| {HEAD} |", "|---" + "|--:" * (HEAD.count("|")) + "|"]
        for name, pair in part.groupby("set", sort=False):
            c, k = (pair[pair["framing"] == framing].iloc[0] for framing in FRAMINGS)
            lines.append(f"| {name} | {_cells(c, k)} |")
    return lines


HEAD = (
    "set | items | chance | choice: acc | prob | completion: acc | acc_norm | prob | bpb "
    "| choice − completion | agreement | lm-eval, choice | lm-eval, completion"
)


def _cells(c: pd.Series, k: pd.Series) -> str:
    """One row: what choice and completion gave."""
    a, b = (np.array(row["correct"]) for row in (c, k))
    gap, error = 100 * (a - b).mean(), 100 * (a - b).std(ddof=1) / np.sqrt(len(a))
    both = [
        f"{100 * (a == b).mean():.0f} % ({100 * (a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())):.0f})"
    ]
    peers = [
        f"{100 * r['both_irtbench']:.1f} / {100 * r['both_lm_eval']:.1f} on {r['both_items']}; "
        f"{100 * r['same_answers']:.0f} %; {r['gap']:.0e}"
        for r in (c, k)
    ]
    interval = f"{gap:+.1f} [{gap - NORMAL * error:+.1f}, {gap + NORMAL * error:+.1f}]"
    cells = [f"{c['items']:,}", f"{100 * c['chance']:.1f}"]
    cells += [f"{100 * c['acc']:.1f} ± {100 * c['acc_se']:.1f}", f"{100 * c['prob_options']:.1f}"]
    cells += [f"{100 * k['acc']:.1f} ± {100 * k['acc_se']:.1f}", f"{100 * k['acc_norm']:.1f}"]
    cells += [f"{100 * k['prob_options']:.1f}", f"{k['bpb']:.2f}", interval, *both, *peers]
    return " | ".join(cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of question sets")
    parser.add_argument("--models", nargs="+", default=["SmolLM2-135M-Instruct"], choices=list(MODELS))
    parser.add_argument("--limit", type=int, help="items of each set; else all")
    parser.add_argument("--lm-eval", type=int, default=60, help="items of each set that lm-eval answers too")
    parser.add_argument("--core", type=int, default=last_core(), help="the core that lm-eval is pinned to")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--work", type=Path, default=HERE / ".work", help="models and answers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
