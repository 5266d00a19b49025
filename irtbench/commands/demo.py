"""Command ``demo``: every step on responses of real, tiny language models, or on simulated ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from irtbench.commands.compare import write_comparison
from irtbench.commands.demo_variance import seedlings_noise
from irtbench.commands.options import Force, Json, Quiet, Seed
from irtbench.commands.session import Session, records

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.irt import IRTFit, Simulation
    from irtbench.responses import ResponseMatrix

__all__ = ["demo"]

LEVEL = 0.9
_SEEDLINGS = (
    "The responses are those of real but tiny language models (up to 0.4 million parameters), trained for"
    " this on a small world of facts: what they show about methods carries over further than their scores."
)
_SIMULATED = "The responses are simulated, so the truth is known."


@dataclass(frozen=True, eq=False)
class _Case:
    """What the demo runs on.

    Attributes:
        board: one row a model.
        new: which of them play the part of models that nobody has evaluated yet.
        sizes: numbers of items in the comparison; the second one is that of the subset.
        note: where the responses are from.
        whole: all checkpoints, of the seedlings.
        simulation: the truth, of simulated responses.
    """

    board: ResponseMatrix
    new: np.ndarray
    sizes: tuple[int, int, int]
    note: str
    whole: ResponseMatrix | None = None
    simulation: Simulation | None = None


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("irtbench-demo"),
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulated responses, whose truth is known.")
    ] = False,
    models: Annotated[int, typer.Option("--models", min=24, help="Models to simulate.")] = 80,
    items: Annotated[int, typer.Option("--items", min=60, help="Items to simulate.")] = 400,
    splits: Annotated[int, typer.Option("--splits", min=2, help="Splits in the comparison.")] = 6,
    seed: Seed = 0,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit, choose a subset, estimate, compare, measure the variance, and write the reports.

    On the responses of the seedlings, tiny language models that ship with irtbench.
    """
    import irtbench as ib
    from irtbench.report.wording import verdict

    session = Session.of(context)
    session.free_folder(out)
    case = _simulated(models, items, seed) if simulate else _seedlings()
    session.say(case.note)
    old, held_out = case.board.take(models=~case.new), case.board.take(models=case.new)
    size = case.sizes[1]
    session.say(f"fit: 2PL on {old.n_models} models × {old.n_items} items")
    fit = ib.fit(old, seed=seed, progress=session.progress)
    session.say(f"subset: {size} items; then the scores of {held_out.n_models} new models from them alone")
    subset = ib.select(old, size, bank=fit.bank, seed=seed)
    scores = ib.estimate(subset, held_out.take(items=subset.items), level=LEVEL)
    scores.insert(0, "truth", held_out.scores())
    listed = ", ".join(map(str, case.sizes))
    session.say(
        f"compare: every method at {listed} items on {splits} splits of the first {old.n_models} models"
    )
    comparison = ib.compare(
        old,
        sizes=list(case.sizes),
        n_splits=splits,
        level=LEVEL,
        seed=seed,
        progress=session.progress,
    )
    summary = ib.summarize(comparison)
    inputs = {"responses": case.board.fingerprint}
    with session.write_folder(out, inputs) as folder:
        case.board.save(folder / "responses.parquet")
        fit.save(folder / "fit")
        subset.save(folder / "subset")
        scores.to_csv(folder / "scores.csv")
        write_comparison(
            folder,
            comparison=comparison,
            summary=summary,
            responses=old,
            fit=fit,
            subset=subset,
            level=LEVEL,
            config=session.config(inputs),
            notes=(case.note,),
        )
        lines = {
            "Data": f"{case.board!r}.",
            "Fit": f"{fit.message}.",
            "Estimate": _accuracy(scores, size, old.n_items),
            "Compare": verdict(summary),
        }
        if case.simulation is not None:
            lines["Fit"] = _recovery(case.simulation, fit)
            case.simulation.abilities.to_csv(folder / "true_abilities.csv")
            case.simulation.items.to_csv(folder / "true_items.csv")
        if case.whole is not None:
            lines |= seedlings_noise(session, folder / "variance", case.whole, subset, seed)
    reports = [out / "report.html", *([] if case.whole is None else [out / "variance" / "report.html"])]
    lines["Reports"] = " and ".join(map(str, reports))
    if json_:
        session.result({"out": str(out), "lines": lines, "summary": records(summary)})
    else:
        typer.echo("\n".join(f"{name:<9} {text}" for name, text in lines.items()))


def _seedlings() -> _Case:
    """The last checkpoint of every seedling; those of the two arms with replicates are new."""
    import irtbench as ib
    from irtbench.variance import one_run_each

    whole = ib.read("seedlings/completion_acc")
    board = one_run_each(whole)
    new = (board.models["arm"] != "population").to_numpy()
    return _Case(board, new, (30, 100, 300), _SEEDLINGS, whole=whole)


def _simulated(models: int, items: int, seed: int) -> _Case:
    """A leaderboard of which the newest models are new."""
    import irtbench as ib

    simulation = ib.simulate(models, items, n_benchmarks=4, benchmark_sd=0.3, seed=seed)
    board = simulation.responses
    new = board.models["date"].rank(method="first") > models - max(5, models // 5)
    sizes = (max(5, items // 40), max(10, items // 10), items // 4)
    return _Case(board, new.to_numpy(), sizes, _SIMULATED, simulation=simulation)


def _recovery(simulation: Simulation, fit: IRTFit) -> str:
    ability = fit.abilities["mean"].corr(simulation.abilities["ability"])
    difficulty = fit.bank.items["difficulty"].corr(simulation.items["difficulty"])
    return (
        f"{fit.message}; correlation with the truth: abilities {ability:.3f}, difficulties {difficulty:.3f}."
    )


def _accuracy(scores: pd.DataFrame, size: int, items: int) -> str:
    error = (scores["score"] - scores["truth"]).abs().mean()
    held = ((scores["lower"] <= scores["truth"]) & (scores["truth"] <= scores["upper"])).sum()
    return (
        f"{size} of {items} items give the scores of {len(scores)} new models with a mean absolute error of"
        f" {error:.3f}; {held} of their {LEVEL:.0%} intervals hold the full score."
    )
