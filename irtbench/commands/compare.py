"""Command ``compare``: every method against a random subset of the same size, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from irtbench.commands.options import (
    Average,
    Device,
    Force,
    Irt,
    Json,
    Level,
    OutFolder,
    Quiet,
    Responses,
    Seed,
)
from irtbench.commands.session import Session, about, records
from irtbench.commands.workspace import refuse_finished, unfinished
from irtbench.errors import InputError
from irtbench.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare", "write_comparison"]


def compare(
    context: typer.Context,
    responses: Responses,
    out: OutFolder,
    sizes: Annotated[str, typer.Option("--sizes", help="Numbers of items, with commas.")] = "10,30,100",
    methods: Annotated[
        str | None,
        typer.Option("--methods", help="'selection + estimator', with commas; else all.", show_default=False),
    ] = None,
    split: Annotated[
        Literal["random", "family", "date", "weak-to-strong"],
        typer.Option("--split", help="Which models to hold out."),
    ] = "random",
    splits: Annotated[int, typer.Option("--splits", min=1, help="Number of splits of the models.")] = 24,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Subsets drawn in each split.")] = 2,
    average: Average = "micro",
    irt: Irt = "2pl",
    level: Level = 0.9,
    seed: Seed = 0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes; else one a core.", show_default=False)
    ] = None,
    executor: Annotated[
        Literal["processes", "ray", "serial"],
        typer.Option("--executor", help="Where: this machine, a Ray cluster (RAY_ADDRESS), one by one."),
    ] = "processes",
    device: Device = "cpu",
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare subset methods on models held out; write tables, a figure and a report.

    A run that was stopped continues where it was when the same command is given again.
    """
    import irtbench as ib
    from irtbench.compare.methods import parse_methods

    session = Session.of(context)
    wanted = [m.name for m in parse_methods(None if methods is None else _listed(methods))]
    numbers = [_number(part) for part in _listed(sizes)]
    refuse_finished(session, out)
    matrix = session.read(responses)
    with unfinished(session, out, {str(responses): matrix.fingerprint}) as parts, about(responses):
        table = ib.compare(
            matrix,
            sizes=numbers,
            methods=wanted,
            split=split,
            n_splits=splits,
            n_seeds=seeds,
            average=average,
            irt=irt,
            level=level,
            seed=seed,
            device=device,
            n_jobs=jobs,
            executor=executor,
            folder=parts,
            progress=session.progress,
        )
        summary = ib.summarize(table)
        fitted = subset = None
        if any(m.needs_bank for m in parse_methods(wanted)):
            session.say("fitting all the models, for the report")
            fitted = ib.fit(matrix, irt=irt, device=device, seed=seed, progress=session.progress)
        best = summary[summary["size"] == max(numbers)].nsmallest(1, "mae")["method"].iloc[0]
        subset = ib.select(
            matrix,
            max(numbers),
            best.partition(" + ")[0],
            bank=None if fitted is None else fitted.bank,
            irt=None if fitted is None else irt,
            average=average,
            seed=seed,
        )
        write_comparison(
            out,
            comparison=table,
            summary=summary,
            responses=matrix,
            fit=fitted,
            subset=subset,
            level=level,
            config=session.config({str(responses): matrix.fingerprint}),
        )
    conclude(session, out, summary)


def write_comparison(out: Path, *, comparison: pd.DataFrame, summary: pd.DataFrame, **content: Any) -> None:
    """Write ``comparison.parquet``, ``summary.csv``, ``size_error.svg`` and ``.png``, ``report.html``.

    Args:
        out: folder.
        comparison: from :func:`irtbench.compare`.
        summary: from :func:`irtbench.summarize`.
        content: what else :func:`irtbench.report.write_report` takes.
    """
    from irtbench.report import drawing, plots, write_report

    with atomic_file(out / "comparison.parquet") as temporary:
        comparison.to_parquet(temporary, index=False)
    with atomic_file(out / "summary.csv") as temporary:
        summary.to_csv(temporary, index=False)
    axes = plots.size_error(summary, comparison)
    for kind in ("svg", "png"):
        with atomic_file(out / f"size_error.{kind}") as temporary:
            drawing.save(axes, temporary, kind=kind)
    write_report(out / "report.html", comparison=comparison, summary=summary, **content)


def conclude(session: Session, out: Path, summary: pd.DataFrame) -> None:
    """Show the table, the verdict and where the report is."""
    from irtbench.report.wording import verdict

    shown = summary.sort_values(["size", "mae"])
    difference = zip(shown["mae_diff"], shown["mae_diff_lower"], shown["mae_diff_upper"], strict=True)
    shown = shown[["size", "method", "mae", "coverage", "kendall"]].reset_index(drop=True)
    shown["difference to random"] = [f"{d:+.3f} ({low:+.3f} to {high:+.3f})" for d, low, high in difference]
    session.show(shown, "Errors on models held out; differences are paired, with 95 % intervals")
    session.say(verdict(summary))
    session.say(f"wrote {out / 'report.html'}")
    session.result(
        {
            "out": str(out),
            "report": str(out / "report.html"),
            "verdict": verdict(summary),
            "summary": records(summary),
        }
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"--sizes: {text!r} is not a number of items; write for example 10,30,100")
    return int(text)
