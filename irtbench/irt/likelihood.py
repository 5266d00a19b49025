"""The likelihood of all responses: at given abilities, or with the abilities integrated out."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from irtbench.irt.cells import Cells
from irtbench.irt.nodes import Nodes
from irtbench.irt.parameters import ItemParameters, coefficients, powers

__all__ = [
    "log_likelihood",
    "marginal_log_likelihood",
    "marginal_log_likelihood_and_statistics",
    "node_log_posterior",
]


class _Interpolated(torch.autograd.Function):
    """Sum over cells at abilities between the nodes; both gradients come with the value."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, cells: Cells, nodes: Nodes, plain: bool, *etas: Tensor) -> Tensor:
        basis = nodes.basis(theta)
        statistics = cells.to_nodes(basis.float(), powers(theta) if plain else None)
        at_models = cells.to_models(etas, powers(nodes.t) if plain else None)
        ctx.statistics = statistics
        ctx.by_theta = (basis * nodes.differentiate(at_models)).sum(1).to(theta.dtype)
        return (basis * at_models).sum()  # float64: a sum over millions of cells

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        g = grad[0].to(ctx.by_theta.dtype)
        return g * ctx.by_theta, None, None, None, *(g * f for f in ctx.statistics)


class _Marginal(torch.autograd.Function):
    """Sum over models of the log of a sum over nodes; the gradient by EM's expected statistics."""

    @staticmethod
    def forward(ctx: Any, log_weight: Tensor, cells: Cells, line: Tensor | None, *etas: Tensor) -> Tensor:
        joint = cells.to_models(etas, line) + log_weight
        weight = torch.softmax(joint, dim=1)
        ctx.statistics = cells.to_nodes(weight, None if line is None else weight @ line)
        return torch.logsumexp(joint, dim=1).double().sum()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        g = grad[0].float()
        return None, None, None, *(g * f for f in ctx.statistics)


def log_likelihood(theta: Tensor, items: ItemParameters, cells: Cells, nodes: Nodes) -> Tensor:
    """Log-likelihood of all responses (a float64 scalar), differentiable by abilities and items.

    Args:
        theta: abilities (n_models,).
        items: unconstrained item parameters.
        cells: the responses.
        nodes: nodes that cover the abilities.
    """
    etas = coefficients(nodes.t, items)
    return cast(Tensor, _Interpolated.apply(theta, cells, nodes, items.plain, *etas))


def marginal_log_likelihood(
    grid: Tensor, items: ItemParameters, cells: Cells, population: tuple[float, float] = (0.0, 1.0)
) -> Tensor:
    r"""Log-likelihood with every ability integrated out by the trapezoid rule, a scalar.

    .. math:: \sum_m \log \sum_t w_t \prod_i p(y_{mi} | t, x_i)

    Args:
        grid: equally spaced abilities (n_nodes,), closer than any model's posterior sd.
        items: unconstrained item parameters.
        cells: the responses.
        population: mean and sd of the abilities' normal prior.

    References:
        Bock & Aitkin (1981), Marginal maximum likelihood estimation of item parameters,
        https://doi.org/10.1007/BF02293801
    """
    etas, line = coefficients(grid, items), powers(grid) if items.plain else None
    return cast(Tensor, _Marginal.apply(_log_weight(grid, population), cells, line, *etas))


def marginal_log_likelihood_and_statistics(
    grid: Tensor, items: ItemParameters, cells: Cells, population: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, list[Tensor]]:
    """:func:`marginal_log_likelihood`, and the expected statistics that give its gradient."""
    joint = node_log_posterior(grid, items, cells, population)
    total = torch.logsumexp(joint, dim=1, keepdim=True)
    weight = (joint - total).exp_()
    return float(total.double().sum()), cells.to_nodes(weight, weight @ powers(grid) if items.plain else None)


def node_log_posterior(
    grid: Tensor, items: ItemParameters, cells: Cells, population: tuple[float, float] = (0.0, 1.0)
) -> Tensor:
    """Unnormalised log posterior of each model's ability on an equally spaced grid, (n_models, n_nodes)."""
    line = powers(grid) if items.plain else None
    return cells.to_models(coefficients(grid, items), line) + _log_weight(grid, population)


def _log_weight(grid: Tensor, population: tuple[float, float]) -> Tensor:
    centre, spread = population
    return torch.log_softmax(-(((grid - centre) / spread) ** 2) / 2, dim=0).float()
