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

_STEPS, _AT_REST = 8, 0.01  # posterior sds: the evidence is known to their square
_ROUNDING = 1e-5  # of a covariance in float32: that of items that all models get right is 0


def choose_signs(start: Start, problem: Problem, t: Tensor, statistics: list[Tensor]) -> Start:
    """Turn the discrimination of items whose posterior is higher with the other sign."""
    if problem.irt == "1pl" or not problem.priors.negative:
        return start
    gradient_at_zero = _slope_evidence(problem, t, statistics)
    doubtful = gradient_at_zero * start.sign < -_ROUNDING
    if problem.known is not None:
        doubtful &= problem.known[:, 0].isnan()
    other = doubtful.nonzero()[:, 0]
    if not len(other):
        return start
    twice = torch.cat([other, other])  # as they are, and turned
    part = [x[:, twice] for x in statistics]
    own = replace(problem, group=problem.group[twice], known=None)
    trial = _both(start, other)
    for _ in range(_STEPS):
        trial = item_step(trial, own, t, part)
        if float((trial.last_step**2 / torch.diagonal(trial.items_cov, dim1=1, dim2=2)).max()) < _AT_REST**2:
            break
    stay, turn = _evidence(trial, own, t, part).chunk(2)
    prior_odds = torch.log(torch.tensor(problem.priors.negative / (1 - problem.priors.negative)))
    better = turn - stay + prior_odds * start.sign[other] > 0
    best = torch.arange(len(other), device=other.device) + len(other) * better
    items, cov, sign = start.items.clone(), start.items_cov.clone(), start.sign.clone()
    items[other], cov[other], sign[other] = trial.items[best], trial.items_cov[best], trial.sign[best]
    return replace(start, items=items, items_cov=cov, sign=sign)


def _slope_evidence(problem: Problem, t: Tensor, statistics: list[Tensor]) -> Tensor:
    """Mean product of response and ability about their means: the derivative by a slope at 0, per trial."""
    right, trials = right_and_trials(statistics)
    line = powers(t).T
    right = line @ right if problem.line(t) is None else right
    trials = line @ trials
    n = trials[0].clamp_min(1e-6)
    return right[1] / n - trials[1] / n * right[0] / n


def _both(start: Start, index: Tensor) -> Start:
    """Items as they are, then mirrored: the same share right with the other sign."""
    here, sign, cov = start.items[index], start.sign[index], start.items_cov[index]
    there = here.clone()
    there[:, 0] = -there[:, 0]
    there[:, 1] = start.mean[0, 1] - 0.5
    step = start.last_step[index]
    return replace(
        start,
        items=torch.cat([here, there]),
        items_cov=torch.cat([cov, cov]),
        sign=torch.cat([sign, -sign]),
        last_step=torch.cat([step, torch.zeros_like(step)]),
        damping=start.damping.new_ones(2 * len(index)),
    )


def _evidence(start: Start, problem: Problem, t: Tensor, statistics: list[Tensor]) -> Tensor:
    """Laplace approximation of each item's log evidence, given the abilities."""
    items = start.parameters(problem)
    value = sum((f * eta).sum(0) for f, eta in zip(statistics, coefficients(t, items), strict=True))
    mean, precision = prior_terms(start, problem)
    penalty = 0.5 * (precision * (start.items - mean) ** 2).sum(1)
    return torch.as_tensor(value) - penalty + 0.5 * torch.logdet(start.items_cov)
