"""Command ``score``: language models on question sets → response matrices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from irtbench.commands.options import Device, Json, OutFolder, Quiet, Seed
from irtbench.commands.session import Session, about, records
from irtbench.errors import InputError
from irtbench.files import is_ours, read_json, write_json

if TYPE_CHECKING:
    from irtbench.scoring.fleet.fleets import Fleet
    from irtbench.scoring.fleet.jobs import Group
    from irtbench.scoring.fleet.tasks import Task
    from irtbench.scoring.scored import Scored

__all__ = ["score"]

_ROWS = 40  # of the summary on a terminal


def score(
    context: typer.Context,
    out: OutFolder,
    model: Annotated[
        str | None, typer.Argument(help="Folder, GGUF file or hub id (ID@REVISION).", show_default=False)
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet",
            help="Many models: polypythias, pythia, olmo2, sprouts, or a TOML file.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Part of a fleet: step=1000,143000 (repeat for more).", show_default=False
        ),
    ] = None,
    questions: Annotated[
        list[str] | None,
        typer.Option(
            "--questions",
            help="Question file, folder, hub dataset, or sets that ship: seedlings (repeat).",
            show_default=False,
        ),
    ] = None,
    framing: Annotated[
        str, typer.Option("--framing", help="Names or TOML files, with commas.")
    ] = "completion",
    shots: Annotated[
        int | None,
        typer.Option(
            "--shots", min=0, help="Examples before each question; else the framing's.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="First items of each set only.", show_default=False)
    ] = None,
    permute: Annotated[
        int | None,
        typer.Option("--permute", min=0, help="Seed: put the options in a random order.", show_default=False),
    ] = None,
    shot_order: Annotated[
        int | None,
        typer.Option(
            "--shot-order", min=0, help="Seed: put the examples in a random order.", show_default=False
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Of the matrices, with commas; else acc,prob.", show_default=False),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Answers to a question that is answered freely.")
    ] = 1,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="Of those answers; 0 is greedy.")
    ] = 0.0,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Length of those answers.")
    ] = 256,
    seed: Seed = 0,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16", "float64"] | None,
        typer.Option("--dtype", help="Numbers to compute in; else the fleet's choice.", show_default=False),
    ] = None,
    device: Device = "auto",
    engine: Annotated[
        Literal["processes", "ray", "serial"],
        typer.Option("--engine", help="Where: this machine, a Ray cluster (RAY_ADDRESS), one by one."),
    ] = "processes",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, help="Models at a time; else one a core or GPU.", show_default=False
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", min=1, help="Tokens of a batch; else by device.", show_default=False),
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples", help="Write lm-eval-shaped samples_*.jsonl, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would take: jobs, tokens, time, memory.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score language models on questions; write response matrices.

    A run that was stopped goes on when the same command is given again; several processes may share the work.
    """
    from irtbench.scoring.engine.generation import Decoding
    from irtbench.scoring.fleet.reading import load_fleet
    from irtbench.scoring.framings import load_framing
    from irtbench.scoring.questions.reading import read_questions

    session = Session.of(context)
    decoding = Decoding(repeats, temperature, max_new_tokens=max_new_tokens, seed=seed)
    if (model is None) == (fleet is None):
        raise InputError("give one model, or --fleet with many")
    if not questions:
        raise InputError("no questions: give a file, a folder or a dataset of the hub with --questions")
    _check_folder(session, out)
    models = load_fleet(model or fleet or "", only or [])
    framings = [load_framing(name) for name in _listed(framing)]
    sets = []
    for source in _sources(questions):
        with about(Path(source)):
            sets.append(read_questions(source))
        session.say(f"{source}: {sets[-1]!r}")
    if dry_run:
        from irtbench.scoring.fleet.tasks import make_tasks

        tasks = make_tasks(
            sets,
            framings,
            shots=shots,
            permute=permute,
            shot_order=shot_order,
            limit=limit,
            decoding=decoding,
        )
        _estimate(session, models, tasks, out, dtype, device, budget)
        return
    from irtbench.scoring.scored import score as run

    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", session.config({s.name: s.fingerprint for s in sets}))
    result = run(
        models,
        sets,
        framings,
        out,
        shots=shots,
        permute=permute,
        shot_order=shot_order,
        limit=limit,
        decoding=decoding,
        metrics=None if metric is None else _listed(metric),
        dtype=dtype,
        device=device,
        executor=engine,
        workers=workers,
        budget=budget,
        samples=samples,
        progress=session.progress,
    )
    _conclude(session, result)


def _sources(questions: list[str]) -> list[str]:
    """What to read; a name that stands for several sets of the catalogue stands for each of them."""
    from irtbench.catalogue import catalogue_names

    found = []
    for source in questions:
        several = [name for name in catalogue_names("questions") if name.startswith(f"{source}/")]
        found += [source] if Path(source).exists() or not several else several
    return found


def _check_folder(session: Session, out: Path) -> None:
    """Results of ``score`` may grow; anything else is left alone."""
    if out.is_dir() and is_ours(out) and (out / "config.json").is_file():
        if read_json(out / "config.json").get("name") == session.name:
            return
        raise InputError(f"{out}: holds the results of another command; choose another folder")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        session.free_folder(out)


def _estimate(
    session: Session,
    models: Fleet,
    tasks: list[Task],
    out: Path,
    dtype: str | None,
    device: str,
    budget: int | None,
) -> None:
    from irtbench.devices import cuda_devices
    from irtbench.scoring.fleet.estimate import estimate
    from irtbench.scoring.fleet.jobs import make_groups
    from irtbench.scoring.scored import STORE

    kind = ("cuda" if cuda_devices() else "cpu") if device == "auto" else device
    groups: list[Group] | None
    try:
        groups = make_groups(models, tasks, out / STORE, dtype=dtype, device=kind)
    except InputError:  # the hub cannot be asked; the estimate needs no commits
        groups = None
    found = estimate(models, tasks, out / STORE, groups=groups, dtype=dtype, device=kind, budget=budget)
    session.show(found.table, "What it would take")
    session.say(str(found))
    session.result(
        {
            "jobs": found.jobs,
            "done": found.done,
            "flops": found.speed.flops,
            "source": found.speed.source,
            "tasks": records(found.table),
        }
    )


def _conclude(session: Session, result: Scored) -> None:
    columns = ["model", "benchmark", "framing", "items", "acc", "lower", "upper", "acc_norm", "prob"]
    shown = result.summary[[*columns, "exact_match"]].dropna(axis="columns", how="all")
    session.show(shown.head(_ROWS), "Accuracy with 95 % interval, by question set and framing")
    if len(shown) > _ROWS:
        session.say(f"… and {len(shown) - _ROWS} more rows in {result.folder / 'summary.csv'}")
    for path, matrix in result.matrices.items():
        session.say(f"wrote {path}: {matrix!r}")
    session.result(
        {
            "out": str(result.folder),
            "responses": {
                str(p): {"metric": m.metric.name, "fingerprint": m.fingerprint}
                for p, m in result.matrices.items()
            },
            "failed": result.failed,
            "summary": records(result.summary),
        }
    )
    if result.failed:
        name, why = next(iter(result.failed.items()))
        raise InputError(
            f"{len(result.failed)} of {len(result.groups)} models could not be scored, first {name} ({why});"
            " the results are those of the others"
        )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
