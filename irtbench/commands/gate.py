"""Command ``gate``: is a variant worse than its base by more than a limit?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irtbench.commands.options import Average, Force, Json, OptionalOut, Quiet, Seed
from irtbench.commands.session import Session, about, records
from irtbench.errors import InputError

if TYPE_CHECKING:
    from irtbench.responses import ResponseMatrix
    from irtbench.subsets.gates import GatePlan

__all__ = ["gate"]


def gate(
    context: typer.Context,
    base: Annotated[
        Path,
        typer.Argument(metavar="BASE", help="Responses of the base to all items.", show_default=False),
    ],
    variant: Annotated[
        Path | None,
        typer.Argument(
            metavar="[VARIANT]",
            help="Responses of the variant; none: make the plan, with --out.",
            show_default=False,
        ),
    ] = None,
    out: OptionalOut = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", help="Plan that says which items were asked.", show_default=False),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=2, help="Items to ask; else all.", show_default=False),
    ] = None,
    delta: Annotated[
        float, typer.Option("--delta", min=0, max=1, help="Drop of the score that is let through.")
    ] = 0.01,
    alpha: Annotated[
        float, typer.Option("--alpha", min=0.0001, max=0.4, help="Most false alarms of the one-sided test.")
    ] = 0.05,
    bank: Annotated[
        str | None,
        typer.Option("--bank", help="Item bank that tells which items can flip.", show_default=False),
    ] = None,
    looks: Annotated[int, typer.Option("--looks", min=1, max=20, help="Times to look, evenly spaced.")] = 1,
    base_model: Annotated[
        str | None,
        typer.Option(
            "--base-model", help="Model in BASE; else its rows are runs of one.", show_default=False
        ),
    ] = None,
    variant_model: Annotated[
        str | None, typer.Option("--variant-model", help="Model in VARIANT, likewise.", show_default=False)
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail, too, unless shown not to be worse by more than delta.")
    ] = False,
    average: Average = "micro",
    seed: Seed = 0,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Test whether a variant is worse than its base by more than delta. Exit: 0 pass, 1 fail, 2 bad input.

    Without VARIANT: choose the items on which variants are to be run, and write the plan. With VARIANT:
    the verdict, on the items of --plan, else on all items that both answered.
    """
    from irtbench.subsets.gates import GatePlan, gate_plan, judge

    session = Session.of(context)
    if variant is None and (out is None or plan is not None):
        raise InputError(
            "gate makes a plan (BASE --out PLAN.json) or judges (BASE VARIANT [--plan PLAN.json])"
        )
    if out is not None:
        session.free_file(out)
    own = _model(session, base, base_model)
    inputs = {str(base): own.fingerprint}
    other = None
    if variant is not None:
        other = _model(session, variant, variant_model)
        inputs[str(variant)] = other.fingerprint
    if plan is not None:
        with about(plan):
            made = GatePlan.load(plan)
    else:
        if other is not None:
            own = _common(base, own, other)
        with about(base):
            how: dict[str, Any] = {"delta": delta, "alpha": alpha, "average": average, "seed": seed}
            made = gate_plan(own, size, bank=_bank(bank), looks=looks, name=base_model, **how)
    if variant is None or other is None:
        return _plan(session, made, out, inputs)
    with about(variant):
        verdict = judge(made, other)
    session.say(repr(verdict))
    content = {**asdict(verdict), "passed": verdict.passed}
    if out is not None:
        from irtbench.files import write_json

        with session.write_file(out, inputs) as temporary:
            write_json(temporary, content)
    session.result(content)
    if not verdict.passed or (strict and verdict.outcome != "safe"):
        raise typer.Exit(1)


def _plan(session: Session, made: GatePlan, out: Path | None, inputs: dict[str, str]) -> None:
    from irtbench.subsets.gates import gate_items_needed, gate_power

    assert out is not None
    drops = sorted({0.0, made.delta, made.delta + 0.02, made.delta + 0.05})
    score = float((made.table["full"] * made.table["expected"]).sum())
    table = gate_power(made, [drop for drop in drops if drop < score], repeats=400, seed=made.info["seed"])
    needed = {f"{drop:g}": gate_items_needed(made, drop) for drop in drops if made.delta < drop < score}
    with session.write_file(out, inputs) as temporary:
        made.save(temporary)
    session.show(table, "Share of alarms by true drop, were all answers sampled anew (simulated)")
    for drop, items in needed.items():
        session.say(
            f"a drop of {drop} is found with 80 % power on {items['flips']} items drawn like these, on"
            f" {items['random']} plain random ones"
        )
    session.say(f"wrote {out}: {made!r}")
    session.result(
        {"out": str(out), "items": list(made.items), "power": records(table), "items_needed": needed}
    )


def _model(session: Session, path: Path, name: str | None) -> ResponseMatrix:
    matrix = session.read(path)
    if name is not None:
        with about(path):
            return matrix.take(models=[name])
    if matrix.n_models > 1:
        session.say(f"{path}: {matrix.n_models} rows are taken as runs of one model")
    return matrix


def _common(base: Path, own: ResponseMatrix, other: ResponseMatrix) -> ResponseMatrix:
    answered = other.items.index[other.observed.any(axis=0)]
    both = own.items.index[own.observed.any(axis=0)].intersection(answered, sort=False)
    if len(both) < 2:
        raise InputError(f"{base}: base and variant have {len(both)} answered item(s) in common")
    return own.take(items=list(both))


def _bank(name: str | None) -> Any:
    if name is None:
        return None
    from irtbench.commands.banks import named_bank

    return named_bank(name)
