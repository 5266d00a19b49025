r"""The penalised maximum with its curvature: where SVI starts, and ``method="laplace"`` by itself.

After a first guess items (a Fisher-scoring step
each, all their parameters at once) and models (likewise) take turns, while the populations of the items
are set by empirical Bayes. The uncertainty of one side enters the steps of the other to second order,

.. math:: E[(y - P)\, x] ≈ (y - \bar P)\, \bar x - \bar w V a,\quad E[x x^⊤] = \bar x \bar x^⊤ + V,

and every pass ends on the scale on which abilities have mean 0 and second moments I (parameter-expanded
EM: Liu, Rubin & Wu 1998, https://doi.org/10.1093/biomet/85.4.755).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from irtbench.irt.factors.cells import Cells
from irtbench.irt.factors.guess import first_abilities
from irtbench.irt.factors.likelihood import linear_predictor

__all__ = ["Start", "find_start"]

_MAX_STEP = 1.0  # no parameter moves further in one step
_PRIOR_ITEMS = 2.0  # items that the prior of a population's spread counts for
_SPREAD = (0.7, 1.5)  # of slopes and intercepts, a priori


@dataclass(frozen=True)
class Start:
    """A penalised maximum.

    Attributes:
        theta: abilities (n_models, D), with ``theta_cov`` (n_models, D, D) given the items.
        items: slopes and intercept (n_items, K), with ``items_cov`` (n_items, K, K) given the abilities.
        mean: means of the populations of items, (G, K), with covariances ``spread`` (G, K, K).
        correlation: of abilities, (D, D): I unless the structure is between items.
        trace: penalised log-likelihood by pass.
        converged: whether abilities moved by less than the tolerance in the last pass.
    """

    theta: Tensor
    theta_cov: Tensor
    items: Tensor
    items_cov: Tensor
    mean: Tensor
    spread: Tensor
    correlation: Tensor
    trace: list[float] = field(default_factory=list)
    converged: bool = False


def find_start(
    cells: Cells,
    *,
    max_passes: int = 100,
    tolerance: float = 0.003,
    report: Callable[[int, float], None] | None = None,
) -> Start:
    """Find the penalised maximum by alternating Fisher scoring.

    Args:
        cells: the responses.
        max_passes: passes after which to stop.
        tolerance: root mean square change of the abilities in a pass, in posterior sds and apart from a
            rotation of all, at which to stop.
        report: called with the pass and the penalised log-likelihood.
    """
    start = _first(cells)
    for number in range(1, max_passes + 1):
        before = start
        start, value = _item_step(start, cells)
        start = _populations(_standardised(_ability_step(start, cells), cells), cells)
        start = replace(start, trace=[*start.trace, value])
        if report is not None:
            report(number, value)
        if number > 3 and _moved(before, start) < tolerance:
            start = replace(start, converged=True)
            break
    return _on_population_axes(start) if cells.structure.own is None else start


def _moved(before: Start, after: Start) -> float:
    """Root mean square change of the abilities in posterior sds, apart from a rotation of all."""
    left, _, right = torch.linalg.svd(before.theta.T @ after.theta)
    away = after.theta - before.theta @ (left @ right)
    root = torch.linalg.cholesky(after.theta_cov)
    return float((torch.linalg.solve_triangular(root, away[..., None], upper=False) ** 2).mean().sqrt())


def _first(cells: Cells) -> Start:
    """Start with no slopes, and a wide population of items."""
    easy = (cells.right.sum(1) + 0.5) / (cells.trials.sum(1) + 1)
    theta = first_abilities(cells, easy)
    d, k, groups = theta.shape[1], cells.structure.n_slopes + 1, int(cells.group.max()) + 1
    items = theta.new_zeros(cells.n_items, k)
    items[:, -1] = torch.logit(easy)
    return Start(
        theta=theta,
        theta_cov=theta.new_zeros(cells.n_models, d, d),
        items=items,
        items_cov=theta.new_zeros(cells.n_items, k, k),
        mean=theta.new_zeros(groups, k),
        spread=torch.diag(theta.new_tensor([*[1.0] * (k - 1), 4.0])).expand(groups, k, k),
        correlation=torch.eye(d, device=theta.device),
    )


def _item_step(start: Start, cells: Cells) -> tuple[Start, float]:
    """One Fisher-scoring step of every item, towards its population."""
    theta, total, measured = start.theta, 0.0, None
    gradient, information = torch.empty_like(start.items), torch.empty_like(start.items_cov)
    for part, dims in cells.chunks():
        if dims != measured:
            measured, (x, moments) = dims, _design(theta[:, dims], start.theta_cov[:, dims, dims])
        value, residual, weight = _residual(theta[:, dims], start.items[part], cells, part)
        total += value
        information[part], spread = _symmetric_sums(weight, moments, x.shape[1])
        gradient[part] = residual @ x - torch.einsum("ijk,ik->ij", spread, start.items[part])
    mean, precision = start.mean[cells.group], torch.linalg.inv(start.spread)[cells.group]
    away = start.items - mean
    pull = torch.einsum("ijk,ik->ij", precision, away)
    found = torch.linalg.inv(information + precision)
    step = torch.einsum("ijk,ik->ij", found, gradient - pull).clamp(-_MAX_STEP, _MAX_STEP)
    prior = torch.linalg.inv(start.correlation)
    penalty = 0.5 * float((away * pull).sum()) + 0.5 * float(((theta @ prior) * theta).sum())
    return replace(start, items=start.items + step, items_cov=found), total - penalty


def _design(theta: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
    """Rows x = (θ, 1), and beside each other the lower triangles of E[x xᵀ] and Cov(x)."""
    x = torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1)
    v = torch.nn.functional.pad(cov, (0, 1, 0, 1))
    return x, torch.cat([_lower(x[:, :, None] * x[:, None, :] + v), _lower(v)], dim=1)


def _ability_step(start: Start, cells: Cells) -> Start:
    """One Fisher-scoring step of every model's abilities, with their normal prior."""
    theta = start.theta
    prior = torch.linalg.inv(start.correlation)
    gradient, information = -theta @ prior, prior.repeat(len(theta), 1, 1)
    for part, dims in cells.chunks():
        items, cov = start.items[part], start.items_cov[part]
        _, residual, weight = _residual(theta[:, dims], items, cells, part)
        a, v = items[:, :-1], cov[:, :-1, :-1]
        moments = torch.cat([_lower(a[:, :, None] * a[:, None, :] + v), _lower(v), cov[:, :-1, -1]], dim=1)
        k = a.shape[1]
        sums = _symmetric_sums(weight.T, moments[:, : k * (k + 1)], k)
        information[:, dims, dims] += sums[0]
        shrink = torch.einsum("mjk,mk->mj", sums[1], theta[:, dims]) + weight.T @ moments[:, k * (k + 1) :]
        gradient[:, dims] += residual.T @ a - shrink
    cov = torch.linalg.inv(information)
    step = torch.einsum("mjk,mk->mj", cov, gradient).clamp(-_MAX_STEP, _MAX_STEP)
    return replace(start, theta=theta + step, theta_cov=cov)


