"""Runs: the responses of one family of models as seeds × checkpoints × items."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import Metric, ResponseMatrix

__all__ = ["Runs", "curves", "group_means", "runs_of", "step_order"]


@dataclass(frozen=True, eq=False, repr=False)
class Runs:
    """Replicates of one recipe: the same training, other seeds, at several checkpoints.

    Attributes:
        family: name of the recipe.
        values: float32 array (n_seeds, n_steps, n_items), NaN where a run or a response is missing.
        seeds: (n_seeds,) names of the replicates.
        steps: (n_steps,) checkpoints in training order; numbers, or text with the numbers first.
        items: table about the items, as in the ResponseMatrix.
        metric: what the responses measure.
        trials: int32 array of the shape of ``values``, samples behind each cell, or None.

    Example:
        >>> rows = {"family": "a", "seed": [0, 1, 0, 1], "step": [10, 10, 2, 2]}
        >>> table = pd.DataFrame(rows, index=list("wxyz"))
        >>> R = ResponseMatrix.of([[1, 1], [1, 0], [0, 0], [0, 1]], table)
        >>> runs_of(R)[0]
        Runs of a: 2 seeds × 2 checkpoints × 2 items, 100.0 % observed, acc (higher is better)
        >>> curves(runs_of(R)[0])[..., 0].tolist()
        [[0.0, 1.0], [0.5, 0.5]]
    """

    family: str
    values: np.ndarray
    seeds: tuple[Any, ...]
    steps: tuple[Any, ...]
    items: pd.DataFrame
    metric: Metric
    trials: np.ndarray | None = None

    def __post_init__(self) -> None:
        wanted = (len(self.seeds), len(self.steps), len(self.items))
        for name in ("values", "trials"):
            array = getattr(self, name)
            if array is None:
                continue
            if array.shape != wanted:
                raise InputError(
                    f"runs of {self.family!r}: {name} have shape {array.shape}, expected seeds × checkpoints"
                    f" × items {wanted}"
                )
            array.flags.writeable = False

    def __repr__(self) -> str:
        n_seeds, n_steps, n_items = self.values.shape
        share = 100 * (1 - float(np.isnan(self.values).mean()))
        return (
            f"Runs of {self.family}: {n_seeds} seeds × {n_steps} checkpoints × {n_items} items,"
            f" {share:.1f} % observed, {self.metric}"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_seeds, n_steps, n_items)."""
        n_seeds, n_steps, n_items = self.values.shape
        return n_seeds, n_steps, n_items

    @property
    def missing(self) -> list[tuple[Any, Any]]:
        """(seed, step) of the runs without any response: the grid need not be complete."""
        empty = np.isnan(self.values).all(axis=2)
        return [(self.seeds[r], self.steps[t]) for r, t in np.argwhere(empty)]

    @cached_property
    def item_benchmarks(self) -> np.ndarray:
        """Benchmark of each item (n_items,), ``"all"`` for every item if the table has none."""
        return _labels(self.items, "benchmark")

    @property
    def benchmarks(self) -> list[str]:
        """Names of the benchmarks, in the order of :func:`curves`."""
        return list(dict.fromkeys(self.item_benchmarks))

    def take(self, items: Any = None, seeds: Any = None, steps: Any = None) -> Runs:
        """Return the part at these positions; None keeps all.

        Args:
            items: positions, a boolean mask or a slice.
            seeds: likewise.
            steps: likewise; they must stay in training order.

        Example:
            >>> table = pd.DataFrame({"family": "a", "seed": [0, 1]}, index=["x", "y"])
            >>> runs = runs_of(ResponseMatrix.of([[1, 1, 0], [1, 0, 0]], table))[0]
            >>> runs.take(items=[0, 2]).values[:, 0].tolist()
            [[1.0, 0.0], [1.0, 0.0]]
        """
        r, t, i = (
            np.arange(n)[slice(None) if chosen is None else chosen]
            for n, chosen in zip(self.shape, (seeds, steps, items), strict=True)
        )
        part = np.ix_(r, t, i)
        return replace(
            self,
            values=self.values[part],
            seeds=tuple(self.seeds[k] for k in r),
            steps=tuple(self.steps[k] for k in t),
            items=self.items.iloc[i],
            trials=None if self.trials is None else self.trials[part],
        )


