"""Command ``demo``: every step on a simulated leaderboard, whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irtbench.commands.compare import write_comparison
from irtbench.commands.options import Force, Json, Quiet, Seed
from irtbench.commands.session import Session, records

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.irt import IRTFit, Simulation

__all__ = ["demo"]

LEVEL = 0.9
_SIMULATED = (
    "The responses are simulated, so the truth is known; irtbench has no responses of real models of its own"
    " yet."
)


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("irtbench-demo"),
    models: Annotated[int, typer.Option("--models", min=24, help="Models to simulate.")] = 80,
    items: Annotated[int, typer.Option("--items", min=60, help="Items to simulate.")] = 400,
    splits: Annotated[int, typer.Option("--splits", min=2, help="Splits in the comparison.")] = 6,
    seed: Seed = 0,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a leaderboard, fit, choose a subset, estimate, compare, and write the report."""
    import irtbench as ib
    from irtbench.report.wording import verdict

    session = Session.of(context)
    session.free_folder(out)
    size = max(10, items // 10)
    sizes = sorted({max(5, items // 40), size, items // 4})
    session.say(_SIMULATED)
    simulation = ib.simulate(models, items, n_benchmarks=4, benchmark_sd=0.3, seed=seed)
    everyone = simulation.responses
    # the newest models play the part of models that nobody has evaluated yet
    new = everyone.models["date"].rank(method="first") > models - max(5, models // 5)
    old = everyone.take(models=(~new).to_numpy())
    session.say(f"fit: 2PL on {old.n_models} models × {old.n_items} items")
    fit = ib.fit(old, seed=seed, progress=session.progress)
    session.say(f"subset: {size} items; then the scores of {int(new.sum())} new models from them alone")
    subset = ib.select(old, size, bank=fit.bank, seed=seed)
    held_out = everyone.take(models=new.to_numpy())
    scores = ib.estimate(subset, held_out.take(items=subset.items), level=LEVEL)
    scores.insert(0, "truth", held_out.scores())
    session.say(
        f"compare: every method at {', '.join(map(str, sizes))} items on {splits} splits of the models"
    )
    comparison = ib.compare(
        everyone, sizes=sizes, n_splits=splits, level=LEVEL, seed=seed, progress=session.progress
    )
    summary = ib.summarize(comparison)
    inputs = {"simulation": everyone.fingerprint}
    with session.write_folder(out, inputs) as folder:
        everyone.save(folder / "responses.parquet")
        simulation.abilities.to_csv(folder / "true_abilities.csv")
        simulation.items.to_csv(folder / "true_items.csv")
        fit.save(folder / "fit")
        subset.save(folder / "subset")
        scores.to_csv(folder / "scores.csv")
        write_comparison(
            folder,
            comparison=comparison,
            summary=summary,
            responses=everyone,
            fit=fit,
            subset=subset,
            level=LEVEL,
            config=session.config(inputs),
            notes=(_SIMULATED,),
        )
    lines = [
        f"Data      {everyone!r}; simulated, the truth is known.",
        f"Fit       {_recovery(simulation, fit)}",
        f"Estimate  {_accuracy(scores, size, items)}",
        f"Compare   {verdict(summary)}",
        f"Report    {out / 'report.html'}",
    ]
    if json_:
        session.result({"out": str(out), "lines": lines, "summary": records(summary)})
    else:
        typer.echo("\n".join(lines))


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
