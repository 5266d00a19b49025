"""The grid of abilities over which θ is integrated out, where many models make it cheap and needful."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from irtbench.irt.likelihood import node_log_posterior
from irtbench.irt.models import Problem
from irtbench.irt.posterior import Posterior
from irtbench.irt.start.state import Start

__all__ = ["choose_grid", "may_integrate", "with_grid_abilities"]

_MOST_NODES, _MOST_WORK = 512, 3e8  # a finer grid, or more multiplications, would cost too much
_FAIRLY_KNOWN, _FEW_MODELS = 30, 2  # items from which abilities are fairly known; models an item


def may_integrate(problem: Problem, method: str) -> bool:
    """Whether θ is integrated out, if a grid of it is affordable."""
    n_models, n_items = problem.cells.shape
    if n_models <= n_items or problem.known is not None or problem.irt == "4pl" or method == "nuts":
        return False
    fairly = n_items >= _FAIRLY_KNOWN and n_models <= _FEW_MODELS * n_items
    return not (method == "svi" and problem.irt in ("1pl", "2pl") and fairly)


def choose_grid(problem: Problem, start: Start, method: str) -> Tensor | None:
    """Abilities to integrate θ over, half a posterior sd apart; None keeps abilities as sites.

    In a classical test (more models than items) θ is uncertain and must be integrated out: a guide that
    factorises over models and items would be overconfident. With many items θ is nearly known, and where
    it is known fairly, SVI's items are better weighted than integrated: their populations' spreads are
    learned from whole posteriors then. So are those of a 4PL: at the mode its populations run to steep
    curves between narrow asymptotes.
    """
    if not may_integrate(problem, method):
        return None
    low, high = start.theta - 6 * start.theta_sd, start.theta + 6 * start.theta_sd
    apart = 0.5 * float(torch.quantile(start.theta_sd, 0.1))
    n = int(float(high.max() - low.min()) / apart) + 2
    if n > _MOST_NODES or n * problem.cells.values.numel() > _MOST_WORK:
        return None
    return torch.linspace(float(low.min()), float(high.max()), n, device=start.theta.device)


def with_grid_abilities(problem: Problem, found: Posterior, grid: Tensor) -> Posterior:
    """Posterior means and sds of the abilities by quadrature, where θ was integrated out."""
    weight = torch.softmax(node_log_posterior(grid, found.parameters(problem), problem.cells).double(), dim=1)
    t = grid.double()
    theta = weight @ t
    theta_sd = (weight @ t**2 - theta**2).clamp_min(1e-12).sqrt()
    return replace(found, theta=theta.float(), theta_sd=theta_sd.float())
