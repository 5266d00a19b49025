"""Intervals for estimated scores: from the sampling design, or conformal from calibration models."""

from __future__ import annotations

import math

import numpy as np

from irtbench.subsets.estimators import patterns

__all__ = ["conformal_factor", "design_interval", "far_factor", "wilson"]


def wilson(p: np.ndarray, inverse_n: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Wilson's interval of a proportion with effective sample size :math:`1 / \text{inverse\_n}`.

    .. math:: \frac{p + k/2 ± \sqrt{k\,p(1-p) + k^2/4}}{1 + k},\quad k = z^2 / n

    Unlike p ± z·SE it stays inside [0, 1] and has a width at p = 0 and 1.

    Args:
        p: proportions or means in [0, 1].
        inverse_n: 1/n of each; 0 gives an interval of width 0.
        level: coverage.

    References:
        Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953; for surveys: Dean & Pagano
        (2015), https://doi.org/10.1093/jssam/smv024; for evals: Bowyer et al. (2025),
        https://arxiv.org/abs/2503.01747

    Example:
        >>> low, high = wilson(np.array([0.0, 0.5]), np.array([0.1, 0.1]), 0.9)
        >>> low.round(3).tolist(), high.round(3).tolist()
        ([0.0, 0.269], [0.213, 0.731])
    """
    from scipy.stats import norm

    k = norm.ppf((1 + level) / 2) ** 2 * inverse_n
    half = np.sqrt(k * p * (1 - p) + k**2 / 4)
    low, high = (p + k / 2 - half) / (1 + k), (p + k / 2 + half) / (1 + k)
    return np.clip(low, 0, p), np.clip(high, p, 1)


def design_interval(
    values: np.ndarray, weights: np.ndarray, strata: np.ndarray, sizes: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Interval of a (stratified) sample's weighted mean, with finite population correction.

    .. math:: \hat V = r \sum_h W_h^2 \frac{1 - n_h/N_h}{n_h}\, \tilde p_h (1 - \tilde p_h)

    and Wilson's interval at the effective sample size :math:`\tilde p (1 - \tilde p) / \hat V`,
    :math:`\tilde p = \sum_h W_h \tilde p_h`: for one stratum that is :math:`n / (1 - n/N)`. The
    :math:`\tilde p_h` are shrunk by two pseudo-responses towards the overall mean, so that strata
    with few items or equal responses keep a variance; r ≤ 1 is the variance of continuous responses
    relative to 0/1 ones.

    Args:
        values: (n_models, size) responses in [0, 1], NaN where missing.
        weights: (size,) weight of each item.
        strata: (size,) code of each item's stratum.
        sizes: (n_strata,) items of each stratum in the full benchmark, N_h.
        level: coverage.

    Returns:
        Lower and upper limits (n_models,).

    References:
        Cochran (1977), Sampling Techniques, ch. 5; Miller (2024), Adding Error Bars to Evals,
        https://arxiv.org/abs/2411.00640

    Example:
        >>> y = np.array([[1.0] * 8 + [0.0] * 2])
        >>> low, high = design_interval(y, np.full(10, 0.1), np.zeros(10, int), np.array([1000]), 0.9)
        >>> low.round(2).tolist(), high.round(2).tolist()
        ([0.54], [0.93])
    """
    low, high = np.empty(len(values)), np.empty(len(values))
    for rows, seen in patterns(~np.isnan(values)):
        y, own = values[np.ix_(rows, seen)].astype(float), strata[seen]
        w = weights[seen] / weights[seen].sum()
        member = np.eye(len(sizes))[own]
        n = member.sum(axis=0)
        count, n_h = y @ member, np.maximum(n, 1)
        overall = (y.sum(axis=1) + 1) / (len(own) + 2)
        shrunk = (count + 2 * overall[:, None]) / (n + 2)
        within = (count / n_h)[:, own]
        ratio = ((y - within) ** 2).sum(axis=1) + 0.25
        ratio = ratio / ((within * (1 - within)).sum(axis=1) + 0.25)
        share = w @ member
        scale = share**2 * (1 - np.minimum(n / sizes, 1)) / n_h
        pooled = shrunk @ share
        variance = ratio * ((shrunk * (1 - shrunk)) @ scale)
        low[rows], high[rows] = wilson(y @ w, variance / (pooled * (1 - pooled)), level)
    return low, high


def conformal_factor(z: np.ndarray, level: float) -> tuple[float, bool]:
    r"""Number of sds that covers a new model with probability ``level``, and whether that is guaranteed.

    The :math:`\lceil (M+1)\,\text{level} \rceil`-th smallest \|z\| of M exchangeable calibration models
    covers with at least that probability, whatever the distribution. With fewer models than that rank
    asks for: a t quantile times the root mean square of z; with none, the normal quantile.

    Args:
        z: (n_calibration,) errors in units of their sd.
        level: coverage.

    References:
        Vovk et al. (2005), Algorithmic Learning in a Random World; Lei et al. (2018),
        https://doi.org/10.1080/01621459.2017.1307116

    Example:
        >>> conformal_factor(np.array([-3.0, 0.5, 1.0, -1.5, 2.0, 0.1, 0.2, 0.3, 0.4]), 0.9)
        (3.0, True)
    """
    size = np.sort(np.abs(z[~np.isnan(z)]))
    rank = math.ceil((len(size) + 1) * level - 1e-9)
    if rank <= len(size):
        return float(size[rank - 1]), True
    from scipy.stats import norm, t

    if len(size) == 0:
        return float(norm.ppf((1 + level) / 2)), False
    return float(t.ppf((1 + level) / 2, len(size)) * np.sqrt((size**2).mean())), False


def far_factor(z: np.ndarray, near: float, level: float) -> float:
    """Number of sds for a model beyond the calibration models' range.

    The conformal factor of the strongest calibration models, predicted by the weaker half; at least that
    within the range, and at least the normal quantile: errors that happened to be small within the range
    do not vouch for what lies beyond it.

    Args:
        z: (n,) errors of those models in units of their sd.
        near: the factor within the range.
        level: coverage.

    Example:
        >>> round(far_factor(np.full(20, 0.2), near=0.5, level=0.9), 2)
        1.64
    """
    from scipy.stats import norm

    return max(conformal_factor(z, level)[0], near, float(norm.ppf((1 + level) / 2)))
