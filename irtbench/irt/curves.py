r"""The item response function and its information: arrays in, arrays out.

.. math:: P_i(θ) = c_i + (d_i - c_i)\, σ(a_i (θ - b_i))
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

__all__ = ["information", "probability"]


def probability(
    theta: ArrayLike,
    discrimination: ArrayLike,
    difficulty: ArrayLike,
    guessing: ArrayLike = 0.0,
    upper_asymptote: ArrayLike = 1.0,
) -> np.ndarray:
    r"""Probability of a right response, :math:`P = c + (d - c) σ(a(θ - b))`.

    Args:
        theta: abilities (n_models,) in standard deviations of the calibration population.
        discrimination: a (n_items,), per unit of ability.
        difficulty: b (n_items,), on the ability scale.
        guessing: c (n_items,), lower asymptote in [0, 1).
        upper_asymptote: d (n_items,), in (c, 1].

    Returns:
        Array (n_models, n_items) in [0, 1].

    References:
        Birnbaum (1968), Some latent trait models, in Lord & Novick, Statistical Theories of Mental
        Test Scores; Barton & Lord (1981) for d, https://doi.org/10.1002/j.2333-8504.1981.tb01255.x

    Example:
        >>> probability([0.0], [1.0, 2.0], [0.0, 0.0], [0.0, 0.2]).round(2).tolist()
        [[0.5, 0.6]]
    """
    a, b, c, d = (np.asarray(x, dtype=float) for x in (discrimination, difficulty, guessing, upper_asymptote))
    z = a * (np.asarray(theta, dtype=float)[:, None] - b)
    return np.asarray(c + (d - c) * expit(z))


def information(
    theta: ArrayLike,
    discrimination: ArrayLike,
    difficulty: ArrayLike,
    guessing: ArrayLike = 0.0,
    upper_asymptote: ArrayLike = 1.0,
) -> np.ndarray:
    r"""Fisher information of each item about ability, :math:`I = (∂P/∂θ)^2 / (P(1 - P))`.

    Args:
        theta: abilities (n_models,).
        discrimination: a (n_items,).
        difficulty: b (n_items,).
        guessing: c (n_items,).
        upper_asymptote: d (n_items,).

    Returns:
        Array (n_models, n_items), in 1/ability².

    References:
        Lord (1980), Applications of Item Response Theory to Practical Testing Problems, ch. 5.

    Example:
        >>> information([0.0], [2.0], [0.0]).tolist()
        [[1.0]]
    """
    a, b, c, d = (np.asarray(x, dtype=float) for x in (discrimination, difficulty, guessing, upper_asymptote))
    z = a * (np.asarray(theta, dtype=float)[:, None] - b)
    s, t = expit(z), expit(-z)
    p = c + (d - c) * s
    q = (1 - d) + (d - c) * t
    return np.asarray(a**2 * (d - c) ** 2 * (s * t) ** 2 / np.maximum(p * q, 1e-300))