def _residual(theta: Tensor, items: Tensor, cells: Cells, part: slice) -> tuple[float, Tensor, Tensor]:
    """Log-likelihood of a chunk, its derivative by the linear predictor, and the Fisher weights."""
    z = linear_predictor(theta, items)
    p, k, n = torch.sigmoid(z), cells.right[part], cells.trials[part]
    value = float((z * (k - n)).sum() + (n * p.log()).sum())
    expected = n * p
    return value, k - expected, expected * (1 - p)


def _lower(matrices: Tensor) -> Tensor:
    """The lower triangles of symmetric matrices (n, k, k), as (n, k(k + 1)/2)."""
    rows, columns = torch.tril_indices(matrices.shape[-1], matrices.shape[-1], device=matrices.device)
    return matrices[:, rows, columns]


def _symmetric_sums(weight: Tensor, triangles: Tensor, k: int) -> list[Tensor]:
    """Weighted sums of symmetric k × k matrices given by their lower triangles, several side by side."""
    rows, columns = torch.tril_indices(k, k, device=weight.device)
    sums = (weight @ triangles).split(len(rows), dim=1)
    found = []
    for s in sums:
        full = s.new_empty(len(s), k, k)
        full[:, rows, columns] = s
        full[:, columns, rows] = s
        found.append(full)
    return found


def _standardised(start: Start, cells: Cells) -> Start:
    """Move to the scale where abilities have mean 0 and second moments I (or a correlation): P stays."""
    shift = start.theta.mean(0)
    theta = start.theta - shift
    second = (theta[:, :, None] * theta[:, None, :] + start.theta_cov).mean(0)
    between = cells.structure.own is not None
    if between:
        second = torch.diag(second.diagonal())
    value, vector = torch.linalg.eigh(second)
    value = value.clamp_min(1e-6)
    root, inverse = (vector * value**p @ vector.T for p in (0.5, -0.5))
    theta, theta_cov = theta @ inverse, inverse @ start.theta_cov @ inverse
    items = start.items.clone()
    if between:
        own = cells.group
        items[:, 0] = start.items[:, 0] * root.diagonal()[own]
        items[:, 1] += start.items[:, 0] * shift[own]
    else:
        items[:, :-1] = start.items[:, :-1] @ root
        items[:, -1] += start.items[:, :-1] @ shift
    correlation = start.correlation
    if between:
        correlation = (theta[:, :, None] * theta[:, None, :] + theta_cov).mean(0)
    return replace(start, theta=theta, theta_cov=theta_cov, items=items, correlation=correlation)


def _populations(start: Start, cells: Cells) -> Start:
    """Mean and covariance of each population of items: slopes among themselves, intercepts apart."""
    groups, k = start.mean.shape
    member = torch.nn.functional.one_hot(cells.group, groups).to(start.items).T
    count = member.sum(1)[:, None]
    mean = member @ start.items / (count + 0.1)  # means have a weak prior at 0
    away = start.items - mean[cells.group]
    second = (away[:, :, None] * away[:, None, :] + start.items_cov).flatten(1)
    prior = torch.diag(second.new_tensor([*[_SPREAD[0]] * (k - 1), _SPREAD[1]]) ** 2)
    total = (member @ second).reshape(groups, k, k) + _PRIOR_ITEMS * prior
    spread = total / (count[..., None] + _PRIOR_ITEMS)
    apart = torch.ones_like(prior)
    apart[-1, :-1] = apart[:-1, -1] = 0
    return replace(start, mean=mean, spread=spread * apart)


def _on_population_axes(start: Start) -> Start:
    """Rotate to the axes on which the slopes of the population are uncorrelated, widest first."""
    value, axes = torch.linalg.eigh(start.spread[0, :-1, :-1])
    axes = axes[:, value.argsort(descending=True)]
    both = torch.block_diag(axes, axes.new_ones(1, 1))
    return replace(
        start,
        theta=start.theta @ axes,
        theta_cov=axes.T @ start.theta_cov @ axes,
        items=start.items @ both,
        items_cov=both.T @ start.items_cov @ both,
        mean=start.mean @ both,
        spread=both.T @ start.spread @ both,
    )
