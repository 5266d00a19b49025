"""Command ``variance``: how large the noise of each benchmark is, and which one shows progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from irtbench.commands.options import Force, Json, Level, Quiet, Responses, Seed
from irtbench.commands.session import Session, about, records
from irtbench.commands.variance_page import Extras, left_out, write_page
from irtbench.errors import InputError
from irtbench.files import write_json

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.responses import ResponseMatrix

__all__ = ["chance_of", "variance", "write_tables"]


def variance(
    context: typer.Context,
    responses: Responses,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write; else none.", show_default=False)
    ] = None,
    family: Annotated[
        str, typer.Option("--family", help="Column of the recipe, or several, with commas.")
    ] = "family",
    seed_column: Annotated[
        str, typer.Option("--seed-column", help="Column that tells replicates apart.")
    ] = "seed",
    step_column: Annotated[str, typer.Option("--step-column", help="Column of the checkpoint.")] = "step",
    chance: Annotated[
        str | None,
        typer.Option(
            "--chance",
            help="Score of guessing: 0.25, or mmlu=0.25,copa=0.5; else the items' column chance.",
            show_default=False,
        ),
    ] = None,
    exclude_chance: Annotated[
        bool, typer.Option("--exclude-chance", help="Leave checkpoints at chance out of E.")
    ] = False,
    window: Annotated[
        int | None,
        typer.Option("--window", min=1, help="Last checkpoints behind E; else all.", show_default=False),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--last", min=2, help="Checkpoints of the checkpoint noise; else up to 5.", show_default=False
        ),
    ] = None,
    ddof: Annotated[
        int, typer.Option("--ddof", min=0, max=1, help="Standard deviations over seeds: n − ddof.")
    ] = 1,
    aggregate: Annotated[
        Literal["mean", "rms"], typer.Option("--aggregate", help="E over checkpoints: of the stds, or rms.")
    ] = "mean",
    items: Annotated[
        Literal["percentile", "pivotal", "clt", "analytic", "wilson", "beta", "clustered"],
        typer.Option("--items", help="Interval over items; clustered: by the items' column cluster."),
    ] = "percentile",
    joint: Annotated[
        Literal["components", "bootstrap"], typer.Option("--joint", help="Interval over seeds and items.")
    ] = "components",
    statistic: Annotated[
        Literal["tau_b", "tau_a", "spearman", "up"], typer.Option("--statistic", help="Monotonicity.")
    ] = "tau_b",
    null: Annotated[
        Literal["shared", "seeds"],
        typer.Option("--null", help="Random order for all seeds, or each its own."),
    ] = "shared",
    level: Level = 0.95,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--beside",
            metavar="[NAME=]FILE",
            help="Another view of the same runs (completion=…, prob=…), for the report; repeatable.",
            show_default=False,
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option("--view", help="Name of this view; else its metric.", show_default=False),
    ] = None,
    subset: Annotated[
        Path | None,
        typer.Option("--subset", help="Subset to hold beside all items, for the report.", show_default=False),
    ] = None,
    splits: Annotated[
        int, typer.Option("--splits", min=1, help="Splits of the models, for the report's items.")
    ] = 100,
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Of every bootstrap.")] = 10_000,
    seed: Seed = 0,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure noise and signal of each benchmark over seeds, items and checkpoints.

    The matrix needs replicates: rows of the same family with several seeds (and steps).
    """
    from irtbench.variance import component_report, curve_table, runs_of, variance_report

    session = Session.of(context)
    if out is None and (beside or subset):
        raise InputError("--beside and --subset go into the report: give a folder with --out")
    if out is not None:
        session.free_folder(out)
    floor = _chance(chance)
    matrix = session.read(responses)
    if floor is None and "chance" in matrix.items:
        floor = chance_of(matrix)
        session.say("score of guessing: the column chance of the items")
    if exclude_chance and floor is None:
        raise InputError("--exclude-chance needs the score of guessing: give --chance")
    columns: dict[str, Any] = {"family": _listed(family), "seed": seed_column, "step": step_column}
    with about(responses):
        runs = runs_of(matrix, **columns)
        alone = [own.family for own in runs_of(matrix, **columns, min_seeds=1) if len(own.seeds) < 2]
        _refuse_unknown(floor, matrix)
        table = variance_report(
            runs,
            chance=floor,
            window=window,
            exclude_chance=exclude_chance,
            ddof=ddof,
            average=aggregate,
            items=items,
            joint=joint,
            statistic=statistic,
            null=null,
            last=last,
            level=level,
            resamples=resamples,
            seed=seed,
        )
        components = component_report(runs, level=level, resamples=resamples, seed=seed)
    if alone:
        session.say(left_out(alone))
    _show(session, table, components, matrix)
    if out is not None:
        with session.write_folder(out, {str(responses): matrix.fingerprint}) as temporary:
            curves = curve_table(runs, level=level)
            write_tables(temporary, table, components, curves, matrix, alone)
            write_page(
                temporary / "report.html",
                session,
                matrix,
                table,
                curves,
                Extras(tuple(beside or ()), view, subset, splits, seed, columns, alone),
            )
        session.say(f"wrote {out}")
    session.result(_content(table, components, matrix, alone))


