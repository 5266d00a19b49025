"""Scores the fleet and writes what ships: questions, responses, three models and their fleet.

    python benchmarks/fleet/ship.py --runs RUNS --work SCORED [--only family=seeds] [--device cpu|cuda]

RUNS is what train.py wrote. Scoring goes on where it was stopped. Writes models/questions/seedlings,
models/responses/seedlings, models/weights/seedlings and models/fleets/sprouts.toml.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.fleet.asking import write_questions
from benchmarks.fleet.card import loss_picture, losses_table, runs_table, write_card
from benchmarks.fleet.models import Run, plan
from benchmarks.fleet.world import make_world
from irtbench.files import atomic_file, atomic_folder, read_json
from irtbench.responses import ResponseMatrix
from irtbench.scoring import load_fleet, load_framing, read_questions, score
from irtbench.scoring.fleet.fleets import Fleet

CATALOGUE = Path(__file__).resolve().parents[2] / "models"
RESULTS = Path(__file__).resolve().parent / "results"
FRAMINGS = {"completion": "completion", "choice": "seedlings_choice"}
METRICS = {
    "completion": ("acc", "acc_norm", "prob", "prob_options", "margin", "brier"),
    "choice": ("acc", "prob", "prob_options", "margin"),  # of one letter each: lengths tell nothing
}
SHOTS = 4
ORDERS = 6  # of the examples
ORDERED = {"family": "seeds", "step": "1144,2800"}  # the part that is asked with examples in several orders
WEIGHTS = {
    "seeds-0-step598": "seeds/seed0/step598",
    "seeds-0-step2800": "seeds/seed0/step2800",
    "population-111-step2000": "population/seed111/step2000",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Score what is not scored, and write what ships."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent / ".work" / "runs")
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / ".work" / "scored")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--to", type=Path, default=CATALOGUE)
    given = parser.parse_args(arguments)
    write_questions(make_world(), given.to / "questions" / "seedlings")
    fleet = load_fleet("seedlings", given.only)
    how: dict[str, Any] = {"device": given.device, "workers": given.workers, "progress": True}
    matrices = scored(fleet, given.to, given.work / "plain", **how)
    matrices |= ordered(load_fleet("seedlings", _conditions(given.only)), given.to, given.work, **how)
    folder = given.to / "responses" / "seedlings"
    for name, matrix in matrices.items():
        small(matrix).save(folder / f"{name}.parquet")
    for name, place in WEIGHTS.items():
        ship_weights(given.runs / place, given.to / "weights" / "seedlings" / name)
    if not given.only:
        runs = runs_table(given.runs, plan())
        seconds = sum(read_json(job)["run"]["seconds"] for job in given.work.glob("*/jobs/*/job.json"))
        write_card(folder / "CARD.md", matrices, runs, seconds)
        for name, table in (("runs", runs), ("losses", losses_table(given.runs, plan()))):
            with atomic_file(RESULTS / f"{name}.parquet") as temporary:
                table.to_parquet(temporary, index=False)
        loss_picture(given.runs, plan(), RESULTS / "loss.svg")
    for path in sorted(folder.glob("*.parquet")):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def scored(fleet: Fleet, catalogue: Path, folder: Path, **how: Any) -> dict[str, ResponseMatrix]:
    """Responses without examples, ``FRAMING_METRIC`` → matrix."""
    sets = [read_questions(p) for p in sorted((catalogue / "questions" / "seedlings").glob("*.jsonl"))]
    framings = [load_framing(name) for name in FRAMINGS.values()]
    every = list(dict.fromkeys(m for metrics in METRICS.values() for m in metrics))
    found = score(fleet, sets, framings, folder, shots=0, metrics=every, **how)
    about = questions_table(catalogue / "questions" / "seedlings")
    matrices = {}
    for name, framing in FRAMINGS.items():
        for metric in METRICS[name]:
            matrix = found.matrices[folder / f"responses_{metric}_{framing}.parquet"]
            matrices[f"{name}_{metric}"] = described(matrix, about)
    return matrices


def ordered(fleet: Fleet, catalogue: Path, folder: Path, **how: Any) -> dict[str, ResponseMatrix]:
    """Responses after the same examples in several orders; a row a model and order."""
    sets = [read_questions(p) for p in sorted((catalogue / "questions" / "seedlings").glob("*.jsonl"))]
    framings = [load_framing(name) for name in FRAMINGS.values()]
    about = questions_table(catalogue / "questions" / "seedlings")
    parts: dict[str, list[ResponseMatrix]] = {name: [] for name in FRAMINGS}
    for order in range(ORDERS):
        place = folder / f"order{order}"
        found = score(fleet, sets, framings, place, shots=SHOTS, shot_order=order, metrics=["acc"], **how)
        for name, framing in FRAMINGS.items():
            matrix = described(found.matrices[place / f"responses_acc_{framing}.parquet"], about)
            models = matrix.models.assign(shot_order=order)
            models.index = models.index + f"-order{order}"
            parts[name].append(ResponseMatrix(matrix.values, models, matrix.items, matrix.metric))
    return {f"{name}_acc_orders": stacked(own) for name, own in parts.items()}


def stacked(matrices: Sequence[ResponseMatrix]) -> ResponseMatrix:
    """Matrices of the same items, one below the other."""
    models = pd.concat([m.models for m in matrices])
    return ResponseMatrix(
        np.concatenate([m.values for m in matrices]), models, matrices[0].items, matrices[0].metric
    )


def described(matrix: ResponseMatrix, about: pd.DataFrame) -> ResponseMatrix:
    """The matrix with what is known of its models and items; a model that has no replicates is its own family."""
    models = matrix.models.drop(columns=["id", "licence"], errors="ignore")
    arms = models["family"].to_numpy()
    runs: dict[tuple[str, int], Run] = {(run.arm, run.seed): run for run in plan()}
    own = [runs[arm, seed] for arm, seed in zip(arms, models["seed"], strict=True)]
    alone = arms == "population"
    numbered = models["family"] + "-" + models["seed"].astype(str)
    models = models.assign(name=numbered, arm=arms, family=models["family"].where(~alone, numbered))
    for column in ("layers", "width", "rate", "rows", "steps"):
        models[column] = [getattr(run, column) for run in own]
    return ResponseMatrix(
        matrix.values, models, matrix.items.join(about, how="left", validate="one_to_one"), matrix.metric
    )


def questions_table(folder: Path) -> pd.DataFrame:
    """What makes an item easy or hard: ``asked``, ``rare``, ``told``; and ``chance``, the score of guessing."""
    rows = pd.concat([pd.read_json(p, lines=True) for p in sorted(folder.glob("*.jsonl"))])
    items = rows[rows["split"] == "test"].set_index("id")
    chance = 1 / items["choices"].map(len)
    return items[["asked", "rare", "told"]].astype(bool).assign(chance=chance)


def small(matrix: ResponseMatrix) -> ResponseMatrix:
    """Values rounded to half precision: half as large, 0/1 unchanged."""
    return ResponseMatrix(
        matrix.values.astype(np.float16).astype(np.float32), matrix.models, matrix.items, matrix.metric
    )


def ship_weights(source: Path, target: Path) -> None:
    """Copy a checkpoint: what transformers reads, nothing else."""
    if target.is_dir():
        return
    with atomic_folder(target) as place:
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(source / name, place / name)


def _conditions(only: Sequence[str]) -> list[str]:
    return [*only, *(f"{key}={value}" for key, value in ORDERED.items())]


if __name__ == "__main__":
    main()
