"""Second moments of the responses of models to come: like the calibration models, and beyond their range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from irtbench.subsets.latent import NARROW, Latent, Reach, posterior

__all__ = ["Moments", "calibration_moments", "filled", "shift_moments"]

RIDGE = 0.05  # variance of a response that no other response tells of, beyond its own noise
FEW = 300.0  # calibration models at which the IRT model's covariance counts as much as the empirical one
WIDE = Reach(10.0, 1.0, 1.0)
_DRAWS, _WAVES, _WAVE_LENGTH = 300, 20, 0.15
_MISFIT = 2.0  # sd in logits by which an item may move by itself beyond the range


@dataclass(frozen=True, eq=False)
class Moments:
    r"""Mean and covariance of a new model's responses, :math:`F^⊤F + \operatorname{diag}(\text{noise})`.

    Attributes:
        mean: (n_items,).
        features: F (n_features, n_items).
        noise: variance of each response by itself (n_items,).
    """

    mean: np.ndarray
    features: np.ndarray
    noise: np.ndarray


def filled(values: np.ndarray, latent: Latent) -> np.ndarray:
    """Responses with missing cells at what the IRT model expects there, (n_models, n_items)."""
    if not np.isnan(values).any():
        return values.astype(float)
    expected = posterior(latent, np.arange(values.shape[1]), values, NARROW).probability
    return np.where(np.isnan(values), expected, values)


def calibration_moments(values: np.ndarray, probability: np.ndarray, latent: Latent) -> Moments:
    r"""Moments for a model of the calibration models' population.

    .. math:: Σ = (1 - w)\, S + w\, \big(S_P + \operatorname{diag}\overline{P(1-P)}\big) + λ I,\quad
              w = \frac{300}{300 + M}

    with the covariance S of the responses of M models and :math:`S_P` of what the IRT model expects of
    them: an empirical covariance of thousands of items from some hundred models, shrunk towards a
    structured one (Ledoit & Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4).

    Args:
        values: (n_models, n_items) responses without missing cells.
        probability: what the IRT model expects of them (n_models, n_items).
        latent: the items.
    """
    n, p = len(values), probability
    w = FEW / (FEW + n)
    mean = values.mean(axis=0)
    features = np.vstack([np.sqrt((1 - w) / n) * (values - mean), np.sqrt(w / n) * (p - p.mean(axis=0))])
    return Moments(mean, features, RIDGE + w * latent.dispersion * (p * (1 - p)).mean(axis=0))


def shift_moments(mean: np.ndarray, latent: Latent, seed: int = 0) -> Moments:
    """Moments, about the calibration models' mean, of a model anywhere within :data:`WIDE` reach.

    Abilities and shifts are drawn from their wide prior; smooth random functions of the items' difficulty
    and discrimination (random Fourier features) stand for shifts that no IRT model knows of, so that a
    design must spread over both; and every item may move by itself.

    Args:
        mean: (n_items,) of the calibration models.
        latent: the items.
        seed: seed of the draws.

    References:
        Rahimi & Recht (2007), Random features for large-scale kernel machines,
        https://papers.nips.cc/paper/3182-random-features-for-large-scale-kernel-machines
    """
    rng = np.random.default_rng(seed)
    loadings, precision = latent.loadings(WIDE)
    draws = rng.multivariate_normal(np.zeros(len(precision)), np.linalg.inv(precision), _DRAWS, method="eigh")
    p = expit(draws @ loadings.T + latent.intercept)
    spread = p * (1 - p)
    slack = spread.mean(axis=0)
    parts = [(p - mean) / np.sqrt(_DRAWS)]
    for b in range(latent.dimensions):
        own = np.flatnonzero(latent.own == b)
        for column in (latent.intercept, latent.slope):
            rank = np.argsort(np.argsort(column[own], kind="stable"), kind="stable") / len(own)
            frequency = rng.normal(0, 1 / _WAVE_LENGTH, _WAVES)[:, None]
            wave = np.cos(frequency * rank + rng.uniform(0, 2 * np.pi, _WAVES)[:, None])
            part = np.zeros((_WAVES, len(mean)))
            part[:, own] = np.sqrt(2 / _WAVES) * wave * slack[own]
            parts.append(part)
    noise = latent.dispersion * slack + _MISFIT**2 * (spread**2).mean(axis=0)
    return Moments(mean, np.vstack(parts), noise)
