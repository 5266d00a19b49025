"""Command ``adapt``: an adaptive test of a live model, or its simulation on responses."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from irtbench.commands.options import Average, Device, Force, Json, Level, OptionalOut, Quiet, Seed
from irtbench.commands.session import Session, about, records
from irtbench.errors import ExtrapolationWarning, InputError

if TYPE_CHECKING:
    from irtbench.irt import ItemBank
    from irtbench.subsets.adaptive import AdaptivePlan, AdaptiveSession

__all__ = ["adapt"]

_SIZES = (10, 30, 100)
_SURPRISING = 2.5  # one in eighty models like those of the calibration


def adapt(
    context: typer.Context,
    bank: Annotated[
        str,
        typer.Argument(
            metavar="BANK", help="Folder of a bank, fit or subset, or a bank's name.", show_default=False
        ),
    ],
    state: Annotated[
        Path | None,
        typer.Option("--state", help="File that keeps the session; made if new.", show_default=False),
    ] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            "--answers",
            help="File of lines 'item,response' (or a JSON object), or - to talk: items out, answers in.",
            show_default=False,
        ),
    ] = None,
    simulate: Annotated[
        Path | None,
        typer.Option(
            "--simulate", help="Replay on the responses of these models instead.", show_default=False
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            help="Responses that calibrated the bank: sets the intervals and the spread of abilities.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Items to ask at once.")] = 1,
    budget: Annotated[
        int | None, typer.Option("--budget", min=1, help="Most items to ask.", show_default=False)
    ] = None,
    half_width: Annotated[
        float | None,
        typer.Option("--half-width", min=0, help="Stop when the interval is ± this.", show_default=False),
    ] = None,
    order: Annotated[
        Literal["score", "information", "random"],
        typer.Option("--order", help="By what tells most of the full score, of the ability, or at random."),
    ] = "score",
    sizes: Annotated[
        str | None, typer.Option("--sizes", help="With --simulate: numbers of items.", show_default=False)
    ] = None,
    out: OptionalOut = None,
    average: Average = "micro",
    level: Level = 0.9,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask a model the items that tell most about its full score, until that is known well enough.

    Each call reads answers, keeps them in --state, and prints the next items, one a line; when the test is
    over it prints nothing on stdout, and the score on stderr (or as JSON).
    """
    from irtbench.commands.banks import named_bank, named_plan
    from irtbench.subsets.adaptive import adaptive_plan, resume, start

    session = Session.of(context)
    items = named_bank(bank)
    if simulate is None and state is None and answers != "-":
        raise InputError("adapt needs --state FILE, --answers - or --simulate RESPONSES")
    how: dict[str, Any] = {"average": average, "order": order, "level": level, "seed": seed}
    continues = state is not None and state.is_file() and not force and simulate is None
    if not continues:
        matrix = None if calibrate is None else session.read(calibrate)
        with about(calibrate or Path(bank)):
            plan = adaptive_plan(items, matrix, batch=batch, device=device, **how)
        plan = plan if calibrate is not None else _calibrated(session, plan, named_plan(bank))
    if simulate is not None:
        return _simulate(session, plan, simulate, sizes, batch, out)
    with about(state or Path(bank)):
        if continues and state is not None:
            test = resume(state, items)
            session.say(f"{state}: continuing")
        else:
            test = start(plan, budget=budget, half_width=half_width)
    if answers == "-":
        test = _talk(session, test, sys.stdin, batch, state)
    elif answers is not None:
        with about(Path(answers)):
            test = test.answer(_answers(Path(answers).read_text(encoding="utf-8").splitlines(), answers))
    if state is not None:
        test.save(state)
    _report(session, test, batch, printed=answers != "-")


def _calibrated(session: Session, plan: AdaptivePlan, known: AdaptivePlan | None) -> AdaptivePlan:
    """The plan with the bank's own spread of abilities and, where they are for the same test, intervals."""
    if known is None:
        session.say("intervals assume a true IRT model; --calibrate RESPONSES measures how wide they must be")
        return plan
    same = (plan.average, plan.order, plan.level) == (known.average, known.order, known.level)
    if not same:
        session.say(
            f"the bank's intervals are for {known.average} average, by {known.order}, {known.level:.0%}"
        )
    return replace(plan, spread=known.spread, **(_intervals(known) if same else {}))


def _intervals(known: AdaptivePlan) -> dict[str, Any]:
    return {"factors": known.factors, "far": known.far, "span": known.span}


