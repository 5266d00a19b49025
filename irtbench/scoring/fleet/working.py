"""One job, batch by batch: what is finished goes to the journal, the whole to the store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from irtbench.files import fingerprint, versions
from irtbench.scoring.fleet import store
from irtbench.scoring.fleet.journal import Batch, Journal, pack
from irtbench.scoring.fleet.writing import WRITTEN, written

if TYPE_CHECKING:
    from irtbench.scoring.answers import Answers, OptionScores
    from irtbench.scoring.engine.language_models import LanguageModel
    from irtbench.scoring.engine.tokens import Workload
    from irtbench.scoring.fleet.fleets import FleetModel
    from irtbench.scoring.fleet.jobs import Job
    from irtbench.scoring.fleet.tasks import Task
    from irtbench.scoring.prompts import Prompt

__all__ = ["Prepare", "Work", "do_job", "prepare", "torch_threads"]

_MEMORY = 50_000  # prompts in tokens that are remembered
_REMEMBERED: dict[tuple[Any, ...], Workload] = {}  # of this process
_TABLE = ("id", "revision", "commit", "family", "seed", "step", "tokens", "params", "licence")


@dataclass(frozen=True)
class Work:
    """What a model has to do for some prompts, cut into batches.

    Attributes:
        batches: positions of the items of each batch; those after the prompts are options without their
            question.
        fed: tokens that the model reads for each batch.
        dropped: tokens cut from the left of each prompt.
        unconditional: position of each prompt's options without its question; -1 where there is none.
        start: what decided the cut (budget, layout …), for the journal.
        score: yields number and scores of every batch but some; a row of the scores is an option.
    """

    batches: Sequence[Sequence[int]]
    fed: Sequence[int]
    dropped: Sequence[int]
    unconditional: Sequence[int]
    start: dict[str, Any]
    score: Callable[[Collection[int]], Iterator[tuple[int, Any]]]


Prepare = Callable[[Any, Sequence["Prompt"], int | None], Work]


def prepare(lm: Any, prompts: Sequence[Prompt], budget: int | None) -> Work:
    """Encode and cut prompts for a language model.

    Args:
        lm: from :func:`irtbench.scoring.engine.language_models.load_language_model`.
        prompts: in item order.
        budget: tokens of a batch; None: what suits the device.
    """
    from irtbench.scoring.engine.likelihoods import default_budget, plan, score_batches

    budget = budget or default_budget(lm)
    workload = _encoded(lm, prompts)
    batches = plan(workload, lm, budget)
    fed, before = [], b""
    for batch in batches:  # a prefix is read for the first batch that begins with it
        prefix = batch.prefix.tobytes()
        fed.append(batch.tokens + (len(batch.prefix) if prefix != before else 0))
        before = prefix
    return Work(
        [batch.items for batch in batches],
        fed,
        [encoded.dropped for encoded in workload.encoded[: workload.n_prompts]],
        workload.unconditional.tolist(),
        {"budget": budget, "layout": lm.layout, "device": str(lm.device), "max_length": lm.max_length},
        lambda skip: score_batches(lm, workload, batches, skip=skip),
    )


def do_job(
    lm: Any, model: FleetModel, job: Job, task: Task, *, budget: int | None, prepare: Prepare = prepare
) -> None:
    """Score what the journal does not have, and keep the answers; the lease of the job is ours.

    Args:
        lm: the loaded language model.
        model: what the fleet says about it.
        job: where the result goes.
        task: what is asked.
        budget: tokens of a batch; None: what suits the device.
        prepare: encodes and cuts the prompts.

    Raises:
        FullDisk: the disk is full.
        InputError: what the scoring refuses.
    """
    store.begin(job.folder)
    began = time.monotonic()
    work = prepare(lm, task.prompts, budget)
    start = {**work.start, "plan": fingerprint(*(np.array(b, np.int64).tobytes() for b in work.batches))}
    with Journal(job.folder.journal, start) as journal:
        done = {batch.number: batch for batch in journal.batches}
        earlier = len(done)
        for number, scores in work.score(frozenset(done)):
            done[number] = batch = _batch(number, scores, work, len(task.prompts))
            journal.append(pack(batch))
    counts = None
    if task.writing is not None:
        counts = written(job.folder.path / WRITTEN, lm, task.prompts, task.writing, budget)
    answers = _answers([done[k] for k in sorted(done)], work, task, model, job, counts)
    run = {
        "seconds": round(time.monotonic() - began, 3),
        "items": len(task.prompts),
        "tokens": sum(work.fed),
        "batches": len(work.batches),
        "earlier_batches": earlier,
        **start,
    }
    store.keep(job.folder, answers, run)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch this many threads for a while, if it is loaded and needs more than one."""
    torch = sys.modules.get("torch")
    if torch is None or count < 2:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _encoded(lm: LanguageModel, prompts: Sequence[Prompt]) -> Workload:
    """The prompts in tokens; checkpoints of a run have one tokenizer, so the last few are remembered."""
    from irtbench.scoring.engine.tokens import encode_prompts
    from irtbench.scoring.prompts import prompts_fingerprint

    backend = getattr(lm.tokenizer, "backend_tokenizer", None)
    if backend is None:
        return encode_prompts(prompts, lm)
    words = fingerprint(backend.to_str(), str(lm.tokenizer.special_tokens_map))
    key = words, lm.start, lm.max_length, prompts_fingerprint(prompts)
    if key not in _REMEMBERED:
        _REMEMBERED[key] = encode_prompts(prompts, lm)
        while len(_REMEMBERED) > 1 and sum(w.n_prompts for w in _REMEMBERED.values()) > _MEMORY:
            del _REMEMBERED[next(iter(_REMEMBERED))]
    return _REMEMBERED[key]


