"""Rotations of slopes: principal axes, varimax, oblimin, and the target rotation."""

from __future__ import annotations

import numpy as np

__all__ = ["oblimin", "principal_axes", "procrustes", "tidy", "varimax"]

_MAX_ITERATIONS = 500


def principal_axes(slopes: np.ndarray) -> np.ndarray:
    r"""Orthogonal matrix (D, D) whose columns are the axes of :math:`A^⊤ A`, the largest first.

    With uncorrelated abilities of variance 1 these dimensions explain the most variance of the linear
    predictor, one after the other.

    Args:
        slopes: A, (n_items, D).
    """
    value, axes = np.linalg.eigh(slopes.T @ slopes)
    return np.asarray(axes[:, np.argsort(-value, kind="stable")])


def varimax(slopes: np.ndarray) -> np.ndarray:
    r"""Orthogonal matrix T (D, D) for which :math:`A T` has the largest variance of squared slopes.

    .. math:: \max_T \sum_d \left[ \frac1n \sum_i (AT)_{id}^4 - \Big(\frac1n \sum_i (AT)_{id}^2\Big)^2 \right]

    Rows are not normalised, so that items that tell nothing have no say.

    Args:
        slopes: A, (n_items, D).

    References:
        Kaiser (1958), The varimax criterion for analytic rotation in factor analysis,
        https://doi.org/10.1007/BF02289233

    Example:
        >>> simple = np.array([[1.0, 0], [2, 0], [0, 1], [0, 3]])
        >>> turn = np.array([[0.8, -0.6], [0.6, 0.8]])
        >>> found = simple @ turn @ varimax(simple @ turn)
        >>> np.abs(found).round(6).tolist()
        [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]
    """
    rotation, before = np.eye(slopes.shape[1]), -np.inf
    for _ in range(_MAX_ITERATIONS):
        turned = slopes @ rotation
        gradient = slopes.T @ (turned**3 - turned * (turned**2).mean(axis=0))
        left, value, right = np.linalg.svd(gradient)
        rotation = left @ right
        if value.sum() <= before * (1 + 1e-12):
            break
        before = value.sum()
    return np.asarray(rotation)


def oblimin(slopes: np.ndarray) -> np.ndarray:
    r"""Matrix T (D, D) with unit columns for which :math:`A T^{-⊤}` has the simplest rows; oblique.

    Direct quartimin (oblimin with γ = 0), by gradient projection:
    :math:`\min_T \sum_i \sum_{d ≠ e} λ_{id}^2 λ_{ie}^2` with :math:`Λ = A T^{-⊤}`. The abilities become
    :math:`T^⊤ θ`, with correlation :math:`T^⊤ T`.

    Args:
        slopes: A, (n_items, D).

    References:
        Jennrich (2002), A simple general method for oblique rotation,
        https://doi.org/10.1007/BF02294706
    """
    rotation, step = np.eye(slopes.shape[1]), 1.0
    scale = max(float((slopes**2).mean()), 1e-12)
    slopes = slopes / scale**0.5
    value, gradient = _quartimin(slopes, rotation)
    for _ in range(_MAX_ITERATIONS):
        projected = gradient - rotation * (rotation * gradient).sum(axis=0)
        size = float((projected**2).sum())
        if size < 1e-14:
            break
        step *= 2
        while step > 1e-12:
            tried = rotation - step * projected
            tried = tried / np.sqrt((tried**2).sum(axis=0))
            if abs(np.linalg.det(tried)) > 1e-3:
                new_value, new_gradient = _quartimin(slopes, tried)
                if new_value < value - 0.5 * size * step:
                    break
            step /= 2
        else:
            break
        rotation, value, gradient = tried, new_value, new_gradient
    return np.asarray(rotation)


def _quartimin(slopes: np.ndarray, rotation: np.ndarray) -> tuple[float, np.ndarray]:
    inverse = np.linalg.inv(rotation)
    turned = slopes @ inverse.T
    square = turned**2
    others = square.sum(axis=1, keepdims=True) - square
    n = len(slopes)
    by_slope = turned * others / n
    return float((square * others).sum() / (4 * n)), -(turned.T @ by_slope @ inverse).T


def procrustes(slopes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Orthogonal matrix T (D, D) that brings ``slopes @ T`` nearest to a target.

    Args:
        slopes: (n_items, D).
        target: (n_items, D).

    References:
        Schönemann (1966), A generalized solution of the orthogonal Procrustes problem,
        https://doi.org/10.1007/BF02289451

    Example:
        >>> A = np.array([[1.0, 0], [0, 2], [1, 1]])
        >>> turn = np.array([[0, 1.0], [-1, 0]])
        >>> np.allclose(procrustes(A @ turn, A), turn.T)
        True
    """
    left, _, right = np.linalg.svd(slopes.T @ target)
    return np.asarray(left @ right)


def tidy(slopes: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Signed permutation T (D, D): dimensions by falling key, slopes with a positive sum.

    Args:
        slopes: (n_items, D).
        key: what to order the dimensions by, (D,).
    """
    sign = np.where(slopes.sum(axis=0) < 0, -1.0, 1.0)
    return np.asarray((np.eye(len(key)) * sign)[:, np.argsort(-key, kind="stable")])
