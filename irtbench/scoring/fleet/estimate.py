"""What a run would take: jobs, items and tokens exactly, time and memory estimated; no weights are loaded."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from irtbench.errors import InputError
from irtbench.scoring.fleet import store
from irtbench.scoring.fleet.fleets import Fleet, FleetModel
from irtbench.scoring.fleet.jobs import Group
from irtbench.scoring.fleet.tasks import Task
from irtbench.scoring.fleet.working import prepare

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.scoring.engine.language_models import LanguageModel

__all__ = ["Estimate", "Speed", "count_tokens", "estimate", "speed"]

_REACHED = 0.4  # share of the speed of one large matrix product that whole models are taken to reach
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Speed:
    """How fast models are taken to run.

    Attributes:
        flops: floating-point operations a second.
        source: where that number is from, in words.
    """

    flops: float
    source: str


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Attributes:
        table: a row for each family and task: ``models``, ``items``, ``tokens`` (of all its models),
            ``hours`` and ``weights_gb``; NaN where the number of parameters is not known.
        speed: what ``hours`` rests on.
        done: jobs that the store has already; None where that cannot be told without the hub.
        jobs: all jobs.
    """

    table: pd.DataFrame
    speed: Speed
    done: int | None
    jobs: int

    def __str__(self) -> str:
        """In a few words, for people."""
        total, hours = self.table["tokens"].sum(), self.table["hours"].sum()
        done = "" if self.done is None else f" ({self.done} done)"
        return (
            f"{self.jobs} jobs{done}, {self.table['items'].sum():,} items, {total:,} tokens; about"
            f" {_time(hours)}"
            f" at {self.speed.flops / 1e9:,.0f} GFLOP/s ({self.speed.source}), one model at a time;"
            f" weights up to {self.table['weights_gb'].max():.2g} GB"
        )


def estimate(
    fleet: Fleet,
    tasks: Sequence[Task],
    root: Path,
    *,
    groups: Sequence[Group] | None,
    dtype: str | None = None,
    device: str = "cpu",
    budget: int | None = None,
) -> Estimate:
    """Count the tokens of every family's jobs, with the tokenizer of its first model; estimate the rest.

    Time is 2 · parameters · tokens / speed: the multiplications and additions of the weights.

    Args:
        fleet: models.
        tasks: what they are asked.
        root: the store.
        groups: the jobs, if the models could be pinned.
        dtype: in place of the fleet's own.
        device: ``cpu`` or ``cuda``.
        budget: tokens of a batch.

    Raises:
        InputError: a model without tokenizer or configuration.
    """
    import pandas as pd

    families: dict[str, list[FleetModel]] = {}
    for model in fleet:
        families.setdefault(model.family or model.id, []).append(model)
    rows = []
    pace = speed(groups or (), {m.name: m.params for m in fleet}, device)
    for family, members in families.items():
        lm = _without_weights(members[0], device)
        params = members[0].params or _parameters(lm)
        number = _number_format(dtype or members[0].dtype, lm, device)
        for task in tasks:
            tokens = count_tokens(lm, task, budget) * len(members)
            rows.append(
                {
                    "family": Path(family).name if Path(family).is_absolute() else family,
                    "task": task.name,
                    "models": len(members),
                    "items": len(task.prompts) * len(members),
                    "tokens": tokens,
                    "hours": 2 * params * tokens / pace.flops / 3600,
                    "weights_gb": params * _BYTES[number] / 1e9,
                }
            )
    done = None if groups is None else sum(store.is_finished(j.folder) for g in groups for j in g.jobs)
    return Estimate(pd.DataFrame(rows), pace, done, len(fleet) * len(tasks))


def count_tokens(lm: LanguageModel, task: Task, budget: int | None = None) -> int:
    """Tokens that a model reads for a task: those of all batches, and each shared prefix once."""
    return sum(prepare(lm, task.prompts, budget).fed)


def speed(groups: Sequence[Group], params: dict[str, int | None], device: str) -> Speed:
    """Speed of the finished jobs of the store on this kind of device, else a share of a matrix product's.

    Args:
        groups: jobs, done or not.
        params: parameters of the models, by name.
        device: ``cpu`` or ``cuda``.
    """
    found = []
    for group in groups:
        size = params.get(group.model.name)
        for job in group.jobs:
            run = store.run_of(job.folder)
            if (
                size
                and run.get("seconds")
                and not run["earlier_batches"]
                and run["device"].startswith(device)
            ):
                found.append(2 * size * run["tokens"] / run["seconds"])
    if found:
        return Speed(statistics.median(found), f"measured in {len(found)} finished jobs")
    product = _matrix_product(device)
    return Speed(_REACHED * product, f"{_REACHED:.0%} of a matrix product measured now; a guess")


def _matrix_product(device: str) -> float:
    """Operations a second of a large matrix product: float32 on a CPU, bfloat16 on a GPU."""
    import torch

    n = 1024 if device == "cpu" else 8192
    a = torch.ones(n, n, device=device, dtype=torch.float32 if device == "cpu" else torch.bfloat16)
    times = []
    for _ in range(6):
        began = time.perf_counter()
        float((a @ a)[0, 0])  # which waits for it
        times.append(time.perf_counter() - began)
    return 2 * n**3 / min(times)


def _without_weights(model: FleetModel, device: str) -> LanguageModel:
    """The tokenizer and configuration of a model, in place of the whole."""
    import torch
    from transformers import AutoConfig, AutoTokenizer

    from irtbench.scoring.engine.language_models import LanguageModel, longest_input, start_tokens

    path = Path(model.id)
    where = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    source = path.parent if where else path if path.is_dir() else model.id
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=model.pin, **where)
        config = AutoConfig.from_pretrained(source, revision=model.pin, **where)
    except (OSError, ValueError, KeyError, ImportError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{model.name}: its tokenizer or configuration cannot be read ({line})") from None
    config = config.get_text_config()
    shell: Any = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: config))
    limit = longest_input(shell, tokenizer)
    start = start_tokens(tokenizer)
    return LanguageModel(model.name, shell, tokenizer, torch.device(device), limit, start, "tree", "")


def _parameters(lm: LanguageModel) -> int:
    """Parameters of the model that the configuration describes, made without memory."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return sum(
            p.numel()
            for p in AutoModelForCausalLM.from_config(lm.model.config.get_text_config()).parameters()
        )


def _number_format(dtype: str, lm: LanguageModel, device: str) -> str:
    if dtype != "auto":
        return dtype
    if device == "cpu":
        return "float32"
    own = str(getattr(lm.model.config.get_text_config(), "dtype", None)).removeprefix("torch.")
    return own if own in _BYTES else "float32"


def _time(hours: float) -> str:
    if hours != hours:
        return "an unknown time"
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return (
        f"{60 * hours:.0f} min"
        if hours < 2
        else f"{hours:,.0f} h"
        if hours < 48
        else f"{hours / 24:,.0f} days"
    )
