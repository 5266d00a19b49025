"""Draw items with probabilities of our choice, so that the chosen ones still stand for all of them."""

from __future__ import annotations

import numpy as np

__all__ = ["inclusion", "systematic_sample"]


def inclusion(measure: np.ndarray, size: int) -> np.ndarray:
    """Probability of each item to be drawn, proportional to a measure of size and at most 1, (n_items,).

    Args:
        measure: positive numbers (n_items,).
        size: number of items to draw: the probabilities sum to it.

    Example:
        >>> inclusion(np.array([8.0, 1.0, 1.0]), 2).tolist()
        [1.0, 0.5, 0.5]
    """
    found, sure = np.zeros(len(measure)), np.zeros(len(measure), dtype=bool)
    while True:
        left = size - sure.sum()
        found[sure] = 1.0
        found[~sure] = left * measure[~sure] / measure[~sure].sum() if (~sure).any() else 0.0
        over = ~sure & (found >= 1 - 1e-12)
        if not over.any():
            return np.minimum(found, 1.0)
        sure |= over


def systematic_sample(probability: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a fixed number of items, each with its probability; what is near in the order is spread evenly.

    Args:
        probability: (n_items,), sums to a whole number.
        order: positions (n_items,) in the order in which the sample runs through them.
        rng: of the random start.

    Returns:
        Positions, in increasing order.

    References:
        Madow (1949), https://doi.org/10.1214/aoms/1177729988; Särndal, Swensson & Wretman (1992), 3.6.2
    """
    size = round(float(probability.sum()))
    ends = np.cumsum(probability[order])
    ends *= size / ends[-1]
    ticks = rng.uniform() + np.arange(size)
    return np.sort(order[np.minimum(np.searchsorted(ends, ticks), len(order) - 1)])
