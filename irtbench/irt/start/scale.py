"""The scale of ability, of which the likelihood says nothing: standard, or that of a bank."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from irtbench.irt.models import Problem
from irtbench.irt.parameters import coefficients
from irtbench.irt.start.state import Start

__all__ = ["standardised"]

_SCALE_TIE = 1.0  # precision of a shift and a stretch onto a bank: for the models of a few responses


def standardised(start: Start, problem: Problem) -> Start:
    """Move to the scale where θ has mean 0 and mean square 1: P does not change.

    In a linked fit the scale is the bank's; the abilities' population is learned instead.
    """
    if problem.known is not None:
        start = _onto_bank(start, problem)
        mean = start.theta.mean()
        spread = float(torch.sqrt(((start.theta - mean) ** 2 + start.theta_sd**2).mean()))
        return replace(start, population=(float(mean), max(spread, 0.1)))
    mean = start.theta.mean()
    theta = start.theta - mean
    scale = torch.sqrt((theta**2 + start.theta_sd**2).mean()).clamp_min(1e-3)
    items = start.items.clone()
    items[:, 0] = (items[:, 0] - mean) / scale
    common = start.common
    if len(common):
        common = torch.stack([common[0] + scale.log(), common[1]])
    else:
        items[:, 1] += scale.log()
    return replace(start, theta=theta / scale, theta_sd=start.theta_sd / scale, items=items, common=common)


def _onto_bank(start: Start, problem: Problem) -> Start:
    """Shift and stretch abilities and new items together to where the bank's items are most probable.

    The new items go along with any scale, so a prior that shrinks every ability would find no resistance
    in them: only the bank's items may say where the abilities lie as a whole.
    """
    if len(start.common):  # one discrimination for all: the new items know the scale as well
        return start
    assert problem.known is not None
    fixed = (~problem.known[:, 0].isnan()).nonzero()[:, 0]
    nodes = start.nodes(problem)
    curves = coefficients(nodes.t, start.parameters(problem).take(fixed))
    first = nodes.differentiate(problem.fixed_cells.to_models(curves, problem.line(nodes.t)))
    second = nodes.differentiate(first)
    x = torch.stack([torch.ones_like(start.theta), start.theta - start.theta.mean()], dim=1).double()
    still = x.new_tensor([0.0, 1.0])
    move = still
    for _ in range(5):
        basis = nodes.basis(start.theta.mean() + x @ move)
        slope, bend = (basis * first).sum(1), (-(basis * second).sum(1)).clamp_min(1e-6)
        gradient = slope @ x - _SCALE_TIE * (move - still)
        newton = torch.linalg.solve((x.T * bend) @ x + _SCALE_TIE * torch.eye(2).to(x), gradient)
        move = (move + newton.clamp(-0.3, 0.3)).clamp(min=still.new_tensor([-9.0, 0.5]))
    stretch = float(move[1])
    shift = float(start.theta.mean()) * (1 - stretch) + float(move[0])
    items = start.items.clone()
    items[:, 0] = shift + stretch * items[:, 0]
    items[:, 1] -= math.log(stretch)
    theta, theta_sd = shift + stretch * start.theta, stretch * start.theta_sd
    return replace(start, theta=theta, theta_sd=theta_sd, items=problem.pinned(items))
