"""Fit an IRT model to a response matrix: the start, SVI, the weighting, and the item bank that comes out."""

from __future__ import annotations

import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from irtbench.devices import one_thread, pick_device
from irtbench.errors import ConvergenceWarning, InputError
from irtbench.irt.bank import ItemBank
from irtbench.irt.blocks import blocks_at, posterior_of, scalar_blocks
from irtbench.irt.cells import Cells
from irtbench.irt.fitted import IRTFit
from irtbench.irt.grid import choose_grid, may_integrate, with_grid_abilities
from irtbench.irt.guide import NormalGuide
from irtbench.irt.joint import joined_posterior
from irtbench.irt.models import Problem, irt_model
from irtbench.irt.posterior import Posterior
from irtbench.irt.recipes import Recipe, recipe
from irtbench.irt.results import assemble
from irtbench.irt.start.em import refine_start
from irtbench.irt.start.search import find_start
from irtbench.irt.start.state import Start
from irtbench.irt.svi import Outcome, maximise_elbo, pyro_isolated
from irtbench.irt.weighting import settle_populations, weigh_items
from irtbench.progress import objective_bar
from irtbench.responses.checks import refuse_beyond_unit, refuse_disconnected
from irtbench.responses.matrix import ResponseMatrix

__all__ = ["fit"]

METHODS = ("svi", "laplace", "nuts")
_ONE_THREAD = 50_000_000  # cells; two threads on a busy machine cost ten times one
_BAD_K = 0.7
_FEW_PASSES = 8


