"""A language model that is none: its log-likelihoods are hashes of model, prompt and option."""

import hashlib
import os
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from irtbench.scoring.fleet.fleets import Fleet, FleetModel
from irtbench.scoring.fleet.jobs import make_groups
from irtbench.scoring.fleet.tasks import Task
from irtbench.scoring.fleet.working import Work
from irtbench.scoring.prompts import Prompt, prompts_fingerprint

SIZE = 5  # items of a batch


def tasks(items=40):
    """Two question sets of different shape, one with unconditional prompts."""
    made = []
    for name, framing, n_options, unconditional in (
        ("sums", "choice", 4, None),
        ("facts", "completion", 3, "Answer:"),
    ):
        prompts = [
            Prompt(
                f"{name}-{k}",
                name,
                "",
                "Few shots. ",
                f"Question {k}" + " and more" * (k % 7),
                tuple(f" {chr(65 + j)}{k % 9}" for j in range(n_options)),
                tuple(f"{chr(65 + j)}{k % 9}" for j in range(n_options)),
                k % n_options,
                unconditional,
            )
            for k in range(items)
        ]
        about = {"prompts": prompts_fingerprint(prompts), "shots": None}
        made.append(Task(name, framing, tuple(prompts), about))
    return made


def fleet(count=2):
    return Fleet(
        "fake",
        tuple(
            FleetModel(f"m{k}", f"lab/m{k}", "main", family="m", seed=k, commit=f"{k:040x}")
            for k in range(count)
        ),
    )


def groups(root, asked, count=2, **more):
    return make_groups(fleet(count), asked, Path(root), **more)


def load(model, device):
    return SimpleNamespace(
        name=model.name, max_length=128, layout="rows", device=device, fingerprint=model.commit
    )


def loglik(*parts):
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return -0.01 - int.from_bytes(digest[:7], "little") / 2**52


def prepare(lm, prompts, budget, *, log=None, pause=0.0, tamper=lambda batches: batches):
    """Batches of the longest prompts first; every batch that is yielded is written to the log."""
    alone = list({(p.unconditional, p.options): p for p in prompts if p.unconditional is not None})
    asked = [(p.benchmark, p.prefix, p.stem, p.options) for p in prompts]
    asked += [(prompts[0].benchmark, "", text, options) for text, options in alone]
    order = sorted(range(len(asked)), key=lambda k: (-len(asked[k][2]), k))
    size = budget or SIZE
    batches = [order[k : k + size] for k in range(0, len(order), size)]

    def score(skip):
        for number, items in enumerate(batches):
            if number in skip:
                continue
            time.sleep(pause)
            rows = [(k, j, *asked[k][:3], o) for k in sorted(items) for j, o in enumerate(asked[k][3])]
            if log is not None:
                lines = "".join(
                    f"{os.getpid()} {lm.name} {asked[k][0]} {asked[k][2]} {asked[k][3]}\n" for k in items
                )
                with open(log, "a") as file:  # one write below 4 KiB to a file opened for appending is whole
                    file.write(lines)
            yield (
                number,
                SimpleNamespace(
                    item=np.array([r[0] for r in rows], np.int32),
                    option=np.array([r[1] for r in rows], np.int16),
                    loglik=np.array([loglik(lm.name, *r[3:]) for r in rows]),
                    tokens=np.array([len(r[5]) for r in rows], np.int32),
                    greedy=np.array([r[5].endswith("3") for r in rows]),
                ),
            )

    return Work(
        batches,
        [100 * len(items) for items in batches],
        [k % 2 for k in range(len(prompts))],
        [
            -1 if p.unconditional is None else len(prompts) + alone.index((p.unconditional, p.options))
            for p in prompts
        ],
        {"budget": size},
        lambda skip: tamper(score(skip)),
    )


def preparer(log=None, pause=0.0, **more):
    return partial(prepare, log=None if log is None else str(log), pause=pause, **more)


def results(root):
    """Bytes of every result in a store, by job."""
    return {p.parent.name: p.read_bytes() for p in Path(root).glob("*/answers.parquet")}
