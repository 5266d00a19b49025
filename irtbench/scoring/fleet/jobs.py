"""Jobs: every model of a fleet on every question set in every framing, each done once and kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irtbench.devices import cuda_devices
from irtbench.errors import InputError
from irtbench.executor import ExecutorName, run_jobs
from irtbench.scoring.fleet import store
from irtbench.scoring.fleet.fleets import Fleet, FleetModel
from irtbench.scoring.fleet.journal import FullDisk
from irtbench.scoring.fleet.pins import identity, pinned
from irtbench.scoring.fleet.watching import watch
from irtbench.scoring.fleet.working import Prepare, do_job, prepare, torch_threads

if TYPE_CHECKING:
    from irtbench.scoring.answers import Answers
    from irtbench.scoring.fleet.tasks import Task

__all__ = ["Group", "Job", "collect", "make_groups", "run_groups"]

Load = Callable[[FleetModel, str], Any]  # model, device → language model
_PAUSE = 1.0  # seconds between two looks at jobs of other processes


@dataclass(frozen=True)
class Job:
    """One model on one task.

    Attributes:
        task: position of the task.
        folder: where the result lies, or will.
        items: number of its items.
    """

    task: int
    folder: store.JobFolder
    items: int


@dataclass(frozen=True)
class Group:
    """The jobs of one model, which is loaded once for them."""

    model: FleetModel
    jobs: tuple[Job, ...]


def make_groups(
    fleet: Fleet, tasks: Sequence[Task], root: Path, *, dtype: str | None = None, device: str = "auto"
) -> list[Group]:
    """Name the folder of every job; the models are pinned first, so that a key stands for one model.

    Args:
        fleet: models.
        tasks: from :func:`~irtbench.scoring.fleet.tasks.make_tasks`.
        root: the store.
        dtype: in place of the fleet's own.
        device: where the models will run; on a CPU, a dtype of ``auto`` is float32.

    Raises:
        InputError: a model that is not there.
    """
    groups = []
    for model in pinned(fleet):
        model = replace(model, dtype=_number_format(dtype or model.dtype, device))
        decides = {"model": identity(model), "dtype": model.dtype}
        jobs = []
        for k, task in enumerate(tasks):
            title = f"{model.name}-{task.benchmark}-{task.framing}"
            folder = store.job_folder(root, title, {**decides, **task.decides})
            jobs.append(Job(k, folder, len(task.prompts)))
        groups.append(Group(model, tuple(jobs)))
    return groups


def run_groups(
    groups: Sequence[Group],
    tasks: Sequence[Task],
    *,
    executor: ExecutorName = "processes",
    workers: int | None = None,
    device: str = "auto",
    budget: int | None = None,
    wait: bool = True,
    progress: bool = False,
    load: Load | None = None,
    prepare: Prepare = prepare,
) -> dict[str, str]:
    """Do every job that is not done; several processes, also on several machines, may call this at a time.

    A job that another process works on is left to it; with ``wait``, this one looks after it until it is
    done, and takes it over if that process was ended.

    Args:
        groups: from :func:`make_groups`.
        tasks: from :func:`~irtbench.scoring.fleet.tasks.make_tasks`.
        executor: see :func:`irtbench.executor.run_jobs`; with ``ray``, the store lies on a file system
            that all its machines share.
        workers: models at a time.
        device: where the models run.
        budget: tokens of a batch; None: found by itself.
        wait: for the jobs that other processes hold.
        progress: show a bar on a terminal.
        load: loads a model; the default is :func:`load_model`.
        prepare: encodes prompts and cuts them into batches.

    Returns:
        Models that could not be loaded, or not do one of their jobs, and why.

    Raises:
        FullDisk: the disk is full.
    """
    threads = _threads(executor, workers, len(groups))
    work = partial(_do_group, tasks=tasks, budget=budget, threads=threads, load=load, prepare=prepare)
    failed: dict[str, str] = {}
    for group in groups:
        for job in group.jobs:
            store.check(job.folder)
    everything = [(g.model.name, j.folder, j.items) for g in groups for j in g.jobs]
    with watch(everything) if progress else nullcontext():
        share = False  # first the models that no other process works on
        while left := [g for g in groups if g.model.name not in failed and _pending(g)]:
            results = run_jobs(
                partial(work, share=share),
                left,
                executor=executor,
                workers=workers,
                device=device,
                describe=lambda g: g.model.name,
            )
            done = 0
            with closing(results):
                for k, (count, why) in results:
                    done += count
                    if why is not None:
                        failed[left[k].model.name] = why
            if share and not done and not failed.keys() & {g.model.name for g in left}:
                if not wait:
                    break
                time.sleep(_PAUSE)
            share = True
    return failed


def collect(groups: Sequence[Group]) -> Iterator[tuple[FleetModel, Job, Answers]]:
    """Load every result that is there, in the order of the jobs."""
    for group in groups:
        for job in group.jobs:
            answers = store.recall(job.folder)
            if answers is not None:
                yield group.model, job, answers


def load_model(model: FleetModel, device: str) -> Any:
    """Load the commit or folder of a model.

    Raises:
        InputError: it, or its tokenizer, is not there.
    """
    from irtbench.scoring.engine.language_models import load_language_model

    return load_language_model(
        model.id, revision=model.pin, dtype=model.dtype, device=device, name=model.name
    )


def _number_format(dtype: str, device: str) -> str:
    """Write ``auto`` out where it is known: on a CPU, it is float32 whatever the checkpoint has."""
    if dtype != "auto":
        return dtype
    if device == "auto":
        device = "cuda" if cuda_devices() else "cpu"
    return "float32" if device == "cpu" else "auto"


def _pending(group: Group) -> list[Job]:
    return [job for job in group.jobs if not store.is_finished(job.folder)]


def _do_group(
    group: Group,
    *,
    tasks: Sequence[Task],
    budget: int | None,
    threads: int,
    share: bool,
    load: Load | None,
    prepare: Prepare,
    device: str = "cpu",
) -> tuple[int, str | None]:
    """Do the jobs of one model that nobody else does: how many, and why one could not be done."""
    pending = _pending(group)
    if not share and any(store.is_leased(job.folder) for job in pending):
        return 0, None
    done, lm, why = 0, None, None
    for job in pending:
        with store.lease(job.folder) as ours:
            if not ours or store.is_finished(job.folder):
                continue
            try:
                if lm is None:
                    lm = (load or load_model)(group.model, device)
                with torch_threads(threads if device == "cpu" else 1):
                    do_job(lm, group.model, job, tasks[job.task], budget=budget, prepare=prepare)
                done += 1
            except FullDisk:
                raise
            except (InputError, OSError) as error:
                if lm is None:
                    return done, str(error)
                why = f"{tasks[job.task].name}: {error}"
    return done, why


def _slots(executor: ExecutorName, workers: int | None, n_groups: int) -> int:
    """Models at a time on this machine."""
    from joblib import cpu_count

    if executor == "serial":
        return 1
    return max(1, min(workers or cpu_count(), n_groups))


def _threads(executor: ExecutorName, workers: int | None, n_groups: int) -> int:
    """Threads of a model on the CPU: the cores that are left to it; on Ray, a task has one."""
    from joblib import cpu_count

    if executor == "ray":
        return 1
    cores = int(os.environ.get("OMP_NUM_THREADS") or cpu_count())
    return max(1, cores // _slots(executor, workers, n_groups))
