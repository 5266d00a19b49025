"""What ``demo`` says about noise: seeds, checkpoints, framings, metrics and the subset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from irtbench.commands.session import Session
from irtbench.commands.variance import chance_of, write_tables

if TYPE_CHECKING:
    from irtbench.responses import ResponseMatrix
    from irtbench.subsets import Subset

__all__ = ["seedlings_noise"]

OTHERS = {  # names of the view at hand and of another one → its responses
    ("completion", "choice"): "seedlings/choice_acc",
    ("acc", "prob"): "seedlings/completion_prob",
}
_SPLITS = 100  # of the models, for the items


def seedlings_noise(
    session: Session, folder: Path, responses: ResponseMatrix, subset: Subset, seed: int
) -> dict[str, str]:
    """Write the tables and the page about variance; return what they say, a sentence or two each."""
    from irtbench.compare import subset_study
    from irtbench.report import findings, write_variance_report
    from irtbench.responses import read
    from irtbench.variance import (
        compare_views,
        component_report,
        curve_table,
        one_run_each,
        runs_of,
        split_stability,
        statistics_by_half,
        variance_report,
    )

    session.say("variance: seeds and checkpoints, two framings, two metrics, the items and the subset")
    responses = _one_order(responses)
    runs = runs_of(responses)
    table = variance_report(runs, chance=chance_of(responses), seed=seed)
    curves = curve_table(runs)
    write_tables(folder, table, component_report(runs, seed=seed), curves, responses, ())
    views = {
        other: compare_views({own: responses, other: _one_order(read(file))})
        for (own, other), file in OTHERS.items()
    }
    ends = one_run_each(responses)
    stability = split_stability(ends, n_splits=_SPLITS, seed=seed)
    study = subset_study(subset, responses, seed=seed)
    write_variance_report(
        folder / "report.html",
        responses=responses,
        table=table,
        curves=curves,
        views=views,
        halves=statistics_by_half(ends),
        stability=stability,
        study=study,
        config=session.config({"responses": responses.fingerprint}),
    )
    return {
        "Noise": findings.variance_verdict(table),
        "Framing": findings.views_finding(views["choice"].table),
        "Metric": findings.views_finding(views["prob"].table),
        "Items": findings.halves_finding(stability),
        "Subset": findings.subset_curves_finding(study),
    }


def _one_order(responses: ResponseMatrix) -> ResponseMatrix:
    """Without the arm whose runs read the data in other orders: seeds alone differ."""
    return responses.take(models=(responses.models["arm"] != "orders").to_numpy())
