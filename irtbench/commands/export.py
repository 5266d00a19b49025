"""Command ``export``: a subset or a bank for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from irtbench.commands.options import Force, Json, Level, Quiet
from irtbench.commands.session import PROGRAM, Session, about, refuse_file
from irtbench.errors import InputError

__all__ = ["export"]

Target = Literal["lm-eval", "samples", "json", "csv", "card", "catsim"]


def export(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SUBSET", help="Folder of a subset (catsim: or of a bank).", show_default=False
        ),
    ],
    to: Annotated[
        Target,
        typer.Option(
            "--to",
            help="lm-eval: a folder for --include_path; samples: lists for its --samples; json, csv: the"
            " items; card: Markdown; catsim: a, b, c, d of the bank as .csv or .npy.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder or file to write.", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the task group or card.", show_default=False)
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task", help="BENCHMARK=TASK, if lm-eval calls it otherwise; repeat.", show_default=False
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            "--match",
            help="How documents are found: hash, position, or the field that holds the id; else by the ids.",
            show_default=False,
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="CSV of item,key where the ids do not say the key.", show_default=False),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help="blend, mean, weighted, p-irt or gp-irt; default: as estimate does."),
    ] = "default",
    licence: Annotated[str, typer.Option("--licence", help="Licence that the card names.")] = "unknown",
    level: Level = 0.9,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a subset as an lm-eval task, sample lists, JSON, CSV or a card; a bank for catsim."""
    from irtbench.subsets import Subset
    from irtbench.subsets.export import (
        export_lm_eval,
        sample_lists,
        write_card,
        write_catsim,
        write_csv,
        write_json_items,
    )

    session = Session.of(context)
    if to == "catsim":
        refuse_file(source, "a bank, fit or subset", "fit")
    else:
        refuse_file(source, "a subset", "subset")
    if to == "lm-eval":
        session.free_folder(out)
    else:
        session.free_file(out)
    if to == "catsim":
        bank = _bank(source)
        with session.write_file(out, {str(source): bank.fingerprint}) as temporary:
            beside = temporary.with_name(f"{temporary.name}{out.suffix}")
            write_catsim(bank, beside)
            beside.replace(temporary)
        return _said(session, out, to, {"items": bank.n_items})
    with about(source):
        chosen = Subset.load(source)
        tasks, known = _tasks(task or []), _keys(keys)
        inputs = {str(source): chosen.fingerprint}
        if to == "lm-eval":
            how: dict[str, Any] = {"tasks": tasks, "match": match, "keys": known, "method": method}
            export_lm_eval(chosen, out, name=name, level=level, **how)
            session.say(_estimators(chosen, method))
        else:
            with session.write_file(out, inputs) as temporary:
                if to == "samples":
                    lists = sample_lists(chosen, tasks=tasks, keys=known)
                    temporary.write_text(_json(lists), encoding="utf-8")
                elif to == "card":
                    write_card(chosen, temporary, name=name, method=method, licence=licence)
                else:
                    {"json": write_json_items, "csv": write_csv}[to](chosen, temporary)
    _said(session, out, to, {"items": chosen.size})


def _estimators(subset: Any, method: str) -> str:
    """Which estimator each exported score is by."""
    from irtbench.subsets.export.formula import benchmark_method, exported_method

    method = exported_method(subset, method)
    own = benchmark_method(subset, method)
    if own == method:
        return f"its full_score is that of {PROGRAM} estimate --method {method}"
    return (
        f"score.py: the full score is that of {PROGRAM} estimate --method {method}; each benchmark's own,"
        f" which lm-eval prints as full_score, is by {own}"
    )


def _said(session: Session, out: Path, to: str, more: dict[str, int]) -> None:
    session.say(f"wrote {out}: {more['items']} items for {to}")
    session.result({"out": str(out), "to": to, **more})


def _bank(source: Path) -> Any:
    from irtbench.commands.subset import load_bank
    from irtbench.subsets import Subset

    if (source / "subset.json").is_file():
        with about(source):
            bank = Subset.load(source).bank
        if bank is None:
            raise InputError(f"{source}: this subset has no item bank")
        return bank
    return load_bank(source)


def _tasks(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        benchmark, equals, task = text.partition("=")
        if not (benchmark and equals and task):
            raise InputError(f"--task {text}: give BENCHMARK=TASK")
        found[benchmark] = task
    return found


def _keys(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from None
    if not {"item", "key"} <= set(table.columns):
        raise InputError(f"{path}: needs the columns item and key, has {', '.join(map(str, table.columns))}")
    return dict(zip(table["item"], table["key"], strict=True))


def _json(content: dict[str, list[int]]) -> str:
    import json

    return json.dumps(content) + "\n"
