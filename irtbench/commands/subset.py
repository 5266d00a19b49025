"""Commands ``subset`` (choose items) and ``estimate`` (full scores from their responses)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from irtbench.commands.options import (
    Average,
    Device,
    Force,
    Json,
    Level,
    OptionalOut,
    OutFolder,
    Quiet,
    Responses,
    Seed,
)
from irtbench.commands.session import Session, about, records
from irtbench.errors import InputError

if TYPE_CHECKING:
    from irtbench.irt import ItemBank

__all__ = ["estimate", "subset"]


def subset(
    context: typer.Context,
    responses: Responses,
    out: OutFolder,
    size: Annotated[int, typer.Option("--size", min=1, help="Number of items to choose.")] = 100,
    method: Annotated[str, typer.Option("--method", help="How to choose them.")] = "default",
    bank: Annotated[
        Path | None,
        typer.Option("--bank", help="Fit or item bank to use; else one is fitted.", show_default=False),
    ] = None,
    irt: Annotated[
        str, typer.Option("--irt", help="1pl, 2pl, 3pl or 4pl to fit without --bank, or none.")
    ] = "2pl",
    average: Average = "micro",
    by_benchmark: Annotated[
        bool, typer.Option("--by-benchmark", help="Calibrate each benchmark's score, too.")
    ] = False,
    quota: Annotated[
        list[str] | None,
        typer.Option("--quota", help="Items of a benchmark, NAME=N; repeatable.", show_default=False),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option("--require", help="Id of an item to take; repeatable.", show_default=False),
    ] = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option("--forbid", help="Id of an item to leave out; repeatable.", show_default=False),
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option("--cost", help="Column of the items table with their prices.", show_default=False),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="What the items may cost, instead of --size.", show_default=False),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose a small subset of the items, with what turns its responses into full scores."""
    import irtbench as ib

    session = Session.of(context)
    session.free_folder(out)
    quotas = _quotas(quota) if quota else None
    item_bank = None if bank is None else load_bank(bank)
    matrix = session.read(responses)
    with about(responses):
        chosen = ib.select(
            matrix,
            size=size,
            method=method,
            bank=item_bank,
            irt=None if irt == "none" else irt,
            average=average,
            by_benchmark=by_benchmark,
            quotas=quotas,
            required=require or (),
            forbidden=forbid or (),
            cost=cost,
            budget=budget,
            seed=seed,
            device=device,
        )
    inputs = {str(responses): matrix.fingerprint}
    if item_bank is not None:
        inputs[str(bank)] = item_bank.fingerprint
    with session.write_folder(out, inputs) as folder:
        chosen.save(folder)
    session.say(f"wrote {out}: {chosen!r}")
    session.result({"out": str(out), "size": len(chosen.items), "items": list(chosen.items)})


def _quotas(given: list[str]) -> dict[str, int]:
    """``NAME=N`` as a dict.

    Raises:
        InputError: not of that form, or one benchmark twice.
    """
    found: dict[str, int] = {}
    for text in given:
        name, _, number = text.rpartition("=")
        if not name or not number.isdecimal():
            raise InputError(f"--quota {text!r}: write NAME=N, N a whole number")
        if name in found:
            raise InputError(f"--quota: {name!r} is given twice")
        found[name] = int(number)
    return found


def estimate(
    context: typer.Context,
    subset: Annotated[
        Path,
        typer.Argument(
            metavar="[SUBSET]", help="Folder of a subset; left out with --bank.", show_default=False
        ),
    ],
    new: Annotated[
        Path | None, typer.Argument(metavar="NEW", help="Responses to its items.", show_default=False)
    ] = None,
    out: OptionalOut = None,
    bank: Annotated[
        str | None,
        typer.Option(
            "--bank", help="Name (irtbench banks) or folder of a bank with subsets.", show_default=False
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="With --bank: which subset.", show_default=False)
    ] = None,
    method: Annotated[str, typer.Option("--method", help="The estimator.")] = "default",
    level: Level = 0.9,
    by: Annotated[
        Literal["all", "benchmark"],
        typer.Option("--by", help="benchmark: each one's score, too (subset --by-benchmark)."),
    ] = "all",
    missing: Annotated[
        Literal["raise", "ignore"],
        typer.Option("--missing", help="Items without a response: stop, or go on."),
    ] = "raise",
    extra: Annotated[
        Literal["raise", "ignore"],
        typer.Option("--extra", help="Items outside the subset: stop, or drop them."),
    ] = "raise",
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Estimate full scores of new models from their responses to a subset."""
    import irtbench as ib
    from irtbench.commands.banks import named_subset
    from irtbench.subsets import Subset

    session = Session.of(context)
    if (bank is None) == (new is None):
        raise InputError("estimate takes SUBSET and NEW, or --bank and NEW")
    if bank is None and size is not None:
        raise InputError("--size chooses a subset of --bank; a folder of a subset has its own")
    if out is not None:
        session.free_file(out)
    if bank is None:
        with about(subset):
            chosen = Subset.load(subset)
    else:
        subset, new, chosen = Path(bank), subset, named_subset(bank, size)
    assert new is not None
    matrix = session.read(new)
    with about(new):
        scores = ib.estimate(chosen, matrix, method=method, level=level, by=by, missing=missing, extra=extra)
    if out is not None:
        with session.write_file(
            out, {str(subset): chosen.fingerprint, str(new): matrix.fingerprint}
        ) as temporary:
            scores.to_csv(temporary)
        session.say(f"wrote {out}: {matrix.n_models} models")
    elif not json_:
        typer.echo(scores.to_csv(), nl=False)
    session.result({"level": level, "scores": records(scores)})


def load_bank(path: Path) -> ItemBank:
    """Load the item bank of a fit folder or of a bank folder.

    Raises:
        InputError: neither of them.
    """
    import irtbench as ib

    with about(path):
        found = ib.load(path) if path.is_dir() else None
    if isinstance(found, ib.IRTFit):
        return found.bank
    if isinstance(found, ib.ItemBank):
        return found
    raise InputError(f"{path}: not an item bank (no fit.json or bank.json in it)")
