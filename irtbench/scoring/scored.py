"""Score models on question sets: make the jobs, do them, put the answers together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from irtbench.errors import InputError
from irtbench.executor import ExecutorName
from irtbench.files import atomic_file
from irtbench.scoring.fleet.fleets import Fleet
from irtbench.scoring.fleet.jobs import Group, Load, collect, make_groups, run_groups
from irtbench.scoring.fleet.reading import load_fleet
from irtbench.scoring.fleet.tasks import Task, make_tasks
from irtbench.scoring.fleet.working import Prepare, prepare

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.responses import ResponseMatrix
    from irtbench.scoring.answers import Answers
    from irtbench.scoring.engine.generation import Decoding
    from irtbench.scoring.framings import Framing
    from irtbench.scoring.questions.question import QuestionSet

__all__ = ["METRICS_KEPT", "STORE", "Scored", "score"]

STORE = "jobs"
METRICS_KEPT = ("acc", "prob", "exact_match")


@dataclass(frozen=True, repr=False)
class Scored:
    """What a run of :func:`score` came to.

    Attributes:
        folder: where everything lies; the store is in ``jobs/``.
        summary: accuracy with its interval and other means, by model, question set and framing.
        matrices: file → response matrix, models × items; one for each metric and framing.
        failed: models that could not be loaded, or not do one of their jobs, and why.
        groups: the jobs.
        tasks: what was asked.
    """

    folder: Path
    summary: pd.DataFrame
    matrices: dict[Path, ResponseMatrix]
    failed: dict[str, str]
    groups: Sequence[Group]
    tasks: Sequence[Task]

    def __repr__(self) -> str:
        return (
            f"Scored: {len(self.groups) - len(self.failed)} models × {len(self.tasks)} tasks in {self.folder}"
        )


def score(
    models: str | Path | Fleet,
    questions: Sequence[QuestionSet],
    framings: Sequence[Framing],
    folder: str | Path,
    *,
    shots: int | None = None,
    permute: int | None = None,
    shot_order: int | None = None,
    limit: int | None = None,
    decoding: Decoding | None = None,
    metrics: Sequence[str] | None = None,
    dtype: str | None = None,
    device: str = "auto",
    executor: ExecutorName = "processes",
    workers: int | None = None,
    budget: int | None = None,
    samples: bool = False,
    progress: bool = False,
    load: Load | None = None,
    prepare: Prepare = prepare,
) -> Scored:
    """Score every model on every question set in every framing; what the folder has is not done again.

    Writes ``responses_METRIC.parquet`` (with several framings ``responses_METRIC_FRAMING.parquet``) and
    ``summary.csv``, beside the store ``jobs/`` with the log-likelihoods of all options. A run that was
    stopped goes on when it is called again; several processes may share the work.

    Args:
        models: a fleet, its name or file, a folder, or a hub id.
        questions: question sets with different names.
        framings: framings with different names.
        folder: where results go.
        shots: examples before each question; None: as the framing says.
        permute: seed of the order of options; None: as they come.
        shot_order: seed of the order of examples; None: as they come.
        limit: items of each set, the first ones.
        decoding: how answers are written where a framing has no options; None: greedily.
        metrics: of the matrices; by default ``acc``, ``prob`` and ``exact_match``, where they can be had.
        dtype: in place of the fleet's own.
        device: ``auto``, ``cpu`` or ``cuda``.
        executor: ``processes``, ``serial`` or ``ray``.
        workers: models at a time.
        budget: tokens of a batch; None: what suits the device.
        samples: write lm-eval-shaped files to ``lm_eval/``, too.
        progress: show a bar on a terminal.
        load: loads a model; None: from its folder or the hub.
        prepare: encodes and cuts the prompts.

    Raises:
        InputError: a set, framing or model that is not there; a full disk; no model that could be scored.
    """
    folder = Path(folder)
    _check_metrics(metrics)
    written = [framing.name for framing in framings if framing.kind == "generation"]
    if samples and written:
        raise InputError(
            f"framing {written[0]!r} has no options, so it makes no lm-eval samples; leave them out"
        )
    fleet = models if isinstance(models, Fleet) else load_fleet(models)
    tasks = make_tasks(
        questions,
        framings,
        shots=shots,
        permute=permute,
        shot_order=shot_order,
        limit=limit,
        decoding=decoding,
    )
    groups = make_groups(fleet, tasks, folder / STORE, dtype=dtype, device=device)
    failed = run_groups(
        groups,
        tasks,
        executor=executor,
        workers=workers,
        device=device,
        budget=budget,
        progress=progress,
        load=load,
        prepare=prepare,
    )
    if len(failed) == len(groups):
        name, why = next(iter(failed.items()))
        raise InputError(
            f"{name}: {why}" + (f" (and {len(failed) - 1} other models)" if len(failed) > 1 else "")
        )
    return _gathered(folder, tasks, groups, failed, metrics, samples)


def _gathered(
    folder: Path,
    tasks: Sequence[Task],
    groups: Sequence[Group],
    failed: dict[str, str],
    metrics: Sequence[str] | None,
    samples: bool,
) -> Scored:
    """Write the matrices and the summary of what the store holds."""
    import pandas as pd

    from irtbench.scoring.collect import responses, summary
    from irtbench.scoring.lm_eval_samples import write_samples

    by_framing: dict[str, list[Answers]] = {task.framing: [] for task in tasks}
    for _, job, answers in collect(groups):
        task = tasks[job.task]
        by_framing[task.framing].append(answers)
        if samples:
            done = datetime.fromtimestamp(job.folder.answers.stat().st_mtime)  # again, the same names
            date = done.isoformat().replace(":", "-")
            write_samples(answers, task.prompts, folder / "lm_eval", date=date)
    matrices = {}
    for framing, found in by_framing.items():
        for metric in metrics or METRICS_KEPT:
            try:
                matrix = responses(found, metric)
            except InputError:
                if metrics:
                    raise
                continue
            end = f"_{framing}" if len(by_framing) > 1 else ""
            matrices[folder / f"responses_{metric}{end}.parquet"] = matrix
    for path, matrix in matrices.items():
        matrix.save(path)
    table = pd.concat([summary(found) for found in by_framing.values()], ignore_index=True)
    order = {group.model.name: k for k, group in enumerate(groups)}
    table = table.sort_values("model", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    with atomic_file(folder / "summary.csv") as temporary:
        table.to_csv(temporary, index=False)
    return Scored(folder, table, matrices, failed, groups, tasks)


def _check_metrics(metrics: Sequence[str] | None) -> None:
    from irtbench.scoring.metrics import METRICS

    unknown = [name for name in metrics or () if name not in METRICS]
    if unknown:
        raise InputError(f"no metric {unknown[0]!r}; there are {', '.join(METRICS)}")
