"""From single estimates to a table of methods: errors, coverage, ranks, and the difference to the control."""

from __future__ import annotations

import numpy as np
import pandas as pd

from irtbench.compare.methods import CONTROL
from irtbench.errors import InputError

__all__ = ["summarize"]

_KEYS = ["method", "size"]
_NEEDED = {"method", "size", "seed", "split", "model", "truth", "score", "lower", "upper"}


def summarize(comparison: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    r"""Summarise what :func:`irtbench.compare` returned, a row by method and size.

    ``mae``, ``rmse``, ``bias`` (estimate - truth) and ``coverage`` pool all test models; ``spearman`` and
    ``kendall`` are the agreement with the full ranking within a split, averaged; ``seed_sd`` is the sd
    of a model's estimate over subset seeds, averaged. ``mae_diff`` is the paired difference of MAE to
    the random control of the same size, with the corrected resampled t interval

    .. math:: \bar d ± t_{k-1} \sqrt{(1/k + n_\text{test}/n_\text{calibration})\, s_d^2}

    because the k splits share models.

    Args:
        comparison: DataFrame with the columns of :func:`irtbench.compare`.
        level: coverage of the interval of ``mae_diff``.

    Returns:
        DataFrame with columns method, size, mae, rmse, bias, coverage, spearman, kendall, seed_sd,
        mae_diff, mae_diff_lower, mae_diff_upper, splits, models. Scores are in [0, 1].

    Raises:
        InputError: columns are missing, or there are no rows.

    References:
        Nadeau & Bengio (2003), Inference for the generalization error,
        https://doi.org/10.1023/A:1024068626366

    Example:
        >>> rows = [("random + mean", 5, 0, "s", m, t, t, 0, 1) for m, t in (("a", 0.2), ("b", 0.6))]
        >>> columns = ["method", "size", "seed", "split", "model", "truth", "score", "lower", "upper"]
        >>> found = summarize(pd.DataFrame(rows, columns=columns)).iloc[0]
        >>> [float(round(found[name], 6)) for name in ("mae", "coverage", "spearman")]
        [0.0, 1.0, 1.0]
    """
    missing = _NEEDED - set(comparison.columns)
    if missing:
        raise InputError(
            f"comparison lacks the column(s) {sorted(missing)}; give what irtbench.compare returned"
        )
    if not len(comparison):
        raise InputError("the comparison has no rows")
    error = comparison["score"] - comparison["truth"]
    table = comparison.assign(
        _absolute=error.abs(),
        _square=error**2,
        _error=error,
        _covered=(comparison["lower"] <= comparison["truth"]) & (comparison["truth"] <= comparison["upper"]),
    )
    grouped = table.groupby(_KEYS, sort=False)
    summary = pd.DataFrame(
        {
            "mae": grouped["_absolute"].mean(),
            "rmse": np.sqrt(grouped["_square"].mean()),
            "bias": grouped["_error"].mean(),
            "coverage": grouped["_covered"].mean(),
        }
    )
    summary = summary.join(_ranks(table)).join(_seed_sd(table)).join(_paired(table, level))
    counts = pd.DataFrame({"splits": grouped["split"].nunique(), "models": grouped["model"].nunique()})
    return summary.join(counts).reset_index()


def _ranks(table: pd.DataFrame) -> pd.DataFrame:
    from scipy.stats import kendalltau, rankdata

    rows = []
    for (method, size, _, _), part in table.groupby([*_KEYS, "split", "seed"], sort=False):
        x, y = part["score"].to_numpy(), part["truth"].to_numpy()
        constant = np.ptp(x) == 0 or np.ptp(y) == 0
        rho = np.nan if constant else np.corrcoef(rankdata(x), rankdata(y))[0, 1]
        rows.append((method, size, rho, np.nan if constant else kendalltau(x, y).statistic))
    found = pd.DataFrame(rows, columns=[*_KEYS, "spearman", "kendall"])
    return found.groupby(_KEYS, sort=False).mean()


def _seed_sd(table: pd.DataFrame) -> pd.Series:
    sd = table.groupby([*_KEYS, "split", "model"], sort=False)["score"].std(ddof=1)
    return sd.groupby(level=_KEYS, sort=False).mean().rename("seed_sd")


def _paired(table: pd.DataFrame, level: float) -> pd.DataFrame:
    from scipy.stats import t

    by_split = table.pivot_table(index=_KEYS, columns="split", values="_absolute", sort=False)
    sides = table.groupby("split")["model"].nunique()
    ratio = 1 / 3
    if "n_calibration" in table:
        ratio = float((sides / table.groupby("split")["n_calibration"].first()).mean())
    rows = {}
    for method, size in by_split.index:
        if (CONTROL, size) not in by_split.index:
            continue
        difference = (by_split.loc[method, size] - by_split.loc[CONTROL, size]).dropna()
        k = len(difference)
        half = np.nan
        if k > 1:
            half = t.ppf((1 + level) / 2, k - 1) * np.sqrt((1 / k + ratio) * difference.var(ddof=1))
        mean = difference.mean()
        rows[method, size] = (mean, mean - half, mean + half)
    columns = ["mae_diff", "mae_diff_lower", "mae_diff_upper"]
    index = pd.MultiIndex.from_tuples(list(rows), names=_KEYS) if rows else by_split.index[:0]
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)
