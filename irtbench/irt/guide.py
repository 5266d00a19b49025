"""The guide: normal blocks that keep the correlation of a, b, c within an item, and stick the landing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

__all__ = ["Block", "NormalGuide"]


@dataclass(frozen=True)
class Block:
    """A set of sites whose rows are independent, correlated within a row.

    Attributes:
        sites: site names, one a column.
        loc: (n, K) start of the means.
        root: (n, K, K) lower Cholesky factors of the start of the covariances.
        scalar: whether the sites are scalars (then n = 1) rather than vectors of length n.
    """

    sites: tuple[str, ...]
    loc: Tensor
    root: Tensor
    scalar: bool = False


class NormalGuide(nn.Module):
    r"""Normal guide in coordinates whitened by its start.

    A row of a block is :math:`x = m_0 + L_0 w,\ w ∼ N(δ, T T^⊤)` with T lower triangular; δ = 0, T = I
    at the start. Steps are then in posterior standard deviations, whatever the parameter. The density is
    taken with its parameters detached, so the gradient's variance vanishes where the guide equals the
    posterior.

    References:
        Roeder, Wu & Duvenaud (2017), Sticking the landing, https://arxiv.org/abs/1703.09194
    """

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.blocks = blocks
        self.delta = nn.ParameterList([torch.zeros_like(b.loc) for b in blocks])
        self.log_diagonal = nn.ParameterList([torch.zeros_like(b.loc) for b in blocks])
        self.below = nn.ParameterList([torch.zeros_like(b.root) for b in blocks])
        self.constant = [
            0.5 * b.loc.numel() * math.log(2 * math.pi) + float(_diagonal(b.root).log().sum()) for b in blocks
        ]

    def factor(self, k: int) -> Tensor:
        """The factor T of block k, (n, K, K)."""
        return torch.diag_embed(self.log_diagonal[k].exp()) + self.below[k].tril(-1)

    def forward(self) -> None:
        """Sample every site (what Pyro calls)."""
        for k, block in enumerate(self.blocks):
            noise = torch.randn_like(block.loc)
            if block.loc.shape[1] == 1:
                scale = self.log_diagonal[k].exp()
                w = self.delta[k] + scale * noise
                white = (w - self.delta[k].detach()) / scale.detach()
                x = block.loc + block.root[..., 0] * w
            else:
                factor = self.factor(k)
                w = self.delta[k] + (factor @ noise[..., None])[..., 0]
                white = torch.linalg.solve_triangular(
                    factor.detach(), (w - self.delta[k].detach())[..., None], upper=False
                )[..., 0]
                x = block.loc + (block.root @ w[..., None])[..., 0]
            log_density = -0.5 * (white**2).sum() - self.log_diagonal[k].detach().sum() - self.constant[k]
            for column, site in enumerate(block.sites):
                value = x[0, column] if block.scalar else x[:, column]
                share = log_density if column == 0 else torch.zeros_like(log_density)
                pyro.sample(site, dist.Delta(value, log_density=share, event_dim=value.dim()))

    def posterior(self) -> dict[tuple[str, ...], tuple[Tensor, Tensor]]:
        """Means (n, K) and covariances (n, K, K) of each block, by its sites."""
        found = {}
        with torch.no_grad():
            for k, block in enumerate(self.blocks):
                root = block.root @ self.factor(k)
                loc = block.loc + (block.root @ self.delta[k][..., None])[..., 0]
                found[block.sites] = (loc, root @ root.mT)
        return found


def _diagonal(root: Tensor) -> Tensor:
    return torch.diagonal(root, dim1=-2, dim2=-1)
