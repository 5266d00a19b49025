"""Pareto k of importance weights: how heavy their tail is, for many sets of weights at once."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["pareto_k"]

_AT_ONCE = 2**15  # weights worked on at a time: what their grid takes stays in cache


def pareto_k(log_weights: Tensor) -> Tensor:
    r"""Shape k of a generalised Pareto distribution fitted to the largest weights of each row.

    Below 0.5 the weights have a finite variance; above 0.7 the proposals are a poor approximation.
    The tail is the largest :math:`\min(S/5, 3\sqrt{S})` of S weights, the estimator Zhang & Stephens's
    with the weak prior of Vehtari et al. (towards 0.5, worth ten draws).

    Args:
        log_weights: (n, S), up to a constant a row.

    Returns:
        k by row, (n,) float64.

    References:
        Zhang & Stephens (2009), https://doi.org/10.1198/tech.2009.08017; Vehtari, Simpson, Gelman, Yao &
        Gabry (2024), Pareto smoothed importance sampling, https://jmlr.org/papers/v25/19-556.html

    Example:
        >>> even = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0)).log()
        >>> bool((pareto_k(even) < 0).all())
        True
    """
    rows = max(1, _AT_ONCE // log_weights.shape[1])
    return torch.cat([_pareto_k(part) for part in log_weights.split(rows)])


def _pareto_k(log_weights: Tensor) -> Tensor:
    n_draws = log_weights.shape[1]
    n_tail = int(min(0.2 * n_draws, 3 * n_draws**0.5))
    top, _ = torch.topk(log_weights.double(), n_tail + 1, dim=1)
    weight = torch.exp(top - top[:, :1])
    excess = (weight[:, :-1] - weight[:, -1:]).flip(1).clamp_min(1e-15)  # ascending
    n_grid = 30 + int(n_tail**0.5)
    grid = torch.arange(1, n_grid + 1, dtype=torch.float64, device=excess.device)
    quartile = excess[:, int(n_tail / 4 + 0.5) - 1]
    theta = (1 - torch.sqrt(n_grid / (grid - 0.5))) / (3 * quartile[:, None]) + 1 / excess[:, -1:]
    shape = torch.log1p(-theta[:, :, None] * excess[:, None, :]).mean(2)
    value = n_tail * (torch.log(-theta / shape) - shape - 1)
    mean = (torch.softmax(value, dim=1) * theta).sum(1)
    k = torch.log1p(-mean[:, None] * excess).mean(1)
    return (n_tail * k + 10 * 0.5) / (n_tail + 10)
