"""The maximum with the abilities integrated out: where models outnumber items."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from irtbench.irt.likelihood import node_log_posterior
from irtbench.irt.models import Problem
from irtbench.irt.start.scale import standardised
from irtbench.irt.start.state import Start
from irtbench.irt.start.steps import item_step, population_step

__all__ = ["refine_start"]

_STEPS = 300
_TOLERANCE = 0.02  # posterior sds: SVI goes on from there


def refine_start(problem: Problem, start: Start, grid: Tensor) -> Start:
    """Move a start to the maximum with the abilities integrated out over a grid, by EM.

    The expected statistics on the grid take the models' place, so the items' step is the same. Each step
    ends on the scale where θ has mean 0 and mean square 1 (parameter-expanded EM): a maximum of the
    posterior of items on a free scale would let the scale shrink.

    References:
        Bock & Aitkin (1981), https://doi.org/10.1007/BF02293801; Mislevy (1986), Bayes modal estimation
        in item response models, https://doi.org/10.1007/BF02293979; Liu, Rubin & Wu (1998), Parameter
        expansion to accelerate EM, https://doi.org/10.1093/biomet/85.4.755
    """
    number = 0
    while number < _STEPS and not (number and start.converged):
        number += 1
        joint = node_log_posterior(grid, start.parameters(problem), problem.cells)
        weight = torch.softmax(joint, dim=1)
        theta = weight @ grid
        statistics = problem.cells.to_nodes(weight, problem.line(theta))
        moved = item_step(start, problem, grid, statistics)
        theta_sd = (weight @ grid**2 - theta**2).clamp_min(1e-12).sqrt()
        moved = standardised(replace(moved, theta=theta, theta_sd=theta_sd), problem)
        sd = torch.diagonal(moved.items_cov, dim1=1, dim2=2).sqrt()
        change = float(((moved.items - start.items).abs() / sd).max())
        start = replace(population_step(moved, problem), converged=change < _TOLERANCE)
    return replace(start, passes=start.passes + number)
