"""A first guess of the abilities: leading singular vectors, or scores by dimension."""

from __future__ import annotations

import torch
from torch import Tensor

from irtbench.irt.factors.cells import Cells

__all__ = ["first_abilities"]

_OVERSAMPLING, _POWER = 8, 8  # of the subspace iteration


def first_abilities(cells: Cells, easy: Tensor) -> Tensor:
    """Abilities (n_models, D), standardised: of the residuals, or between items of each item group.

    Args:
        cells: the responses.
        easy: share of right responses of each item, (n_items,).
    """
    return _leading(cells, easy) if cells.structure.own is None else _scores(cells, easy)


def _leading(cells: Cells, easy: Tensor) -> Tensor:
    """Leading D left singular vectors of the residuals by subspace iteration, as standard scores.

    References:
        Halko, Martinsson & Tropp (2011), Finding structure with randomness, https://doi.org/10.1137/090771806
    """
    d = len(cells.structure.labels)
    width = min(d + _OVERSAMPLING, cells.n_models)
    fixed = torch.Generator().manual_seed(0)  # the same start whatever the seed of the fit
    basis = torch.randn(cells.n_models, width, generator=fixed).to(easy)
    for _ in range(_POWER):
        basis = _residual_square(cells, easy, torch.linalg.qr(basis).Q)
    basis = torch.linalg.qr(basis).Q
    value, vector = torch.linalg.eigh(basis.T @ _residual_square(cells, easy, basis))
    theta = (basis @ vector)[:, value.argsort(descending=True)[:d]]
    theta = (theta - theta.mean(0)) * cells.n_models**0.5
    side = torch.sign((theta * _scores(cells, easy, whole=True)).sum(0))
    return theta * torch.where(side == 0, torch.ones_like(side), side)


def _residual_square(cells: Cells, easy: Tensor, x: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for part, _ in cells.chunks():
        residual = cells.right[part] - cells.trials[part] * easy[part, None]
        total += residual.T @ (residual @ x)
    return total


def _scores(cells: Cells, easy: Tensor, *, whole: bool = False) -> Tensor:
    """Standardised scores above expectation of each model on each dimension (on all items if ``whole``)."""
    d = 1 if whole else len(cells.structure.labels)
    above, weight = easy.new_zeros(cells.n_models, d), easy.new_zeros(cells.n_models, d)
    for part, dims in cells.chunks():
        where = slice(0, 1) if whole else dims
        n = cells.trials[part]
        above[:, where] += (cells.right[part] - n * easy[part, None]).sum(0)[:, None]
        weight[:, where] += (n * (easy * (1 - easy))[part, None]).sum(0)[:, None]
    theta = above / (weight + 1)
    return (theta - theta.mean(0)) / theta.std(0, unbiased=False).clamp_min(1e-3)
