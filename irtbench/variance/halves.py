"""Item statistics of the weaker and of the stronger half of the models, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.splits import model_groups
from irtbench.variance.item_analysis import item_statistics
from irtbench.variance.runs import step_order
from irtbench.variance.standard_errors import stated

__all__ = ["one_run_each", "statistics_by_half"]

_LEAST = 12  # models, as of split_stability


def statistics_by_half(R: ResponseMatrix, *, level: float = 0.95) -> pd.DataFrame:
    """Difficulty and discrimination of every item, among the weaker and among the stronger models.

    All runs of one model (the same ``name``) stay in one half; a model in the middle is in neither.

    Args:
        R: responses of at least 12 models; every row counts, so give one run of each (:func:`one_run_each`).
        level: coverage of the intervals.

    Returns:
        Table by ``half`` (``weaker``, ``stronger``) and item, with the columns of
        :func:`~irtbench.variance.item_statistics`.

    Raises:
        InputError: fewer than 12 models.

    References:
        Madaan et al. (2024), section 4, Fig. 3, https://arxiv.org/abs/2406.10229

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> R = ResponseMatrix.of((rng.logistic(size=(40, 30)) < rng.normal(size=(40, 1))) * 1)
        >>> statistics_by_half(R).groupby("half", sort=False)["difficulty"].mean().round(2).to_dict()
        {'weaker': 0.73, 'stronger': 0.35}
    """
    groups = model_groups(R)
    scores = R.scores().groupby(groups).mean()
    if len(scores) < _LEAST:
        raise InputError(
            f"halves of the models for item analysis need at least {_LEAST}, there are {len(scores)}"
        )
    order = scores.sort_values(ascending=R.metric.higher_is_better, kind="stable").index
    half = len(order) // 2
    sides = {"weaker": order[:half], "stronger": order[-half:]}
    parts = {
        name: item_statistics(R.take(groups.isin(own).to_numpy()), level=level) for name, own in sides.items()
    }
    table = pd.concat(parts, names=["half", "item"])
    return stated(table, **parts["weaker"].attrs, models=half)


def one_run_each(
    R: ResponseMatrix, *, family: str | Sequence[str] = "family", seed: str = "seed", step: str = "step"
) -> ResponseMatrix:
    """Keep the last checkpoint of every seed of every model, or all rows where no checkpoints are known.

    Args:
        R: responses. Rows of one model share its ``name``; where there is none, ``family`` stands for it.
        family: column of the recipe, or several.
        seed: column of the replicate.
        step: column of the checkpoint.

    Example:
        >>> table = pd.DataFrame({"name": ["a", "a", "b"], "step": [1, 2, 1]}, index=list("xyz"))
        >>> one_run_each(ResponseMatrix.of([[0], [1], [1]], table)).model_ids
        ['y', 'z']
    """
    columns = ["name"] if "name" in R.models else [family] if isinstance(family, str) else list(family)
    if step not in R.models or not set(columns) <= set(R.models):
        return R
    who = [column for column in (*columns, seed) if column in R.models]
    last: dict[tuple[str, ...], int] = {}
    order = [step_order(None if pd.isna(value) else value) for value in R.models[step]]
    for k, own in enumerate(R.models[who].astype(str).itertuples(index=False, name=None)):
        if own not in last or order[k] > order[last[own]]:
            last[own] = k
    return R.take(models=sorted(last.values()))
