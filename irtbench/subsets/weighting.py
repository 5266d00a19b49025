"""Weights that make a weighted mean over chosen items follow the full score."""

from __future__ import annotations

import numpy as np

__all__ = ["matching_weights"]

_TOWARDS_START = 0.02  # relative to the calibration models' mean square: keeps weights near the start

_LEAST = 0.01


def matching_weights(
    values: np.ndarray, full: np.ndarray, chosen: np.ndarray, start: np.ndarray
) -> np.ndarray:
    r"""Non-negative weights that sum to 1 and reproduce the calibration models' full scores.

    .. math:: \min_{w ≥ 0,\ \sum w = 1} \frac1M \sum_m (y_{mS}^⊤ w - s_m)^2 + λ \sum_i (w_i - w^0_i)^2

    Args:
        values: (n_models, n_items) responses.
        full: (n_items,) weight of each item in the full score, sums to 1.
        chosen: positions (size,).
        start: weights :math:`w^0` (size,) to stay near.

    References:
        Deville & Särndal (1992), Calibration estimators in survey sampling,
        https://doi.org/10.1080/01621459.1992.10475217

    Example:
        >>> y = np.array([[1.0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
        >>> matching_weights(y, np.full(4, 0.25), np.array([0, 2, 3]), np.full(3, 1 / 3)).round(2).tolist()
        [0.5, 0.25, 0.25]
    """
    from scipy.optimize import nnls

    n = len(values)
    x, target = values[:, chosen] / np.sqrt(n), values @ full / np.sqrt(n)
    pull = np.sqrt(_TOWARDS_START * (x**2).sum(axis=0).mean() + 1e-12)
    one = 100.0 * max(pull, 1.0)
    a = np.vstack([x, pull * np.eye(len(chosen)), np.full((1, len(chosen)), one)])
    weights, _ = nnls(a, np.concatenate([target, pull * start, [one]]))
    weights = np.maximum(weights, _LEAST * start)  # a chosen item is never without a say
    return np.asarray(weights / weights.sum())
