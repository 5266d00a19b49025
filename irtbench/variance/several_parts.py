"""A test of a difference whose variance has several parts, each with degrees of freedom of its own."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["tested", "welch"]


_SMALLEST = 1e-100  # p-values are reported down to this; quantiles further out overflow


def welch(parts: list[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances, by Welch and Satterthwaite, from (variance, df) of each."""
    doubt = sum(v**2 / df for v, df in parts)
    return sum(v for v, _ in parts) ** 2 / doubt if doubt > 0 else math.inf


def _quantile(p: float, parts: list[tuple[float, float]]) -> float:
    """Cochran and Cox's two-sided quantile: of each part's t, weighted by its variance."""
    from scipy.special import stdtrit

    total = sum(v for v, _ in parts)
    return -sum(v * float(stdtrit(min(df, 1e9), p / 2)) for v, df in parts) / total


def tested(
    estimate: float,
    se: float,
    parts: list[tuple[float, float]],
    correction: float,
    level: float,
    higher_is_better: bool,
) -> tuple[float, float, float, float, float, float]:
    """Limits, p-value, probability that A is better, standard error and degrees of freedom."""
    from scipy.optimize import brentq
    from scipy.special import stdtridf

    up = 1.0 if higher_is_better else -1.0
    if se == 0:
        return estimate, estimate, float(estimate == 0), (1 + np.sign(up * estimate)) / 2, se, math.inf

    def two_sided(statistic: float) -> float:
        if statistic <= 0:
            return 1.0
        if _quantile(_SMALLEST, parts) <= statistic:
            return _SMALLEST
        low = math.log(_SMALLEST)
        return math.exp(brentq(lambda x: _quantile(math.exp(x), parts) - statistic, low, 0.0, xtol=1e-10))

    quantile = _quantile(1 - level, parts)
    half = quantile * se + correction
    tail = two_sided(abs(estimate) / se) / 2
    df = parts[-1][1] if len(parts) == 1 else float(stdtridf((1 + level) / 2, quantile))
    return (
        estimate - half,
        estimate + half,
        two_sided((abs(estimate) - correction) / se),
        1 - tail if up * estimate > 0 else tail,
        se,
        df,
    )
