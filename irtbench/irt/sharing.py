r"""The abilities' part of the joint posterior: how they move, and what items share by them.

See :mod:`irtbench.irt.joint`. As a function of ability, the information that an item shares with it is known
from its values at the nodes, so that all sums over responses are products of their trials with what stands
at the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from irtbench.irt.cells import Cells
from irtbench.irt.models import Problem
from irtbench.irt.parameters import shared_information
from irtbench.irt.posterior import Posterior

__all__ = ["LEAST", "Abilities", "share_abilities"]

LEAST = 0.05  # share of its own precision that a direction keeps, and of its variance an ability
_POLYNOMIALS = 8
_ITEMS_AT_ONCE = 2048  # what stays in cache


@dataclass(frozen=True)
class Abilities:
    r"""How the abilities move: :math:`δθ = T c + r`, with c and r independent.

    Attributes:
        precision: of the active components c, from the models' own responses and the items', (r, r).
        spread: T, (n_models, r).
        rest: variances of the residuals r, (n_models,).
        loading: ℓ with :math:`\sum_m h_{im} δθ_m = ℓ_i c`, plus what no other item shares, (n, K, r).
    """

    precision: Tensor
    spread: Tensor
    rest: Tensor
    loading: Tensor


def share_abilities(
    problem: Problem, found: Posterior, cov: Tensor, integrated: bool
) -> tuple[Tensor, Tensor, Abilities, Tensor | None]:
    """How the abilities' uncertainty is shared with the items.

    Args:
        problem: IRT model, priors and responses.
        found: moments of items and abilities.
        cov: covariances of the items with the populations held, and the abilities (n_items, K, K).
        integrated: in ``cov`` the abilities are integrated out instead, and their variances are whole.

    Returns:
        The items' covariances with the abilities held, what the abilities add to one item alone (both
        n_items, K, K), how the abilities move, and what the 1PL's slope shares with their components (r,).
    """
    nodes = found.nodes_of_means(problem)
    basis = nodes.basis(found.theta)
    shared = _shared(problem, found, nodes.t)
    slope = shared.pop(1) if len(found.common) else None
    repeats = _repeats(problem.cells)
    variance = found.theta_sd.double() ** 2
    if not integrated:
        both = torch.cat([-shared[0], _pull(shared, cov, repeats)])
        information, pull = problem.cells.trials_to_models(both).chunk(2, dim=1)
        variance = _variance(found, (basis * information).sum(1), variance)
    trials = problem.cells.trials_to_nodes((basis * variance[:, None]).float())
    psi, at_nodes = _polynomials(found.theta.double(), nodes.t)
    middle, loading = _over_models(shared, trials, at_nodes, repeats)
    if integrated:
        eye = torch.eye(cov.shape[1]).to(cov)
        cov = torch.linalg.solve(eye + cov @ middle, cov)
        cov = (cov + cov.mT) / 2
        pull = problem.cells.trials_to_models(_pull(shared, cov, repeats))
    own = (psi * variance[:, None]).T @ psi
    inverse = torch.linalg.inv(own)
    loading = loading @ inverse
    pulled = cov @ loading
    by_items = torch.einsum("ikr,iks->rs", loading, pulled)
    alone = cov @ _positive(middle - loading @ own @ loading.mT) @ cov
    at_models = (basis * pull).sum(1) - ((psi @ by_items) * psi).sum(1)
    to_theta = variance[:, None] * (psi @ inverse)
    rest = variance - ((to_theta @ own) * to_theta).sum(1) + variance**2 * at_models.clamp_min(0)
    free = slice(2 if problem.known is None else 0, None)
    abilities = Abilities(
        (inverse - by_items)[free, free],
        to_theta[:, free],
        torch.maximum(rest, LEAST * variance),
        loading[..., free],
    )
    if slope is not None:
        slope = (((trials * slope).sum(1).double() @ at_nodes) @ inverse)[free]
    return cov, alone, abilities, slope


def _parts(n_items: int) -> Iterator[slice]:
    """Slices of items that are worked on at a time: what stays in cache."""
    for start in range(0, n_items, _ITEMS_AT_ONCE):
        yield slice(start, start + _ITEMS_AT_ONCE)


def _shared(problem: Problem, found: Posterior, t: Tensor) -> list[Tensor]:
    """Fisher information that ability shares with each item parameter, each (n_nodes, n_items)."""
    items = found.parameters(problem)
    each = [shared_information(t, items.take(part)) for part in _parts(len(found.items))]
    return [torch.cat(x, dim=1) for x in zip(*each, strict=True)]


def _pull(shared: list[Tensor], cov: Tensor, repeats: float) -> Tensor:
    """Variance h' C h of the pull of an uncertain item on an ability, (n_nodes, n_items) float32."""
    found = torch.empty_like(shared[0])
    for part in _parts(len(cov)):
        h, c = [x[:, part].double() for x in shared], repeats * cov[part]
        pulled = [sum(c[:, i, j] * x for j, x in enumerate(h)) for i in range(len(h))]
        found[:, part] = sum(x * y for x, y in zip(h, pulled, strict=True))
    return found


