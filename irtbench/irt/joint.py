r"""The joint posterior: covariances of items and abilities, and a few directions that they share.

A fit gives each item's covariance :math:`C_i` with abilities θ and populations φ held, and each ability's
variance :math:`1/D_m` with the items held. The rest follows from the curvature of the joint posterior, a
block arrow: given θ and φ the items are independent, and

.. math:: δx_i = ε_i - C_i \sum_m h_{im}\, δθ_m + C_i Q_i\, δφ,\quad ε_i ∼ N(0, C_i)

with :math:`h_{im}` the Fisher information shared by item i's parameters and :math:`θ_m`, and :math:`Q_i` the
pull of the populations' means and log spreads. As a function of m, h is smooth in ability, so δθ acts on
many items at once through its components :math:`c = Ψ^⊤ δθ` on a few polynomials of θ, whose covariance,
together with that of φ, is the inverse of a matrix of their number.

Everything is told on the scale where the abilities of the calibration models have mean 0 and mean square 1.
There the responses do not know how the abilities lie in their N(0, 1) population, so that c has no component
along a shift or a stretch, and the populations of the items take their place: with M models, those of
difficulties are uncertain by a shift of sd :math:`1/\sqrt M`, and all that is measured on the scale of
abilities by a factor of log sd :math:`1/\sqrt{2M}`, one for all items.

References:
    Giordano, Broderick & Jordan (2018), Covariances, robustness, and variational Bayes,
    https://jmlr.org/papers/v19/17-670.html
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from irtbench.irt.models import Problem
from irtbench.irt.moving import Populations, move_populations
from irtbench.irt.posterior import Posterior
from irtbench.irt.sharing import LEAST, Abilities, share_abilities

__all__ = ["joined_posterior"]

_DIRECTIONS = 8  # that are kept for the items
_FURTHEST = 2.0  # sds that means move along a direction: the fit was near
_WIDEST = 2.5  # of a variance, by that with all else held: first order goes no further
_MOST = 0.999  # share of an item's variance that others may share


def joined_posterior(
    problem: Problem, found: Posterior, *, held: Tensor | None = None, drawn: bool = False
) -> Posterior:
    r"""Complete the covariances of items and abilities, and find the directions that they share.

    .. math:: \operatorname{Cov}(x_i, x_j) ≈ S_i S_j^⊤ (i ≠ j),\quad \operatorname{Cov}(x_i, θ_m) ≈ S_i s_m

    with :math:`S_i` (K, R) in ``items_shared`` and :math:`s_m` (R,) in ``theta_shared``. Items that a bank
    fixes count as known, and so do the populations of a linked fit.

    Args:
        problem: IRT model, priors and responses.
        found: moments of items and abilities: the items' covariances with abilities and populations held,
            the abilities' variances with the items held.
        held: covariances of an item with the others and the populations held, but the abilities integrated
            out (n_items, K, K), where a fit gives these.
        drawn: all variances are those of draws from the joint posterior, and stay as they are.
    """
    one_block = held is not None and not torch.allclose(held, found.items_cov, rtol=1e-3)
    cov = (found.items_cov if held is None else held).double()
    if problem.known is not None:
        cov = cov * problem.known[:, 0].isnan()[:, None, None]
    cov, alone, abilities, slope = share_abilities(problem, found, cov, drawn or held is not None)
    populations = move_populations(problem, found, cov, slope)
    precision = _precision(abilities, populations)
    root = _root(precision)
    response = torch.cat([-cov @ abilities.loading, populations.response], dim=2)
    to_items = response @ root
    n_components = abilities.spread.shape[1]
    moved = torch.zeros(len(precision)).to(precision)
    fixed = not problem.priors.difficulty.mean_sd and not problem.priors.log_discrimination.mean_sd
    if problem.known is None and fixed and not drawn and not one_block:
        moved = _towards_scale(precision, populations.gradient, n_components)
    to_theta = abilities.spread @ root[:n_components]
    added = alone + to_items @ to_items.mT
    most = (_WIDEST - 1) * torch.diagonal(cov, dim1=1, dim2=2)
    share = (most / torch.diagonal(added, dim1=1, dim2=2).clamp_min(1e-12)).amin(1).clamp(0, 1)
    total = cov + share[:, None, None] * added
    to_items = share.sqrt()[:, None, None] * to_items
    if drawn or one_block:
        total = found.items_cov.double()
        to_items = _within(total, to_items)
    scale = torch.diagonal(total, dim1=1, dim2=2).clamp_min(1e-12).sqrt()
    scaled = (to_items / scale[..., None]).reshape(-1, root.shape[1])
    turn = torch.linalg.eigh(scaled.T @ scaled)[1].flip(1)[:, :_DIRECTIONS]
    most = _WIDEST * found.theta_sd.double() ** 2
    to_theta = to_theta * (0.5 * most / (to_theta**2).sum(1).clamp_min(1e-12)).clamp(max=1).sqrt()[:, None]
    variance = torch.minimum(abilities.rest, 0.5 * most) + (to_theta**2).sum(1)
    common = found.common
    common_shared = found.theta.new_zeros(turn.shape[1] if len(common) else 0)  # an older bank's is known
    if populations.slope is not None:
        common, common_shared = _slope(found, populations.slope[0] @ root[n_components:], turn, drawn)
    to_items, to_theta = to_items @ turn, to_theta @ turn
    if populations.slope is not None:  # what is left of its uncertainty is shared by all items as well
        to_items = torch.nn.functional.pad(to_items, (0, 1))
        to_theta = torch.nn.functional.pad(to_theta, (0, 1))
    if problem.known is not None:
        total = torch.where(problem.known[:, 0].isnan()[:, None, None], total, found.items_cov.double())
    like = found.items
    return replace(
        found,
        theta=found.theta + (abilities.spread @ moved[:n_components]).to(like),
        items=found.items + (response @ moved).to(like),
        items_cov=total.to(like),
        theta_sd=found.theta_sd if drawn else variance.sqrt().to(like),
        common=common,
        items_shared=to_items.to(like),
        theta_shared=to_theta.to(like),
        common_shared=common_shared,
    )


def _slope(found: Posterior, loading: Tensor, turn: Tensor, drawn: bool) -> tuple[Tensor, Tensor]:
    """Mean and sd of the 1PL's log discrimination, and its loadings (R + 1,)."""
    sd = found.common[1].double() if drawn else loading.norm()
    shared = loading @ turn * (sd / loading.norm()).clamp(max=1)
    left = (sd**2 - shared @ shared).clamp_min(0).sqrt()
    return torch.stack([found.common[0], sd.to(found.common)]), torch.cat([shared, left[None]]).to(
        found.common
    )


