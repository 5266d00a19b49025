"""Command ``fit``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from irtbench.commands.options import Device, Force, Irt, Json, OutFolder, Quiet, Responses, Seed
from irtbench.commands.session import Session, about

if TYPE_CHECKING:
    from irtbench.irt import IRTFit
    from irtbench.responses import ResponseMatrix

__all__ = ["fit"]


def fit(
    context: typer.Context,
    responses: Responses,
    out: OutFolder,
    irt: Irt = "2pl",
    method: Annotated[
        Literal["svi", "laplace", "nuts"],
        typer.Option(
            "--method", help="laplace: the start of svi alone; nuts: the reference, for small data."
        ),
    ] = "svi",
    bank: Annotated[
        Path | None,
        typer.Option("--bank", help="Fit or bank whose items stay as they are; new ones join its scale."),
    ] = None,
    by_benchmark: Annotated[
        bool, typer.Option("--by-benchmark", help="Give each benchmark's items a prior of their own.")
    ] = False,
    likelihood: Annotated[
        Literal["bernoulli", "beta"],
        typer.Option("--likelihood", help="beta: for continuous responses; else counts and 0/1."),
    ] = "bernoulli",
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write diagnostics and report.html, too.")
    ] = True,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit an IRT model; write the fit with its item bank, diagnostics and a report."""
    import irtbench as ib

    session = Session.of(context)
    session.free_folder(out)
    matrix = session.read(responses)
    inputs = {str(responses): matrix.fingerprint}
    older = None
    if bank is not None:
        with about(bank):
            older = ib.ItemBank.load(bank)
        inputs[str(bank)] = older.fingerprint
    with about(responses):
        recipe = replace(ib.irt.recipe(irt), by_benchmark=by_benchmark, likelihood=likelihood)
        result = ib.fit(
            matrix, recipe, method=method, bank=older, device=device, seed=seed, progress=session.progress
        )
    with session.write_folder(out, inputs) as folder:
        result.save(folder)
        if report:
            _write_report(folder, matrix, result, session.config(inputs))
    session.say(f"{result.message} ({result.seconds:.1f} s)")
    session.say(f"wrote {out}: {irt}, {matrix.n_models} models × {matrix.n_items} items")
    session.result(
        {
            "out": str(out),
            "irt": irt,
            "converged": bool(result.converged),
            "message": result.message,
            "seconds": round(float(result.seconds), 3),
            "fingerprint": result.bank.fingerprint,
        }
    )


def _write_report(folder: Path, responses: ResponseMatrix, fit: IRTFit, config: dict[str, Any]) -> None:
    from irtbench.irt.diagnostics import diagnose
    from irtbench.report import write_fit_report

    diagnosis = diagnose(fit, responses)
    diagnosis.save(folder)
    write_fit_report(folder / "report.html", responses=responses, fit=fit, diagnosis=diagnosis, config=config)