def _batch(number: int, scores: Any, work: Work, n_prompts: int) -> Batch:
    items = sum(k < n_prompts for k in work.batches[number])
    rows = scores.item, scores.option, scores.loglik, scores.tokens, scores.greedy
    return Batch(number, items, work.fed[number], *rows)


def _answers(
    batches: Sequence[Batch],
    work: Work,
    task: Task,
    model: FleetModel,
    job: Job,
    counts: list[tuple[int, int]] | None,
) -> Answers:
    from irtbench.scoring.answers import make_answers

    n_items = len(work.unconditional) + len({k for k in work.unconditional if k >= 0})
    scores = _by_item(batches, n_items)
    known = asdict(model)
    about = {
        "model": model.name,
        "framing": task.framing,
        "benchmark": task.benchmark,
        **task.about,
        "model_table": {name: known[name] for name in _TABLE if known[name] is not None},
        "decides": dict(job.folder.decides),
        "versions": versions(),
    }
    unconditional = [None if k < 0 else scores[k][0] for k in work.unconditional]
    scores = scores[: len(task.prompts)]
    return make_answers(task.prompts, scores, unconditional, work.dropped, about, counts)


def _by_item(batches: Sequence[Batch], n_items: int) -> list[OptionScores]:
    """Log-likelihoods, tokens and greediness of the options of every item."""
    names = ("item", "option", "loglik", "tokens", "greedy")
    item, option, *values = (
        np.concatenate([getattr(batch, name) for batch in batches] or [np.empty(0)]) for name in names
    )
    order = np.lexsort((option, item))
    counts = np.bincount(item.astype(np.int64), minlength=n_items)
    missing = np.flatnonzero(counts == 0)
    if len(missing):
        raise RuntimeError(
            f"the scoring left out {len(missing)} of {n_items} items, first number {missing[0]}"
        )
    loglik, tokens, greedy = (np.split(column[order], np.cumsum(counts)[:-1]) for column in values)
    return list(zip(loglik, tokens, greedy, strict=True))
