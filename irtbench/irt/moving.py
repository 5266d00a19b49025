r"""The populations' part of the joint posterior: how their means and log spreads, and a 1PL's slope, move.

See :mod:`irtbench.irt.joint`; which populations move is said in :mod:`irtbench.irt.populations`. The items
are integrated out, as in empirical Bayes: what they say of their populations is the information of complete
items less the variance of its gradient.

References:
    Louis (1982), Finding the observed information matrix when using the EM algorithm,
    https://doi.org/10.1111/j.2517-6161.1982.tb01203.x
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from irtbench.irt.models import Problem
from irtbench.irt.parameters import derivatives
from irtbench.irt.populations import moves
from irtbench.irt.posterior import Posterior

__all__ = ["Populations", "move_populations"]


@dataclass(frozen=True)
class Populations:
    """How the populations and the 1PL's slope move: δφ = root ξ with ξ ~ N(0, 1) before the responses.

    Attributes:
        root: (P, q).
        information: of φ in the items, (P, P).
        gradient: of the log posterior by ξ, (q,).
        response: of each item to ξ, (n, K, q).
        slope: row of root of the common slope (q,), and its loading on c (r,); None without one.
    """

    root: Tensor
    information: Tensor
    gradient: Tensor
    response: Tensor
    slope: tuple[Tensor, Tensor] | None = None


def move_populations(problem: Problem, found: Posterior, cov: Tensor, slope: Tensor | None) -> Populations:
    """How the populations move, and the items with them.

    Args:
        problem: IRT model, priors and responses; in a linked fit nothing moves.
        found: items and populations.
        cov: covariances of the items with abilities and populations held, (n_items, K, K).
        slope: what the 1PL's slope shares with the abilities' components, (r,); None without one.
    """
    n, k = found.items.shape
    if problem.known is not None:
        empty = cov.new_empty(0, 0)
        return Populations(empty, empty, empty[0:0].flatten(), cov.new_empty(n, k, 0))
    root = _population_root(problem, found, slope is not None)
    mean, spread = (x.double()[problem.group] for x in (found.mean, found.spread))
    away, tie = found.items.double() - mean, spread**-2
    information = _information(problem, away, tie, cov)
    gradient = _gradient(problem, found, away, tie, cov, root)
    # the pull of each item's population, its means and its log spreads, on the item: (n, K, 2K)
    pull = torch.cat([torch.diag_embed(tie), torch.diag_embed(2 * away * tie)], dim=2)
    own = root[: 2 * k * problem.n_groups].reshape(problem.n_groups, 2 * k, -1)[problem.group]
    if slope is None:
        return Populations(root, information, gradient, cov @ (pull @ own))
    fisher = _fisher(problem, found)
    keep = [0, *range(2, fisher.shape[1])]
    by_slope = -fisher[:, keep, 1]
    beside = torch.einsum("ik,ikl,ilp->ip", by_slope, cov, pull)
    beside = torch.zeros(problem.n_groups, 2 * k).to(cov).index_add_(0, problem.group, beside).flatten()
    rest = fisher[:, 1, 1].sum() - torch.einsum("ik,ikl,il->", by_slope, cov, by_slope)
    information = torch.block_diag(information, rest)
    information[-1, :-1] = information[:-1, -1] = -beside
    response = cov @ (pull @ own + by_slope[..., None] * root[-1])
    return Populations(root, information, gradient, response, (root[-1], slope))


def _population_root(problem: Problem, found: Posterior, with_slope: bool) -> Tensor:
    """Factor of the prior covariance of the populations on the abilities' own scale, (P, q).

    Rows are the groups' means and log spreads, then the 1PL's slope; columns what is learned of them, each
    by itself, then shift and stretch of the abilities.
    """
    m, groups = len(found.theta), problem.n_groups
    sds = _prior_sds(problem)
    k = len(problem.sites)
    moved = torch.zeros(groups, 2 * k, 2, dtype=torch.float64)
    for column, site in enumerate(problem.sites):
        if site == "difficulty":
            centre = (found.mean[:, column] - found.theta.mean()).double().cpu()
            moved[:, column, 0] = -1
            moved[:, column, 1] = -centre
            moved[:, k + column, 1] = -1
        elif site == "log_discrimination":
            moved[:, column, 1] = 1
    rows = moved.reshape(-1, 2)
    if with_slope:
        spread = torch.tensor([problem.priors.log_discrimination.spread], dtype=torch.float64)
        sds, rows = torch.cat([sds, spread]), torch.cat([rows, torch.tensor([[0.0, 1.0]]).double()])
    rows = rows * torch.tensor([m**-0.5, (2 * m) ** -0.5], dtype=torch.float64)
    return torch.cat([torch.diag(sds)[:, sds > 0], rows], dim=1).to(found.items.device)


def _prior_sds(problem: Problem) -> Tensor:
    """Prior sds of the groups' means and log spreads (P,), 0 of those that stay."""
    priors = list(zip(moves(problem), problem.population, strict=True))
    own = [x * p.mean_sd for x, p in priors] + [x * p.spread_sd for x, p in priors]
    return torch.tensor(own, dtype=torch.float64).repeat(problem.n_groups)