def write_tables(
    folder: Path,
    table: pd.DataFrame,
    components: pd.DataFrame,
    curves: pd.DataFrame,
    matrix: ResponseMatrix,
    alone: Sequence[str],
) -> None:
    """Write ``variance.parquet``, ``components.parquet``, ``curves.parquet`` and ``variance.json``."""
    folder.mkdir(exist_ok=True)
    _plain(table).to_parquet(folder / "variance.parquet", index=False)
    _plain(components).to_parquet(folder / "components.parquet", index=False)
    _plain(curves).drop(columns="index").to_parquet(folder / "curves.parquet", index=False)
    write_json(folder / "variance.json", _content(table, components, matrix, alone))


def _content(
    table: pd.DataFrame, components: pd.DataFrame, matrix: ResponseMatrix, alone: Sequence[str]
) -> dict[str, Any]:
    return {
        "choices": table.attrs,
        "left_out": list(alone),
        "fingerprint": matrix.fingerprint,
        "benchmarks": records(table),
        "components": records(components),
    }


def _chance(text: str | None) -> float | dict[str, float] | None:
    if text is None:
        return None
    parts = [part.partition("=") for part in _listed(text)]
    try:
        values = [float(value if sign else name) for name, sign, value in parts]
    except ValueError:
        raise InputError(f"--chance: {text!r} is not a number or name=number, with commas") from None
    if len(parts) == 1 and not parts[0][1]:
        return values[0]
    if not parts or not all(sign for _, sign, _ in parts):
        raise InputError(f"--chance: {text!r} is neither one number nor name=number for each benchmark")
    return {name.strip(): value for (name, *_), value in zip(parts, values, strict=True)}


def chance_of(matrix: ResponseMatrix) -> dict[str, float]:
    """Score of guessing of each benchmark: the mean of its items' column ``chance``.

    Raises:
        InputError: a chance that is no number in [0, 1].
    """
    column = matrix.items["chance"]
    if not (column.dtype.kind in "fiu" and column.between(0, 1).all()):
        raise InputError("the items' column chance must hold numbers in [0, 1]; mend it or give --chance")
    return {str(k): float(v) for k, v in column.groupby(matrix.benchmarks, sort=False).mean().items()}


def _refuse_unknown(floor: float | dict[str, float] | None, matrix: ResponseMatrix) -> None:
    known = dict.fromkeys(matrix.benchmarks)
    for name in floor if isinstance(floor, dict) else ():
        if name not in known:
            raise InputError(f"--chance: no benchmark {name!r}; there are {', '.join(list(known)[:10])}")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its index as columns; the choices stand in the JSON file beside it."""
    plain = table.reset_index()
    plain.attrs = {}
    return plain


def _show(session: Session, table: pd.DataFrame, components: pd.DataFrame, matrix: ResponseMatrix) -> None:
    import pandas as pd

    seen = matrix.values[matrix.observed]
    unit = bool(seen.min() >= 0 and seen.max() <= 1)
    scale, digits = (100, 2) if unit else (1, 3)
    how = table.attrs
    level = f"{100 * how['level']:g} %"

    def number(column: str, factor: float = 1.0, places: int = 2) -> list[str]:
        return [_text(value * factor, places) for value in table[column]]

    def limits(column: str, low: str, high: str, factor: float = 1.0, places: int = 2) -> list[str]:
        texts = zip(*(number(c, factor, places) for c in (column, low, high)), strict=True)
        return [m if "–" in (a, b) else f"{m} ({a} to {b})" for m, a, b in texts]

    points = "points" if unit else matrix.metric.name
    noise = {
        "items": table["n_items"],
        "seeds": table["n_seeds"],
        "mean": limits("mean", "low", "high", scale, digits),
        "E": limits("E", "E_low", "E_high", scale, digits),
        f"items ± {level}": number("item_half_width", scale, digits),
        "E/SE": limits("ratio", "ratio_low", "ratio_high"),
        "design effect": number("effect"),
        "p": number("effect_p", places=3),
    }
    session.show(pd.DataFrame(noise, index=table.index), f"Noise, in {points}")
    session.say(
        f"mean: {level} interval over seeds and items ({how['joint']}); E: std over seeds (ddof"
        f" {how['ddof']}), {how['average']} over checkpoints,\n"
        f"its interval by chi-square; items: {how['items']}, mean over runs; E/SE and"
        " design effect: above 1 where a seed shifts all items together\n"
    )
    signal = {
        "monotonicity": limits("monotonicity", "monotonicity_low", "monotonicity_high"),
        "p": number("monotonicity_p", places=3),
        "of mean curve": number("monotonicity_of_mean"),
        "SNR": limits("snr", "snr_low", "snr_high", places=1),
        "SNR above chance": number("snr_chance", places=1),
        "checkpoint noise": number("checkpoint_noise", scale, digits),
        "decision accuracy": limits("decision", "decision_low", "decision_high"),
    }
    session.show(pd.DataFrame(signal, index=table.index), "Signal")
    session.say(
        f"monotonicity: {how['statistic']} with the checkpoints, mean of the seeds; p: {how['null']} random"
        " orders; SNR: at the last checkpoint;\ndecision accuracy: one seed one checkpoint earlier against"
        " the recipes' means at the end\n"
    )
    end = components[components.index.get_level_values("design") == "last"]
    shares = end["share"].unstack("component").droplevel("design").reindex(table.index)  # noqa: PD010
    shown = {name: [_text(100 * x, 1) for x in shares[name]] for name in ("seed", "item", "seed × item")}
    session.show(
        pd.DataFrame(shown, index=table.index), "Variance of one response at the last checkpoint, in %"
    )


def _text(value: float, places: int) -> str:
    return "–" if value != value else "∞" if value == float("inf") else f"{value:.{places}f}"
