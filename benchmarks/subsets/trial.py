"""The methods of the trial on one split: what each chooses, and what it makes of the responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.subsets import baselines
from benchmarks.subsets.timing import timed
from irtbench.subsets.population import Population

__all__ = ["THEIRS", "Tried", "tried"]

THEIRS = (
    "lasso + ridge",
    "information + ridge",
    "correctness anchors + ridge",
    "correctness anchors + mean",
    "IRT anchors + gp-IRT",
    "IRT anchors + gp-IRT (MAP)",
    "IRT anchors + ridge",
    "IRT anchors + mean",
    "point-biserial + ridge",
    "disagreement + ridge",
    "disagreement + forest",
    "stratified + ridge",
    "stratified + PLS",
    "stratified + AIPW",
)


@dataclass(frozen=True, eq=False)
class Tried:
    """One method with its items.

    Attributes:
        method: its name.
        size: items asked for.
        draw: number of the random sample.
        build: CPU seconds until the items are chosen.
        score: full scores of the new models, of a board with its own weights.
    """

    method: str
    size: int
    draw: int
    build: float
    score: Callable[[baselines.Board], np.ndarray]


def tried(
    board: baselines.Board,
    sizes: tuple[int, ...],
    wanted: tuple[str, ...],
    people: Population,
    fitting: float,
    draws: int,
    seed: int,
) -> Iterator[Tried]:
    """Every method wanted, at every size.

    Args:
        board: responses and the full score's weights.
        sizes: numbers of items.
        wanted: some of :data:`THEIRS`.
        people: the calibration models' population, whose IRT model ``information`` uses.
        fitting: CPU seconds that fit took.
        draws: random samples a size.
        seed: of the samples and of k-means.
    """
    by_value = {
        "point-biserial": baselines.point_biserial(board),
        "disagreement": board.old.var(axis=0),
    }
    path, pathing = (
        timed(lambda: baselines.lasso(board, list(sizes))) if "lasso + ridge" in wanted else ({}, 0.0)
    )
    irt = any(m.startswith("IRT anchors") for m in wanted)
    fit, mirt_s = timed(lambda: baselines.mirt(board)) if irt else (None, 0.0)
    latent = people.latent
    ability = people.ability[:, latent.own[[p[0] for p in board.parts]]]
    for size in sizes:
        chosen: dict[str, tuple[np.ndarray, np.ndarray | None, float]] = {}
        if size in path:
            chosen["lasso"] = (path[size], None, pathing)
        if "information + ridge" in wanted:
            items, s = timed(
                lambda n=size: baselines.information(board, n, latent.slope, latent.intercept, ability)
            )
            chosen["information"] = (items, None, fitting + s)
        for name, value in by_value.items():
            chosen[name] = (baselines.largest(board, size, value), None, 0.0)
        features = {"correctness anchors": board.old.T}
        if fit is not None:
            features["IRT anchors"] = np.column_stack([fit.slopes, fit.b])
        for name, x in features.items():
            if any(m.startswith(name) for m in wanted):
                rng = np.random.default_rng([seed, size])
                (items, weight), s = timed(lambda n=size, f=x, r=rng: baselines.anchors(board, n, f, r))
                chosen[name] = (items, weight, s + (mirt_s if name == "IRT anchors" else 0.0))
        for method in wanted:
            selection, estimator = method.split(" + ")
            if selection == "stratified":
                for k in range(draws):
                    items = baselines.stratified(board, size, np.random.default_rng([seed, k, size]))
                    yield Tried(method, size, k, 0.0, _estimator(estimator, items, None, fit))
            else:
                items, weight, s = chosen[selection]
                yield Tried(method, size, 0, s, _estimator(estimator, items, weight, fit))


def _estimator(
    name: str, items: np.ndarray, weight: np.ndarray | None, fit: baselines.Mirt | None
) -> Callable[[baselines.Board], np.ndarray]:
    plain = {
        "ridge": baselines.ridge,
        "PLS": baselines.pls,
        "AIPW": baselines.aipw,
        "forest": baselines.forest,
    }
    if name in plain:
        return lambda board: plain[name](board, items)
    if weight is None:
        raise ValueError(f"estimator {name!r} needs anchors")
    if name == "mean":
        return lambda board: baselines.anchor_mean(board, items, weight)
    if fit is None:
        raise ValueError(f"estimator {name!r} needs the IRT model")
    prior = 1.0 if "MAP" in name else 0.0
    return lambda board: baselines.gp_irt(board, items, weight, fit, prior)


def of_target(board: baselines.Board, full: np.ndarray) -> baselines.Board:
    """The same responses, another score."""
    return replace(board, full=full)
