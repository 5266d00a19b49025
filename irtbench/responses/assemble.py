"""The last step of every reader: drop what is empty, check that the models can be compared."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from irtbench.errors import DataWarning, InputError
from irtbench.responses.matrix import Metric, ResponseMatrix

__all__ = ["assemble", "components", "few"]


def assemble(
    values: np.ndarray,
    models: pd.DataFrame,
    items: pd.DataFrame,
    metric: Metric,
    trials: np.ndarray | None,
    source: str,
) -> ResponseMatrix:
    """Make a matrix without the models and items that have no response at all.

    Args:
        values: responses (n_models, n_items), NaN where missing.
        models: table about the models.
        items: table about the items.
        metric: what the responses measure.
        trials: samples behind each cell, or None.
        source: name of the data in messages.

    Raises:
        InputError: no response at all, or groups of models without an item in common.
    """
    observed = ~np.isnan(values)
    if not observed.any():
        raise InputError(f"{source}: every response is missing")
    rows, columns = observed.any(axis=1), observed.any(axis=0)
    for name, table, kept in (("model", models, rows), ("item", items, columns)):
        if not kept.all():
            gone = few(table.index[~kept])
            text = f"{source}: {int((~kept).sum())} {name}(s) without any response left out: {gone}"
            warnings.warn(text, DataWarning, stacklevel=3)
    if not (rows.all() and columns.all()):
        part = np.ix_(rows, columns)
        values, observed = values[part], observed[part]
        trials = None if trials is None else trials[part]
        models, items = models[rows], items[columns]
    _check_linked(observed, models.index, source)
    return ResponseMatrix(values, models, items, metric, trials)


def components(observed: np.ndarray) -> np.ndarray:
    """Number the groups of models that are linked by common items.

    Args:
        observed: which cells hold a response (n_models, n_items), boolean.

    Returns:
        Group of each model (n_models,), counted from 0.

    Example:
        >>> components(np.array([[1, 1, 0], [0, 0, 1], [0, 1, 0]], dtype=bool)).tolist()
        [0, 1, 0]
    """
    group = np.full(len(observed), -1)
    seen = np.zeros(observed.shape[1], dtype=bool)
    count = 0
    for start in range(len(observed)):
        if group[start] >= 0:
            continue
        front = np.array([start])
        while len(front):
            group[front] = count
            reached = observed[front].any(axis=0) & ~seen
            seen |= reached
            front = np.flatnonzero(observed[:, reached].any(axis=1) & (group < 0))
        count += 1
    return group


def few(names: object, limit: int = 3) -> str:
    """First names of a list, and how many more there are.

    Example:
        >>> few(["a", "b", "c", "d"])
        'a, b, c, … (4)'
    """
    listed = [str(name) for name in names]  # type: ignore[attr-defined]
    return ", ".join(listed) if len(listed) <= limit else f"{', '.join(listed[:limit])}, … ({len(listed)})"


def _check_linked(observed: np.ndarray, models: pd.Index, source: str) -> None:
    group = components(observed)
    if group.max() == 0:
        return
    examples = [f"{models[int(np.argmax(group == k))]!r}" for k in range(min(3, group.max() + 1))]
    raise InputError(
        f"{source}: the models fall into {group.max() + 1} groups without a common item (one of each:"
        f" {', '.join(examples)}); they cannot be put on one scale: check the item ids, or read them apart"
    )
