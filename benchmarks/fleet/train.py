"""Trains the fleet: a folder a checkpoint, loss curves and times beside them.

    python benchmarks/fleet/train.py --out RUNS [--arm seeds] [--only seed=3,4] [--device cpu|cuda]

What is finished is skipped and what was cut short goes on from its last checkpoint, so the same command may be
given again. Writes RUNS/ARM/seedN/stepS (model and tokenizer), RUNS/ARM/seedN/run.json and loss.parquet, and
the questions to score in RUNS/questions.
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.fleet.asking import write_questions
from benchmarks.fleet.corpus import LENGTH, make_tokenizer, rows, vocabulary
from benchmarks.fleet.models import BATCH, N_SEEDS, Run, fleet_toml, make_model, plan
from benchmarks.fleet.world import make_world
from irtbench.devices import pick_device
from irtbench.errors import InputError
from irtbench.files import atomic_file, atomic_folder, read_json, write_json

Corpus = tuple[np.ndarray, np.ndarray]
WARM_UP = 50  # steps
FLOOR = 0.1  # of the highest learning rate, at the end of the schedule


def main(arguments: list[str] | None = None) -> None:
    """Train what is missing of the runs that were asked for."""
    given = _arguments(arguments)
    device = pick_device(given.device)
    torch.set_num_threads(given.threads)
    logging.disable_progress_bar()  # a bar for every checkpoint
    runs = chosen(given.arm, given.only)
    world = make_world()
    write_questions(world, given.out / "questions")
    corpus = rows(world, max(run.rows for run in runs))
    for k, run in enumerate(runs, start=1):
        print(f"{k}/{len(runs)} {run.arm}/{run.name}", flush=True)
        train(run, given.out / run.arm / run.name, corpus, device)


def chosen(arms: list[str] | None, only: list[str] | None) -> list[Run]:
    """The runs of some arms that meet conditions ``seed=3,4``.

    Raises:
        InputError: a condition that is none, or no such run.
    """
    runs = [run for run in plan() if not arms or run.arm in arms]
    for condition in only or ():
        key, _, values = condition.partition("=")
        if key not in ("seed", "layers", "width") or not all(v.isdigit() for v in values.split(",")):
            raise InputError(f"--only {condition!r}: write seed=3,4 (or layers=, width=)")
        runs = [run for run in runs if getattr(run, key) in map(int, values.split(","))]
    if not runs:
        raise InputError("no run of the fleet is meant by --arm and --only")
    return runs


def fleet_file() -> str:
    """The text of models/fleets/seedlings.toml."""
    head = f"""# Seedlings: tiny language models trained on a small world of facts; made here by
#     python benchmarks/fleet/train.py --out benchmarks/fleet/.work/runs
# and found there only after that. seeds: one recipe, {N_SEEDS} initial weights, one order of the data; orders: the order
# of the data differs too; population: models of different size, depth, data and learning rate, the last checkpoint of each.

[defaults]
licence = "apache-2.0"
dtype = "float32"
tokens_per_step = {BATCH * LENGTH}

