"""The IRT models in Pyro: these few lines define the posterior that every fit approximates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pyro
import pyro.distributions as dist
from torch import Tensor

from irtbench.irt.likelihood import Counts, ItemParameters, log_likelihood, marginal_log_likelihood
from irtbench.irt.recipes import Population, Priors

__all__ = ["ITEM_SITES", "irt_model"]

# The sites that an item's parameters come from, in the guide's order.
ITEM_SITES = {
    "1pl": ("difficulty",),
    "2pl": ("difficulty", "log_discrimination"),
    "3pl": ("difficulty", "log_discrimination", "logit_guessing"),
}


def irt_model(irt: str, priors: Priors, counts: Counts, nodes: Tensor | None = None) -> Callable[[], None]:
    """Return the Pyro model: θ ~ N(0, 1), items from their populations, responses by the likelihood.

    Args:
        irt: ``1pl``, ``2pl`` or ``3pl``.
        priors: populations of the item parameters.
        counts: the responses.
        nodes: abilities to integrate θ over; None keeps θ as a site, ``ability``. The posterior of the
            items is the same.
    """
    n_models, n_items = counts.right.shape
    like = counts.right

    def model() -> None:
        if nodes is None:
            theta = pyro.sample("ability", _normal(like, 0.0, 1.0).expand([n_models]).to_event(1))
        items = _ITEMS[irt](priors, n_items, like)
        if nodes is None:
            pyro.factor("responses", log_likelihood(theta, items, counts))
        else:
            pyro.factor("responses", marginal_log_likelihood(nodes, items, counts))

    return model


def _one_pl(priors: Priors, n: int, like: Tensor) -> ItemParameters:
    """P = σ(a(θ - b)), one a for all items."""
    b = _population("difficulty", priors.difficulty, n, like)
    common = priors.log_discrimination
    log_a = pyro.sample("log_discrimination", _normal(like, common.mean, common.spread))
    return ItemParameters(log_a, b)


def _two_pl(priors: Priors, n: int, like: Tensor) -> ItemParameters:
    """P = σ(a(θ - b))."""
    b = _population("difficulty", priors.difficulty, n, like)
    log_a = _population("log_discrimination", priors.log_discrimination, n, like)
    return ItemParameters(log_a, b)


def _three_pl(priors: Priors, n: int, like: Tensor) -> ItemParameters:
    """P = c + (1 - c) σ(a(θ - b))."""
    two = _two_pl(priors, n, like)
    logit_c = _population("logit_guessing", priors.logit_guessing, n, like)
    return ItemParameters(two.log_a, two.b, logit_c)


_ITEMS = {"1pl": _one_pl, "2pl": _two_pl, "3pl": _three_pl}


def _population(name: str, prior: Population, n: int, like: Tensor) -> Tensor:
    """Item parameters, n of them, from a normal population whose mean and spread are learned."""
    mean: Any = like.new_tensor(prior.mean)
    log_spread: Any = like.new_tensor(prior.spread).log()
    if prior.mean_sd:
        mean = pyro.sample(f"{name}_mean", _normal(like, prior.mean, prior.mean_sd))
    if prior.spread_sd:
        log_spread = pyro.sample(
            f"{name}_log_spread", dist.Normal(log_spread, like.new_tensor(prior.spread_sd))
        )
    return cast(Tensor, pyro.sample(name, dist.Normal(mean, log_spread.exp()).expand([n]).to_event(1)))


def _normal(like: Tensor, mean: float, sd: float) -> Any:
    return dist.Normal(like.new_tensor(mean), like.new_tensor(sd))
