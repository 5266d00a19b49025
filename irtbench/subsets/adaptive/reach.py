r"""What a model's answers say if it may lie far beyond the calibration models.

The belief draws every model towards the calibration models' abilities, and asks of each item what their curve
says. Here abilities have ten times the variance, and each benchmark may be easier by itself, for hard items
more than for easy ones (:data:`irtbench.subsets.moments.WIDE`, :mod:`irtbench.subsets.latent`): the answers
of a model beyond the range decide, at the price of a wider interval.
"""

from __future__ import annotations

import numpy as np

from irtbench.irt.bank import ItemBank
from irtbench.subsets.adaptive.belief import GRID
from irtbench.subsets.latent import Latent, posterior
from irtbench.subsets.moments import WIDE

__all__ = ["reaching", "reaching_items"]

_LEAST_SPREAD = 0.1  # abilities that are all the same have no inverse covariance
_MOST = 8  # benchmarks with an ability each; more would make every estimate slow
_MODELS_A_BENCHMARK = 10


def reaching_items(bank: ItemBank, strata: np.ndarray, spread: np.ndarray) -> Latent:
    r"""A bank's items as a multidimensional 2PL, an ability with sd 1 for each benchmark.

    .. math:: \operatorname{logit} P_i(t_b) ≈ a_i \sqrt{1 + σ_b^2}\; z_b + d_i, \quad
              \operatorname{corr}(z_b, z_c) = 1 \Big/ \sqrt{(1 + σ_b^2)(1 + σ_c^2)}

    The line is the curve itself for a 2PL, and the nearest to it (weighted by P (1 - P) about the calibration
    models' abilities) where there are asymptotes.

    Args:
        bank: calibrated items.
        strata: code of the benchmark of each item (n_items,).
        spread: σ of each benchmark (n_benchmarks,).
    """
    known = bank.info.get("calibrated_on", {}).get("n_models", np.inf)
    if not 1 < len(spread) <= min(_MOST, known / _MODELS_A_BENCHMARK):
        strata, spread = np.zeros_like(strata), np.zeros(1)
    p = np.clip(bank.probability(GRID), 1e-12, 1 - 1e-12)
    logit = np.log(p) - np.log1p(-p)
    weight = np.exp(-(GRID[:, None] ** 2) / 8) * p * (1 - p)
    weight = weight / weight.sum(axis=0)
    middle = weight.T @ GRID
    away = GRID[:, None] - middle
    slope = (weight * away * logit).sum(axis=0) / (weight * away**2).sum(axis=0)
    intercept = (weight * logit).sum(axis=0) - slope * middle
    sd = np.sqrt(1 + np.maximum(spread, _LEAST_SPREAD) ** 2)
    correlation = np.outer(1 / sd, 1 / sd)
    np.fill_diagonal(correlation, 1.0)
    own = sd[strata]
    a, b, *_ = bank.curve_parameters
    change = np.zeros((len(a), 2, 2))  # of (slope, intercept) with (log a, b)
    change[:, 0, 0], change[:, 1, 0], change[:, 1, 1] = a * own, -a * b, -a
    cov = change @ bank.cov[:, :2, :2] @ change.transpose(0, 2, 1)
    return Latent(slope * own, intercept, cov, strata, correlation)


def reaching(latent: Latent, full: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Mean and sd of the full score of a model that may lie far beyond the calibration models.

    Args:
        latent: the items.
        full: weight of each item in the full score (n_items,).
        values: responses (n_items,), NaN where not asked.
    """
    asked = np.flatnonzero(~np.isnan(values))
    rest = full.copy()
    rest[asked] = 0.0
    found = posterior(latent, asked, values[None, asked], WIDE)
    mean = float(full[asked] @ values[asked] + found.probability[0] @ rest)
    return mean, float(np.sqrt(found.variance(rest, latent)[0]))
