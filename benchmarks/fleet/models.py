"""The fleet: which models are trained, and how; and the TOML that names their checkpoints."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from benchmarks.fleet.corpus import BOS, LENGTH, PAD

BATCH = 64  # rows of a step
STEPS = 2800
N_SEEDS, N_ORDERS, N_POPULATION = 10, 5, 70
CHECKPOINTS = 22
CONTEXT = 512  # tokens that a model takes; more than a row, for examples before a question


@dataclass(frozen=True)
class Run:
    """One model to train.

    Attributes:
        arm: ``seeds``, ``orders`` or ``population``.
        seed: of its initial weights.
        order: seed of the order of its rows; None: the order in which they were written.
        layers: depth.
        width: of the hidden states; the feed-forward layers are twice as wide.
        heads: of the attention.
        rate: highest learning rate.
        rows: number of different rows that it reads, again and again if there are fewer than it needs.
        steps: length of its schedule.
        stop: step after which it ends; the schedule goes on as if it did not.
        checkpoints: steps that are kept.
    """

    arm: str
    seed: int
    order: int | None = None
    layers: int = 4
    width: int = 96
    heads: int = 3
    rate: float = 3e-3
    rows: int = STEPS * BATCH
    steps: int = STEPS
    stop: int = STEPS
    checkpoints: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Its folder among those of its arm."""
        return f"seed{self.seed}"

    def settings(self) -> dict[str, Any]:
        """What decides its weights."""
        return asdict(self) | {"checkpoints": list(self.checkpoints), "batch": BATCH, "length": LENGTH}


def schedule(steps: int, count: int = CHECKPOINTS) -> tuple[int, ...]:
    """Steps of ``count`` checkpoints, denser early: steps · (k / (count − 1))^1.6, from 0 on.

    Example:
        >>> schedule(1000, 6)
        (0, 76, 231, 442, 700, 1000)
    """
    return tuple(round(steps * (k / (count - 1)) ** 1.6) for k in range(count))


def plan() -> list[Run]:
    """Every run of the fleet, in the order in which they are trained."""
    kept = schedule(STEPS)
    seeds = [Run("seeds", k, checkpoints=kept) for k in range(N_SEEDS)]
    orders = [Run("orders", k, order=k, checkpoints=kept) for k in range(N_SEEDS, N_SEEDS + N_ORDERS)]
    return [*seeds, *_population(), *orders]


def _population() -> list[Run]:
    """Models that differ in size, depth, data, learning rate and length; each known by its seed."""
    rng = random.Random("population")
    return [_drawn(100 + k, rng) for k in range(N_POPULATION)]


def _drawn(seed: int, rng: random.Random) -> Run:
    width = rng.choice((32, 48, 64, 96))
    layers = rng.choice((2, 3, 4))
    steps = rng.choice((300, 600, 900, 1400, 2000, 2800))
    stop = round(steps * rng.choice((0.5, 0.75, 1.0, 1.0)))
    return Run(
        "population",
        seed,
        order=rng.choice((None, seed)),
        layers=layers,
        width=width,
        heads=width // 16 if width < 64 else width // 32,
        rate=rng.choice((1.5e-3, 3e-3, 6e-3)),
        rows=round(steps * BATCH * rng.choice((0.1, 0.4, 1.0))),
        steps=steps,
        stop=stop,
        checkpoints=(stop,),
    )


def parameters(run: Run, vocabulary: int) -> int:
    """Number of parameters: embeddings V·w (output tied), each layer 4w² + 3w·2w + 2w, and a last norm of w."""
    return vocabulary * run.width + run.layers * (10 * run.width**2 + 2 * run.width) + run.width


def fleet_toml(runs: Sequence[Run], vocabulary: int, root: str) -> str:
    """The fleet as ``irtbench score --fleet`` reads it: runs that differ in nothing but the seed share a table.

    Args:
        runs: to be named.
        vocabulary: number of tokens.
        root: folder in which they lie, relative to the file.
    """
    tables = []
    for (arm, params, steps), group in groupby(
        runs, key=lambda r: (r.arm, parameters(r, vocabulary), r.checkpoints)
    ):
        lines = [
            "[[models]]",
            f'id = "{root}/{arm}/seed{{seed}}/step{{step}}"',
            f'name = "{arm}-{{seed}}-step{{step}}"',
            f'family = "{arm}"',
            f"params = {params}",
            f"seeds = [{', '.join(str(r.seed) for r in group)}]",
            f"steps = [{', '.join(map(str, steps))}]",
        ]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def make_model(run: Run, vocabulary: int) -> Any:
    """The model before its first step, from its seed alone."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=run.width,
        intermediate_size=2 * run.width,
        num_hidden_layers=run.layers,
        num_attention_heads=run.heads,
        num_key_value_heads=run.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=run.width
        ** -0.5,  # the usual 0.02 is for widths of thousands; here attention would start flat
        bos_token_id=BOS,
        eos_token_id=BOS,
        pad_token_id=PAD,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return LlamaForCausalLM(config)
