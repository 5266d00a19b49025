r"""The penalised maximum with Laplace scales: where SVI starts, and ``method="laplace"`` by itself.

Language-model matrices are the transpose of classical tests: few models, many items, so θ is nearly
known and the item parameters carry the uncertainty. Block Newton alternates the items (a 2×2 or 3×3
Fisher-scoring step each) with the models (1-D), while the populations of the item parameters are set by
empirical Bayes (Laplace). θ is held at mean 0 and mean square (with its variance) 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from irtbench.irt.likelihood import Counts, ItemParameters, node_log_posterior, score
from irtbench.irt.models import ITEM_SITES
from irtbench.irt.recipes import Population, Priors

__all__ = ["Start", "find_start", "refine_start"]

_LOGIT_START = -2.0
_EM_STEPS = 300
_EM_TOLERANCE = 0.02  # posterior sds: SVI goes on from there
_MAX_STEP = 1.0  # no parameter moves further in one Newton step


@dataclass(frozen=True)
class Start:
    """A penalised maximum.

    Attributes:
        theta: abilities (n_models,), mean 0.
        theta_sd: their Laplace sds, given the items.
        items: (n_items, K) columns difficulty, log discrimination, logit guessing: as many as the model has.
        items_cov: (n_items, K, K) Laplace covariances, given the abilities.
        common: log discrimination of the 1PL and its sd, (2,); empty for the others.
        populations: per column of ``items``: mean and spread.
        last_step: last step of each item, (n_items, K).
        damping: share of the Newton step that each item takes, (n_items,).
        passes: passes over the matrix.
        converged: whether the largest change of an ability fell below the tolerance.
    """

    theta: Tensor
    theta_sd: Tensor
    items: Tensor
    items_cov: Tensor
    common: Tensor
    populations: list[tuple[float, float]]
    last_step: Tensor
    damping: Tensor
    passes: int = 0
    converged: bool = False
    trace: list[float] = field(default_factory=list)


def find_start(
    irt: str,
    priors: Priors,
    counts: Counts,
    *,
    max_passes: int = 100,
    tolerance: float = 0.05,
    report: Callable[[int, float], None] | None = None,
) -> Start:
    """Find the penalised maximum by block Newton.

    Args:
        irt: ``1pl``, ``2pl`` or ``3pl``.
        priors: populations of the item parameters.
        counts: the responses.
        max_passes: passes after which to stop.
        tolerance: largest change of an ability between passes at which to stop, in posterior sds.
        report: called with the pass and the penalised log-likelihood.
    """
    start = _first_guess(irt, priors, counts)
    prior = [getattr(priors, site) for site in ITEM_SITES[irt]]
    for number in range(1, max_passes + 1):
        start, value = _item_step(start, prior, counts, priors.log_discrimination)
        before = start.theta
        start = _standardised(_ability_step(start, counts))
        start = replace(start, populations=_empirical_bayes(start, prior))
        moved = float(((start.theta - before).abs() / start.theta_sd).max())
        if report is not None:
            report(number, value)
        start = replace(start, passes=number, trace=[*start.trace, value])
        if moved < tolerance and number > 3:
            return replace(start, converged=True)
    return start


def refine_start(irt: str, priors: Priors, counts: Counts, start: Start, nodes: Tensor) -> Start:
    """Move a start to the maximum with the abilities integrated out over nodes, by EM.

    The expected counts at the nodes take the models' place, so the items' step is the same. Each step
    ends on the scale where θ has mean 0 and mean square 1 (parameter-expanded EM): a maximum of the
    posterior of items on a free scale would let the scale shrink.

    References:
        Bock & Aitkin (1981), https://doi.org/10.1007/BF02293801; Mislevy (1986), Bayes modal estimation
        in item response models, https://doi.org/10.1007/BF02293979; Liu, Rubin & Wu (1998), Parameter
        expansion to accelerate EM, https://doi.org/10.1093/biomet/85.4.755
    """
    prior = [getattr(priors, site) for site in ITEM_SITES[irt]]
    number = 0
    while number < _EM_STEPS and not (number and start.converged):
        number += 1
        weight = torch.softmax(node_log_posterior(nodes, _parameters(start), counts), dim=1)
        expected = Counts(weight.T @ counts.right, weight.T @ counts.trials)
        moved, _ = _item_step(replace(start, theta=nodes), prior, expected, priors.log_discrimination)
        theta = weight @ nodes
        theta_sd = (weight @ nodes**2 - theta**2).clamp_min(1e-12).sqrt()
        moved = _standardised(replace(moved, theta=theta, theta_sd=theta_sd))
        sd = torch.diagonal(moved.items_cov, dim1=1, dim2=2).sqrt()
        change = float(((moved.items - start.items).abs() / sd).max())
        start = replace(moved, populations=_empirical_bayes(moved, prior), converged=change < _EM_TOLERANCE)
    return replace(start, passes=start.passes + number)


def _first_guess(irt: str, priors: Priors, counts: Counts) -> Start:
    right, trials = counts.right, counts.trials
    share = (right.sum(1) + 0.5) / (trials.sum(1) + 1)
    theta = torch.logit(share)
    theta = (theta - theta.mean()) / theta.std(unbiased=False).clamp_min(1e-3)
    easy = (right.sum(0) + 0.5) / (trials.sum(0) + 1)
    columns = [-torch.logit(easy)]
    if irt != "1pl":
        columns.append(torch.full_like(easy, priors.log_discrimination.mean))
    if irt == "3pl":
        columns.append(torch.full_like(easy, min(priors.logit_guessing.mean, _LOGIT_START)))
    items = torch.stack(columns, dim=1)
    common = right.new_tensor([priors.log_discrimination.mean, 0.1] if irt == "1pl" else [])
    populations = [(float(x.mean()), max(float(x.std()) if len(x) > 1 else 0.0, 0.3)) for x in items.T]
    for k, site in enumerate(ITEM_SITES[irt][1:], start=1):
        prior = getattr(priors, site)
        populations[k] = (prior.mean, prior.spread)
    cov = torch.zeros(*items.shape, items.shape[1], device=items.device)
    ones = torch.ones(len(items), device=items.device)
    return Start(
        theta, torch.zeros_like(theta), items, cov, common, populations, torch.zeros_like(items), ones
    )


def _parameters(start: Start) -> ItemParameters:
    columns = list(start.items.T)
    if len(start.common):
        return ItemParameters(start.common[0].expand(len(start.items)), columns[0])
    return ItemParameters(columns[1], columns[0], columns[2] if len(columns) > 2 else None)


def _item_step(
    start: Start, prior: list[Population], counts: Counts, common: Population
) -> tuple[Start, float]:
    """One Fisher-scoring step of every item (and of the 1PL's common discrimination)."""
    gradient, hessian, value = _item_sums(start, counts)
    mean = start.items.new_tensor([m for m, _ in start.populations])
    precision = start.items.new_tensor([s for _, s in start.populations]) ** -2
    k = start.items.shape[1]
    slope_g, slope_h = gradient[:, 1].sum(), hessian[:, 1, 1].sum() + common.spread**-2
    penalty = 0.5 * (precision * (start.items - mean) ** 2).sum() + 0.5 * (start.theta**2).sum()
    g = gradient[:, :k] - precision * (start.items - mean)
    cov = torch.linalg.inv(hessian[:, :k, :k] + torch.diag(precision))
    newton = torch.einsum("jkl,jl->jk", cov, g)
    # an item whose steps turn back on themselves is overshooting: its next steps are halved
    turned = (newton * start.last_step).sum(1) < 0
    damping = torch.where(turned, 0.5 * start.damping, (1.2 * start.damping).clamp(max=1.0))
    step = (damping[:, None] * newton).clamp(-_MAX_STEP, _MAX_STEP)
    moved = replace(start, items=start.items + step, items_cov=cov, last_step=step, damping=damping)
    if len(start.common):
        move = (slope_g - (start.common[0] - common.mean) * common.spread**-2) / slope_h
        value_of = (start.common[0] + move.clamp(-0.5, 0.5)).reshape(1)
        moved = replace(moved, common=torch.cat([value_of, (slope_h**-0.5).reshape(1)]))
    return moved, float(value - penalty)


def _item_sums(start: Start, counts: Counts) -> tuple[Tensor, Tensor, float]:
    """Gradient (n_items, 3) and Fisher information (n_items, 3, 3) by (b, log a, logit c)."""
    items, theta = _parameters(start), start.theta
    n = len(start.items)
    gradient, hessian = theta.new_zeros(n, 3), theta.new_zeros(n, 3, 3)
    design = torch.stack([torch.ones_like(theta), theta, theta**2])
    a, b = items.log_a.exp(), items.b
    total = 0.0
    for part in counts.chunks():
        value, by_z, by_c, s, p = score(theta, items, counts, part)
        total += float(value)
        aa, bb = a[part], b[part]
        first = design[:2] @ by_z
        gradient[part, 0] = -aa * first[0]
        gradient[part, 1] = aa * (first[1] - bb * first[0])
        trials = counts.trials[:, part]
        if by_c is None or p is None or items.logit_c is None:
            weight = trials * s * (1 - s)
        else:
            c = torch.sigmoid(items.logit_c[part])
            dz, dc = (1 - c) * s * (1 - s), (1 - s) * c * (1 - c)
            spread = trials / (p * (1 - p)).clamp_min(1e-9)
            weight, cross = spread * dz * dz, design[:2] @ (spread * dz * dc)
            gradient[part, 2] = by_c.sum(0)
            hessian[part, 2, 2] = (spread * dc * dc).sum(0)
            hessian[part, 0, 2] = hessian[part, 2, 0] = -aa * cross[0]
            hessian[part, 1, 2] = hessian[part, 2, 1] = aa * (cross[1] - bb * cross[0])
        w = design @ weight
        centred = w[1] - bb * w[0]
        hessian[part, 0, 0] = aa**2 * w[0]
        hessian[part, 0, 1] = hessian[part, 1, 0] = -(aa**2) * centred
        hessian[part, 1, 1] = aa**2 * (w[2] - 2 * bb * w[1] + bb**2 * w[0])
    return gradient, hessian, total


def _ability_step(start: Start, counts: Counts) -> Start:
    """One Fisher-scoring step of every model's ability, with its N(0, 1) prior."""
    items, theta = _parameters(start), start.theta
    a = items.log_a.exp()
    gradient, precision = -theta, torch.ones_like(theta)
    for part in counts.chunks():
        _, by_z, _, s, p = score(theta, items, counts, part)
        trials = counts.trials[:, part]
        if p is None or items.logit_c is None:
            weight = trials * s * (1 - s)
        else:
            dz = (1 - torch.sigmoid(items.logit_c[part])) * s * (1 - s)
            weight = trials * dz * dz / (p * (1 - p)).clamp_min(1e-9)
        gradient = gradient + by_z @ a[part]
        precision = precision + weight @ a[part] ** 2
    step = (gradient / precision).clamp(-_MAX_STEP, _MAX_STEP)
    return replace(start, theta=theta + step, theta_sd=precision**-0.5)


def _standardised(start: Start) -> Start:
    """Move to the scale where θ has mean 0 and mean square 1: P does not change."""
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


def _empirical_bayes(start: Start, prior: list[Population]) -> list[tuple[float, float]]:
    """Mean and spread of each population: maximum a posteriori given means and variances of the items."""
    n = len(start.items)
    found = []
    for k, p in enumerate(prior):
        x, v, (_, spread) = start.items[:, k], start.items_cov[:, k, k], start.populations[k]
        mean = p.mean
        if p.mean_sd:
            mean = float((x.sum() / spread**2 + p.mean / p.mean_sd**2) / (n / spread**2 + p.mean_sd**-2))
        if p.spread_sd:
            # one Newton-like step in log spread: n observations against a log-normal prior
            square = float(((x - mean) ** 2 + v).mean())
            weight = 2 * n / (2 * n + p.spread_sd**-2)
            log_spread = weight * 0.5 * torch.log(torch.tensor(max(square, 1e-6)))
            spread = float(torch.exp(log_spread + (1 - weight) * torch.log(torch.tensor(p.spread))))
        found.append((mean, spread))
    return found
