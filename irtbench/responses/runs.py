"""Runs: the rows of a matrix seen as seeds and checkpoints of models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import Average, ResponseMatrix

__all__ = ["curves", "runs"]


def runs(R: ResponseMatrix) -> pd.DataFrame:
    """Say of each row which run and checkpoint it is.

    Args:
        R: responses.

    Returns:
        Table by model id: ``run`` (name, with the seed if there is one), ``name``, ``seed``, ``step``
        and ``position`` (row of the matrix).

    Example:
        >>> table = pd.DataFrame({"name": ["m", "m"], "seed": [0, 1]}, index=["m@seed=0", "m@seed=1"])
        >>> runs(ResponseMatrix.of([[1, 0], [1, 1]], table))["run"].tolist()
        ['m@seed=0', 'm@seed=1']
    """
    index = R.models.index
    names = R.models["name"] if "name" in R.models else pd.Series(index, index=index)
    names = names.astype(str)
    seed, step = (R.models.get(part, pd.Series(np.nan, index=index)) for part in ("seed", "step"))
    marked = names + "@seed=" + seed.map(_plain)
    table = {"run": names.where(seed.isna(), marked), "name": names, "seed": seed, "step": step}
    return pd.DataFrame({**table, "position": np.arange(R.n_models)}, index=index)


def curves(R: ResponseMatrix, average: Average = "micro") -> pd.DataFrame:
    """Full score of each run at each of its checkpoints.

    Args:
        R: responses, with a ``step`` in the models table.
        average: see :meth:`ResponseMatrix.scores`.

    Returns:
        Table run × step, steps ascending, NaN where a run has no such checkpoint.

    Raises:
        InputError: there are no steps, or a run has one twice.

    Example:
        >>> table = pd.DataFrame({"name": ["m", "m"], "step": [10, 2]}, index=["m@10", "m@2"])
        >>> curves(ResponseMatrix.of([[1, 1], [1, 0]], table)).to_dict("index")
        {'m': {2: 0.5, 10: 1.0}}
    """
    table = runs(R).assign(score=R.scores(average)).dropna(subset=["step"])
    if table.empty:
        raise InputError("the models table has no column 'step' with values; give the checkpoints' steps")
    twice = table.duplicated(["run", "step"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(f"run {row['run']!r} has step {row['step']} more than once; tell them apart by seed")
    wide = table.pivot(index="run", columns="step", values="score")  # noqa: PD010
    return wide.reindex(table["run"].unique())


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
