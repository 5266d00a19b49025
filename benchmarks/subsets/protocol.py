"""One split of the models: every method calibrates on one side and is tested on the other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import irtbench as ib
from benchmarks.subsets import baselines
from benchmarks.subsets.targets import benchmark_score, own_weights
from benchmarks.subsets.timing import timed
from benchmarks.subsets.trial import THEIRS, of_target, tried
from irtbench.irt.bank import ItemBank
from irtbench.responses.matrix import Average, item_weights
from irtbench.responses.splits import Split
from irtbench.subsets.crossfit import CrossFit, cross_fit
from irtbench.subsets.population import Prepared, prepare

__all__ = ["ALL", "CONTROL", "DEFAULT", "OURS", "SELECTIONS", "THEIRS", "run_split"]

DEFAULT = "irtbench"
CONTROL = "stratified + mean"
ALL = "all"  # the full score, beside the benchmarks' own
OURS = {
    DEFAULT: ("robust", "blend"),
    "random + mean": ("random", "mean"),
    CONTROL: ("stratified", "weighted"),
    "robust + mean": ("robust", "mean"),  # what a reader of raw accuracies would do
    "robust + regression": ("robust", "regression"),
    "robust + reaching": ("robust", "reaching"),
    "stratified + blend": ("stratified", "blend"),
    "stratified + gp-irt": ("stratified", "gp-irt"),
    "stratified + difference": ("stratified", "difference"),
}
# every way to choose items, with the default estimator
SELECTIONS = {
    f"{name} + blend": (name, "blend")
    for name in (
        "random",
        "forward",
        "information",
        "lasso",
        "anchor-correctness",
        "medoids",
        "discrimination",
        "disagreement",
    )
}
# whose scores of single benchmarks are kept, too
_BY_BENCHMARK = (
    DEFAULT,
    "random + mean",
    CONTROL,
    "robust + regression",
    "stratified + blend",
    "stratified + gp-irt",
    "stratified + difference",
    "lasso + ridge",
    "IRT anchors + gp-IRT",
    "stratified + AIPW",
)
_DRAWN = ("random", "stratified")  # drawn several times


@dataclass
class _Rows:
    """What is collected of a split."""

    split: Split
    models: list[str]
    truth: dict[str, np.ndarray]
    parts: list[pd.DataFrame] = field(default_factory=list)

    def add(
        self, method: str, size: int, draw: int, target: str, score: np.ndarray, seconds: Any, **more: Any
    ) -> None:
        """One method's scores on one target; CPU seconds to build it and to estimate all models."""
        known = {"lower": np.nan, "upper": np.nan, "beyond": np.nan} | more
        row = {
            "method": method,
            "size": size,
            "seed": draw,
            "split": self.split.name,
            "benchmark": target,
            "model": self.models,
            "truth": self.truth[target],
            "score": score,
            "n_calibration": len(self.split.calibration),
            "build_s": seconds[0],
            "estimate_ms": 1e3 * seconds[1] / len(self.models),
        }
        self.parts.append(pd.DataFrame(row | known))


