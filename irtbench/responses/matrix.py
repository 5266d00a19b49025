"""ResponseMatrix: models × items responses with a table about each side.

Everything in irtbench starts here. The type is immutable; the readers, checks and splits of this
room make or slice it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.files import fingerprint
from irtbench.responses.metric import Metric, named

__all__ = ["Average", "Metric", "ResponseMatrix", "item_weights"]

Average = Literal["micro", "macro"]
Selector = Any  # ids, positions, a boolean mask or a slice


@dataclass(frozen=True, eq=False, repr=False)
class ResponseMatrix:
    """Responses of models to items.

    ``values[m, i]`` is the response of model ``m`` to item ``i``: 0/1, the share ``k/n`` of ``n``
    repeated samples, or another number in [0, 1]; NaN is a missing cell. A metric with other bounds
    (``nll``: 0 to ∞) is kept, described and saved alike, but no IRT model or subset takes it.

    Attributes:
        values: float32 array (n_models, n_items), read-only.
        models: table about the models, indexed by model id (known columns: ``family``, ``seed``,
            ``step``, ``tokens``, ``date``, ``params``).
        items: table about the items, indexed by item id (known columns: ``benchmark``,
            ``subject``, ``cluster``).
        metric: what the responses measure.
        trials: int32 array (n_models, n_items) of samples behind each cell (0 where missing), or
            None if every observed cell is one response.

    Raises:
        InputError: empty, shapes that do not fit, ids that repeat, values outside the metric's bounds
            ([0, 1] unless it says otherwise) or infinite.

    Example:
        >>> R = ResponseMatrix.of([[1, 0, 1], [0, 0, 1]], models=["m1", "m2"], items=["a", "b", "c"])
        >>> R
        ResponseMatrix: 2 models × 3 items, 100.0 % observed, acc (higher is better)
        >>> R.scores().round(3).to_dict()
        {'m1': 0.667, 'm2': 0.333}
    """

    values: np.ndarray
    models: pd.DataFrame
    items: pd.DataFrame
    metric: Metric = field(default_factory=Metric)
    trials: np.ndarray | None = None

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float32, order="C")
        if values.ndim != 2 or 0 in values.shape:
            raise InputError(f"no responses: expected models × items, got shape {values.shape}")
        models = _table(self.models, "model", values.shape[0])
        items = _table(self.items, "item", values.shape[1])
        _check_range(values, self.metric, models.index, items.index)
        trials = _checked_trials(self.trials, values)
        values[np.isnan(values)] = np.nan  # one bit pattern, so that the fingerprint depends on nothing else
        values.flags.writeable = False
        for name, value in (("values", values), ("models", models), ("items", items)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "trials", trials)

    @classmethod
    def of(
        cls,
        values: Any,
        models: Sequence[str] | pd.DataFrame | None = None,
        items: Sequence[str] | pd.DataFrame | None = None,
        *,
        benchmark: str | Sequence[str] | None = None,
        metric: Metric | str | None = None,
        trials: Any = None,
    ) -> ResponseMatrix:
        """Make a matrix from an array or DataFrame; ids are numbered where none are given.

        Args:
            values: (n_models, n_items) numbers within the metric's bounds, NaN or None where missing.
            models: model ids, or a table indexed by them.
            items: item ids, or a table indexed by them.
            benchmark: benchmark of all items, or of each.
            metric: a :class:`Metric`, or a name (see :func:`~irtbench.responses.metric.named`).
            trials: (n_models, n_items) samples behind each cell.

        Raises:
            InputError: see :class:`ResponseMatrix`.
        """
        if isinstance(values, pd.DataFrame):
            models = list(values.index.astype(str)) if models is None else models
            items = list(values.columns.astype(str)) if items is None else items
        array = np.asarray(values, dtype=np.float32)
        if array.ndim != 2:
            raise InputError(f"expected a models × items table, got {array.ndim} dimension(s)")
        if models is None:
            models = [f"model-{k:0{len(str(len(array)))}d}" for k in range(len(array))]
        if items is None:
            width = len(str(array.shape[1]))
            items = [f"item-{k:0{width}d}" for k in range(array.shape[1])]
        model_table = models if isinstance(models, pd.DataFrame) else pd.DataFrame(index=list(models))
        item_table = items if isinstance(items, pd.DataFrame) else pd.DataFrame(index=list(items))
        if benchmark is not None:
            item_table = item_table.assign(benchmark=benchmark)
        return cls(array, model_table, item_table, named(metric), trials)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_models, n_items)."""
        n_models, n_items = self.values.shape
        return n_models, n_items

    @property
    def n_models(self) -> int:
        """Number of models."""
        return self.shape[0]

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.shape[1]

    @property
    def model_ids(self) -> list[str]:
        """Model ids, in row order."""
        return list(self.models.index)

    @property
    def item_ids(self) -> list[str]:
        """Item ids, in column order."""
        return list(self.items.index)

    @cached_property
    def observed(self) -> np.ndarray:
        """Boolean array (n_models, n_items): which cells hold a response."""
        return ~np.isnan(self.values)

    @cached_property
    def benchmarks(self) -> np.ndarray:
        """Benchmark of each item (n_items,), ``"all"`` for every item if the table has none."""
        if "benchmark" in self.items:
            return np.asarray(self.items["benchmark"].astype(str), dtype=object)
        return np.full(self.n_items, "all", dtype=object)

    @cached_property
    def kind(self) -> Literal["binary", "binomial", "continuous"]:
        """``binary`` (0/1), ``binomial`` (k of n samples) or ``continuous`` responses."""
        if self.trials is not None:
            count = self.values[self.observed].astype(np.float64) * self.trials[self.observed]
            whole = bool(np.all(np.abs(count - np.round(count)) < 1e-3))
            return "binomial" if whole else "continuous"
        binary = (self.values == 0) | (self.values == 1) | ~self.observed
        return "binary" if binary.all() else "continuous"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of ids, tables, values, trials and metric."""
        return fingerprint(
            np.ascontiguousarray(self.values).reshape(-1).view(np.uint8).data,  # no copy
            b"" if self.trials is None else self.trials.tobytes(),
            self.models.to_csv(),
            self.items.to_csv(),
            str(self.metric),
        )

    def __repr__(self) -> str:
        share = 100 * float(self.observed.mean())
        parts = [f"{self.n_models} models × {self.n_items} items"]
        names = list(dict.fromkeys(self.benchmarks))
        if len(names) > 1:
            parts.append(f"{len(names)} benchmarks")
        parts += [f"{share:.1f} % observed", str(self.metric)]
        return "ResponseMatrix: " + ", ".join(parts)

    def take(
        self, models: Selector = None, items: Selector = None, benchmark: str | Sequence[str] | None = None
    ) -> ResponseMatrix:
        """Return the part with these models and items, in the order asked for.

        Args:
            models: ids, positions, a boolean mask or a slice; None keeps all.
            items: likewise.
            benchmark: keep only items of this benchmark or these.

        Raises:
            InputError: an id is not there, or nothing is left.

        Example:
            >>> R = ResponseMatrix.of([[1, 0], [0, 1]], ["m1", "m2"], ["a", "b"])
            >>> R.take(models=["m2"], items=["b", "a"]).values.tolist()
            [[1.0, 0.0]]
        """
        rows = _positions(models, self.models.index, "model")
        columns = _positions(items, self.items.index, "item")
        if benchmark is not None:
            wanted = [benchmark] if isinstance(benchmark, str) else list(benchmark)
            unknown = sorted(set(wanted) - set(self.benchmarks))
            if unknown:
                known = sorted(set(self.benchmarks))[:10]
                raise InputError(f"no items of benchmark {unknown[0]!r}; there are {known}")
            columns = columns[np.isin(self.benchmarks[columns].astype(str), wanted)]
        trials = None if self.trials is None else self.trials[np.ix_(rows, columns)]
        return ResponseMatrix(
            self.values[np.ix_(rows, columns)],
            self.models.iloc[rows],
            self.items.iloc[columns],
            self.metric,
            trials,
        )

    def __getitem__(self, key: Selector) -> ResponseMatrix:
        """``R[models]`` or ``R[models, items]``: see :meth:`take`."""
        if isinstance(key, tuple):
            if len(key) != 2:
                raise InputError(f"expected R[models, items], got {len(key)} indices")
            return self.take(*(None if isinstance(k, slice) and k == slice(None) else k for k in key))
        return self.take(key)

    def scores(self, average: Average = "micro") -> pd.Series:
        r"""Full score of each model: :math:`\sum_i w_i y_{mi} / \sum_i w_i` over its observed items.

        Args:
            average: ``micro`` (every item counts the same) or ``macro`` (every benchmark does).

        Returns:
            Series by model id, within the metric's bounds; NaN for a model without responses.
        """
        weights = item_weights(self.benchmarks, average) * self.observed
        total = weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.nansum(weights * np.nan_to_num(self.values), axis=1) / total
        return pd.Series(mean, index=self.models.index, name="score")

    def save(self, path: str | Path) -> None:
        """Write one Parquet file (long form, tables and fingerprint in its metadata)."""
        from irtbench.responses.parquet import write_parquet

        write_parquet(self, path)


def item_weights(benchmarks: np.ndarray, average: Average = "micro") -> np.ndarray:
    """Weight of each item in the full score, summing to 1.

    Args:
        benchmarks: benchmark of each item (n_items,).
        average: ``micro``: 1/N each; ``macro``: 1/(B · N_b) for an item of benchmark b.

    Raises:
        InputError: unknown ``average``.

    Example:
        >>> item_weights(np.array(["a", "a", "b"]), "macro").tolist()
        [0.25, 0.25, 0.5]
    """
    if average == "micro":
        return np.full(len(benchmarks), 1 / len(benchmarks))
    if average != "macro":
        raise InputError(f"average must be 'micro' or 'macro', got {average!r}")
    _, group, counts = np.unique(benchmarks.astype(str), return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(counts) * counts[group]))


def _table(table: pd.DataFrame, name: str, length: int) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        table = pd.DataFrame(index=list(table))
    if len(table) != length:
        raise InputError(f"the {name} table has {len(table)} rows, the responses have {length} {name}s")
    table = table.copy()
    table.index = pd.Index(table.index.astype(str), name=name, dtype=object)
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise InputError(f"{name} id {twice!r} occurs more than once; ids must be unique")
    if (table.index == "").any():
        raise InputError(f"a {name} id is empty; every {name} needs an id")
    return table


def _check_range(values: np.ndarray, metric: Metric, models: pd.Index, items: pd.Index) -> None:
    bad = metric.outside(values)
    if bad.any():
        m, i = np.argwhere(bad)[0]
        low, high = metric.bounds
        outside = "is infinite" if np.isinf(values[m, i]) else f"lies outside [{low:g}, {high:g}]"
        advice = "rescale the metric to [0, 1]" if metric.unit else f"{metric.name!r} cannot be that"
        raise InputError(
            f"response {values[m, i]:g} of model {models[m]!r} to item {items[i]!r} {outside}"
            f" ({int(bad.sum())} such cell(s)); {advice}"
        )
    if np.isnan(values).all():
        raise InputError("every response is missing; nothing to work with")


def _checked_trials(trials: np.ndarray | None, values: np.ndarray) -> np.ndarray | None:
    if trials is None:
        return None
    trials = np.array(trials, dtype=np.int32, order="C")
    if trials.shape != values.shape:
        raise InputError(f"trials have shape {trials.shape}, the responses {values.shape}")
    missing = np.isnan(values)
    if (trials[~missing] < 1).any():
        raise InputError("a cell with a response has fewer than one trial")
    trials[missing] = 0
    if (trials[~missing] == 1).all():
        return None
    trials.flags.writeable = False
    return trials


def _positions(selector: Selector, index: pd.Index, name: str) -> np.ndarray:
    if selector is None:
        return np.arange(len(index))
    if isinstance(selector, slice):
        return np.arange(len(index))[selector]
    if isinstance(selector, str):
        selector = [selector]
    chosen = np.asarray(selector)
    if chosen.dtype == bool:
        if len(chosen) != len(index):
            raise InputError(f"the {name} mask has {len(chosen)} entries for {len(index)} {name}s")
        return np.flatnonzero(chosen)
    if chosen.dtype.kind in "iu":
        if chosen.size and (chosen.min() < -len(index) or chosen.max() >= len(index)):
            raise InputError(f"{name} position {int(chosen.max())} is out of range 0…{len(index) - 1}")
        return np.arange(len(index))[chosen.reshape(-1)]
    found = index.get_indexer(pd.Index([str(x) for x in chosen.reshape(-1)], dtype=object))
    if (found < 0).any():
        unknown = str(chosen.reshape(-1)[found < 0][0])
        raise InputError(f"no {name} {unknown!r} ({int((found < 0).sum())} of the ids asked for are unknown)")
    return np.asarray(found)
