r"""From the guide to the posterior: what a normal approximation of each item leaves out, put back.

On the nodes of ability the density of an item's parameters is known up to its constant, so draws from the
guide are weighted to it (importance sampling), the populations are brought to the weighted moments (EM)
and averaged over where they stay uncertain, and the tail of the weights says how good the guide was (Pareto
k).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor

from irtbench.irt.mixing import draw_populations
from irtbench.irt.models import Problem
from irtbench.irt.nodes import Nodes
from irtbench.irt.parameters import coefficients
from irtbench.irt.pareto import pareto_k
from irtbench.irt.populations import log_hyperprior, update_populations
from irtbench.irt.posterior import Posterior

__all__ = ["settle_populations", "weigh_items"]

_BUDGET = 2e7  # evaluations of a coefficient
_MOST_DRAWS, _FEWEST_DRAWS = 256, 16  # the fewest times 2 ** K
_FIRST_DRAWS = 64  # that settle the populations before SVI, which goes on from there
_FEW, _MANY = 1500, 4000  # items that settle the populations, before SVI and after it
_AT_ONCE = 2**17  # values held at a time: what stays in cache
_WIDER = 1.2  # proposals' sd by the guide's
_EM_STEPS, _EM_TOLERANCE, _MAX_STRETCH = 20, 3e-3, 8.0
_FIRST_STEPS = 5  # of EM before SVI, which goes on from there
_RIDGE = 1e-4  # of a proposal's variances: a guide that collapsed along a direction still spreads along it
_POOR = 0.15  # effective share of the draws below which an item is drawn again
_ROUNDS = 2
_ABILITY_POINTS = 5  # of a quadrature, exact for polynomials of degree 9 in each ability


def settle_populations(problem: Problem, guide: Posterior, seed: int) -> Posterior:
    """Set the populations to what a sample of the items makes most probable, by weighted draws."""
    sample = _sample(len(guide.items), _FEW, seed).to(guide.items.device)
    own = replace(problem, cells=problem.cells.take(sample), group=problem.group[sample])
    part = guide.take(sample)
    nodes = guide.nodes(problem)
    statistics = own.cells.to_nodes(_expected_basis(nodes, guide), problem.line(guide.theta))
    draws, log_q = _proposals(part, _normal_draws(nodes, part, seed, _FIRST_DRAWS))
    log_lik = _log_likelihood(own, part, nodes, statistics, draws)
    mean, spread = _populations(own, part, draws, log_lik - log_q, _FIRST_STEPS)
    return replace(guide, mean=mean, spread=spread)


def weigh_items(problem: Problem, guide: Posterior, seed: int) -> Posterior:
    """Weight draws of the guide to each item's posterior given the abilities, and the populations' to them.

    Args:
        problem: IRT model, priors and responses.
        guide: normal posteriors.
        seed: seed of the quasi-random draws.

    Returns:
        The posterior with the items' weighted means and covariances, the populations that they make most
        probable, and each item's Pareto k. Where the items leave the populations uncertain, as those of a
        4PL's asymptotes, the weights are averaged over them.

    References:
        Yao, Vehtari, Simpson & Gelman (2018), Yes, but did it work?, https://arxiv.org/abs/1802.02538
    """
    nodes = guide.nodes(problem)
    statistics = problem.cells.to_nodes(_expected_basis(nodes, guide), problem.line(guide.theta))
    normal = _normal_draws(nodes, guide, seed)
    draws, log_q = _proposals(guide, normal)
    log_lik = _log_likelihood(problem, guide, nodes, statistics, draws)
    sample = _sample(len(guide.items), _MANY, seed).to(guide.items.device)
    some = replace(problem, group=problem.group[sample])
    mean, spread = _populations(some, guide, draws[:, sample], (log_lik - log_q)[:, sample])
    at_mode = (log_lik - log_q)[:, sample] + _log_prior(draws[:, sample], mean, spread, some.group)
    populations = draw_populations(some, draws[:, sample], at_mode, mean, spread, seed)
    log_w = _log_weights(draws, log_lik - log_q, populations, problem.group)
    items, cov, share = _moments(draws, log_w)
    found = replace(
        guide, items=items, items_cov=cov, mean=mean, spread=spread, pareto_k=pareto_k(log_w.T.contiguous())
    )
    for _ in range(_ROUNDS):
        poor = (share < _POOR).nonzero()[:, 0]
        if not len(poor):
            break
        found, share = _again(problem, found, populations, nodes, statistics, poor, normal, share)
    return found


def _sample(n_items: int, most: int, seed: int) -> Tensor:
    """Index of enough items to settle the populations: 4,000 know a mean to 1.6 % of a spread."""
    if n_items <= most:
        return torch.arange(n_items)
    rng = torch.Generator().manual_seed(seed)
    return torch.randperm(n_items, generator=rng)[:most].sort().values


def _expected_basis(nodes: Nodes, guide: Posterior) -> Tensor:
    """The nodes' polynomials (n_models, n_nodes), expected over each ability's normal posterior.

    At the posterior means alone, what an item's own responses did to the abilities would count as
    evidence for its discrimination, which comes out too high by about the abilities' variance.
    """
    at, weight = np.polynomial.hermite_e.hermegauss(_ABILITY_POINTS)
    weight = weight / weight.sum()
    found = sum(
        float(w) * nodes.basis(guide.theta + float(x) * guide.theta_sd)
        for x, w in zip(at, weight, strict=True)
    )
    return torch.as_tensor(found).float()


def _populations(
    problem: Problem, guide: Posterior, draws: Tensor, log_w: Tensor, steps: int = _EM_STEPS
) -> tuple[Tensor, Tensor]:
    """The populations at their posterior mode with the items integrated out: EM, extrapolated.

    References:
        Varadhan & Roland (2008), Simple and globally convergent methods for accelerating the convergence
        of any EM algorithm (SQUAREM), https://doi.org/10.1111/j.1467-9469.2007.00585.x
    """
    columns = draws.permute(2, 0, 1).contiguous()
    squares = columns**2

    def em(state: Tensor) -> tuple[Tensor, float]:
        """The next state, and the log posterior of this one."""
        mean, spread = state[0], state[1].exp()
        centre, tie = mean[problem.group].T, (spread**-2)[problem.group].T
        weighted = log_w - (0.5 * tie * centre**2 - 0.5 * tie.log()).sum(0)
        for x, square, m, t in zip(columns, squares, centre, tie, strict=True):
            weighted.addcmul_(square, t, value=-0.5).addcmul_(x, t * m)
        total = torch.logsumexp(weighted, dim=0)
        value = float(total.double().sum()) + log_hyperprior(mean, spread, problem)
        weight = (weighted - total).exp_()
        items = torch.stack([(weight * x).sum(0) for x in columns], dim=1)
        variance = torch.stack([(weight * x).sum(0) for x in squares], dim=1) - items**2
        mean, spread = update_populations(items, variance, mean, spread, problem)
        return torch.stack([mean, spread.log()]), value

    state = torch.stack([guide.mean, guide.spread.log()])
    for _ in range(steps):
        one, _ = em(state)
        two, before = em(one)
        first, second = one - state, two - 2 * one + state
        length = -(first.norm() / second.norm().clamp_min(1e-9)).clamp(1.0, _MAX_STRETCH)
        jump = state - 2 * length * first + length**2 * second
        after, value = em(jump)
        if not value > before:  # the leap went too far: an EM step never does
            after = two
        moved = float((after - state).abs().max())
        state = after
        if moved < _EM_TOLERANCE:
            break
    return state[0], state[1].exp()


def _again(
    problem: Problem,
    found: Posterior,
    populations: list[tuple[Tensor, Tensor]],
    nodes: Nodes,
    statistics: list[Tensor],
    poor: Tensor,
    normal: Tensor,
    share: Tensor,
) -> tuple[Posterior, Tensor]:
    """Draw some items again around what the first draws found."""
    own = replace(problem, group=problem.group[poor])
    part = found.take(poor)
    k = part.items.shape[1]
    floor = 1e-3 * torch.eye(k, device=normal.device)
    part = replace(part, items_cov=1.3 * part.items_cov + floor)
    draws, log_q = _proposals(part, normal[:, poor])
    log_lik = _log_likelihood(own, part, nodes, [x[:, poor] for x in statistics], draws)
    log_w = _log_weights(draws, log_lik - log_q, populations, own.group)
    new_items, new_cov, new_share = _moments(draws, log_w)
    better = new_share > share[poor]
    at = poor[better]
    items, cov, k_hat, share = (x.clone() for x in (found.items, found.items_cov, found.pareto_k, share))
    items[at], cov[at], share[at] = new_items[better], new_cov[better], new_share[better]
    k_hat[at] = pareto_k(log_w.T.contiguous())[better]
    return replace(found, items=items, items_cov=cov, pareto_k=k_hat), share


def _normal_draws(nodes: Nodes, guide: Posterior, seed: int, most: int = _MOST_DRAWS) -> Tensor:
    """Quasi-random standard normal draws (n_draws, n_items, K), as many as the budget allows.

    Each item has a random shift of its own (Cranley & Patterson 1976, https://doi.org/10.1137/0713071): an
    extreme draw that all items shared would carry the populations away.
    """
    n_items, k = guide.items.shape
    n = most
    while n > _FEWEST_DRAWS * 2**k and n * nodes.n * n_items > _BUDGET:
        n //= 2
    uniform = torch.from_numpy(qmc.Sobol(k, rng=seed).random(n)).float()
    shift = torch.rand(n_items, k, generator=torch.Generator().manual_seed(seed))
    shifted = (uniform[:, None] + shift) % 1
    return (2**0.5 * torch.erfinv(2 * shifted.clamp_(1e-6, 1 - 1e-6) - 1)).to(guide.items.device)


def _proposals(guide: Posterior, normal: Tensor) -> tuple[Tensor, Tensor]:
    """Draws (n_draws, n_items, K) of a normal somewhat wider than the guide, and their log density."""
    variance = torch.diagonal(guide.items_cov, dim1=1, dim2=2)
    root = torch.linalg.cholesky(guide.items_cov + torch.diag_embed(_RIDGE * variance)) * _WIDER
    draws = guide.items.expand_as(normal).clone()
    for k in range(normal.shape[2]):
        draws.addcmul_(root[:, :, k], normal[:, :, k : k + 1])
    return draws, -0.5 * (normal**2).sum(2)


def _log_likelihood(
    problem: Problem, guide: Posterior, nodes: Nodes, statistics: list[Tensor], draws: Tensor
) -> Tensor:
    """Log-likelihood of each draw of each item, (n_draws, n_items)."""
    found = draws.new_empty(draws.shape[:2])
    n_draws, n_items, k = draws.shape
    width = min(n_items, max(1, _AT_ONCE // nodes.n))
    together = max(1, _AT_ONCE // (nodes.n * width))
    for first in range(0, n_items, width):
        part = slice(first, first + width)
        gathered = [f[:, None, part] for f in statistics]
        for start in range(0, n_draws, together):
            some = draws[start : start + together, part]
            own = replace(guide, sign=guide.sign[part].repeat(len(some)))
            etas = coefficients(nodes.t, own.parameters(problem, some.reshape(-1, k)))
            found[start : start + together, part] = sum(
                (f * eta.view(len(eta), *some.shape[:2])).sum(0)
                for f, eta in zip(gathered, etas, strict=True)
            )
    return found


def _log_prior(draws: Tensor, mean: Tensor, spread: Tensor, group: Tensor) -> Tensor:
    m, s = mean[group], spread[group]
    return -0.5 * (((draws - m) / s) ** 2).sum(2) - s.log().sum(1)


def _log_weights(
    draws: Tensor, log_ratio: Tensor, populations: list[tuple[Tensor, Tensor]], group: Tensor
) -> Tensor:
    """Log of the draws' weights, those of each pair of means and spreads averaged."""
    each = (log_ratio + _log_prior(draws, mean, spread, group) for mean, spread in populations)
    if len(populations) == 1:
        return next(each)
    return torch.as_tensor(sum(torch.softmax(log_w, dim=0) for log_w in each)).clamp_min(1e-38).log()


def _moments(draws: Tensor, log_w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted means, covariances, and the effective share of the draws."""
    weight = torch.softmax(log_w, dim=0)
    mean = (weight[..., None] * draws).sum(0)
    away = draws - mean
    cov = torch.einsum("sj,sjk,sjl->jkl", weight, away, away)
    return mean, cov, 1 / (weight**2).sum(0) / len(draws)
