"""The posterior of abilities and items as arrays: its scale, its axes, and the probabilities it gives."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.special import expit

from irtbench.irt.factors.rotation import oblimin, principal_axes, tidy, varimax

__all__ = ["Posterior", "Rotation"]

Rotation = Literal["varimax", "oblimin", "none"]
_CELLS = 2**20  # cells worked on at a time


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Normal posteriors of every model's abilities and every item's slopes and intercept.

    Attributes:
        ability: means (n_models, D), with covariances ``ability_cov`` (n_models, D, D).
        items: means of slopes and intercept (n_items, K), with covariances ``items_cov`` (n_items, K, K).
        correlation: of abilities in their population, (D, D).
        own: dimension of each item between items (K = 2); None if each has D slopes (K = D + 1).
    """

    ability: np.ndarray
    ability_cov: np.ndarray
    items: np.ndarray
    items_cov: np.ndarray
    correlation: np.ndarray
    own: np.ndarray | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                array: np.ndarray = np.array(value, dtype=np.int64 if field.name == "own" else np.float64)
                if field.name.endswith("_cov"):
                    array = (array + array.swapaxes(1, 2)) / 2  # exactly symmetric, as it is saved
                array.flags.writeable = False
                object.__setattr__(self, field.name, array)

    @property
    def slopes(self) -> np.ndarray:
        """Slopes on every dimension, (n_items, D): 0 on those that an item does not measure."""
        if self.own is None:
            return self.items[:, :-1]
        found = np.zeros((len(self.items), len(self.correlation)))
        found[np.arange(len(found)), self.own] = self.items[:, 0]
        return found

    def moved(self, matrix: np.ndarray, shift: np.ndarray | float = 0.0) -> Posterior:
        """Put the abilities at ``matrix @ (θ - shift)`` and the items where P stays the same.

        Args:
            matrix: (D, D); diagonal if the structure is between items.
            shift: (D,).
        """
        shift = np.broadcast_to(shift, len(matrix))
        inverse = np.linalg.inv(matrix)
        ability = (self.ability - shift) @ matrix.T
        n, k = self.items.shape
        change = np.zeros((n, k, k))
        change[:, -1, -1] = 1
        if self.own is None:
            change[:, :-1, :-1] = inverse.T
            change[:, -1, :-1] = shift
        else:
            change[:, 0, 0] = inverse.diagonal()[self.own]
            change[:, 1, 0] = shift[self.own]
        return replace(
            self,
            ability=ability,
            ability_cov=matrix @ self.ability_cov @ matrix.T,
            items=np.einsum("ijk,ik->ij", change, self.items),
            items_cov=change @ self.items_cov @ change.transpose(0, 2, 1),
            correlation=matrix @ self.correlation @ matrix.T,
        )

    def standardised(self) -> Posterior:
        """Move to the scale where the models' abilities have mean 0 and variance 1, uncorrelated.

        Between items they keep their correlation, which is learned from them, and each has a sign by
        which its slopes have a positive sum.
        """
        shift = self.ability.mean(axis=0)
        away = self.ability - shift
        second = (away[:, :, None] * away[:, None, :] + self.ability_cov).mean(axis=0)
        if self.own is not None:
            sign = np.where(self.slopes.sum(axis=0) < 0, -1.0, 1.0)
            matrix = np.diag(sign * second.diagonal() ** -0.5)
            return replace(self.moved(matrix, shift), correlation=matrix @ second @ matrix)
        value, axes = np.linalg.eigh(second)
        matrix = (axes * value**-0.5) @ axes.T
        return replace(self.moved(matrix, shift), correlation=np.eye(len(second)))

    def rotated(self, rotation: Rotation) -> Posterior:
        """Rotate to principal axes, the largest first, and then by ``rotation``.

        Rotated dimensions explain about the same, so their order is by the items: those that they load on
        are easiest for the first. Signs make every sum of slopes positive.
        """
        found = self.moved(principal_axes(self.slopes).T)
        found = found.moved(tidy(found.slopes, (found.slopes**2).sum(axis=0)).T)
        if rotation == "none":
            return found
        rotate = varimax if rotation == "varimax" else oblimin
        found = found.moved(rotate(found.slopes).T)
        weight = found.slopes**2
        easy = weight.T @ found.items[:, -1] / np.maximum(weight.sum(axis=0), 1e-12)
        return found.moved(tidy(found.slopes, easy).T)

    def probability(self) -> np.ndarray:
        """Posterior mean probability of each cell, (n_models, n_items): MacKay's approximation."""
        found = np.empty((len(self.ability), len(self.items)))
        width = max(1, _CELLS // len(self.ability))
        edges = [0, len(self.items)]
        order = np.arange(len(self.items))
        if self.own is not None:
            order = np.argsort(self.own, kind="stable")
            edges = [0, *(np.flatnonzero(np.diff(self.own[order])) + 1), len(order)]
        for low, high in pairwise(edges):
            dims = slice(None) if self.own is None else slice(self.own[order[low]], self.own[order[low]] + 1)
            for start in range(low, high, width):
                part = order[start : min(start + width, high)]
                z, variance = self._predictor(part, dims)
                found[:, part] = expit(z / np.sqrt(1 + np.pi / 8 * variance))
        return found

    def _predictor(self, part: np.ndarray, dims: slice) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the linear predictor of some items that measure these dimensions."""
        theta, v = self.ability[:, dims], self.ability_cov[:, dims, dims]
        a, d = self.items[part, :-1], self.items[part, -1]
        cov = self.items_cov[part]
        c = cov[:, :-1, :-1]
        n, k = a.shape
        both = (theta[:, :, None] * theta[:, None, :] + v).reshape(len(theta), k * k)
        variance = both @ c.reshape(n, k * k).T + 2 * theta @ cov[:, :-1, -1].T + cov[:, -1, -1]
        variance += v.reshape(len(theta), k * k) @ (a[:, :, None] * a[:, None, :]).reshape(n, k * k).T
        return theta @ a.T + d, np.maximum(variance, 0)