def run_split(
    R: ib.ResponseMatrix,
    split: Split,
    sizes: tuple[int, ...],
    average: Average,
    *,
    draws: int = 4,
    methods: tuple[str, ...] | None = None,
    by_benchmark: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Test methods on one split.

    Args:
        R: responses.
        split: which models calibrate and which test.
        sizes: numbers of items; those that the board does not have are left out.
        average: full score.
        draws: random subsets a size, of the methods that draw them.
        methods: names of ``OURS``, ``SELECTIONS`` and ``THEIRS``; None for all but ``SELECTIONS``.
        by_benchmark: also estimate each benchmark's score from the same items (of the first draw).
        seed: seed of all draws.

    Returns:
        DataFrame with a row for each method, size, draw, target (``benchmark``) and test model.
    """
    old, new = R.take(models=list(split.calibration)), R.take(models=list(split.test))
    # other draws in every split
    seed = int(np.random.SeedSequence([seed, *split.name.encode()]).generate_state(1)[0]) % 2**31
    weights = own_weights(old) if by_benchmark else {}
    truth = {ALL: new.scores(average).to_numpy()}
    truth |= {b: np.nan_to_num(new.values) @ w / (new.observed @ w) for b, w in weights.items()}
    rows = _Rows(split, new.model_ids, truth)
    wanted = (*OURS, *THEIRS) if methods is None else methods
    sizes = tuple(s for s in sizes if s < R.n_items)
    with warnings.catch_warnings():
        for category in (ib.DataWarning, ib.ExtrapolationWarning, ib.ConvergenceWarning):
            warnings.simplefilter("ignore", category)
        # the seed that draw 0 of select has: with another one it would fit the folds again
        shared, preparing = timed(lambda: prepare(old, average=average, seed=seed))
        _ours(rows, old, new, shared, preparing, sizes, average, draws, wanted, weights, seed)
        _theirs(rows, old, new, shared, preparing, sizes, average, draws, wanted, weights, seed)
    return pd.concat(rows.parts, ignore_index=True)


def _ours(
    rows: _Rows,
    old: ib.ResponseMatrix,
    new: ib.ResponseMatrix,
    shared: Prepared,
    preparing: float,
    sizes: tuple[int, ...],
    average: Average,
    draws: int,
    wanted: tuple[str, ...],
    weights: dict[str, np.ndarray],
    seed: int,
) -> None:
    plan = {name: how for name, how in (OURS | SELECTIONS).items() if name in wanted}
    banked = any(estimator == "gp-irt" for _, estimator in plan.values())
    (bank, folds), fitting = timed(lambda: _bank(old)) if banked else ((None, None), 0.0)
    for size in sizes:
        subsets: dict[tuple[str, int], tuple[ib.Subset, float]] = {}
        for name, (strategy, estimator) in plan.items():
            for k in range(draws if strategy in _DRAWN else 1):
                if (strategy, k) not in subsets:
                    own = {"bank": bank, "fitted": folds} if strategy == "stratified" and banked else {}
                    subsets[strategy, k] = timed(
                        lambda s=strategy, d=k, n=size, o=own: ib.select(
                            old,
                            n,
                            s,
                            irt=None,
                            average=average,
                            seed=seed + d,
                            device="cpu",
                            prepared=shared,
                            **o,
                        )
                    )
                subset, choosing = subsets[strategy, k]
                build = preparing + choosing + (fitting if estimator == "gp-irt" else 0.0)
                seen = new.take(items=subset.items)
                table, estimating = timed(
                    lambda x=subset, y=seen, e=estimator: ib.estimate(x, y, e, missing="ignore")
                )
                more = {c: table[c].to_numpy() for c in ("lower", "upper", "beyond") if c in table}
                seconds = (build, estimating)
                rows.add(name, size, k, ALL, table["score"].to_numpy(), seconds, **more)
                for target, w in weights.items() if k == 0 and name in _BY_BENCHMARK else ():
                    score = benchmark_score(subset, shared.population, seen, estimator, w)
                    rows.add(name, size, k, target, score, (np.nan, np.nan))


def _bank(old: ib.ResponseMatrix) -> tuple[ItemBank, CrossFit]:
    bank = ib.fit(old, device="cpu").bank
    return bank, cross_fit(old, bank, device="cpu")


def _theirs(
    rows: _Rows,
    old: ib.ResponseMatrix,
    new: ib.ResponseMatrix,
    shared: Prepared,
    preparing: float,
    sizes: tuple[int, ...],
    average: Average,
    draws: int,
    wanted: tuple[str, ...],
    weights: dict[str, np.ndarray],
    seed: int,
) -> None:
    theirs = tuple(m for m in THEIRS if m in wanted)
    if not theirs:
        return
    strata = np.unique(old.benchmarks.astype(str), return_inverse=True)[1].reshape(-1)
    means = np.nanmean(old.values, axis=0)
    filled = (np.where(np.isnan(x), means, x).astype(float) for x in (old.values, new.values))
    board = baselines.Board(*filled, strata, item_weights(old.benchmarks, average))
    share = preparing / (1 + len(shared.trials))  # their one fit of the population
    for found in tried(board, sizes, theirs, shared.population, share, draws, seed):
        key = (found.method, found.size, found.draw)
        score, estimating = timed(lambda f=found: f.score(board))
        rows.add(*key, ALL, score, (found.build + estimating, estimating))
        for target, w in weights.items() if found.draw == 0 and found.method in _BY_BENCHMARK else ():
            rows.add(*key, target, found.score(of_target(board, w)), (np.nan, np.nan))
