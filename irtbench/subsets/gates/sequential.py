"""Boundaries of a test that looks several times and keeps its level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

__all__ = ["boundaries"]

_NODES = 601


def boundaries(looks: Sequence[int], alpha: float) -> tuple[float, ...]:
    r"""Normal quantiles that a one-sided test has to cross at each look.

    The level spent until the share τ of the items is in follows O'Brien & Fleming,

    .. math:: α(τ) = 2 - 2 Φ(z_{1 - α/2} / \sqrt τ)

    little at first, so that the last look is hardly later than a test that looks once. The joint
    distribution of the looks is that of a Brownian motion, integrated on a grid.

    Args:
        looks: numbers of items, increasing; the last is all of them.
        alpha: level of the whole test.

    References:
        Lan & DeMets (1983), https://doi.org/10.1093/biomet/70.3.659; Armitage, McPherson & Rowe (1969)

    Example:
        >>> [round(z, 2) for z in boundaries((25, 50, 75, 100), 0.025)]
        [4.33, 2.96, 2.36, 2.01]
    """
    return _boundaries(tuple(int(n) for n in looks), float(alpha))


@lru_cache(maxsize=64)
def _boundaries(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    from scipy.special import ndtr, ndtri

    times = np.array(looks, dtype=float) / looks[-1]
    spent = 2 - 2 * ndtr(-ndtri(alpha / 2) / np.sqrt(times))
    spent[-1] = alpha
    found: list[float] = []
    grid, mass = np.zeros(1), np.ones(1)  # Brownian motion at the last look, where it went on
    before, used = 0.0, 0.0
    for time, now in zip(times, spent, strict=True):
        sd = np.sqrt(time - before)
        bound = _crossed(grid, mass, float(sd), float(now - used))
        found.append(bound / float(np.sqrt(time)))
        low = -8 * np.sqrt(time)
        new = np.linspace(low, bound, _NODES)
        density = np.exp(-(((new[:, None] - grid) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi)) @ mass
        step = np.full(_NODES, new[1] - new[0])
        step[[0, -1]] /= 2
        grid, mass, before, used = new, density * step, float(time), float(now)
    return tuple(found)


def _crossed(grid: np.ndarray, mass: np.ndarray, sd: float, level: float) -> float:
    """Bound that a step of this sd from here crosses with probability ``level``."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def beyond(bound: float) -> float:
        return float(mass @ ndtr((grid - bound) / sd)) - level

    return float(brentq(beyond, grid[0] - 10 * sd, grid[-1] + 40 * sd, xtol=1e-10))
