"""Curves as a table: one row a run and benchmark, with its interval over items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from irtbench.variance.runs import Runs, curves
from irtbench.variance.standard_errors import standard_error, stated

__all__ = ["curve_table"]


def curve_table(runs: Sequence[Runs], *, level: float = 0.95) -> pd.DataFrame:
    r"""Scores of every seed at every checkpoint, each with :math:`S_{rt} \pm z\, SE_{rt}` over items.

    Args:
        runs: of each recipe.
        level: coverage of the interval of one run, over items.

    Returns:
        Table: ``family``, ``benchmark``, ``seed``, ``checkpoint`` (its position), ``step`` (its name),
        ``score``, ``se``, ``low``, ``high``; NaN where a run is missing.

    Example:
        >>> from irtbench.responses.matrix import ResponseMatrix
        >>> from irtbench.variance.runs import runs_of
        >>> table = pd.DataFrame({"family": "a", "seed": [0, 1]}, index=["x", "y"])
        >>> found = curve_table(runs_of(ResponseMatrix.of([[1, 0, 1, 0], [1, 1, 1, 0]], table)))
        >>> found[["seed", "score", "low", "high"]].round(2).to_numpy().tolist()
        [['0', 0.5, -0.07, 1.07], ['1', 0.75, 0.26, 1.24]]
    """
    from scipy.stats import norm

    rows = []
    for own in runs:
        scores = curves(own)
        errors = np.stack(
            [standard_error(own.values[..., own.item_benchmarks == name]) for name in own.benchmarks], axis=-1
        )
        for r, seed in enumerate(own.seeds):
            for t, step in enumerate(own.steps):
                for g, name in enumerate(own.benchmarks):
                    at = (own.family, name, str(seed), t, str(step))
                    rows.append((*at, scores[r, t, g], errors[r, t, g]))
    columns = ["family", "benchmark", "seed", "checkpoint", "step", "score", "se"]
    table = pd.DataFrame(rows, columns=columns)
    half = norm.ppf((1 + level) / 2) * table["se"]
    return stated(table.assign(low=table["score"] - half, high=table["score"] + half), level=level)