def _precision(abilities: Abilities, populations: Populations) -> Tensor:
    """Joint precision of c and ξ, the items integrated out."""
    cross = torch.einsum("ikr,ikq->rq", abilities.loading, populations.response)
    if populations.slope is not None:
        row, load = populations.slope
        cross = cross + load[:, None] * row
    root = populations.root
    own = torch.eye(root.shape[1]).to(root) + root.T @ populations.information @ root
    return torch.cat([torch.cat([abilities.precision, cross], 1), torch.cat([cross.T, own], 1)])


def _root(precision: Tensor) -> Tensor:
    """Factor of the inverse of a precision."""
    scale = torch.diagonal(precision).clamp_min(1e-6).rsqrt()
    value, vector = torch.linalg.eigh(precision * scale[:, None] * scale)
    return scale[:, None] * vector * value.clamp_min(LEAST**2).rsqrt()


def _towards_scale(precision: Tensor, gradient: Tensor, n_components: int) -> Tensor:
    """Newton step of the means along shift and stretch of the abilities, and of c with them.

    Populations that are learned take these up; those that a recipe fixes are fixed on the scale of the
    N(0, 1) population, from which that of the models at hand is a little away.
    """
    n = len(precision)
    at = torch.cat([torch.arange(n_components), torch.arange(n - 2, n)]).to(precision.device)
    root = _root(precision[at][:, at])
    pull = torch.cat([torch.zeros(n_components).to(gradient), gradient[-2:]])
    step = torch.zeros(n).to(precision)
    step[at] = root @ (root.T @ pull).clamp(-_FURTHEST, _FURTHEST)
    return step


def _within(total: Tensor, part: Tensor) -> Tensor:
    """Shared factors (n, K, R) shrunk so that no item shares more than it has."""
    value, vector = torch.linalg.eigh(total)
    value = value.clamp_min(1e-12)
    root = vector * value.sqrt()[:, None]
    white = (vector / value.sqrt()[:, None]).mT @ part
    size, axes = torch.linalg.eigh(white @ white.mT)
    shrink = (_MOST / size.clamp_min(_MOST)).sqrt()
    return root @ (axes * shrink[:, None]) @ axes.mT @ white
