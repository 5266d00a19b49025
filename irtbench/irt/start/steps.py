"""Steps towards the penalised maximum: of the items, of the abilities, of the populations."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from irtbench.irt.models import Problem
from irtbench.irt.nodes import Nodes
from irtbench.irt.parameters import coefficients, derivatives
from irtbench.irt.populations import update_populations
from irtbench.irt.start.state import Start, prior_terms

__all__ = ["ability_step", "item_step", "population_step"]

_MAX_STEP = 1.0  # no parameter moves further in one Newton step
_AT_REST = 1e-6  # product of two steps that rounding may turn
_ITEMS_AT_ONCE = 2048
_RIDGE = 1e-5
_BOUNDS = {
    "log_discrimination": (-5.0, math.log(10)),
    "logit_guessing": (-7.0, 3.0),
    "logit_upper_asymptote": (-3.0, 7.0),
}


def item_step(start: Start, problem: Problem, t: Tensor, statistics: list[Tensor]) -> Start:
    """One Fisher-scoring step of every item (and of the 1PL's common discrimination)."""
    gradient, fisher = _item_sums(start, problem, t, statistics)
    of_slope = None
    if len(start.common):  # it is the second column's
        of_slope = gradient[:, 1].sum(), fisher[:, 1, 1].sum()
        keep = [0, *range(2, gradient.shape[1])]
        gradient, fisher = gradient[:, keep], fisher[:, keep][:, :, keep]
    mean, precision = prior_terms(start, problem)
    g = gradient - precision * (start.items - mean)
    cov = _within_prior(_inverse(fisher + torch.diag_embed(precision)), precision)
    newton = (cov @ g[..., None])[..., 0]
    # an item whose steps turn back on themselves is overshooting: its next steps are halved
    turned = (newton * start.last_step).sum(1) < -_AT_REST
    damping = torch.where(turned, 0.5 * start.damping, (1.2 * start.damping).clamp(max=1.0))
    step = (damping[:, None] * newton).clamp(-_MAX_STEP, _MAX_STEP)
    items = problem.pinned(_bounded(start.items + step, problem))
    moved = replace(start, items=items, items_cov=cov, last_step=step, damping=damping)
    if of_slope is not None and problem.known_common is None:
        common = problem.priors.log_discrimination
        slope_g, slope_h = of_slope[0], of_slope[1] + common.spread**-2
        move = (slope_g - (start.common[0] - common.mean) * common.spread**-2) / slope_h
        value = (start.common[0] + move.clamp(-0.5, 0.5)).reshape(1)
        moved = replace(moved, common=torch.cat([value, (slope_h**-0.5).reshape(1)]))
    return moved


def ability_step(start: Start, problem: Problem, nodes: Nodes) -> tuple[Start, float]:
    """Newton steps of every model's ability, with its N(0, 1) prior; and the penalised log-likelihood."""
    curves = coefficients(nodes.t, start.parameters(problem))
    at_models = problem.cells.to_models(curves, problem.line(nodes.t)).double()
    centre, spread = start.population
    value = at_models - 0.5 * ((nodes.t - centre) / spread) ** 2
    first = nodes.differentiate(value)
    second = nodes.differentiate(first)
    theta = start.theta.double()
    for _ in range(3):
        basis = nodes.basis(theta)
        bend = (basis * second).sum(1).clamp(max=-1.0)
        theta = (theta - ((basis * first).sum(1) / bend).clamp(-0.5, 0.5)).clamp(nodes.low, nodes.high)
    basis = nodes.basis(theta)
    bend = (basis * second).sum(1).clamp(max=-1.0)
    total = float((basis * value).sum())
    return replace(start, theta=theta.float(), theta_sd=(-bend).rsqrt().float()), total


def population_step(start: Start, problem: Problem) -> Start:
    """Set the populations to what the items' Laplace posteriors make most probable."""
    variance = torch.diagonal(start.items_cov, dim1=1, dim2=2)
    if problem.known is not None:
        variance = torch.where(problem.known.isnan(), variance, 0.0)
    mean, spread = update_populations(start.items, variance, start.mean, start.spread, problem)
    return replace(start, mean=mean, spread=spread)


def _item_sums(start: Start, problem: Problem, t: Tensor, statistics: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Gradient and information by each item's parameters, a common slope taken as one of them."""
    items = start.parameters(problem)
    if len(start.items) <= _ITEMS_AT_ONCE:
        return derivatives(t, items, statistics)
    gradients, fishers = [], []
    for first in range(0, len(start.items), _ITEMS_AT_ONCE):
        part = slice(first, first + _ITEMS_AT_ONCE)
        g, f = derivatives(t, items.take(part), [x[:, part] for x in statistics])
        gradients.append(g)
        fishers.append(f)
    return torch.cat(gradients), torch.cat(fishers)


def _inverse(matrix: Tensor) -> Tensor:
    """Inverses of small positive definite matrices (n, K, K).

    Statistics that were interpolated in float32 can leave an information that is not quite positive where
    an item's parameters are hardly told apart. A share of 1e-5 is added to its diagonal, and eigenvalues
    that are still not positive are lifted.
    """
    if matrix.shape[1] == 1:
        return 1 / matrix
    exact = matrix.double()
    scale = torch.diagonal(exact, dim1=1, dim2=2).clamp_min(1e-12).rsqrt()
    if matrix.shape[1] == 2:
        left, right = scale.unbind(1)
        diagonal, off = 1 + _RIDGE, (exact[:, 0, 1] * left * right).clamp(-1, 1)
        size = 1 / (diagonal**2 - off**2)
        off = -off * left * right * size
        found = torch.stack([diagonal * left**2 * size, off, off, diagonal * right**2 * size], dim=1)
        return found.to(matrix.dtype).reshape(-1, 2, 2)
    unit = exact * scale[:, :, None] * scale[:, None]
    unit = unit + _RIDGE * torch.eye(matrix.shape[1], device=matrix.device)
    failed = torch.linalg.cholesky_ex(unit).info > 0
    if failed.any():
        value, vector = torch.linalg.eigh(unit[failed])
        unit[failed] = (vector * value.clamp_min(_RIDGE)[:, None]) @ vector.mT
    inverse = torch.linalg.inv(unit) * scale[:, :, None] * scale[:, None]
    return ((inverse + inverse.mT) / 2).to(matrix.dtype)


def _within_prior(cov: Tensor, precision: Tensor) -> Tensor:
    """Covariances whose variances do not exceed the prior's, which responses can only lower.

    Interpolated information that is not positive would say otherwise, and the populations' spreads, which
    are learned from these variances, would run away.
    """
    shrink = (torch.diagonal(cov, dim1=1, dim2=2) * precision).clamp_min(1.0).rsqrt()
    return cov * shrink[:, :, None] * shrink[:, None]


def _bounded(items: Tensor, problem: Problem) -> Tensor:
    """Items that the nodes can follow: no curve steeper, no asymptote nearer to its end than that."""
    items = items.clone()
    for k, site in enumerate(problem.sites):
        if site in _BOUNDS:
            items[:, k].clamp_(*_BOUNDS[site])
    return items
