"""Item analysis: how hard an item is, and how well it tells models apart."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.standard_errors import stated

__all__ = ["Statistic", "discrimination", "discrimination_of_sides", "item_statistics"]

Statistic = Literal["item_rest", "item_total"]
_VALUES = 2**22  # held at a time
_CONSTANT = 1e-10


def item_statistics(R: ResponseMatrix, *, level: float = 0.95) -> pd.DataFrame:
    r"""Difficulty and discrimination of every item over the models.

    Difficulty: 1 - mean response (the mean response of a loss). Discrimination: Pearson's correlation over
    models of the response with the score of its benchmark, the item in it (``item_total``, for 0/1
    responses the point-biserial correlation) or without it (``item_rest``, which no item owes to itself).
    Intervals: Wilson's for the difficulty, Fisher's z for ``item_rest``.

    Args:
        R: responses; every row counts as a model, so give one run of each.
        level: coverage of the intervals.

    Returns:
        DataFrame by item: ``benchmark``, ``n_models``, ``difficulty``, ``difficulty_low``,
        ``difficulty_high``, ``item_total``, ``item_rest``, ``item_rest_low``, ``item_rest_high``. NaN
        where all responses are equal.

    Raises:
        InputError: fewer than 3 models.

    References:
        Lord & Novick (1968), Statistical Theories of Mental Test Scores, ch. 15; Madaan et al. (2024),
        section 4, https://arxiv.org/abs/2406.10229; Fisher (1921), Metron 1, 3-32

    Example:
        >>> R = ResponseMatrix.of([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0]], items=["a", "b", "c"])
        >>> item_statistics(R)[["difficulty", "item_total", "item_rest"]].round(2).to_numpy().tolist()
        [[0.25, 0.87, 0.58], [0.5, 0.9, 0.58], [1.0, nan, nan]]
    """
    from scipy.stats import norm

    seen = R.observed
    count = seen.sum(axis=0)
    mean = np.nan_to_num(R.values).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    difficulty = np.where(count > 0, 1 - mean if R.metric.higher_is_better else mean, np.nan)
    z = norm.ppf((1 + level) / 2)
    k = z**2 / np.maximum(count, 1)
    half = np.sqrt(k * difficulty * (1 - difficulty) + k**2 / 4)
    rest = discrimination(R, "item_rest")
    reach = z / np.sqrt(np.maximum(count - 3, 0.25))
    with np.errstate(divide="ignore"):
        fisher = np.arctanh(rest)
    table = {
        "benchmark": R.benchmarks,
        "n_models": count,
        "difficulty": difficulty,
        "difficulty_low": np.clip((difficulty + k / 2 - half) / (1 + k), 0, 1),
        "difficulty_high": np.clip((difficulty + k / 2 + half) / (1 + k), 0, 1),
        "item_total": discrimination(R, "item_total"),
        "item_rest": rest,
        "item_rest_low": np.tanh(fisher - reach),
        "item_rest_high": np.tanh(fisher + reach),
    }
    found = stated(table, level=level, correlation="pearson", score="of the item's benchmark")
    found.index = R.items.index
    return found


def discrimination(R: ResponseMatrix, statistic: Statistic = "item_rest") -> np.ndarray:
    r"""Correlation over models of each item's responses with the score of its benchmark.

    ``item_rest``: :math:`r(y_i, (S - y_i) / (n - 1))` over the n items that the model answered;
    ``item_total``: :math:`r(y_i, S / n)`.

    Args:
        R: responses.
        statistic: without (``item_rest``) or with the item itself (``item_total``).

    Returns:
        Array (n_items,); NaN where the responses or the scores are all equal.

    Raises:
        InputError: fewer than 3 models, or unknown ``statistic``.
    """
    return discrimination_of_sides(R, np.ones((1, R.n_models)), statistic)[0][0]


def discrimination_of_sides(
    R: ResponseMatrix, sides: np.ndarray, statistic: Statistic = "item_rest"
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`discrimination` over parts of the models, all parts at once, and the mean responses.

    Args:
        R: responses.
        sides: 1 where a model belongs to a side, else 0, (n_sides, n_models).
        statistic: without (``item_rest``) or with the item itself (``item_total``).

    Returns:
        Correlations and mean responses, each (n_sides, n_items).

    Raises:
        InputError: fewer than 3 models, or unknown ``statistic``.
    """
    if statistic not in ("item_rest", "item_total"):
        raise InputError(f"statistic must be 'item_rest' or 'item_total', got {statistic!r}")
    if R.n_models < 3:
        raise InputError(
            f"item analysis correlates over models: at least 3 are needed, there are {R.n_models}"
        )
    sides = np.asarray(sides, dtype=np.float64)
    found, means = (np.full((len(sides), R.n_items), np.nan) for _ in range(2))
    at_once = max(1, _VALUES // R.n_models)
    for name in dict.fromkeys(R.benchmarks):
        own = np.flatnonzero(R.benchmarks == name)
        total = np.nan_to_num(R.values[:, own]).sum(axis=1, dtype=np.float64, keepdims=True)
        count = R.observed[:, own].sum(axis=1, dtype=np.float64, keepdims=True)
        for first in range(0, len(own), at_once):
            part = own[first : first + at_once]
            seen = R.observed[:, part]
            y = np.nan_to_num(R.values[:, part].astype(np.float64))
            with np.errstate(invalid="ignore", divide="ignore"):
                rest = (total - y) / (count - 1) if statistic == "item_rest" else total / count
            scored = seen & np.isfinite(rest)
            rest = np.where(scored, rest, 0.0)
            found[:, part] = _correlations(sides, np.where(scored, y, 0.0), rest, scored)
            with np.errstate(invalid="ignore"):
                means[:, part] = (sides @ y) / (sides @ seen)
    return found, means


def _correlations(sides: np.ndarray, x: np.ndarray, y: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each pair of columns over the models of each side, (n_sides, n_items).

    A column whose variance is below ``_CONSTANT`` of its mean square is constant but for rounding: NaN.
    """
    n = np.maximum(sides @ seen, 1.0)
    mean_x, mean_y = (sides @ x) / n, (sides @ y) / n
    square_x, square_y = (sides @ x**2) / n, (sides @ y**2) / n
    var_x, var_y = square_x - mean_x**2, square_y - mean_y**2
    cov = (sides @ (x * y)) / n - mean_x * mean_y
    varies = (var_x > _CONSTANT * square_x) & (var_y > _CONSTANT * square_y)
    found = np.full(cov.shape, np.nan)
    np.divide(cov, np.sqrt(np.where(varies, var_x * var_y, 1.0)), out=found, where=varies)
    return np.clip(found, -1.0, 1.0)
