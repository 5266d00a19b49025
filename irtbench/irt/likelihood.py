r"""The likelihood of responses given abilities and items, with its gradient, in one pass over the matrix.

.. math:: \log L = \sum_{mi} k_{mi} \log P_{mi} + (n_{mi} - k_{mi}) \log(1 - P_{mi}), \quad
          P = c + (1 - c) σ(z),\ z = a(θ - b)

A cell holds k right of n trials (n = 0 where missing); a continuous response y in [0, 1] enters as
k = y, n = 1: the Bernoulli quasi-likelihood, whose variance bounds that of any response in [0, 1] with
the same mean (Papke & Wooldridge 1996, https://doi.org/10.1002/(SICI)1099-1255(199611)11:6<619::AID-JAE418>3.0.CO;2-1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from irtbench.responses.matrix import ResponseMatrix

__all__ = [
    "Counts",
    "ItemParameters",
    "log_likelihood",
    "marginal_log_likelihood",
    "node_log_posterior",
    "score",
]

_CELLS = {"cpu": 2**18, "cuda": 2**26}  # cells worked on at a time: what stays in cache

_MAX_LOGIT, _MAX_LOGIT_C = 60.0, 12.0  # beyond, float32 gives log 0: reached by a stray draw alone


@dataclass(frozen=True)
class Counts:
    """Responses as counts: ``right`` of ``trials``, float32 (n_models, n_items), 0 where missing."""

    right: Tensor
    trials: Tensor

    @classmethod
    def of(cls, responses: ResponseMatrix, device: str | torch.device = "cpu") -> Counts:
        """Turn a response matrix into counts on a device."""
        trials = responses.observed if responses.trials is None else responses.trials
        n = torch.from_numpy(np.array(trials, dtype=np.float32)).to(device)
        y = torch.from_numpy(np.nan_to_num(responses.values)).to(device)
        return cls(y * n, n)

    def chunks(self) -> Iterator[slice]:
        """Slices of items that keep the working set in cache."""
        n_models, n_items = self.right.shape
        width = max(1, _CELLS.get(self.right.device.type, 2**22) // n_models)
        for start in range(0, n_items, width):
            yield slice(start, min(start + width, n_items))


@dataclass(frozen=True)
class ItemParameters:
    """Unconstrained item parameters (n_items,); ``logit_c`` is None where c = 0."""

    log_a: Tensor
    b: Tensor
    logit_c: Tensor | None = None


def score(
    theta: Tensor, items: ItemParameters, counts: Counts, part: slice
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None]:
    r"""Log-likelihood of a slice of items, and its derivatives by z and logit c.

    Returns:
        The sum of log L, :math:`∂\log L/∂z` and :math:`∂\log L/∂\operatorname{logit} c` (None if c = 0)
        per cell, σ(z) and P (None if c = 0) per cell.
    """
    k, n = counts.right[:, part], counts.trials[:, part]
    z = ((theta[:, None] - items.b[part]) * items.log_a[part].exp()).clamp(-_MAX_LOGIT, _MAX_LOGIT)
    s = torch.sigmoid(z)
    log_wrong = torch.nn.functional.logsigmoid(-z)
    if items.logit_c is None:
        value = torch.dot(k.flatten(), z.flatten()) + torch.dot(n.flatten(), log_wrong.flatten())
        return value, k - n * s, None, s, None
    c = torch.sigmoid(items.logit_c[part].clamp(max=_MAX_LOGIT_C))
    p = c + (1 - c) * s
    wrong = n - k
    log_wrong = log_wrong + torch.log1p(-c)
    value = (k * torch.log(p.clamp_min(1e-30))).sum() + (wrong * log_wrong).sum()
    ratio = k * (1 - s) / p.clamp_min(1e-30)
    return value, ratio * (1 - c) * s - wrong * s, ratio * c * (1 - c) - wrong * c, s, p


class _LogLikelihood(torch.autograd.Function):
    """Sum of log L; the gradient is gathered in the forward pass, so no cell is kept."""

    @staticmethod
    def forward(
        ctx: Any, theta: Tensor, log_a: Tensor, b: Tensor, logit_c: Tensor | None, counts: Counts
    ) -> Tensor:
        items = ItemParameters(log_a, b, logit_c)
        a = log_a.exp()
        by_theta, by_log_a, by_b = torch.zeros_like(theta), torch.empty_like(a), torch.empty_like(a)
        by_c = None if logit_c is None else torch.empty_like(a)
        design = torch.stack([torch.ones_like(theta), theta])
        total = torch.zeros((), dtype=torch.float64, device=theta.device)
        for part in counts.chunks():
            value, by_z, by_logit, _, _ = score(theta, items, counts, part)
            total += value
            sums = design @ by_z
            by_b[part] = -a[part] * sums[0]
            by_log_a[part] = a[part] * (sums[1] - b[part] * sums[0])
            by_theta += by_z @ a[part]
            if by_c is not None and by_logit is not None:
                by_c[part] = by_logit.sum(0)
        ctx.save_for_backward(by_theta, by_log_a, by_b, by_c)
        return total  # float64: a sum over millions of cells

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        by_theta, by_log_a, by_b, by_c = ctx.saved_tensors
        g = grad[0]
        return g * by_theta, g * by_log_a, g * by_b, None if by_c is None else g * by_c, None


def log_likelihood(theta: Tensor, items: ItemParameters, counts: Counts) -> Tensor:
    """Log-likelihood of all responses (a scalar), differentiable by abilities and items.

    Args:
        theta: abilities (n_models,).
        items: unconstrained item parameters.
        counts: the responses.
    """
    n_items = counts.right.shape[1]
    log_a = items.log_a.expand(n_items)  # the 1PL has one for all
    return cast(Tensor, _LogLikelihood.apply(theta, log_a, items.b, items.logit_c, counts))


def node_log_posterior(nodes: Tensor, items: ItemParameters, counts: Counts) -> Tensor:
    """Unnormalised log posterior of each model's ability at each node, (n_models, n_nodes).

    Args:
        nodes: equally spaced abilities (n_nodes,), closer than any model's posterior sd.
        items: unconstrained item parameters.
        counts: the responses.
    """
    z = ((nodes[:, None] - items.b) * items.log_a.exp()).clamp(-_MAX_LOGIT, _MAX_LOGIT)
    if items.logit_c is None:
        # log L = k z + n log(1 - σ(z))
        joint = counts.right @ z.T + counts.trials @ torch.nn.functional.logsigmoid(-z).T
    else:
        c = torch.sigmoid(items.logit_c.clamp(max=_MAX_LOGIT_C))
        wrong = torch.log1p(-c) + torch.nn.functional.logsigmoid(-z)
        right = torch.log(c + (1 - c) * torch.sigmoid(z))
        joint = counts.right @ (right - wrong).T + counts.trials @ wrong.T
    return joint + torch.log_softmax(-(nodes**2) / 2, dim=0)


def marginal_log_likelihood(nodes: Tensor, items: ItemParameters, counts: Counts) -> Tensor:
    r"""Log-likelihood with every θ ~ N(0, 1) integrated out by the trapezoid rule, a scalar.

    .. math:: \sum_m \log \sum_t w_t \prod_i P_i(t)^{k_{mi}} (1 - P_i(t))^{n_{mi} - k_{mi}}

    References:
        Bock & Aitkin (1981), Marginal maximum likelihood estimation of item parameters,
        https://doi.org/10.1007/BF02293801
    """
    return torch.logsumexp(node_log_posterior(nodes, items, counts), dim=1).double().sum()
