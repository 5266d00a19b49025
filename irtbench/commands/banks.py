"""Command ``banks``: list the calibrated banks, or make one from responses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irtbench.commands.options import Average, Device, Force, Irt, Json, Quiet, Seed
from irtbench.commands.session import Session, about, records, refuse_file
from irtbench.errors import InputError

if TYPE_CHECKING:
    from irtbench.irt import ItemBank
    from irtbench.responses import ResponseMatrix
    from irtbench.subsets import Subset
    from irtbench.subsets.adaptive import AdaptivePlan

__all__ = ["banks", "named_bank", "named_plan", "named_subset"]

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of banks; else those that ship.", show_default=False),
]


def banks(
    context: typer.Context,
    make: Annotated[
        Path | None,
        typer.Option("--make", help="Responses to calibrate a new bank from.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="With --make: folder of the bank.", show_default=False)
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="With --make: of the responses.")] = "",
    source: Annotated[str, typer.Option("--source", help="With --make: where they are from.")] = "",
    item_ids: Annotated[str, typer.Option("--item-ids", help="With --make: what the ids mean.")] = "",
    sizes: Annotated[str, typer.Option("--sizes", help="With --make: sizes of the subsets.")] = "30,100,200",
    splits: Annotated[
        int, typer.Option("--splits", min=0, help="With --make: splits of each kind for the errors; 0: none.")
    ] = 24,
    kinds: Annotated[
        str, typer.Option("--kinds", help="With --make: kinds of split.")
    ] = "random,family,weak-to-strong",
    irt: Irt = "2pl",
    average: Average = "micro",
    home: Home = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the banks that ship: benchmarks, items, subsets, error on held-out models, licence; or make one.

    --make fits the bank, chooses the subsets, measures the default method on held-out models for every kind
    of split, and writes bank, subsets and card, without any response, as a folder for models/banks/.
    """
    from irtbench.subsets.banks import list_banks

    session = Session.of(context)
    if make is None:
        table = list_banks(home)
        if len(table):
            session.show(table, "Banks; error: MAE of the subset of 100 on held-out models, random splits")
        else:
            session.say("no banks here")
        return session.result({"banks": records(table)})
    if out is None:
        raise InputError("--make needs --out FOLDER")
    session.free_folder(out)
    wanted = _sizes(sizes)
    matrix = session.read(make)
    about_it = {"licence": licence, "source": source, "item_ids": item_ids}
    for option, text in about_it.items():
        if not text.strip():
            raise InputError(f"--{option.replace('_', '-')} is needed: the card of a bank names it")
    with about(make):
        _make(session, matrix, out, wanted, splits, _words(kinds), irt, average, seed, device, about_it)
    session.say(f"wrote {out}")
    session.result({"out": str(out), "sizes": wanted})


def _make(
    session: Session,
    matrix: ResponseMatrix,
    out: Path,
    sizes: list[int],
    splits: int,
    kinds: list[str],
    irt: str,
    average: Any,
    seed: int,
    device: str,
    about_it: dict[str, str],
) -> None:
    import irtbench as ib
    from irtbench.subsets.adaptive import adaptive_plan
    from irtbench.subsets.banks import held_out_errors, write_bank
    from irtbench.subsets.crossfit import cross_fit

    bank = ib.fit(matrix, irt, device=device, seed=seed, progress=session.progress).bank
    session.say(f"fitted {bank!r}")
    fitted = cross_fit(matrix, bank, seed=seed, device=device)
    how: dict[str, Any] = {"bank": bank, "average": average, "seed": seed, "device": device, "fitted": fitted}
    subsets = [ib.select(matrix, size, **how) for size in sizes]
    errors: list[dict[str, Any]] = []
    for kind in kinds if splits else []:
        try:
            found = ib.compare(
                matrix, sizes, ["default"], kind, splits, average=average, irt=irt, seed=seed,  # type: ignore[arg-type]
                device=device, progress=session.progress,
            )  # fmt: skip
        except ib.InputError as error:
            session.say(f"no {kind} splits: {error}")
            continue
        errors += held_out_errors(found, kind) + held_out_errors(found, kind, "random + mean")
        session.say(f"measured on {splits} {kind} splits")
    adaptive = adaptive_plan(bank, matrix, average=average, seed=seed, device=device)
    write_bank(out, bank, subsets, name=out.name, errors=errors, adaptive=adaptive, **about_it)


def named_bank(name: str) -> ItemBank:
    """The bank of a folder (of a bank, fit or subset), or one that ships, by name.

    Raises:
        InputError: neither of them, or a file.
    """
    from irtbench.commands.subset import load_bank
    from irtbench.subsets import Subset
    from irtbench.subsets.banks import bank_folders
    from irtbench.subsets.banks import load_bank as shipped

    path = Path(name)
    refuse_file(path, "a bank, fit or subset, or a bank's name", "fit")
    if path.is_dir():
        if not (path / "subset.json").is_file():
            return load_bank(path)
        with about(path):
            bank = Subset.load(path).bank
        if bank is None:
            raise InputError(f"{path}: this subset has no item bank")
        return bank
    if name not in bank_folders():
        known = ", ".join(bank_folders()) or "none ship"
        raise InputError(f"{name}: no such folder, and no bank of this name ({known})")
    return shipped(name)


def named_plan(name: str) -> AdaptivePlan | None:
    """The adaptive test that a bank brings with it, or None."""
    from irtbench.subsets.banks import bank_folders, load_plan

    folder = Path(name) if Path(name).is_dir() else bank_folders().get(name)
    return None if folder is None or not (folder / "card.json").is_file() else load_plan(folder)


def named_subset(name: str, size: int | None) -> Subset:
    """A subset of a bank that ships, or of a folder of one.

    Raises:
        InputError: there is none.
    """
    from irtbench.subsets.banks import load_subset

    path = Path(name)
    if (path / "card.json").is_file():
        return load_subset(path.name, size, path.parent)
    return load_subset(name, size)


def _sizes(text: str) -> list[int]:
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise InputError(f"--sizes {text}: give whole numbers with commas") from None
    if found[0] < 1:
        raise InputError(f"--sizes {text}: a subset has at least one item")
    return found


def _words(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    known = ("random", "family", "date", "weak-to-strong")
    unknown = [kind for kind in found if kind not in known]
    if unknown:
        raise InputError(f"--kinds {text}: {unknown[0]!r} is none of {', '.join(known)}")
    return found
