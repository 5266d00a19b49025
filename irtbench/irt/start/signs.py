"""Signs of the discriminations: items that abler models fail."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from irtbench.irt.cells import right_and_trials
from irtbench.irt.models import Problem
from irtbench.irt.parameters import coefficients, powers
from irtbench.irt.start.state import Start, prior_terms
from irtbench.irt.start.steps import item_step

__all__ = ["choose_signs"]


def choose_signs(start: Start, problem: Problem, t: Tensor, statistics: list[Tensor]) -> Start:
    """Turn the discrimination of items whose posterior is higher with the other sign."""
    if problem.irt == "1pl" or not problem.priors.negative:
        return start
    gradient_at_zero = _slope_evidence(problem, t, statistics)
    doubtful = gradient_at_zero * start.sign < 0
    if problem.known is not None:
        doubtful &= problem.known[:, 0].isnan()
    other = doubtful.nonzero()[:, 0]
    if not len(other):
        return start
    part = [x[:, other] for x in statistics]
    own = replace(problem, group=problem.group[other], known=None)
    here = _sub(start, other)
    there = replace(here, sign=-here.sign, items=_away(here), last_step=torch.zeros_like(here.items))
    values = []
    for trial in (here, there):
        for _ in range(8):
            trial = item_step(trial, own, t, part)
        values.append((trial, _evidence(trial, own, t, part)))
    (here, stay), (there, turn) = values
    prior_odds = torch.log(torch.tensor(problem.priors.negative / (1 - problem.priors.negative)))
    better = turn - stay + prior_odds * here.sign > 0
    pick = [
        torch.where(better.reshape(-1, *[1] * (x.dim() - 1)), y, x)
        for x, y in zip(
            (here.items, here.items_cov, here.sign), (there.items, there.items_cov, there.sign), strict=True
        )
    ]
    items, cov, sign = start.items.clone(), start.items_cov.clone(), start.sign.clone()
    items[other], cov[other], sign[other] = pick
    return replace(start, items=items, items_cov=cov, sign=sign)


def _slope_evidence(problem: Problem, t: Tensor, statistics: list[Tensor]) -> Tensor:
    """Covariance of response and ability: the derivative of the likelihood by a slope of 0."""
    right, trials = right_and_trials(statistics)
    line = powers(t).T
    right = line @ right if problem.line(t) is None else right
    trials = line @ trials
    return right[1] - trials[1] * right[0] / trials[0].clamp_min(1e-6)


def _away(start: Start) -> Tensor:
    """Items mirrored: the same share right with the other sign."""
    items = start.items.clone()
    items[:, 0] = -items[:, 0]
    items[:, 1] = start.mean[0, 1] - 0.5
    return items


def _sub(start: Start, index: Tensor) -> Start:
    return replace(
        start,
        items=start.items[index],
        items_cov=start.items_cov[index],
        sign=start.sign[index],
        last_step=start.last_step[index],
        damping=torch.ones_like(start.damping[index]),
    )


def _evidence(start: Start, problem: Problem, t: Tensor, statistics: list[Tensor]) -> Tensor:
    """Laplace approximation of each item's log evidence, given the abilities."""
    items = start.parameters(problem)
    value = sum((f * eta).sum(0) for f, eta in zip(statistics, coefficients(t, items), strict=True))
    mean, precision = prior_terms(start, problem)
    penalty = 0.5 * (precision * (start.items - mean) ** 2).sum(1)
    return torch.as_tensor(value) - penalty + 0.5 * torch.logdet(start.items_cov)
