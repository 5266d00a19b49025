"""Items per CPU second and agreement with float64, irtbench beside lm-eval: benchmarks/scoring/results.

    python benchmarks/scoring/run.py --data QUESTIONS [--model FOLDER] [--rounds 2] [--quick]

Installs lm-eval into an environment of its own, makes the model from its package if no folder is given,
and scores the same prompts with both in turns. A run that was stopped continues where it was.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.environments import environment, last_core
from benchmarks.scoring.cells import CELLS, prompts_of
from benchmarks.scoring.launch import HERE, LM_EVAL, Runner
from benchmarks.scoring.models import made
from benchmarks.scoring.tables import write

BATCHES = (1, 4, 8, 16, 32, 64)
TRUTHS = 8  # items of a cell that are scored in float64 too


def main() -> None:
    """Run what is missing, then write the table."""
    given = _arguments()
    pythons = {"irtbench": Path(sys.executable), "float64": Path(sys.executable)}
    pythons["lm_eval"] = environment("lm_eval", LM_EVAL, HERE)
    model = given.model or made("SmolLM2-135M-Instruct", pythons["lm_eval"], given.work)
    runs = given.out / ("quick.jsonl" if given.quick else "runs.jsonl")
    for name in given.cells:
        prompts = prompts_of(CELLS[name], given.data, 0.1 if given.quick else 1.0)
        few = prompts_of(CELLS[name], given.data, 0.02 if given.quick else 0.1)
        truths = [prompts[k] for k in np.linspace(0, len(prompts) - 1, TRUTHS).astype(int)]
        common = {"cell": name, "model": model.name}
        run = Runner(runs, pythons, model, given.core)
        for size in BATCHES:
            run(common | {"tool": "lm_eval", "part": "few", "turn": 0}, few, {"batch_size": size})
        best = max((r for r in run.of(name, "lm_eval", "few")), key=lambda r: r["items"] / r["cpu_s"])[
            "options"
        ]
        run(common | {"tool": "float64", "part": "truths", "turn": 0}, truths, {})
        for turn in range(given.rounds):
            run(common | {"tool": "irtbench", "part": "all", "turn": turn}, prompts, {"budget": given.budget})
            run(common | {"tool": "lm_eval", "part": "all", "turn": turn}, prompts, best)
    records = [json.loads(line) for line in runs.read_text().splitlines()]
    write(records, given.out)
    print(f"-> {given.out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of question sets")
    parser.add_argument(
        "--model", type=Path, help="folder of a causal language model; SmolLM2-135M by default"
    )
    parser.add_argument("--cells", nargs="+", default=list(CELLS), metavar="CELL")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--budget", type=int, default=2048, help="irtbench's tokens a batch")
    parser.add_argument("--quick", action="store_true", help="a tenth of the items, one round")
    parser.add_argument("--core", type=int, default=last_core(), help="the core that every run is pinned to")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--work", type=Path, default=HERE / ".work", help="the model")
    given = parser.parse_args()
    if unknown := [name for name in given.cells if name not in CELLS]:
        parser.error(f"unknown: {', '.join(unknown)}; cells: {', '.join(CELLS)}")
    given.rounds = 1 if given.quick else given.rounds
    return given


if __name__ == "__main__":
    main()
