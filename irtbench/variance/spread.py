"""Spread over seeds: standard deviations at each checkpoint, and how many checkpoints they are worth."""

from __future__ import annotations

import numpy as np

from irtbench.errors import InputError

__all__ = ["as_curves", "effective_df", "final", "seed_std"]


def seed_std(scores: np.ndarray, ddof: int = 1) -> np.ndarray:
    """Standard deviation over seeds at each checkpoint.

    Args:
        scores: (n_seeds, …), NaN where missing.
        ddof: 1 or 0.

    Returns:
        Array (…); NaN where fewer than two seeds are there.

    Example:
        >>> seed_std(np.array([[0.0, 0.2], [0.2, 0.2]])).round(3).tolist()
        [0.141, 0.0]
    """
    y = np.asarray(scores, dtype=np.float64)
    n = (~np.isnan(y)).sum(axis=0)
    deviation = y - np.nansum(y, axis=0) / np.maximum(n, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(n > 1, np.sqrt(np.nansum(deviation**2, axis=0) / (n - ddof)), np.nan))


def effective_df(scores: np.ndarray) -> float:
    r"""Degrees of freedom of the checkpoints' average variance over seeds (Satterthwaite).

    .. math:: (R-1)\, \mathrm{tr}(Σ)^2 / \mathrm{tr}(Σ^2)

    for the covariance Σ of the checkpoints: R − 1 if a seed's deviation stays the same all along,
    (R − 1)T if it is new at every checkpoint. Both traces are estimated without bias.

    Args:
        scores: (n_seeds, n_steps), NaN where missing.

    References:
        Srivastava (2005), Some tests concerning the covariance matrix in high dimensional data,
        https://doi.org/10.14490/jjss.35.251, for the traces

    Example:
        >>> effective_df(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
        2.0
    """
    y = np.asarray(scores, dtype=np.float64)
    n = (~np.isnan(y)).sum(axis=0)
    y = y[:, n > 1]
    if y.shape[1] == 0:
        return float("nan")
    nu = float(np.median(n[n > 1])) - 1
    deviation = np.nan_to_num(y - np.nanmean(y, axis=0))
    S = deviation.T @ deviation / nu
    trace, square = np.trace(S), (S**2).sum()
    if nu < 2 or trace == 0:
        return nu
    tr2 = nu**2 / ((nu - 1) * (nu + 2)) * (square - trace**2 / nu)
    df = nu * (trace**2 - 2 * tr2 / nu) / tr2 if tr2 > 0 else np.inf
    return float(np.clip(df, nu, nu * y.shape[1]))


def as_curves(scores: np.ndarray) -> np.ndarray:
    """Return scores as float64 (n_seeds, n_steps, n_groups); two dimensions are one group."""
    y = np.asarray(scores, dtype=np.float64)
    y = y[..., None] if y.ndim == 2 else y
    if y.ndim != 3 or 0 in y.shape:
        raise InputError(f"expected scores of seeds × checkpoints (× benchmarks), got shape {y.shape}")
    return y


def final(scores: np.ndarray) -> np.ndarray:
    """Scores of the seeds at the last checkpoint that any has (n,), without missing ones."""
    steps = np.flatnonzero(~np.isnan(scores).all(axis=0))
    if len(steps) == 0:
        raise InputError("every run is missing; nothing to work with")
    last = scores[:, steps[-1]]
    return np.asarray(last[~np.isnan(last)])
