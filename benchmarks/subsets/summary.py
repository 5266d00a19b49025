"""Errors of each method and split, differences to the control with their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.subsets.protocol import ALL, CONTROL

__all__ = ["KEYS", "by_draw", "by_split", "mean_of", "paired"]

KEYS = ["kind", "benchmark", "method", "size"]
MEASURES = ("mae", "rmse", "bias", "coverage", "width", "spearman", "build_s", "estimate_ms")


def by_split(found: pd.DataFrame) -> pd.DataFrame:
    """Errors of each method and size in each split: mean over test models and draws, in points."""
    error = 100 * (found["score"] - found["truth"])
    known = found["lower"].notna()
    inside = ((found["lower"] <= found["truth"]) & (found["truth"] <= found["upper"])).where(known)
    table = found.assign(
        kind=found["split"].str.rsplit("-", n=1).str[0],
        mae=error.abs(),
        rmse=error**2,
        bias=error,
        coverage=inside.astype(float),
        width=100 * (found["upper"] - found["lower"]),
    )
    keys = [*KEYS, "split", "n_calibration"]
    grouped = table.groupby(keys, sort=False)
    rows = grouped[["mae", "rmse", "bias", "coverage", "width", "build_s", "estimate_ms"]].mean()
    rows["rmse"] = np.sqrt(rows["rmse"])
    order = [*keys, "seed"]
    ranked = table.assign(
        score=table.groupby(order, sort=False)["score"].rank(),
        truth=table.groupby(order, sort=False)["truth"].rank(),
    )
    rows["spearman"] = _correlation(ranked, order).groupby(level=keys, sort=False).mean()
    rows["models"] = grouped["model"].nunique()
    rows["draws"] = grouped["seed"].nunique()
    if "pool" in found:
        rows["pool"] = grouped["pool"].first()
    return rows.reset_index()


def by_draw(found: pd.DataFrame, method: str = "random + mean") -> pd.DataFrame:
    """Error of each draw of a random method, mean over the test models of a split: what luck does."""
    own = found[(found["method"] == method) & (found["benchmark"] == ALL)]
    own = own.assign(
        kind=own["split"].str.rsplit("-", n=1).str[0], mae=100 * (own["score"] - own["truth"]).abs()
    )
    return own.groupby(["kind", "size", "split", "seed"], sort=False)["mae"].mean().reset_index()


def _correlation(table: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Correlation of score and truth in each group; NaN where one of them does not vary."""
    x = table[["score", "truth"]] - table.groupby(keys, sort=False)[["score", "truth"]].transform("mean")
    products = x.assign(xy=x["score"] * x["truth"], xx=x["score"] ** 2, yy=x["truth"] ** 2)
    total = products.join(table[keys]).groupby(keys, sort=False)[["xy", "xx", "yy"]].sum()
    norm = np.sqrt(total["xx"] * total["yy"])
    return total["xy"] / norm.where(norm > 0)


def mean_of(rows: pd.DataFrame, keys: list[str] | None = None) -> pd.DataFrame:
    """Mean over splits of every measure, indexed by ``keys`` (:data:`KEYS` by default)."""
    measures = [m for m in MEASURES if m in rows]
    return rows.groupby(keys or KEYS, sort=False)[measures].mean()


def paired(
    rows: pd.DataFrame, control: str = CONTROL, level: float = 0.95, keys: tuple[str, ...] = tuple(KEYS)
) -> pd.DataFrame:
    """Difference of MAE to the control in the same splits, with the corrected resampled t interval.

    Its correction is the ratio of test to calibration models; where only few of the others calibrate, the ratio
    of test models to all others (``pool`` less them): so much do two splits share.

    References:
        Nadeau & Bengio (2003), Inference for the generalization error,
        https://doi.org/10.1023/A:1024068626366
    """
    from scipy.stats import t

    same = [k for k in (*keys, "split") if k != "method"]
    reference = rows[rows["method"] == control].set_index(same)["mae"]
    table = rows.assign(
        difference=rows["mae"].to_numpy() - reference.reindex(pd.MultiIndex.from_frame(rows[same])).to_numpy()
    )
    rest = table["pool"] - table["models"] if "pool" in table else table["n_calibration"]
    table["ratio"] = table["models"] / rest
    grouped = table.dropna(subset=["difference"]).groupby(list(keys), sort=False)
    found = grouped["difference"].agg(["mean", "var", "count"]).join(grouped["ratio"].mean())
    k = found["count"]
    reach = t.ppf((1 + level) / 2, np.maximum(k - 1, 1))
    half = (reach * np.sqrt((1 / k + found["ratio"]) * found["var"])).where(k > 1)
    return pd.DataFrame(
        {"difference": found["mean"], "low": found["mean"] - half, "high": found["mean"] + half}
    )
