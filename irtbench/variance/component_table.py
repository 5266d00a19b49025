"""Variance components of every benchmark, a row a component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.components import variance_components
from irtbench.variance.runs import Runs, runs_of

__all__ = ["as_runs", "at_end", "component_report", "usable"]


def component_report(
    runs: ResponseMatrix | Sequence[Runs],
    *,
    method: Literal["anova", "reml"] = "anova",
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Variance components of every benchmark: seed × item at the last checkpoint, and over all of them.

    Args:
        runs: as of :func:`variance_report`.
        method: see :func:`~irtbench.variance.variance_components`.
        level: coverage.
        resamples: draws behind the intervals.
        seed: of these draws.

    Returns:
        Table by ``family``, ``benchmark``, ``design`` (``last`` or ``all`` checkpoints) and ``component``.
        Designs without complete responses of two seeds are left out.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame({"family": "a", "seed": [0, 1, 2]}, index=list("xyz"))
        >>> R = ResponseMatrix.of(rng.integers(0, 2, (3, 200)), table)
        >>> component_report(R)["share"].round(2).to_dict()
        {('a', 'all', 'last', 'seed'): 0.0, ('a', 'all', 'last', 'item'): 0.05,
         ('a', 'all', 'last', 'seed × item'): 0.95}
    """
    how: dict[str, Any] = {"method": method, "level": level, "resamples": resamples, "seed": seed}
    parts = {}
    for own in as_runs(runs):
        for name in own.benchmarks:
            values = own.values[..., own.item_benchmarks == name]
            here = values[~np.isnan(values).all(axis=(1, 2))]
            end = at_end(values)
            if usable(end):
                parts[own.family, name, "last"] = variance_components(end, **how)
            if usable(here):
                parts[own.family, name, "all"] = variance_components(here, ("seed", "step", "item"), **how)
    if not parts:
        raise InputError("no benchmark has two seeds with responses to the same two items")
    table = pd.concat(parts, names=["family", "benchmark", "design", "component"])
    table.attrs = {**how, "interval": "generalised"}
    return table


def as_runs(runs: ResponseMatrix | Sequence[Runs]) -> list[Runs]:
    """Runs as they are, or those of a matrix; none are refused."""
    found = runs_of(runs) if isinstance(runs, ResponseMatrix) else list(runs)
    if not found:
        raise InputError("no runs; nothing to report on")
    return found


def at_end(values: np.ndarray) -> np.ndarray:
    """Responses at the last checkpoint that any run has (n_seeds, n_items), without missing runs."""
    end = values[:, np.flatnonzero(~np.isnan(values).all(axis=(0, 2)))[-1]]
    return np.asarray(end[~np.isnan(end).all(axis=1)])


def usable(values: np.ndarray) -> bool:
    """Whether there are two seeds (and two checkpoints) and two items that all of them answered."""
    complete = ~np.isnan(values).any(axis=tuple(range(values.ndim - 1)))
    return min(values.shape[:-1]) > 1 and int(complete.sum()) > 1
