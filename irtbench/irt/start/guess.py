"""The first guess: abilities from the scores, difficulties from the shares right."""

from __future__ import annotations

import torch

from irtbench.irt.cells import right_and_trials
from irtbench.irt.models import Problem
from irtbench.irt.start.state import Start

__all__ = ["first_guess"]

_LOGIT_START = -2.0


def first_guess(problem: Problem) -> Start:
    """Start from the scores of models and items, without slopes of their own."""
    of_models, of_items = problem.cells.totals()
    right, trials = right_and_trials(of_models)
    share = (right + 0.5) / (trials + 1)
    theta = torch.logit(share)
    theta = (theta - theta.mean()) / theta.std(unbiased=False).clamp_min(1e-3)
    k, n = right_and_trials(of_items)
    easy = (k + 0.5) / (n + 1)
    columns = []
    for site, prior in zip(problem.sites, problem.population, strict=True):
        value = prior.mean if site != "logit_guessing" else min(prior.mean, _LOGIT_START)
        columns.append(-torch.logit(easy) if site == "difficulty" else torch.full_like(easy, value))
    items = problem.pinned(torch.stack(columns, dim=1))
    slope = problem.priors.log_discrimination.mean
    if problem.known_common is not None:
        slope = problem.known_common
    sign = torch.ones_like(easy) if problem.known_sign is None else problem.known_sign
    common = items.new_tensor([slope, 0.1] if problem.irt == "1pl" else [])
    prior_mean = items.new_tensor([p.mean for p in problem.population])
    spread = items.new_tensor([p.spread for p in problem.population])
    prior_mean[0] = items[:, 0].mean()
    spread[0] = max(float(items[:, 0].std(unbiased=False)), 0.3)
    shape = (problem.n_groups, items.shape[1])
    return Start(
        theta,
        (trials * share * (1 - share) + 1).rsqrt(),
        items,
        torch.zeros(*items.shape, items.shape[1], device=items.device),
        sign,
        common,
        prior_mean.expand(shape),
        spread.expand(shape),
        torch.zeros_like(items),
        torch.ones_like(easy),
    )
