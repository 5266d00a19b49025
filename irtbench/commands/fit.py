"""Command ``fit``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from irtbench.commands.options import Device, Force, Irt, Json, OutFolder, Quiet, Responses, Seed
from irtbench.commands.session import Session, about

__all__ = ["fit"]


def fit(
    context: typer.Context,
    responses: Responses,
    out: OutFolder,
    irt: Irt = "2pl",
    method: Annotated[
        Literal["svi", "laplace"],
        typer.Option("--method", help="laplace: the start of svi, without the refinement."),
    ] = "svi",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit an IRT model; write the fit with its item bank."""
    import irtbench as ib

    session = Session.of(context)
    session.free_folder(out)
    matrix = session.read(responses)
    with about(responses):
        result = ib.fit(matrix, irt=irt, method=method, device=device, seed=seed, progress=session.progress)
    with session.write_folder(out, {str(responses): matrix.fingerprint}) as folder:
        result.save(folder)
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