def _information(problem: Problem, away: Tensor, tie: Tensor, cov: Tensor) -> Tensor:
    """Information about means and log spreads with the items integrated out (Louis), (P, P)."""
    both = cov * tie[:, :, None] * tie[:, None]
    means = torch.diag_embed(tie) - both
    mixed = 2 * (torch.diag_embed(away * tie) - away[:, None] * both)
    variance = torch.diagonal(cov, dim1=1, dim2=2)
    spreads = 2 * torch.diag_embed((away**2 + variance) * tie)
    spreads = spreads - (2 * cov + 4 * away[:, :, None] * away[:, None]) * both
    whole = torch.cat([torch.cat([means, mixed], dim=2), torch.cat([mixed.mT, spreads], dim=2)], dim=1)
    groups = torch.zeros(problem.n_groups, *whole.shape[1:]).to(whole).index_add_(0, problem.group, whole)
    return torch.block_diag(*groups)


def _gradient(
    problem: Problem, found: Posterior, away: Tensor, tie: Tensor, cov: Tensor, root: Tensor
) -> Tensor:
    """Gradient of the log posterior by ξ, (q,): what the items want, less what the priors hold."""
    variance = torch.diagonal(cov, dim1=1, dim2=2)
    wanted = torch.cat([away * tie, (away**2 + variance) * tie - 1], dim=1)
    total = torch.zeros(problem.n_groups, wanted.shape[1]).to(wanted).index_add_(0, problem.group, wanted)
    total = total.flatten()
    priors = problem.population
    centre = [p.mean for p in priors] + [math.log(p.spread) for p in priors]
    at = torch.cat([found.mean, found.spread.log()], dim=1).double()
    held = (at - torch.tensor(centre).to(at)).flatten()
    scale = _prior_sds(problem).to(at)
    if len(root) > len(total):
        prior = problem.priors.log_discrimination
        off = (found.common[:1].double() - prior.mean) / prior.spread**2
        total = torch.cat([total, off])  # the slope is where its likelihood and its prior agree
        held, scale = (
            torch.cat([held, off * prior.spread**2]),
            torch.cat([scale, off.new_tensor([prior.spread])]),
        )
    learned = scale > 0
    theta, m = found.theta.double(), len(found.theta)
    shift = theta.mean()
    stretch = ((theta - shift) ** 2 + found.theta_sd.double() ** 2).mean().sqrt()
    moved = torch.stack([shift * m**0.5, stretch.log() * (2 * m) ** 0.5])
    return root.T @ total - torch.cat([held[learned] / scale[learned], moved])


def _fisher(problem: Problem, found: Posterior) -> Tensor:
    """Fisher information of each item's parameters and the 1PL's slope, (n, K + 1, K + 1)."""
    nodes = found.nodes_of_means(problem)
    statistics = problem.cells.to_nodes(nodes.basis(found.theta).float(), problem.line(found.theta))
    return derivatives(nodes.t, found.parameters(problem), statistics)[1].double()
