"""Commands ``decide`` and ``items``: is a difference real, and what the items are worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from irtbench.commands.options import Force, Json, Level, OptionalOut, Quiet, Responses, Seed
from irtbench.commands.session import Session, about, records
from irtbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.responses import ResponseMatrix

__all__ = ["decide", "items"]

Clusters = Annotated[
    str | None,
    typer.Option("--clusters", help="Column of the items that belong together.", show_default=False),
]
Control = Annotated[
    Literal["holm", "bonferroni", "bh", "none"], typer.Option("--control", help="Error over all comparisons.")
]
_SHOWN = 20


def decide(
    context: typer.Context,
    responses: Responses,
    a: Annotated[
        str | None, typer.Argument(help="Run or recipe; none: all models.", show_default=False)
    ] = None,
    b: Annotated[str | None, typer.Argument(help="Run or recipe.", show_default=False)] = None,
    out: OptionalOut = None,
    family: Annotated[str, typer.Option("--family", help="Column of the recipe.")] = "family",
    at: Annotated[
        str | None, typer.Option("--at", help="Checkpoint of the recipes; else the last.", show_default=False)
    ] = None,
    clusters: Clusters = None,
    items: Annotated[
        Literal["sampled", "fixed"], typer.Option("--items", help="More like these, or these alone.")
    ] = "sampled",
    seed_sd: Annotated[
        float | None,
        typer.Option("--seed-sd", min=0, help="Known sd of a score over seeds.", show_default=False),
    ] = None,
    control: Control = "holm",
    level: Level = 0.95,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether A is better than B, or rank all models in tiers that the data support."""
    from irtbench.variance import decide as decide_
    from irtbench.variance import leaderboard

    session = Session.of(context)
    if a is not None and b is None:
        raise InputError(f"decide compares two: give a second name besides {a!r}, or none for all models")
    if out is not None:
        session.free_file(out, ".parquet")
    matrix = session.read(responses)
    how = {"clusters": clusters, "items": items, "seed_sd": seed_sd, "control": control, "level": level}
    with about(responses):
        if a is None or b is None:
            table = leaderboard(matrix, **how)  # type: ignore[arg-type]
        else:
            table = decide_(matrix, a, b, family=family, at=at, **how)  # type: ignore[arg-type]
    if a is None or b is None:
        shown = table.head(_SHOWN)
        session.show(shown, f"Tiers: a leader of one is better than all leaders below ({control}, {level:g})")
        if len(table) > _SHOWN:
            session.say(f"and {len(table) - _SHOWN} more")
    else:
        _show_pair(session, table, a, b)
    _finish(session, table, out, {str(responses): matrix.fingerprint})


def items(
    context: typer.Context,
    responses: Responses,
    out: OptionalOut = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            help="Difficulty and discrimination in two halves of the models, as .svg, .png or .pdf.",
            show_default=False,
        ),
    ] = None,
    splits: Annotated[int, typer.Option("--splits", min=1, help="Splits of the models, of each kind.")] = 100,
    level: Level = 0.95,
    seed: Seed = 0,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show how hard the items are, how well they tell models apart, and whether that carries over."""
    from irtbench.variance import item_statistics, split_stability

    session = Session.of(context)
    if out is not None:
        session.free_file(out, ".parquet")
    if picture is not None:
        if picture.suffix not in (".svg", ".png", ".pdf"):
            raise InputError(f"{picture}: a picture ends in .svg, .png or .pdf")
        session.free_file(picture)
    matrix = session.read(responses)
    models = matrix.models.get("name", matrix.models.index.to_series()).nunique()
    if models < matrix.n_models:
        session.say(f"{matrix.n_models} runs of {models} models: each run counts as a model here")
    with about(responses):
        table = item_statistics(matrix, level=level)
        columns = ["difficulty", "item_total", "item_rest"]
        summary = table.groupby("benchmark", sort=False)[columns].mean()
        summary.insert(0, "items", table.groupby("benchmark", sort=False).size())
        constant = table["item_rest"].isna().groupby(table["benchmark"], sort=False).sum()
        summary["constant"] = constant
        summary["below zero"] = (table["item_rest"] < 0).groupby(table["benchmark"], sort=False).sum()
        session.show(summary, "Items: means, those without variation, those that rank models upside down")
        stability = None
        try:
            stability = split_stability(matrix, n_splits=splits, seed=seed)
        except InputError as error:
            session.say(f"whether discrimination carries over cannot be told: {error}")
    if stability is not None:
        spread = stability.groupby("kind")["pearson"].quantile([0.025, 0.5, 0.975]).unstack()  # noqa: PD010
        spread.columns = ["2.5 %", "median", "97.5 %"]
        session.show(spread, f"Correlation of discriminations in two parts of the models, {splits} splits")
        if picture is not None:
            _draw_halves(session, matrix, stability, picture, level, {str(responses): matrix.fingerprint})
    elif picture is not None:
        raise InputError(f"{responses}: too few models for two halves, so there is no picture to draw")
    more = {} if stability is None else {"splits": records(stability)}
    _finish(session, table, out, {str(responses): matrix.fingerprint}, more)


def _draw_halves(
    session: Session,
    matrix: ResponseMatrix,
    stability: pd.DataFrame,
    picture: Path,
    level: float,
    inputs: dict[str, str],
) -> None:
    from irtbench.report import item_halves
    from irtbench.report.drawing import save
    from irtbench.report.findings import halves_finding
    from irtbench.variance import statistics_by_half

    with session.write_file(picture, inputs) as temporary:
        axes = item_halves(statistics_by_half(matrix, level=level))
        save(axes[0], temporary, kind=picture.suffix.removeprefix("."))
    session.say(f"wrote {picture}: {halves_finding(stability)}")


def _show_pair(session: Session, table: pd.DataFrame, a: str, b: str) -> None:
    shown = table[["a", "b"]].copy()
    limits = zip(table["difference"], table["low"], table["high"], strict=True)
    shown["a - b"] = [f"{d:+.4f} ({low:+.4f} to {high:+.4f})" for d, low, high in limits]
    shown["p"], shown["P(a better)"] = table["p_adjusted"], table["probability"]
    shown["better"] = [name if isinstance(name, str) else "not told apart" for name in table["better"]]
    shown["detectable"] = table["detectable"]
    session.show(shown, f"a = {a}, b = {b}; p is {table.attrs['control']}-adjusted over the benchmarks")
    if table["seed_se"].isna().all():
        session.say(
            "one run each and no --seed-sd: this is about these two runs, another seed may turn it around"
        )


def _finish(
    session: Session,
    table: pd.DataFrame,
    out: Path | None,
    inputs: dict[str, str],
    more: Mapping[str, object] | None = None,
) -> None:
    if out is not None:
        with session.write_file(out, inputs) as temporary:
            plain = table.reset_index()
            plain.attrs = {}
            plain.to_parquet(temporary, index=False)
        session.say(f"wrote {out}")
    session.result({"choices": table.attrs, "table": records(table), **(more or {})})
