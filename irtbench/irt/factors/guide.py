"""The guide: a normal with a full covariance for each model and for each item."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from irtbench.irt.factors.start import Start

__all__ = ["NormalRows", "guide_at"]


class NormalRows(nn.Module):
    r"""Independent normal rows, each with a full covariance, in coordinates whitened by their start.

    A row is :math:`x = m_0 + L_0 (δ + T ε)` with T lower triangular; δ = 0, T = I at the start. In these
    coordinates the posterior has a curvature near 1 whatever the parameter, so a plain gradient step is
    nearly a natural one. The density is taken with its parameters detached, so the gradient's variance
    vanishes where the guide equals the posterior. Every second draw mirrors the one before it (antithetic
    draws), so that what one side's noise does to the other side's means cancels.

    References:
        Roeder, Wu & Duvenaud (2017), Sticking the landing, https://arxiv.org/abs/1703.09194
    """

    def __init__(self, loc: Tensor, root: Tensor, shape: torch.Size | None = None) -> None:
        super().__init__()
        self.loc, self.root, self.shape = loc, root, shape or loc.shape
        self.delta = nn.Parameter(torch.zeros_like(loc))
        self.log_diagonal = nn.Parameter(torch.zeros_like(loc))
        self.below = nn.Parameter(torch.zeros_like(root))
        log_root = torch.diagonal(root, dim1=-2, dim2=-1).log().sum()
        self.last: Tensor | None = None
        self.constant = float(log_root) + 0.5 * loc.numel() * math.log(2 * math.pi)

    @property
    def factor(self) -> Tensor:
        """The factors T, (n, K, K)."""
        return torch.diag_embed(self.log_diagonal.exp()) + self.below.tril(-1)

    def sample(self, site: str) -> None:
        """Draw the rows as a Pyro site."""
        factor = self.factor
        w = self.delta + (factor @ self._noise()[..., None])[..., 0]
        away = (w - self.delta.detach())[..., None]
        white = torch.linalg.solve_triangular(factor.detach(), away, upper=False)
        x = (self.loc + (self.root @ w[..., None])[..., 0]).reshape(self.shape)
        log_density = -0.5 * (white**2).sum() - self.log_diagonal.detach().sum() - self.constant
        pyro.sample(site, dist.Delta(x, log_density=log_density, event_dim=x.dim()))

    def _noise(self) -> Tensor:
        """Standard normal noise, and at every other call the negative of the last."""
        if self.last is None:
            self.last = torch.randn_like(self.loc)
            return self.last
        noise, self.last = -self.last, None
        return noise

    def moments(self) -> tuple[Tensor, Tensor]:
        """Means (n, K) and covariances (n, K, K)."""
        with torch.no_grad():
            root = self.root @ self.factor
            return self.loc + (self.root @ self.delta[..., None])[..., 0], root @ root.mT


def guide_at(start: Start, group: Tensor) -> nn.ModuleDict:
    """Return the guide's rows by site, at the start and its curvature."""
    count = torch.bincount(group, minlength=len(start.mean)).to(start.mean)[:, None]
    spread = torch.diagonal(start.spread, dim1=1, dim2=2).sqrt()
    shape = start.mean.shape
    return nn.ModuleDict(
        {
            "ability": NormalRows(start.theta, torch.linalg.cholesky(start.theta_cov)),
            "item": NormalRows(start.items, torch.linalg.cholesky(start.items_cov)),
            "mean": NormalRows(start.mean.reshape(-1, 1), (spread / count**0.5).reshape(-1, 1, 1), shape),
            "log_spread": NormalRows(
                spread.log().reshape(-1, 1), ((2 * count) ** -0.5).expand(shape).reshape(-1, 1, 1), shape
            ),
        }
    )
