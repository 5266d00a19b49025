"""Whether seeds shift whole benchmarks, or every item by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.spread import effective_df, seed_std
from irtbench.variance.standard_errors import standard_error, stated

__all__ = ["seed_design_effect"]


def seed_design_effect(values: np.ndarray, *, level: float = 0.95) -> pd.DataFrame:
    r"""Whether seeds shift whole benchmarks: seed variance against that of independent items.

    .. math:: D = \frac{N \sum_t \mathrm{var}_r(S_{rt})}{\sum_t \frac1N \sum_i \mathrm{var}_r(y_{rti})}

    1 if a seed changes the items independently of each other, above 1 if a shift is shared. With 0/1
    responses the denominator is :math:`\bar{p_i (1 - p_i)}` of the paper's notes times R/(R − 1), which
    takes out the bias of few seeds. ``ratio`` is E / SE on one footing: one standard deviation over seeds
    against one standard error over items.

    Args:
        values: (n_seeds, n_items) or (n_seeds, n_steps, n_items) responses of one benchmark, NaN where
            missing.
        level: coverage.

    Returns:
        Table with one row: ``E`` (rms over checkpoints), ``se`` (rms over runs), ``ratio``, ``effect``, their
        limits, ``df``, and ``p`` of an effect as large if items were independent.

    Raises:
        InputError: fewer than two seeds.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> ability = rng.normal(size=(10, 1))
        >>> y = (rng.normal(size=(10, 500)) < ability).astype(float)
        >>> bool(seed_design_effect(y)["low"].item() > 1)
        True
    """
    from scipy.stats import chi2

    y = np.asarray(values, dtype=np.float64)
    y = y[:, None] if y.ndim == 2 else y
    if y.ndim != 3 or len(y) < 2:
        raise InputError(f"expected responses of two or more seeds, got an array of shape {y.shape}")
    seen = ~np.isnan(y)
    with np.errstate(invalid="ignore"):
        scores = np.where(seen.any(axis=2), np.nansum(y, axis=2) / np.maximum(seen.sum(axis=2), 1), np.nan)
    between = seed_std(scores) ** 2
    usable = ~np.isnan(between)
    counts = seen[:, usable].sum(axis=2)
    n_items = counts[counts > 0].mean()
    within = np.nanmean(seed_std(y[:, usable]) ** 2)
    df = effective_df(scores[:, usable])
    V = between[usable].mean()
    se = np.sqrt(np.nanmean(standard_error(y[:, usable]) ** 2))
    effect = V * n_items / within if within > 0 else np.nan
    low, high = (df / chi2.ppf(q, df) for q in ((1 + level) / 2, (1 - level) / 2))
    E = np.sqrt(V)
    ratio = E / se if se > 0 else np.nan
    table = {
        "E": [E],
        "se": [se],
        "ratio": [ratio],
        "ratio_low": [ratio * np.sqrt(low)],
        "ratio_high": [ratio * np.sqrt(high)],
        "effect": [effect],
        "low": [effect * low],
        "high": [effect * high],
        "df": [df],
        "p": [chi2.sf(effect * df, df)],
    }
    return stated(table, ddof=1, average="rms", level=level, interval="chi2")
