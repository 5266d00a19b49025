"""One subset against the full benchmark and random subsets of its size, on runs with replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.irt.abilities import ability_posterior
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.splits import model_groups
from irtbench.subsets.estimation import default_estimator, estimate
from irtbench.subsets.estimators import PREDICTORS, Board, estimate_scores
from irtbench.subsets.latent import NARROW, posterior
from irtbench.subsets.subset import Subset
from irtbench.variance import Runs, SubsetVariance, runs_of, subset_variance

__all__ = ["SubsetStudy", "subset_study"]


@dataclass(frozen=True, eq=False)
class SubsetStudy:
    """What :func:`subset_study` found.

    Attributes:
        method: the estimator.
        size: items of the subset.
        n_items: items of the full benchmark.
        level: coverage of the estimates' intervals.
        calibrated_here: the subset was chosen from these same responses, so its errors are too small.
        estimates: by model: ``full`` score, ``score`` from the subset with ``lower`` and ``upper``,
            ``random`` (from the first random subset, same estimator).
        errors: a row by ``chosen``, ``control`` (random items, same estimator) and ``plain`` (random items,
            mean): ``mae`` of the estimated scores with ``low`` and ``high`` (95 %, over models).
        curves: ``role`` (``full``, ``chosen``, ``control``: the first random subset), ``family``, ``seed``,
            ``checkpoint``, ``step``, ``score``.
        variance: seed variance of each, and what owes to size, estimator and choice.
    """

    method: str
    size: int
    n_items: int
    level: float
    calibrated_here: bool
    estimates: pd.DataFrame
    errors: pd.DataFrame
    curves: pd.DataFrame
    variance: SubsetVariance


def subset_study(
    subset: Subset,
    R: ResponseMatrix,
    *,
    family: str | Sequence[str] = "family",
    seed_column: str = "seed",
    step: str = "step",
    method: str = "default",
    level: float = 0.9,
    draws: int = 50,
    seed: int = 0,
) -> SubsetStudy:
    """Estimate every run's score from the subset and from random subsets of its size.

    Args:
        subset: what :func:`irtbench.select` returned.
        R: responses of all runs to all items of the benchmark.
        family: see :func:`irtbench.variance.runs_of`.
        seed_column: likewise.
        step: likewise.
        method: estimator, see :func:`irtbench.estimate`; the random items get it too, with equal weights;
            in the place of a regression, which belongs to its own items, the IRT model behind it.
        level: coverage of the estimates' intervals.
        draws: random subsets.
        seed: of these subsets.

    Returns:
        A :class:`SubsetStudy`.

    Raises:
        InputError: items of the benchmark are missing, or no replicates.
    """
    missing = [item for item in subset.benchmark.index if item not in R.items.index]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(subset.benchmark)} items of the subset's benchmark have no responses"
            f" ({missing[0]!r}, …); the full scores need all of them"
        )
    whole = R.take(items=list(subset.benchmark.index))
    if method == "default":
        method = default_estimator(subset)
    seen = whole.take(items=subset.items)
    found = estimate(subset, seen, method, level, missing="ignore")[["score", "lower", "upper"]]
    full = _full(subset, whole)
    control, plain = _random(subset, whole, method, draws, seed)
    estimates = pd.DataFrame({"full": full, **found, "random": control[:, 0]}, index=whole.models.index)
    columns = np.column_stack([full, found["score"], control, plain])
    names = ["full", "chosen", *(f"control {k}" for k in range(draws)), *(f"plain {k}" for k in range(draws))]
    scores = ResponseMatrix.of(np.clip(columns, 0, 1), whole.models, names, metric=R.metric)
    runs = runs_of(scores, family=family, seed=seed_column, step=step)
    grid = _aligned(runs)
    variance = subset_variance(
        grid[..., 0],
        grid[..., 1],
        np.moveaxis(grid[..., 2 : 2 + draws], -1, 0),
        np.moveaxis(grid[..., 2 + draws :], -1, 0),
        n_items=whole.n_items,
        size=subset.size,
        higher_is_better=R.metric.higher_is_better,
    )
    errors = _errors(full, found["score"].to_numpy(), control, plain, model_groups(whole), seed)
    return SubsetStudy(
        method,
        subset.size,
        whole.n_items,
        level,
        subset.info.get("responses", {}).get("fingerprint") == R.fingerprint,
        estimates,
        errors,
        _curves(runs),
        variance,
    )


def _full(subset: Subset, whole: ResponseMatrix) -> np.ndarray:
    weights = subset.board.full * whole.observed
    return np.asarray((np.nan_to_num(whole.values) * weights).sum(axis=1) / weights.sum(axis=1))


def _random(
    subset: Subset, whole: ResponseMatrix, method: str, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores from random items by the same estimator and by the mean, (n_models, draws) each."""
    rng = np.random.default_rng(seed)
    control, plain = np.empty((2, whole.n_models, draws))
    for k in range(draws):
        chosen = np.sort(rng.choice(whole.n_items, subset.size, replace=False))
        own = subset.board.full[chosen]
        board = replace(subset.board, chosen=chosen, weights=own / own.sum())
        seen = whole.take(items=chosen)
        control[:, k] = np.clip(_control(subset, method, board, seen), 0, 1)
        plain[:, k] = estimate_scores("mean", board, seen.values)[0]
    return control, plain


