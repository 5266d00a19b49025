"""One split of the models: every method calibrates on one side and is tested on the other."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd

import irtbench as ib
from benchmarks.subsets import baselines
from irtbench.responses.matrix import Average, item_weights
from irtbench.responses.splits import Split
from irtbench.subsets.population import prepare

__all__ = ["CONTROL", "OURS", "THEIRS", "run_split"]

T = TypeVar("T")
CONTROL = "stratified + mean"
OURS = {
    "random + mean": ("random", "mean"),
    CONTROL: ("stratified", "weighted"),
    "irtbench": ("robust", "blend"),
    "robust + regression": ("robust", "regression"),
    "robust + reaching": ("robust", "reaching"),
    "forward + regression": ("forward", "regression"),
    "stratified + blend": ("stratified", "blend"),
    "stratified + difference": ("stratified", "difference"),
}
THEIRS = ("stratified + AIPW", "IRT anchors + gp-IRT", "information + ridge", "lasso + ridge")
_DRAWN = ("random", "stratified")  # drawn several times


@dataclass
class _Rows:
    """What is collected of a split."""

    split: Split
    truth: np.ndarray
    models: list[str]
    parts: list[pd.DataFrame] = field(default_factory=list)

    def add(
        self,
        method: str,
        size: int,
        seed: int,
        score: np.ndarray,
        seconds: tuple[float, float],
        **more: np.ndarray,
    ) -> None:
        """One method's scores, with CPU seconds to build it and to estimate a model."""
        known = {"lower": np.nan, "upper": np.nan, "beyond": np.nan} | more
        self.parts.append(
            pd.DataFrame(
                {
                    "method": method,
                    "size": size,
                    "seed": seed,
                    "split": self.split.name,
                    "model": self.models,
                    "truth": self.truth,
                    "score": score,
                    "n_calibration": len(self.split.calibration),
                    "build_s": seconds[0],
                    "estimate_ms": 1e3 * seconds[1] / len(self.models),
                }
                | known
            )
        )


def run_split(
    R: ib.ResponseMatrix,
    split: Split,
    sizes: tuple[int, ...],
    average: Average,
    *,
    draws: int = 4,
    methods: tuple[str, ...] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Test all methods on one split.

    Args:
        R: complete responses.
        split: which models calibrate and which test.
        sizes: numbers of items.
        average: full score.
        draws: random subsets a size, of the methods that draw them.
        methods: names of ``OURS`` and ``THEIRS``; None for all.
        seed: seed of all draws.

    Returns:
        DataFrame with a row for each method, size, seed and test model.
    """
    old, new = R.take(models=list(split.calibration)), R.take(models=list(split.test))
    # other draws in every split
    seed = int(np.random.SeedSequence([seed, *split.name.encode()]).generate_state(1)[0]) % 2**31
    rows = _Rows(split, new.scores(average).to_numpy(), new.model_ids)
    wanted = (*OURS, *THEIRS) if methods is None else methods
    sizes = tuple(s for s in sizes if s < R.n_items)
    with warnings.catch_warnings():
        for category in (ib.DataWarning, ib.ExtrapolationWarning, ib.ConvergenceWarning):
            warnings.simplefilter("ignore", category)
        _ours(rows, old, new, sizes, average, draws, wanted, seed)
        _theirs(rows, old, new, sizes, average, draws, wanted, seed)
    return pd.concat(rows.parts, ignore_index=True)


def _ours(
    rows: _Rows,
    old: ib.ResponseMatrix,
    new: ib.ResponseMatrix,
    sizes: tuple[int, ...],
    average: Average,
    draws: int,
    wanted: tuple[str, ...],
    seed: int,
) -> None:
    shared, fitting = _timed(lambda: prepare(old, average=average))
    for size in sizes:
        subsets: dict[tuple[str, int], tuple[ib.Subset, float]] = {}
        for name, (strategy, estimator) in OURS.items():
            if name not in wanted:
                continue
            for k in range(draws if strategy in _DRAWN else 1):
                if (strategy, k) not in subsets:
                    subsets[strategy, k] = _timed(
                        lambda s=strategy, d=k, n=size: ib.select(
                            old, n, s, irt=None, average=average, seed=seed + d, prepared=shared
                        )
                    )
                subset, building = subsets[strategy, k]
                seen = new.take(items=subset.items)
                table, estimating = _timed(lambda x=subset, y=seen, e=estimator: ib.estimate(x, y, e))
                more = {c: table[c].to_numpy() for c in ("lower", "upper", "beyond") if c in table}
                rows.add(name, size, k, table["score"].to_numpy(), (fitting + building, estimating), **more)


def _theirs(
    rows: _Rows,
    old: ib.ResponseMatrix,
    new: ib.ResponseMatrix,
    sizes: tuple[int, ...],
    average: Average,
    draws: int,
    wanted: tuple[str, ...],
    seed: int,
) -> None:
    from irtbench.subsets.population import Population

    strata = np.unique(old.benchmarks.astype(str), return_inverse=True)[1].reshape(-1)
    full = item_weights(old.benchmarks, average)
    values = [
        np.where(np.isnan(x), np.nanmean(old.values, axis=0), x).astype(float)
        for x in (old.values, new.values)
    ]
    board = baselines.Board(values[0], values[1], strata, full)

    def record(method: str, find: Callable[[], np.ndarray], size: int, k: int, before: float = 0.0) -> None:
        score, seconds = _timed(find)
        rows.add(method, size, k, score, (before + seconds, seconds))

    if "lasso + ridge" in wanted:
        path, seconds = _timed(lambda: baselines.lasso(board, list(sizes)))
        for size in sizes:
            record("lasso + ridge", lambda n=size: baselines.ridge(board, path[n]), size, 0, seconds)
    if "information + ridge" in wanted:
        people, seconds = _timed(lambda: Population.of(old))
        latent, ability = people.latent, people.ability[:, people.latent.own[[p[0] for p in board.parts]]]
        for size in sizes:
            chosen = baselines.information(board, size, latent.slope, latent.intercept, ability)
            record("information + ridge", lambda c=chosen: baselines.ridge(board, c), size, 0, seconds)
    for size in sizes:
        for k in range(draws):
            if "stratified + AIPW" in wanted:
                chosen = baselines.stratified(board, size, np.random.default_rng([seed, k, size]))
                record("stratified + AIPW", lambda c=chosen: baselines.aipw(board, c), size, k)
    if "IRT anchors + gp-IRT" in wanted:
        fit, seconds = _timed(lambda: baselines.mirt(board))
        for size in sizes:
            rng = np.random.default_rng([seed, size])
            record(
                "IRT anchors + gp-IRT",
                lambda n=size, r=rng: baselines.gp_irt(board, n, fit, r),
                size,
                0,
                seconds,
            )


def _timed(find: Callable[[], T]) -> tuple[T, float]:
    began = time.process_time()
    return find(), time.process_time() - began
