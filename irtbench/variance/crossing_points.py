"""Which of two views is ahead along training, for every benchmark and recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.runs import curves, runs_of
from irtbench.variance.standard_errors import stated
from irtbench.variance.views import crossover

__all__ = ["crossings", "on_one_scale", "positions"]


def crossings(
    views: Mapping[str, ResponseMatrix],
    *,
    family: str | Sequence[str] = "family",
    seed: str = "seed",
    step: str = "step",
    level: float = 0.95,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Where along training one view overtakes the other for good, by benchmark and recipe.

    Args:
        views: names of two views → responses of the same recipes; metrics of the same bounds and direction.
        family: see :func:`irtbench.variance.runs_of`.
        seed: likewise.
        step: likewise.
        level: of the interval, see :func:`~irtbench.variance.crossover`.
        resamples: likewise.

    Returns:
        DataFrame: ``benchmark``, ``family``, ``winner`` (the view that is ahead at the end), and the columns
        of :func:`~irtbench.variance.crossover` for it; positions as in :func:`positions`.

    Raises:
        InputError: not two views, of other recipes or benchmarks, or metrics that cannot be compared.

    Example:
        >>> table = pd.DataFrame({"family": "a", "seed": [0, 0, 1, 1], "step": [1, 2, 1, 2]}, list("wxyz"))
        >>> a, b = [[0, 0], [1, 1]] * 2, [[1, 0], [1, 0]] * 2
        >>> found = crossings({"a": ResponseMatrix.of(a, table), "b": ResponseMatrix.of(b, table)})
        >>> found[["winner", "crossover", "probability"]].to_numpy().tolist()
        [['a', 1.5, 1.0]]
    """
    if len(views) != 2:
        raise InputError(f"a crossover is of two views, got {list(views)}")
    (first, one), (second, other) = views.items()
    if not on_one_scale(one, other):
        raise InputError(
            f"{first} ({one.metric}) and {second} ({other.metric}) are not on one scale: they cannot cross"
        )
    up = one.metric.higher_is_better
    how = {"family": family, "seed": seed, "step": step}
    rows: list[dict[str, Any]] = []
    for a, b in zip(runs_of(one, **how), runs_of(other, **how), strict=True):  # type: ignore[arg-type]
        if (a.family, a.benchmarks, a.steps) != (b.family, b.benchmarks, b.steps):
            raise InputError(
                f"{first} and {second} differ in recipes, benchmarks or checkpoints: {a!r}; {b!r}"
            )
        scores = curves(a), curves(b)
        for g, name in enumerate(a.benchmarks):
            y, x = (s[..., g] for s in scores)
            ahead = np.nanmean(y[:, -1]) - np.nanmean(x[:, -1])
            winner = (ahead > 0) == up
            if not winner:
                y, x = x, y
            found = crossover(
                y, x, positions(a.steps), higher_is_better=up, level=level, resamples=resamples
            ).iloc[0]
            own = {"benchmark": name, "family": a.family, "winner": first if winner else second}
            rows.append({**own, **found.to_dict()})
    return stated(pd.DataFrame(rows), level=level, resamples=resamples, interval="bootstrap over seeds")


def on_one_scale(one: ResponseMatrix, other: ResponseMatrix) -> bool:
    """Whether two metrics have the same bounds and the same direction."""
    a, b = one.metric, other.metric
    return a.bounds == b.bounds and a.higher_is_better == b.higher_is_better


def positions(steps: Sequence[Any]) -> list[float]:
    """Where checkpoints stand on an axis: their numbers, or 1, 2, … if one of them is none.

    Example:
        >>> positions([10, "25"]), positions([10, "best"])
        ([10.0, 25.0], [1.0, 2.0])
    """
    try:
        return [float(step) for step in steps]
    except (TypeError, ValueError):
        return [float(k + 1) for k in range(len(steps))]