def _control(subset: Subset, method: str, board: Board, seen: ResponseMatrix) -> np.ndarray:
    """Scores from other items (n_models,): by the estimator, or by the IRT model behind a regression."""
    if method in PREDICTORS:
        assert subset.predictor is not None
        rest = board.full.copy()
        rest[board.chosen] = 0
        values = seen.values.astype(float)
        expected = posterior(subset.predictor.latent, board.chosen, values, NARROW).probability
        values = np.where(np.isnan(values), expected[:, board.chosen], values)
        return np.asarray(values @ board.full[board.chosen] + expected @ rest)
    ability = None if subset.bank is None else ability_posterior(subset.bank, seen)
    return estimate_scores(method, board, seen.values, subset.curves, ability)[0]


def _aligned(runs: list[Runs]) -> np.ndarray:
    """Values of all families (families, seeds, steps, columns), the last checkpoints together."""
    seeds, steps = (max(own.shape[k] for own in runs) for k in (0, 1))
    grid = np.full((len(runs), seeds, steps, runs[0].shape[2]), np.nan)
    for f, own in enumerate(runs):
        grid[f, : own.shape[0], steps - own.shape[1] :] = own.values
    return grid


def _errors(
    full: np.ndarray, chosen: np.ndarray, control: np.ndarray, plain: np.ndarray, names: pd.Series, seed: int
) -> pd.DataFrame:
    """Mean absolute errors, with a 95 % bootstrap interval over models (all runs of one together)."""
    each = np.column_stack(
        [np.abs(x - full[:, None]).mean(axis=1) for x in (chosen[:, None], control, plain)]
    )
    by_model = pd.DataFrame(each).groupby(names.to_numpy()).agg(["sum", "count"])
    total, count = (by_model.xs(k, axis=1, level=1).to_numpy(dtype=float) for k in ("sum", "count"))
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=2000)
    low, high = np.quantile(drawn @ total / (drawn @ count), [0.025, 0.975], axis=0)
    table = {"mae": each.mean(axis=0), "low": low, "high": high}
    return pd.DataFrame(table, index=pd.Index(["chosen", "control", "plain"], name="role"))


def _curves(runs: list[Runs]) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for own in runs:
        for k, role in enumerate(("full", "chosen", "control")):
            for r, seed in enumerate(own.seeds):
                for t, step in enumerate(own.steps):
                    rows.append((role, own.family, str(seed), t, str(step), float(own.values[r, t, k])))
    return pd.DataFrame(rows, columns=["role", "family", "seed", "checkpoint", "step", "score"])
