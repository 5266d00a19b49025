"""Nodes of ability: a smooth function of ability is known from its values at a few of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Nodes"]


@dataclass(frozen=True)
class Nodes:
    r"""Chebyshev nodes on [low, high] and the polynomial through them.

    .. math:: f(θ) ≈ \sum_k φ_k(θ) f(t_k)

    The error falls like :math:`ρ^{-K}`; for log P of an item with discrimination a, whose nearest
    singularity lies at b ± iπ/a, ρ is about 1 + 2π / (a · (high - low)).

    References:
        Trefethen (2013), Approximation Theory and Approximation Practice, ch. 8,
        https://people.maths.ox.ac.uk/trefethen/ATAP/

    Example:
        >>> nodes = Nodes(-3.0, 3.0, 24)
        >>> x = torch.tensor([0.3, -1.7], dtype=torch.float64)
        >>> bool(((nodes.basis(x) @ nodes.t.sin()) - x.sin()).abs().max() < 1e-6)
        True
    """

    low: float
    high: float
    n: int
    device: torch.device | str = "cpu"

    @classmethod
    def around(cls, theta: Tensor, sd: Tensor, steepest: float) -> Nodes:
        """Nodes that cover abilities six standard deviations about, enough for the steepest item."""
        low, high = float((theta - 6 * sd).min()), float((theta + 6 * sd).max())
        pad = 0.02 * (high - low) + 1e-3
        low, high = low - pad, high + pad
        n = 10 + 0.7 * min(steepest, 10.0) * (high - low)
        return cls(low, high, int(min(max(n, 24), 96)), theta.device)

    @cached_property
    def t(self) -> Tensor:
        """The nodes, (n,) float64."""
        return self.low + (self.high - self.low) * (self._angle.cos() + 1) / 2

    def basis(self, theta: Tensor) -> Tensor:
        """φ_k at abilities, (n_models, n) float64; abilities beyond the ends are taken to the ends."""
        x = (2 * theta.double() - self.low - self.high) / (self.high - self.low)
        angle = torch.arccos(x.clamp(-1, 1))
        return torch.cos(angle[:, None] * self._order) @ self._transform

    def differentiate(self, values: Tensor) -> Tensor:
        """Values at the nodes (..., n) of the derivative of the polynomial with these values, float64."""
        return values.double() @ self._differences.T

    @cached_property
    def _order(self) -> Tensor:
        return torch.arange(self.n, dtype=torch.float64, device=self.device)

    @cached_property
    def _angle(self) -> Tensor:
        return torch.pi * self._order / (self.n - 1)

    @cached_property
    def _transform(self) -> Tensor:
        """Values at the nodes to Chebyshev coefficients, (n, n)."""
        half = torch.ones(self.n, dtype=torch.float64, device=self.device)
        half[0] = half[-1] = 0.5
        cosine = torch.cos(self._order[:, None] * self._angle)
        return 2 / (self.n - 1) * half[:, None] * cosine * half

    @cached_property
    def _differences(self) -> Tensor:
        t = self.t
        weight = (-1.0) ** self._order
        weight[0] *= 0.5
        weight[-1] *= 0.5
        apart = t[:, None] - t
        apart.fill_diagonal_(1.0)
        found = weight / weight[:, None] / apart
        found.fill_diagonal_(0.0)
        return found - torch.diag(found.sum(1))
