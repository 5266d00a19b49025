"""The parts of the variance report: seeds, items, order and signal of one recipe, decisions of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.component_table import at_end, usable
from irtbench.variance.components import variance_components
from irtbench.variance.design_effect import seed_design_effect
from irtbench.variance.intervals import item_interval, joint_interval
from irtbench.variance.monotonicity import monotonicity_of
from irtbench.variance.ordering import decision_accuracy_by_step
from irtbench.variance.runs import Runs, curves
from irtbench.variance.seeds import seed_variance
from irtbench.variance.signal import checkpoint_noise, snr

__all__ = [
    "COLUMNS",
    "decision_columns",
    "item_columns",
    "joint_columns",
    "order_columns",
    "seed_columns",
    "signal_columns",
]


COLUMNS = (
    *("n_items", "n_seeds", "n_steps", "mean", "low", "high", "E", "E_low", "E_high"),
    *("item_half_width", "item_se", "ratio", "ratio_low", "ratio_high"),
    *("effect", "effect_low", "effect_high", "effect_p"),
    *("monotonicity", "monotonicity_low", "monotonicity_high", "monotonicity_of_mean"),
    *("monotonicity_p", "monotonicity_corrected", "total_variation"),
    *("snr", "snr_low", "snr_high", "snr_chance", "snr_chance_low", "snr_chance_high"),
    *("checkpoint_noise", "checkpoint_noise_low", "checkpoint_noise_high"),
    *("share_seed", "share_item", "share_rest"),
)


def seed_columns(
    own: Runs, scores: np.ndarray, counted: np.ndarray, ddof: int, average: Any, level: float
) -> pd.DataFrame:
    """Number of seeds and checkpoints, and E with its interval."""
    table = seed_variance(
        scores, names=own.benchmarks, ddof=ddof, average=average, include=counted, level=level
    )
    return table[["n_seeds", "n_steps", "E", "E_low", "E_high"]]


def item_columns(
    own: Runs, counted: np.ndarray, method: Any, level: float, resamples: int, seed: int
) -> pd.DataFrame:
    """What needs the single responses: item intervals, design effect, shares of variance."""
    rows = {}
    for g, name in enumerate(own.benchmarks):
        values = own.values[..., own.item_benchmarks == name]
        row = dict.fromkeys(_ITEM_COLUMNS, np.nan) | {"n_items": values.shape[2]}
        part = values[:, counted[:, g]]
        present = part[~np.isnan(part).all(axis=2)]  # runs × items
        if len(present):
            clusters = _clusters(own)[own.item_benchmarks == name] if method == "clustered" else None
            how: dict[str, Any] = {"level": level, "resamples": resamples, "seed": seed}
            table = item_interval(present, method, clusters=clusters, **how)
            row |= {"item_half_width": table["half_width"].mean(), "item_se": table["se"].mean()}
            effect = seed_design_effect(part, level=level).iloc[0]
            row |= {"effect": effect["effect"]} | {f"effect_{c}": effect[c] for c in ("low", "high", "p")}
        end = at_end(values)
        row["mean"] = float(np.nanmean(end, axis=1, dtype=np.float64).mean())
        if usable(end):
            shares = variance_components(end, level=level, resamples=2, seed=seed)["share"]
            row |= dict(zip(("share_seed", "share_item", "share_rest"), shares, strict=True))
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


_ITEM_COLUMNS = (
    *("n_items", "mean", "item_half_width", "item_se"),
    *("effect", "effect_low", "effect_high", "effect_p", "share_seed", "share_item", "share_rest"),
)


def _clusters(own: Runs) -> np.ndarray:
    if "cluster" not in own.items:
        raise InputError("items 'clustered' needs a column 'cluster' in the items table; there is none")
    return np.asarray(own.items["cluster"].astype(str), dtype=object)


def joint_columns(
    found: Sequence[Runs], method: Any, level: float, resamples: int, seed: int
) -> pd.DataFrame:
    """Interval of each mean over seeds and items; families with the same items share the draws."""
    groups: dict[tuple[Any, ...], dict[str, np.ndarray]] = {}
    for own in found:
        for name in own.benchmarks:
            end = at_end(own.values[..., own.item_benchmarks == name])
            if usable(end):
                alone = own.family if np.isnan(end).any() else None
                groups.setdefault((name, end.shape, alone), {})[own.family] = end
    parts = []
    for (name, *_), ends in groups.items():
        values = np.stack(list(ends.values()))
        table = joint_interval(values, method, level=level, resamples=resamples, seed=seed)[["low", "high"]]
        parts.append(table.set_index(pd.MultiIndex.from_tuples([(family, name) for family in ends])))
    table = pd.concat(parts) if parts else pd.DataFrame(columns=["low", "high"], dtype=float)
    table.index = pd.MultiIndex.from_tuples(list(table.index), names=["family", "benchmark"])
    return table


def order_columns(
    own: Runs, scores: np.ndarray, statistic: Any, null: Any, level: float, resamples: int, seed: int
) -> pd.DataFrame:
    """Monotonicity with its interval and null; NaN for a single checkpoint."""
    up = own.metric.higher_is_better
    if scores.shape[1] < 2:
        columns = [c for c in COLUMNS if c.startswith(("monotonicity", "total"))]
        return pd.DataFrame(np.nan, index=own.benchmarks, columns=columns)
    table = monotonicity_of(
        scores,
        names=own.benchmarks,
        higher_is_better=up,
        statistic=statistic,
        null=null,
        level=level,
        resamples=resamples,
        seed=seed,
    )
    names = {"low": "low", "high": "high", "of_mean": "of_mean", "p": "p", "corrected": "corrected"}
    renamed = table.rename(columns={old: f"monotonicity_{new}" for old, new in names.items()})
    return renamed[[c for c in renamed if c.startswith(("monotonicity", "total"))]]


def signal_columns(
    own: Runs,
    scores: np.ndarray,
    floor: np.ndarray | None,
    last: int | None,
    ddof: int,
    level: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Signal-to-noise ratios and the noise of the last checkpoints."""
    ratio = snr(
        scores,
        names=own.benchmarks,
        chance=floor,
        higher_is_better=own.metric.higher_is_better,
        ddof=ddof,
        level=level,
        resamples=resamples,
        seed=seed,
    )
    n_last = min(5, scores.shape[1]) if last is None else last
    columns = ["noise", "noise_low", "noise_high"]
    if n_last < 2:
        noise = pd.DataFrame(np.nan, index=ratio.index, columns=columns)
    else:
        noise = checkpoint_noise(scores, names=own.benchmarks, last=n_last, ddof=ddof, level=level)[columns]
    return ratio[[c for c in ratio if c.startswith("snr")]].join(noise.add_prefix("checkpoint_"))


