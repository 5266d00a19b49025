"""Simulated leaderboards with known truth: what recovery is tested against, and what the demo shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from irtbench.errors import InputError
from irtbench.irt.bank import ABSENT, ItemBank
from irtbench.irt.curves import probability
from irtbench.irt.recipes import IRT_MODELS
from irtbench.responses.matrix import ResponseMatrix

__all__ = ["Simulation", "simulate"]


@dataclass(frozen=True)
class Simulation:
    """A simulated leaderboard.

    Attributes:
        responses: what a user would see.
        abilities: true abilities by model: column ``ability``, and one column a benchmark.
        items: true ``discrimination, difficulty, guessing, upper_asymptote`` (``precision``) by item.
        probability: true P(right) or mean response of each cell, (n_models, n_items).
        irt: the IRT model that they come from.
    """

    responses: ResponseMatrix
    abilities: pd.DataFrame
    items: pd.DataFrame
    probability: np.ndarray
    irt: str

    @property
    def bank(self) -> ItemBank:
        """The truth as an item bank without uncertainty."""
        truth = self.items
        n_models, n_items = self.responses.shape
        loc = np.tile(ABSENT, (n_items, 1))
        loc[:, 0], loc[:, 1] = np.log(np.abs(truth["discrimination"])), truth["difficulty"]
        with np.errstate(divide="ignore"):
            loc[:, 2], loc[:, 3] = logit(truth["guessing"]), logit(truth["upper_asymptote"])
        if "precision" in truth:
            loc[:, 4] = np.log(truth["precision"])
        sign = np.sign(truth["discrimination"].to_numpy())
        theta = self.abilities["ability"]
        info = {
            "irt": self.irt,
            "likelihood": "beta" if "precision" in truth else "bernoulli",
            "metric": self.responses.metric.name,
            "calibrated_on": {"n_models": n_models, "n_items": n_items, "fingerprint": "truth"},
            "ability": {k: float(getattr(theta, k)()) for k in ("mean", "std", "min", "max")},
        }
        return ItemBank(self.responses.items, loc, np.zeros((n_items, len(ABSENT), len(ABSENT))), sign, info)


def simulate(
    n_models: int = 100,
    n_items: int = 500,
    *,
    irt: str = "2pl",
    n_benchmarks: int = 1,
    benchmark_sd: float = 0.0,
    samples: int = 1,
    precision: float | None = None,
    negative: float = 0.0,
    missing: float = 0.0,
    seed: int = 0,
) -> Simulation:
    r"""Simulate a leaderboard: :math:`y_{mi} ∼ \text{Binomial}(s, P_i(θ_m)) / s`.

    θ ~ N(0, 1) = organisation + model (share of the variance .4 / .6) with newer models abler,
    b ~ N(0, 1.2), log a ~ N(0, 0.4) (a = 1 for the 1PL), c ~ U(.1, .3) for the 3PL and 4PL, d ~ U(.85, 1)
    for the 4PL. Benchmarks differ in mean difficulty by N(0, 0.5), if there are several.

    Args:
        n_models: models, named ``org-k/model-m``; family, date and organisation are in the table.
        n_items: items, spread evenly over the benchmarks.
        irt: ``1pl``, ``2pl``, ``3pl`` or ``4pl``.
        n_benchmarks: number of benchmarks.
        benchmark_sd: sd of a model's ability on one benchmark around its general ability; above 0
            a one-dimensional IRT model is only nearly right, as on real leaderboards.
        samples: responses a cell (a share k/n with ``trials`` if more than one).
        precision: of continuous responses y ~ Beta(Pφ, (1 - P)φ), with log φ ~ N(log precision, 0.3) by
            item; below 2 they are U-shaped. None for right or wrong.
        negative: share of items that abler models fail (a < 0).
        missing: share of cells missing at random.
        seed: seed of the generator.

    Returns:
        A :class:`Simulation`.

    Raises:
        InputError: a number out of its range, or an unknown ``irt``.

    Example:
        >>> simulate(n_models=6, n_items=4, seed=1).responses
        ResponseMatrix: 6 models × 4 items, 100.0 % observed, acc (higher is better)
    """
    _check_arguments(n_models, n_items, irt, n_benchmarks, samples, missing, benchmark_sd)
    if precision is not None and (precision <= 0 or samples != 1):
        raise InputError(f"precision must be positive, and goes with samples=1; got {precision}, {samples}")
    if not 0 <= negative <= 1:
        raise InputError(f"negative must lie in [0, 1], got {negative}")
    rng = np.random.default_rng(seed)
    models, theta = _simulated_models(n_models, rng)
    names = [f"benchmark-{k + 1}" for k in range(n_benchmarks)]
    which = np.arange(n_items) * n_benchmarks // n_items
    shift = rng.normal(0, 0.5, n_benchmarks) if n_benchmarks > 1 else np.zeros(1)
    b = rng.normal(0, 1.2, n_items) + shift[which]
    a = np.ones(n_items) if irt == "1pl" else np.exp(rng.normal(0, 0.4, n_items))
    c = rng.uniform(0.1, 0.3, n_items) if irt in ("3pl", "4pl") else np.zeros(n_items)
    d = rng.uniform(0.85, 1.0, n_items) if irt == "4pl" else np.ones(n_items)
    if negative:
        a = a * np.where(rng.random(n_items) < negative, -1, 1)
    per_benchmark = theta[:, None] + rng.normal(0, 1, (n_models, n_benchmarks)) * benchmark_sd
    p = np.empty((n_models, n_items))
    for k in range(n_benchmarks):
        own = which == k
        p[:, own] = probability(per_benchmark[:, k], a[own], b[own], c[own], d[own])
    truth: dict[str, np.ndarray] = {"discrimination": a, "difficulty": b, "guessing": c, "upper_asymptote": d}
    if precision is None:
        values = (rng.binomial(samples, p) / samples).astype(np.float32)
    else:
        truth["precision"] = precision * np.exp(rng.normal(0, 0.3, n_items))
        values = rng.beta(p * truth["precision"], (1 - p) * truth["precision"]).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    width = len(str(n_items - 1))
    items = pd.DataFrame(
        {"benchmark": [names[k] for k in which]},
        index=[f"{names[k]}/{i:0{width}d}" for i, k in enumerate(which)],
    )
    trials = np.where(np.isnan(values), 0, samples) if samples > 1 else None
    responses = ResponseMatrix.of(values, models, items, trials=trials)
    abilities = pd.DataFrame({"ability": theta}, index=responses.models.index)
    abilities[names] = per_benchmark
    return Simulation(responses, abilities, pd.DataFrame(truth, index=responses.items.index), p, irt)


def _simulated_models(n_models: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    n_organisations = max(2, round(n_models / 6))
    organisation = rng.integers(n_organisations, size=n_models)
    organisation[: min(n_organisations, n_models)] = np.arange(min(n_organisations, n_models))
    theta = np.sqrt(0.4) * rng.normal(size=n_organisations)[organisation]
    theta = theta + np.sqrt(0.6) * rng.normal(size=n_models)
    age = theta + rng.normal(0, 1.0, n_models)
    day = np.argsort(np.argsort(age)) * 600 // max(n_models - 1, 1)
    width, wide = len(str(n_models - 1)), len(str(n_organisations - 1))
    family = [f"org-{k:0{wide}d}" for k in organisation]
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D")
    table = pd.DataFrame(
        {"family": family, "date": dates.strftime("%Y-%m-%d")},
        index=[f"{f}/model-{m:0{width}d}" for m, f in enumerate(family)],
    )
    return table, theta


def _check_arguments(
    n_models: int,
    n_items: int,
    irt: str,
    n_benchmarks: int,
    samples: int,
    missing: float,
    benchmark_sd: float,
) -> None:
    if irt not in IRT_MODELS:
        raise InputError(f"irt must be one of {', '.join(IRT_MODELS)}, got {irt!r}")
    for name, value in (("n_models", n_models), ("n_benchmarks", n_benchmarks), ("samples", samples)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    if n_items < n_benchmarks:
        raise InputError(f"n_items ({n_items}) must be at least the number of benchmarks ({n_benchmarks})")
    if not 0 <= missing < 1:
        raise InputError(f"missing must lie in [0, 1), got {missing}")
    if benchmark_sd < 0:
        raise InputError(f"benchmark_sd must not be negative, got {benchmark_sd}")
