"""The multidimensional 2PL in Pyro: these few lines define the posterior that a fit approximates."""

from __future__ import annotations

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from irtbench.irt.factors.cells import Cells
from irtbench.irt.factors.likelihood import log_likelihood

__all__ = ["SITES", "factor_model"]

SITES = ("ability", "item", "mean", "log_spread")


def factor_model(cells: Cells, correlation: Tensor) -> Callable[[], None]:
    r"""Return the Pyro model :math:`P_{mi} = σ(a_i · θ_m + d_i),\ θ_m ∼ N(0, Φ)`.

    An item's slopes and intercept, the row (a_i, d_i), come from normal populations whose means and
    spreads are learned: one for all items, or one for each dimension of a between-item structure. That
    slopes are uncorrelated there is no restriction if Φ = I: it chooses the axes.

    Args:
        cells: the responses.
        correlation: Φ, (D, D).
    """
    group, n_models = cells.group, cells.n_models
    groups, k = int(group.max()) + 1, cells.structure.n_slopes + 1
    zero, root = correlation.new_zeros(len(correlation)), torch.linalg.cholesky(correlation)
    location = correlation.new_zeros(groups, k)
    usual = correlation.new_tensor([*[0.7] * (k - 1), 1.5]).log().expand(groups, k)

    def model() -> None:
        theta = pyro.sample(
            "ability", dist.MultivariateNormal(zero, scale_tril=root).expand([n_models]).to_event(1)
        )
        mean = pyro.sample("mean", dist.Normal(location, 2.0).to_event(2))
        log_spread = pyro.sample("log_spread", dist.Normal(usual, 1.0).to_event(2))
        item = pyro.sample("item", dist.Normal(mean[group], log_spread.exp()[group]).to_event(2))
        pyro.factor("responses", log_likelihood(theta, item, cells))

    return model