def _talk(
    session: Session, test: AdaptiveSession, lines: Iterable[str], batch: int, state: Path | None
) -> AdaptiveSession:
    """Print items and read their answers in turn, until the test or the input is over."""
    source = iter(lines)
    while asked := test.next_items(batch):
        typer.echo("\n".join(asked))
        sys.stdout.flush()
        waiting = set(asked)
        while waiting:
            line = next(source, None)
            if line is None:
                return test
            found = _answers([line], "-")
            test = test.answer(found)
            waiting -= set(found)
            if state is not None:
                test.save(state)
    return test


def _answers(lines: Iterable[str], where: str) -> dict[str, float]:
    """Answers of lines ``item,response`` or ``{"item": response}``; a heading and empty lines are skipped."""
    found: dict[str, float] = {}
    for number, item, value in _pairs(lines, where):
        if item in found:
            raise InputError(f"{where}, line {number}: item {item!r} is answered twice")
        try:
            found[item] = float(value)
        except (TypeError, ValueError):
            raise InputError(f"{where}, line {number}: {value!r} is no response, give a number") from None
    return found


def _pairs(lines: Iterable[str], where: str) -> Iterator[tuple[int, str, Any]]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or (number == 1 and text.replace(" ", "").lower() in ("item,response", "item\tresponse")):
            continue
        if text.startswith("{"):
            try:
                content = json.loads(text)
            except json.JSONDecodeError as error:
                raise InputError(f"{where}, line {number}: is not valid JSON ({error})") from None
            yield from ((number, str(item), value) for item, value in content.items())
            continue
        item, comma, value = text.rpartition("\t" if "\t" in text else ",")
        if not comma or not item:
            raise InputError(f"{where}, line {number}: expected item,response, got {text!r}")
        yield number, item.strip(), value.strip()


def _report(session: Session, test: AdaptiveSession, batch: int, *, printed: bool) -> None:
    now = test.estimate()
    asked = test.next_items(batch)
    if not session.options["json_"] and printed and asked:
        typer.echo("\n".join(asked))
    over = "" if test.finished is None else f"; finished ({test.finished})"
    session.say(
        f"{now.items} items: score {now.score:.4f} ({now.lower:.4f} to {now.upper:.4f},"
        f" {test.plan.level:.0%}){over}"
    )
    if now.note:
        warnings.warn(f"{now.note} (probability {now.beyond:.2f})", ExtrapolationWarning, stacklevel=2)
    elif abs(test.surprise) > _SURPRISING:
        warnings.warn(
            f"the answers are not those of a model like the calibration's (z {test.surprise:+.1f}): the"
            " estimate is drawn towards theirs; ask a random sample for an interval that holds for any model",
            ExtrapolationWarning,
            stacklevel=2,
        )
    session.result(
        {
            "score": now.score,
            "lower": now.lower,
            "upper": now.upper,
            "items": now.items,
            "beyond": now.beyond,
            "finished": test.finished,
            "surprise": test.surprise,
            "next": asked,
        }
    )


def _simulate(
    session: Session, plan: AdaptivePlan, path: Path, sizes: str | None, batch: int, out: Path | None
) -> None:
    from irtbench.subsets.adaptive import simulate_adaptive, summarize_adaptive

    if out is not None:
        session.free_file(out, ".parquet")
    matrix = session.read(path)
    known = plan.bank.info.get("calibrated_on", {})
    if known.get("fingerprint") == matrix.fingerprint:
        session.say("these models calibrated the bank: the errors are smaller than those of new models")
    wanted = _sizes(sizes, plan.bank)
    with about(path):
        table = simulate_adaptive(plan, matrix, wanted, batch=batch, mean=True, seed=plan.seed)
    found = summarize_adaptive(table)
    title = f"{matrix.n_models} models, batches of {batch}; coverage of nominal {plan.level:.0%} intervals"
    session.show(found, title)
    if out is not None:
        with session.write_file(out, {str(path): matrix.fingerprint}) as temporary:
            table.to_parquet(temporary, index=False)
        session.say(f"wrote {out}")
    session.result({"table": records(found)})


def _sizes(text: str | None, bank: ItemBank) -> list[int]:
    if text is None:
        return [n for n in _SIZES if n < bank.n_items] or [bank.n_items]
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--sizes {text}: give whole numbers with commas") from None