def runs_of(
    R: ResponseMatrix,
    *,
    family: str | Sequence[str] = "family",
    seed: str = "seed",
    step: str = "step",
    min_seeds: int = 2,
) -> list[Runs]:
    """Arrange a matrix as runs, one object a family.

    Args:
        R: responses; its models table says of each row the family, seed and step.
        family: column of the recipe, or several columns whose values together name it. Where the table
            has no ``family``, the model's ``name`` stands for it, or else all rows are one family.
        seed: column that tells replicates apart. Rows without a seed are a replicate of their own.
        step: column of the checkpoint; without it every run has one, called ``"last"``. Steps that are
            no numbers (``best``) come after those that are.
        min_seeds: leave out families with fewer replicates.

    Returns:
        Runs of each family in the order of their first rows. Missing runs are NaN.

    Raises:
        InputError: no such column, two rows of one run, or no family with enough seeds.

    Example:
        >>> table = pd.DataFrame({"family": list("aab"), "seed": [0, 1, 0]}, index=list("xyz"))
        >>> [runs.family for runs in runs_of(ResponseMatrix.of([[1, 0]] * 3, table))]
        ['a']
    """
    families = _families(R, family)
    if seed not in R.models and min_seeds > 1:
        raise InputError(
            f"the models table has no column {seed!r}; replicates are needed: give the same family several"
            f" seeds (columns: {', '.join(map(str, R.models.columns)) or 'none'})"
        )
    seeds = _column(R, seed, None)
    steps = _column(R, step, "last")
    found = []
    for name in dict.fromkeys(families):
        rows = np.flatnonzero(families == name)
        runs = _grid(R, str(name), rows, seeds[rows], steps[rows])
        if len(runs.seeds) >= min_seeds:
            found.append(runs)
    if not found:
        most = max(len(set(seeds[families == name])) for name in set(families))
        raise InputError(
            f"no family has {min_seeds} seeds ({len(set(families))} families, at most {most} seed(s) each);"
            " name the columns of the recipe and of its replicates with family= and seed="
        )
    return found


def curves(
    runs: Runs, by: str | Sequence[Any] | None = "benchmark", weights: np.ndarray | None = None
) -> np.ndarray:
    r"""Scores along training: :math:`S_{rtb} = \sum_{i \in b} w_i y_{rti} / \sum_{i \in b} w_i`.

    Args:
        runs: responses of one family.
        by: column of the items table that groups the items, the group of each item, or None for one
            group of all. Groups stand in the order of their first item.
        weights: (n_items,) weight of each item, equal if None.

    Returns:
        Array (n_seeds, n_steps, n_groups) over the observed responses; NaN where there are none.

    Raises:
        InputError: no such column, or weights that do not fit.
    """
    if by is None:
        labels = np.full(len(runs.items), "all", dtype=object)
    elif isinstance(by, str):
        if by != "benchmark" and by not in runs.items:
            raise InputError(f"the items table has no column {by!r}")
        labels = _labels(runs.items, by)
    else:
        labels = np.asarray(by, dtype=object)
    return group_means(runs.values, labels, weights)


