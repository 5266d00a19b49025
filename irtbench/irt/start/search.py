"""The search for the penalised maximum: passes over the matrix until the abilities rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from irtbench.irt.models import Problem
from irtbench.irt.start.guess import first_guess
from irtbench.irt.start.scale import standardised
from irtbench.irt.start.signs import choose_signs
from irtbench.irt.start.state import Start, prior_terms
from irtbench.irt.start.steps import ability_step, item_step, population_step

__all__ = ["find_start"]


def find_start(
    problem: Problem,
    *,
    max_passes: int = 100,
    tolerance: float = 0.05,
    go_on: Start | None = None,
    report: Callable[[int, float], None] | None = None,
) -> Start:
    """Find the penalised maximum by block Newton.

    Args:
        problem: IRT model, priors and responses.
        max_passes: passes after which to stop.
        tolerance: largest change of an ability between passes at which to stop, in posterior sds.
        go_on: a search that stopped before.
        report: called with the pass and the penalised log-likelihood.
    """
    start = first_guess(problem) if go_on is None else go_on
    fewest = max(3, len(problem.sites) + 1)  # signs take three; asymptotes settle late
    for number in range(start.passes + 1, max_passes + 1):
        nodes = start.nodes(problem)
        basis = nodes.basis(start.theta)
        statistics = problem.cells.to_nodes(basis.float(), problem.line(start.theta))
        for _ in range(3 if number == 1 else 2):
            start = item_step(start, problem, nodes.t, statistics)
        if number in (2, 3):
            start = choose_signs(start, problem, nodes.t, statistics)
        before = start.theta
        start, value = ability_step(start, problem, nodes)
        value -= _penalty(start, problem)
        start = population_step(standardised(start, problem), problem)
        moved = float(((start.theta - before).abs() / start.theta_sd).max())
        if report is not None:
            report(number, value)
        start = replace(start, passes=number, trace=[*start.trace, value])
        if moved < tolerance and number >= fewest:
            return replace(start, converged=True)
    return start


def _penalty(start: Start, problem: Problem) -> float:
    mean, precision = prior_terms(start, problem)
    return float(0.5 * (precision * (start.items - mean) ** 2).double().sum())