def decision_columns(found: Sequence[Runs], level: float, resamples: int, seed: int) -> pd.DataFrame:
    """Decision accuracy of the checkpoint before the last; NaN unless the recipes share their grid."""
    names = found[0].benchmarks
    empty = pd.DataFrame(np.nan, index=pd.Index(names, name="benchmark"), columns=list(_DECISION))
    alike = all(own.benchmarks == names and own.steps == found[0].steps for own in found)
    if len(found) < 2 or not alike or len(found[0].steps) < 2:
        return empty
    most = max(len(own.seeds) for own in found)
    scores = np.full((len(found), most, 2, len(names)), np.nan)
    for k, own in enumerate(found):
        scores[k, : len(own.seeds)] = curves(own)[:, -2:]
    up = found[0].metric.higher_is_better
    for g, name in enumerate(names):
        part = scores[..., g]
        goal = np.array([np.nan if np.isnan(x).all() else np.nanmean(x) for x in part[..., 1]])
        if len(set(goal[~np.isnan(goal)])) > 1:
            table = decision_accuracy_by_step(
                part[..., :1], goal, higher_is_better=up, level=level, resamples=resamples, seed=seed
            )
            empty.loc[name] = table[["accuracy", "low", "high"]].to_numpy()[0]
    return empty


_DECISION = ("decision", "decision_low", "decision_high")
