"""The whole answer: one row a recipe and benchmark, with every measure of noise and signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.component_table import as_runs
from irtbench.variance.intervals import Method
from irtbench.variance.runs import Runs, curves
from irtbench.variance.seeds import above_chance
from irtbench.variance.table_parts import (
    COLUMNS,
    decision_columns,
    item_columns,
    joint_columns,
    order_columns,
    seed_columns,
    signal_columns,
)

__all__ = ["variance_report"]


Chance = float | Mapping[str, float] | None


def variance_report(
    runs: ResponseMatrix | Sequence[Runs],
    *,
    chance: Chance = None,
    window: int | slice | None = None,
    exclude_chance: bool = False,
    ddof: int = 1,
    average: Literal["mean", "rms"] = "mean",
    items: Method = "percentile",
    joint: Literal["components", "bootstrap"] = "components",
    statistic: Literal["tau_b", "tau_a", "spearman", "up"] = "tau_b",
    null: Literal["shared", "seeds"] = "shared",
    last: int | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Noise and signal of every benchmark, for every recipe with two seeds or more.

    Args:
        runs: of each recipe (:func:`runs_of`), or a matrix whose columns have the usual names.
        chance: score of guessing, for each benchmark or all; None leaves what needs it out.
        window: checkpoints behind E, the item interval and the design effect; see
            :func:`~irtbench.variance.seed_variance`.
        exclude_chance: leave out of these the checkpoints that are not clearly above chance.
        ddof: of standard deviations over seeds.
        average: see :func:`~irtbench.variance.seed_variance`.
        items: method of the item interval, see :func:`~irtbench.variance.item_interval`; ``clustered`` takes
            the column ``cluster`` of the items table.
        joint: method of the mean's interval over seeds and items, see
            :func:`~irtbench.variance.joint_interval`.
        statistic: see :func:`~irtbench.variance.monotonicity_of`.
        null: likewise.
        last: checkpoints of :func:`~irtbench.variance.checkpoint_noise`; None takes 5, or all if there
            are fewer.
        level: coverage of every interval.
        resamples: of every bootstrap and simulated null.
        seed: of everything random.

    Returns:
        Table by ``family`` and ``benchmark``: sizes; ``mean`` at the last checkpoint with ``low`` and
        ``high`` over seeds and items; ``E`` with its interval; ``item_half_width`` and ``item_se``, averaged
        over runs; ``ratio`` of E to this error and ``effect`` (design effect of seeds) with intervals and
        ``effect_p``; ``monotonicity`` with interval, ``monotonicity_of_mean``, ``monotonicity_p`` and
        ``monotonicity_corrected``;
        ``snr`` and ``snr_chance`` with intervals; ``checkpoint_noise``; ``share_seed``, ``share_item`` and
        ``share_rest`` of the variance of single responses at the last checkpoint; ``decision``: how often
        one seed at the checkpoint before the last orders two recipes as their means end up. What cannot be
        computed is NaN. The choices stand in ``attrs``.

    Raises:
        InputError: no replicates.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame({"family": "a", "seed": [0, 1, 2]}, index=list("xyz"))
        >>> R = ResponseMatrix.of(rng.integers(0, 2, (3, 200)), table)
        >>> variance_report(R)[["n_seeds", "mean", "E"]].round(3).reset_index().to_dict("records")
        [{'family': 'a', 'benchmark': 'all', 'n_seeds': 3, 'mean': 0.537, 'E': 0.028}]
    """
    found = as_runs(runs)
    metric = found[0].metric
    parts = []
    for own in found:
        scores, names = curves(own), own.benchmarks
        floor = _chance(chance, names)
        n_items = np.array([(own.item_benchmarks == name).sum() for name in names])
        counted = _counted(
            scores, window, floor if exclude_chance else None, n_items, metric.higher_is_better
        )
        parts.append(
            pd.concat(
                {
                    own.family: pd.concat(
                        [
                            seed_columns(own, scores, counted, ddof, average, level),
                            item_columns(own, counted, items, level, resamples, seed),
                            order_columns(own, scores, statistic, null, level, resamples, seed),
                            signal_columns(own, scores, floor, last, ddof, level, resamples, seed),
                        ],
                        axis=1,
                    )
                },
                names=["family", "benchmark"],
            )
        )
    table = pd.concat(parts).join(joint_columns(found, joint, level, resamples, seed))
    table = table.reindex(columns=list(COLUMNS))
    for end in ("", "_low", "_high"):
        table[f"ratio{end}"] = table[f"E{end}"] / table["item_se"].where(table["item_se"] > 0)
    table = table.join(decision_columns(found, level, resamples, seed))
    table.attrs = {
        "metric": str(metric),
        "ddof": ddof,
        "average": average,
        "window": str(window),
        "exclude_chance": exclude_chance,
        "chance": _stated(chance),
        "items": items,
        "joint": joint,
        "statistic": statistic,
        "null": null,
        "last": last or 5,
        "level": level,
        "resamples": resamples,
        "seed": seed,
    }
    return table


def _chance(chance: Chance, names: Sequence[str]) -> np.ndarray | None:
    if chance is None:
        return None
    if isinstance(chance, Mapping):
        return np.array([chance.get(name, np.nan) for name in names])
    return np.full(len(names), float(chance))


def _stated(chance: Chance) -> Any:
    return dict(chance) if isinstance(chance, Mapping) else chance


def _counted(
    scores: np.ndarray, window: int | slice | None, floor: np.ndarray | None, n_items: np.ndarray, up: bool
) -> np.ndarray:
    """Which checkpoints count for which benchmark (n_steps, n_benchmarks)."""
    n_steps, n_groups = scores.shape[1:]
    counted = np.zeros((n_steps, n_groups), dtype=bool)
    counted[slice(max(0, n_steps - window), None) if isinstance(window, int) else window or slice(None)] = (
        True
    )
    if floor is not None:
        counted &= above_chance(scores, floor, n_items, higher_is_better=up) | np.isnan(floor)
    return counted