def fit(
    responses: ResponseMatrix,
    irt: str | Recipe = "2pl",
    *,
    method: Literal["svi", "laplace", "nuts"] = "svi",
    bank: ItemBank | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> IRTFit:
    r"""Fit a 1PL … 4PL to a response matrix and return items and abilities with uncertainty.

    .. math:: P(y_{mi} = 1) = c_i + (d_i - c_i)\, σ(a_i (θ_m - b_i)),\quad θ_m ∼ N(0, 1)

    with b, log \|a\|, logit c and logit d normal in populations whose means and spreads are learned. Missing
    cells are left out; repeated samples enter as binomial counts; continuous responses in [0, 1] by
    a quasi-likelihood or the beta likelihood (``Recipe(likelihood="beta")``). Items that abler models fail
    get a < 0.

    Args:
        responses: (n_models, n_items).
        irt: ``1pl`` (one discrimination), ``2pl``, ``3pl``, ``4pl``, or a :class:`Recipe` with likelihood
            and priors of your own.
        method: ``svi`` (Pyro, started from the penalised maximum, its items weighted to their posterior),
            ``laplace`` (the maximum and its curvature: instant, intervals a little too narrow) or ``nuts``
            (Pyro's Hamiltonian Monte Carlo, the reference: for small data).
        bank: calibrated items to link to: those that the responses share stay as they are, the others are
            calibrated on the bank's scale.
        device: ``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:1`` …
        seed: seed of SVI or of the chains.
        progress: show a bar on a terminal.

    Returns:
        An :class:`IRTFit`: ``.bank``, ``.abilities``, ``.probability()``, ``.elbo``, ``.converged`` …

    Raises:
        InputError: unknown ``irt``, ``method`` or device, fewer than two models or items, groups of models
            without an item in common, a bank that does not match.

    Warns:
        ConvergenceWarning: the criterion was not met.

    References:
        Birnbaum (1968) in Lord & Novick; Hoffman et al. (2013), Stochastic variational inference,
        https://jmlr.org/papers/v14/hoffman13a.html; Kim (2006), Fixed parameter calibration,
        https://doi.org/10.1111/j.1745-3984.2006.00021.x

    Example:
        >>> from irtbench.irt import simulate
        >>> s = simulate(n_models=60, n_items=80, seed=0)
        >>> found = fit(s.responses, irt="2pl", seed=0)
        >>> bool(np.corrcoef(found.abilities["mean"], s.abilities["ability"])[0, 1] > 0.95)
        True
    """
    chosen = irt if isinstance(irt, Recipe) else recipe(irt)
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if min(responses.shape) < 2:
        raise InputError(f"an IRT fit needs at least 2 models and 2 items, got {responses.shape}")
    refuse_beyond_unit(responses)
    refuse_disconnected(responses)
    where = pick_device(device)
    began = time.perf_counter()
    with _threads(responses), pyro_isolated(seed, where), objective_bar("fit", progress) as report:
        problem = _problem(responses, chosen, bank, where)
        start, grid = _start(problem, method)
        draws, checks, held = None, None, None
        if method == "nuts":
            found, outcome, draws, checks = _nuts(problem, start, seed, report)
        elif method == "svi":
            found, outcome, held = _svi(problem, start, grid, chosen, seed, report)
        else:
            found, outcome = start.posterior(), _laplace_outcome(start)
        if grid is not None and draws is None:
            found = with_grid_abilities(problem, found, grid)
        found = joined_posterior(problem, found, held=held, drawn=method == "nuts")
    outcome = _judged(outcome, found)
    if not outcome.converged:
        warnings.warn(f"{chosen.irt} {method}: {outcome.message}", ConvergenceWarning, stacklevel=2)
    config = {"method": method, "device": where.type, "recipe": chosen.to_dict()}
    return assemble(responses, problem, found, outcome, draws, checks, bank, config, seed, began)


def _problem(
    responses: ResponseMatrix, chosen: Recipe, bank: ItemBank | None, where: torch.device
) -> Problem:
    codes = np.zeros(responses.n_items, dtype=np.int64)
    if chosen.by_benchmark:
        codes = pd.factorize(responses.items["benchmark"])[0].astype(np.int64)
    problem = Problem.of(
        chosen, Cells.of(responses, chosen.likelihood, where), torch.from_numpy(codes).to(where)
    )
    return problem if bank is None else problem.linked(bank, responses)


def _start(problem: Problem, method: str) -> tuple[Start, Tensor | None]:
    """The penalised maximum, and the grid of abilities where they are integrated out.

    With few items the maximum over abilities and items together lies where discriminations run away, so
    a few passes towards it are enough before the abilities are integrated out.
    """
    if not may_integrate(problem, method):
        return find_start(problem), None
    start = find_start(problem, max_passes=_FEW_PASSES)
    grid = choose_grid(problem, start, method)
    if grid is None:
        return (start if start.converged else find_start(problem, go_on=start)), None
    return refine_start(problem, start, grid), grid


def _svi(
    problem: Problem, start: Start, grid: Tensor | None, chosen: Recipe, seed: int, report: Any
) -> tuple[Posterior, Outcome, Tensor | None]:
    settled = start.posterior()
    if grid is None and problem.known is None:
        settled = settle_populations(problem, settled, seed)
    guide = NormalGuide(blocks_at(problem, settled, marginal=grid is not None))
    nodes = settled.nodes(problem) if grid is None else None
    model = irt_model(problem, settled, nodes=nodes, grid=grid)
    outcome = maximise_elbo(model, guide, chosen.steps, len(start.items), report)
    found = posterior_of(guide, problem, settled)
    if grid is None:
        return weigh_items(problem, found, seed), outcome, None
    return found, outcome, guide.held(problem.sites)


def _nuts(problem: Problem, start: Start, seed: int, report: Any) -> Any:
    from irtbench.irt.nuts import sample

    at = start.posterior()
    return sample(problem, at, scalar_blocks(problem, at), seed, report)


def _threads(responses: ResponseMatrix) -> AbstractContextManager[None]:
    """One thread for a matrix so small that more would wait for each other longer than they work."""
    return one_thread() if responses.values.size < _ONE_THREAD else nullcontext()


def _laplace_outcome(start: Start) -> Outcome:
    message = f"converged after {start.passes} passes"
    if not start.converged:
        message = (
            f"not converged after {start.passes} passes: abilities or items still move; try method 'svi',"
            " an IRT model with fewer parameters, or look for items and models with very few responses"
        )
    return Outcome(np.array(start.trace), start.converged, message)


def _judged(outcome: Outcome, found: Posterior) -> Outcome:
    """Add to the outcome how good the guide was for the items."""
    if not len(found.pareto_k):
        return outcome
    bad = int((found.pareto_k > _BAD_K).sum())
    if not bad:
        return outcome
    note = f"; Pareto k above {_BAD_K} for {bad} of {len(found.pareto_k)} items (see .checks)"
    return Outcome(outcome.elbo, outcome.converged, outcome.message + note)
