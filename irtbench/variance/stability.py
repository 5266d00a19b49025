"""Whether the items that tell some models apart also tell others apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.splits import model_groups
from irtbench.variance.item_analysis import Statistic, discrimination_of_sides
from irtbench.variance.standard_errors import stated

__all__ = ["split_stability"]

_AT_ONCE = 25  # splits


def split_stability(
    R: ResponseMatrix,
    kinds: Sequence[Literal["random", "capability"]] = ("random", "capability"),
    *,
    n_splits: int = 100,
    kept: float = 0.9,
    statistic: Statistic = "item_rest",
    seed: int = 0,
) -> pd.DataFrame:
    """Whether items that tell some models apart also tell others apart: many splits of the models in two.

    ``random``: halves at random. ``capability``: the weaker half against the stronger. Both keep the same
    number of models a side, a random ``kept`` of each half, so that they can be compared and the second
    one varies too. All runs of one model (the same ``name``) stay on one side. Describe the distribution
    with ``table.groupby("kind")["pearson"].describe()``.

    Args:
        R: responses of at least 12 models.
        kinds: how to split.
        n_splits: splits of each kind.
        kept: share of each half that a split keeps.
        statistic: ``item_rest`` or ``item_total``.
        seed: of the splits.

    Returns:
        DataFrame, a row a split: ``kind``, ``split``, ``n_train``, ``n_test`` (models), ``n_items`` (that
        vary on both sides), ``pearson`` and ``spearman`` of the items' discriminations on both sides,
        ``difficulty`` (Pearson, of the difficulties), ``spread_train`` and ``spread_test`` (sd of the
        scores: models that are alike show less discrimination).

    Raises:
        InputError: fewer than 12 models, or an argument out of range.

    References:
        Madaan et al. (2024), section 4, Fig. 3, https://arxiv.org/abs/2406.10229

    Example:
        >>> rng = np.random.default_rng(0)
        >>> ability, difficulty = rng.normal(size=(40, 1)), rng.normal(size=200)
        >>> R = ResponseMatrix.of((rng.logistic(size=(40, 200)) < ability - difficulty) * 1)
        >>> split_stability(R, n_splits=5).groupby("kind")["n_items"].size().to_dict()
        {'capability': 5, 'random': 5}
    """
    unknown = set(kinds) - {"random", "capability"}
    if unknown or not kinds:
        raise InputError(f"kinds must be 'random' and 'capability', got {list(kinds)}")
    if n_splits < 1 or not 0 < kept <= 1:
        raise InputError(f"n_splits must be at least 1 and kept in (0, 1], got {n_splits} and {kept}")
    groups = model_groups(R)
    names = groups.unique()
    if len(names) < 12:
        raise InputError(f"splitting models for item analysis needs at least 12, there are {len(names)}")
    scores = R.scores().groupby(groups).mean().reindex(names)
    by_strength = scores.sort_values(ascending=R.metric.higher_is_better, kind="stable").index.to_numpy(
        object
    )
    half = len(names) // 2
    size = max(3, int(kept * half + 1e-9))
    splits = []
    for kind in kinds:
        for k in range(n_splits):
            rng = np.random.default_rng([seed, k, kind == "random"])
            order = rng.permutation(by_strength) if kind == "random" else by_strength
            sides = [rng.choice(part, size, replace=False) for part in (order[:half], order[-half:])]
            splits.append((kind, k, np.array([groups.isin(side) for side in sides])))
    rows, own = [], R.scores().to_numpy()
    for first in range(0, len(splits), _AT_ONCE):
        part = splits[first : first + _AT_ONCE]
        found = discrimination_of_sides(R, np.concatenate([sides for *_, sides in part]), statistic)
        pairs = zip(part, *(x.reshape(len(part), 2, -1) for x in found), strict=True)
        rows += [
            {"kind": kind, "split": k, **_agreement(own, sides, *both)} for (kind, k, sides), *both in pairs
        ]
    return stated(
        {column: [row[column] for row in rows] for column in rows[0]},
        statistic=statistic,
        kept=kept,
        n_splits=n_splits,
        seed=seed,
    )


def _agreement(
    scores: np.ndarray, sides: np.ndarray, telling: np.ndarray, mean: np.ndarray
) -> dict[str, float]:
    """How far two sides (2, n_models) agree on the items: their discrimination and mean responses."""
    from scipy.stats import rankdata

    telling = telling[:, ~np.isnan(telling).any(axis=0)]
    mean = mean[:, ~np.isnan(mean).any(axis=0)]
    spread = [float(scores[side].std(ddof=1)) for side in sides]
    return {
        "n_train": int(sides[0].sum()),
        "n_test": int(sides[1].sum()),
        "n_items": telling.shape[1],
        "pearson": _pearson(*telling),
        "spearman": _pearson(*(rankdata(x) for x in telling)),
        "difficulty": _pearson(*mean),
        "spread_train": spread[0],
        "spread_test": spread[1],
    }


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; NaN where a side does not vary."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
