r"""The log-likelihood of the multidimensional 2PL and its derivatives, in one pass over the matrix.

.. math:: \log L = \sum_{mi} k_{mi} \log P_{mi} + (n_{mi} - k_{mi}) \log(1 - P_{mi}),\quad
          P_{mi} = σ(a_i · θ_m + d_i)

Items are rows (slopes on the dimensions that they measure, then the intercept); see :class:`Cells`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from irtbench.irt.factors.cells import Cells

__all__ = ["linear_predictor", "log_likelihood"]

_MAX_LOGIT = 60.0  # beyond, float32 gives log 0: reached by a stray draw alone


def linear_predictor(theta: Tensor, items: Tensor) -> Tensor:
    """Slopes times abilities plus intercept, (n_items, n_models)."""
    z = torch.addmm(items[:, -1:], items[:, :-1], theta.T)
    return z.clamp_(-_MAX_LOGIT, _MAX_LOGIT)


class _LogLikelihood(torch.autograd.Function):
    """Sum of log L; the gradient is gathered in the forward pass, so no cell is kept."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, items: Tensor, cells: Cells) -> Tensor:
        by_theta, by_items = torch.zeros_like(theta), torch.empty_like(items)
        total = torch.zeros((), dtype=torch.float64, device=theta.device)
        for part, dims in cells.chunks():
            z = linear_predictor(theta[:, dims], items[part])
            p, n = torch.sigmoid(z), cells.trials[part]
            wrong = cells.right[part] - n  # log L = (k - n) z + n log P
            total += (wrong * z).sum() + (n * p.log()).sum()
            residual = wrong.addcmul_(n, p.neg_().add_(1))  # k - n P
            by_items[part, :-1] = residual @ theta[:, dims]
            by_items[part, -1] = residual.sum(1)
            by_theta[:, dims] += residual.T @ items[part, :-1]
        ctx.save_for_backward(by_theta, by_items)
        return total  # float64: a sum over millions of cells

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        by_theta, by_items = ctx.saved_tensors
        return grad[0] * by_theta, grad[0] * by_items, None


def log_likelihood(theta: Tensor, items: Tensor, cells: Cells) -> Tensor:
    """Log-likelihood of all responses (a scalar), differentiable by abilities and items.

    Args:
        theta: abilities (n_models, D).
        items: slopes and intercept (n_items, K), in the order of ``cells``.
        cells: the responses.
    """
    return cast(Tensor, _LogLikelihood.apply(theta, items, cells))