def _variance(found: Posterior, information: Tensor, guide: Tensor) -> Tensor:
    """Variances of the abilities with the items held at their means, where the responses have information.

    A guide that factorises has the information expected over the items instead, which is higher the less
    the items are known.
    """
    precision = found.population[1] ** -2 + information.clamp_min(0)
    return (1 / precision).clamp(min=0.5 * guide, max=2 * guide)


def _over_models(
    shared: list[Tensor], trials: Tensor, at_nodes: Tensor, repeats: float
) -> tuple[Tensor, Tensor]:
    """Sums over models of s² h h', (n, K, K), and of s² h ψ', (n, K, r)."""
    k, n = len(shared), trials.shape[1]
    middle, bound = (at_nodes.new_empty(n, k, k) for _ in range(2))
    loading = at_nodes.new_empty(n, k, at_nodes.shape[1])
    for part in _parts(n):
        weight, h = trials[:, part].double(), [x[:, part].double() for x in shared]
        for i in range(k):
            loading[part, i] = (at_nodes.T @ (weight * h[i])).T
            for j in range(i + 1):
                both = repeats * h[i] * h[j]
                middle[part, i, j] = middle[part, j, i] = (weight * both).sum(0)
                bound[part, i, j] = bound[part, j, i] = (weight.clamp_min(0) * both).sum(0)
    # items too steep for the nodes: weights below 0 left out, which gives too much rather than nonsense
    diagonal = torch.diag_embed(torch.diagonal(bound, dim1=1, dim2=2))
    bad = torch.linalg.cholesky_ex(middle + 1e-3 * diagonal)[1]
    return torch.where(bad[:, None, None] > 0, bound, middle), loading


def _positive(matrix: Tensor) -> Tensor:
    """Matrices (n, K, K), those that rounding left not positive without what is outside their diagonal."""
    diagonal = torch.diag_embed(torch.diagonal(matrix, dim1=1, dim2=2).clamp_min(0))
    bad = torch.linalg.cholesky_ex(matrix + 1e-6 * diagonal)[1]
    return torch.where(bad[:, None, None] > 0, diagonal, matrix)


def _polynomials(theta: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal polynomials of ability, 1 and θ first: at the models (n_models, r), and at nodes."""
    n = max(2, min(_POLYNOMIALS, len(theta) // 2))
    centre = theta.mean()
    width = (theta - centre).abs().max().clamp_min(1e-3)
    order = torch.arange(n).to(theta)

    def powers(at: Tensor) -> Tensor:
        x = (at - centre) / width
        inside = torch.cos(order * torch.arccos(x.clamp(-1, 1))[:, None])
        away = torch.cosh(order * torch.arccosh(x.abs().clamp_min(1))[:, None]) * x.sign()[:, None] ** order
        return torch.where(x.abs()[:, None] > 1, away, inside)

    q, r = torch.linalg.qr(powers(theta))
    size = torch.diagonal(r).abs()
    n = max(1, int((size > 1e-3 * size[0]).long().cumprod(0).sum()))  # fewer where abilities coincide
    r = r[:n, :n]
    return q[:, :n], torch.linalg.solve_triangular(r, powers(t)[:, :n], upper=True, left=False)


def _repeats(cells: Cells) -> float:
    """Trials of a response, seen from a trial: their number where all responses have the same."""
    if cells.trials is None:
        return 1.0
    n = cells.trials.double()
    return float((n**2).sum() / n.sum())
