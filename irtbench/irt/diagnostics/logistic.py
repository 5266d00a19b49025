"""Logistic regression of many items on the same few columns, all at once."""

from __future__ import annotations

import numpy as np

__all__ = ["deviances"]

_PASSES, _HALVINGS = 30, 8
_CELLS = 2**17  # worked on at a time
_FLAT = 1e-6  # change of a deviance that no p value notices
_RIDGE = 1e-8  # keeps the steps finite where the groups are separated: the deviance has a limit all the same


def deviances(
    design: np.ndarray, right: np.ndarray, trials: np.ndarray, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Fit :math:`\operatorname{logit} P_{mi} = x_m^T β_i` to each column by Newton's method.

    Args:
        design: x, (n_models, n_columns).
        right: k, (n_models, n_items); shares count as parts of a trial.
        trials: n, 0 where missing.
        start: β of a smaller design, whose columns are the first of this one.

    Returns:
        Deviances :math:`-2 \sum k \log P + (n - k) \log(1 - P)` (n_items,), and β (n_columns, n_items).

    Example:
        >>> import numpy as np
        >>> k = np.array([[1.0], [0.0], [1.0], [1.0]])
        >>> deviance, beta = deviances(np.ones((4, 1)), k, np.ones((4, 1)))
        >>> [round(float(x), 3) for x in (deviance[0], beta[0, 0])]
        [4.499, 1.099]
    """
    beta = np.zeros((design.shape[1], right.shape[1]))
    if start is not None:
        beta[: len(start)] = start
    value, width = np.empty(right.shape[1]), max(1, _CELLS // len(design))
    for first in range(0, right.shape[1], width):
        part = slice(first, first + width)
        value[part], beta[:, part] = _newton(design, right[:, part], trials[:, part], beta[:, part])
    return value, beta


def _newton(x: np.ndarray, k: np.ndarray, n: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    beta, total = beta.copy(), x.T @ k
    value, p = _deviance(x, beta, total, n)
    live = np.arange(len(value))  # items that still gain: most are done long before the last
    for _ in range(_PASSES):
        step = _step(x, total[:, live], n, p)
        for _ in range(_HALVINGS):
            found, p = _deviance(x, beta[:, live] + step, total[:, live], n)
            worse = found > value[live] + _FLAT
            if not worse.any():
                break
            step = np.where(worse, step / 2, step)
        gain = value[live] - found
        beta[:, live] += np.where(gain > -_FLAT, step, 0.0)
        value[live] = np.minimum(found, value[live])
        more = gain > _FLAT
        live, p = live[more], p[:, more]
        n = n if more.all() else n[:, more]
        if not len(live):
            break
    return value, beta


def _step(x: np.ndarray, total: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Newton's step of every item, (n_columns, n_items)."""
    columns, mean = x.shape[1], n * p
    outer = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    hessian = (outer.T @ (mean * (1 - p))).T.reshape(-1, columns, columns)
    hessian += _RIDGE * np.eye(columns) * np.maximum(n.sum(axis=0), 1)[:, None, None]
    return np.asarray(np.linalg.solve(hessian, (total - x.T @ mean).T[:, :, None])[:, :, 0].T)


def _deviance(
    x: np.ndarray, beta: np.ndarray, total: np.ndarray, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Deviance by :math:`-2 (β^T X^T k - \sum n \log(1 + e^z))`, and P."""
    z = x @ beta
    small = np.exp(-np.abs(z))  # never overflows
    linear = np.einsum("ci,ci->i", beta, total)
    grown = np.einsum("mi,mi->i", n, np.maximum(z, 0) + np.log1p(small))
    return 2 * (grown - linear), np.where(z >= 0, 1.0, small) / (1 + small)