def group_means(values: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean over each group of items on the last axis, over the observed responses.

    Args:
        values: (…, n_items), NaN where missing.
        labels: (n_items,) group of each item.
        weights: (n_items,) weight of each item, equal if None.

    Returns:
        float64 array (…, n_groups), groups in the order of their first item.

    Example:
        >>> group_means(np.array([[1.0, 0.0, np.nan, 1.0]]), np.array(["a", "a", "b", "b"])).tolist()
        [[0.5, 1.0]]
    """
    if len(labels) != values.shape[-1]:
        raise InputError(f"{len(labels)} item labels for {values.shape[-1]} items")
    if weights is not None and (len(weights) != len(labels) or np.min(weights) < 0):
        raise InputError(f"weights must be {len(labels)} numbers of 0 or more, one an item")
    codes, names = pd.factorize(np.asarray(labels, dtype=object))
    means = np.full((*values.shape[:-1], len(names)), np.nan)
    for g in range(len(names)):
        own = np.flatnonzero(codes == g)
        y = values[..., own].astype(np.float64)
        w = np.ones(len(own)) if weights is None else np.asarray(weights, dtype=np.float64)[own]
        total = ~np.isnan(y) @ w
        np.divide(np.nan_to_num(y) @ w, total, out=means[..., g], where=total > 0)
    return means


def _families(R: ResponseMatrix, family: str | Sequence[str]) -> np.ndarray:
    columns = [family] if isinstance(family, str) else list(family)
    if columns == ["family"] and "family" not in R.models:
        columns = ["name"] if "name" in R.models else []
    for column in columns:
        if column not in R.models:
            known = ", ".join(map(str, R.models.columns)) or "none"
            raise InputError(f"the models table has no column {column!r} (columns: {known})")
    parts = [R.models[column].map(_plain) for column in columns]
    if not parts:
        return np.full(R.n_models, "all", dtype=object)
    names = [" ".join(part for part in row if part) for row in zip(*parts, strict=True)]
    return np.array(names, dtype=object)


def _column(R: ResponseMatrix, name: str, default: Any) -> np.ndarray:
    found = np.empty(R.n_models, dtype=object)
    column = R.models[name].tolist() if name in R.models else [default] * R.n_models
    found[:] = [default if pd.isna(value) else _whole(value) for value in column]
    return found


def _grid(R: ResponseMatrix, family: str, rows: np.ndarray, seeds: np.ndarray, steps: np.ndarray) -> Runs:
    seed_names, step_names = (sorted(set(x), key=step_order) for x in (seeds, steps))
    r = np.array([seed_names.index(x) for x in seeds])
    t = np.array([step_names.index(x) for x in steps])
    cell = r * len(step_names) + t
    if len(set(cell)) < len(cell):
        _, first, counts = np.unique(cell, return_index=True, return_counts=True)
        twin = rows[cell == cell[first[np.argmax(counts > 1)]]]
        raise InputError(
            f"models {R.model_ids[twin[0]]!r} and {R.model_ids[twin[1]]!r} have the same family {family!r},"
            " seed and step; tell them apart with family= (one column or several), seed= or step="
        )
    shape = (len(seed_names), len(step_names), R.n_items)
    values = np.full(shape, np.nan, dtype=np.float32)
    values[r, t] = R.values[rows]
    trials = None
    if R.trials is not None:
        trials = np.zeros(shape, dtype=np.int32)
        trials[r, t] = R.trials[rows]
    return Runs(family, values, tuple(seed_names), tuple(step_names), R.items, R.metric, trials)


def _labels(items: pd.DataFrame, column: str) -> np.ndarray:
    if column not in items:
        return np.full(len(items), "all", dtype=object)
    return np.asarray(items[column].astype(str), dtype=object)


def step_order(value: Any) -> tuple[int, float, list[tuple[int, float, str]]]:
    """Sort key: numbers by size, then text by its parts (``step9`` before ``step10``), missing last."""
    if value is None:
        return 2, 0.0, []
    try:
        return 0, float(value), []
    except (TypeError, ValueError):
        parts = re.findall(r"\d+\.?\d*|\D+", str(value))
        return 1, 0.0, [(0, float(p), "") if p[0].isdigit() else (1, 0.0, p) for p in parts]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Any) -> str:
    return "" if pd.isna(value) else str(_whole(value))