"""
    return head + fleet_toml(plan(), len(vocabulary(make_world())), "../../benchmarks/fleet/.work/runs")


def train(run: Run, folder: Path, corpus: Corpus, device: torch.device, *, until: int | None = None) -> None:
    """Train one model up to its end, or the step ``until``; go on where its folder stops.

    Args:
        run: what to train.
        folder: of the run.
        corpus: rows of tokens, and their weights in the loss: at least as many as the run has.
        device: to train on; bfloat16 on a GPU.
        until: step to stop at.

    The state after the last checkpoint is kept in ``state.pt`` until the run is finished; a run that goes on
    from it ends with the same weights, bit for bit, as one that was never stopped.

    Raises:
        InputError: the folder holds a run with other settings.
    """
    _same_settings(run, folder)
    if (folder / "loss.parquet").is_file():
        return
    tokenizer = make_tokenizer(make_world())
    model = make_model(run, len(tokenizer)).to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=run.rate, betas=(0.9, 0.95), weight_decay=0.05)
    step, losses, seconds = _resume(folder / "state.pt", model, optimiser, device)
    tokens = torch.from_numpy(corpus[0][: run.rows].astype(np.int64)).to(device)
    weights = torch.from_numpy(corpus[1][: run.rows].astype(np.float32)).to(device)
    order = row_order(run)
    end = run.stop if until is None else min(until, run.stop)
    start, at = time.process_time() - seconds, time.time()
    while True:
        if step in run.checkpoints and not (folder / f"step{step}").is_dir():
            with atomic_folder(folder / f"step{step}") as place:
                model.save_pretrained(place)
                tokenizer.save_pretrained(place)
        if step in run.checkpoints or step == end:
            seconds = time.process_time() - start
            _keep(folder / "state.pt", model, optimiser, step, losses, seconds)
            recent = np.mean(losses[-50:]) if losses else math.nan
            print(
                f"  step {step}/{run.stop}  loss {recent:.3f}  {seconds:.0f} CPU s  {time.time() - at:.0f} s",
                flush=True,
            )
        if step == end:
            break
        for group in optimiser.param_groups:
            group["lr"] = run.rate * _share(step, run.steps)
        which = torch.from_numpy(order[step * BATCH : (step + 1) * BATCH]).to(device)
        losses.append(_step(model, optimiser, tokens[which], weights[which]))
        step += 1
    if step == run.stop:
        _finish(run, folder, model, losses, seconds, device)


def row_order(run: Run) -> np.ndarray:
    """Numbers of the rows that a run reads, one after the other: (stop · batch,)."""
    rng = None if run.order is None else np.random.default_rng(run.order)
    passes = math.ceil(run.stop * BATCH / run.rows)
    each = [np.arange(run.rows) if rng is None else rng.permutation(run.rows) for _ in range(passes)]
    return np.concatenate(each)[: run.stop * BATCH]


def _step(model: Any, optimiser: Any, tokens: torch.Tensor, weights: torch.Tensor) -> float:
    """One step on the weighted mean cross-entropy of the tokens; bfloat16 inside on a GPU."""
    wanted = weights[:, 1:] > 0
    with torch.autocast("cuda", torch.bfloat16, enabled=tokens.is_cuda):
        hidden = model.model(input_ids=tokens[:, :-1]).last_hidden_state
        logits = model.lm_head(hidden[wanted]).float()
    each = torch.nn.functional.cross_entropy(logits, tokens[:, 1:][wanted], reduction="none")
    share = weights[:, 1:][wanted]
    loss = each @ share / share.sum()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _share(step: int, steps: int) -> float:
    """Of the highest learning rate: rises over the first steps, then falls as a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / WARM_UP) * (FLOOR + (1 - FLOOR) * cosine)


def _same_settings(run: Run, folder: Path) -> None:
    settings = run.settings()
    if not (folder / "run.json").is_file():
        write_json(folder / "run.json", {"settings": settings})
    elif read_json(folder / "run.json")["settings"] != settings:
        raise InputError(f"{folder}: holds a run with other settings; choose another folder or remove it")


def _resume(path: Path, model: Any, optimiser: Any, device: torch.device) -> tuple[int, list[float], float]:
    if not path.is_file():
        return 0, [], 0.0
    state = torch.load(path, map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["losses"], state["seconds"]


def _keep(path: Path, model: Any, optimiser: Any, step: int, losses: list[float], seconds: float) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    with atomic_file(path) as temporary:
        torch.save(state | {"step": step, "losses": losses, "seconds": seconds}, temporary)


def _finish(
    run: Run, folder: Path, model: Any, losses: list[float], seconds: float, device: torch.device
) -> None:
    found = {
        "settings": run.settings(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": run.stop * run.settings()["batch"] * run.settings()["length"],
        "cpu_seconds": round(seconds, 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "last_loss": round(float(np.mean(losses[-50:])), 4),
    }
    write_json(folder / "run.json", found)
    table = pd.DataFrame({"step": np.arange(1, len(losses) + 1, dtype=np.int32), "loss": np.float32(losses)})
    with atomic_file(folder / "loss.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    (folder / "state.pt").unlink()


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arm", action="append", choices=["seeds", "orders", "population"])
    parser.add_argument("--only", action="append", help="seed=3,4; repeat for more conditions")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
