"""The calibration models as the default method sees them, whole and with parts of them held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irtbench.errors import InputError
from irtbench.responses.matrix import Average, ResponseMatrix, item_weights
from irtbench.subsets.crossfit import fold_numbers
from irtbench.subsets.latent import NARROW, Latent, fit_latent, posterior
from irtbench.subsets.moments import Moments, calibration_moments, filled, shift_moments

__all__ = ["MIN_MODELS", "Population", "Prepared", "Trial", "prepare"]

MIN_MODELS = 5  # with fewer no models are held out
_ENOUGH = 120  # models; fewer leave it open how models to come will differ from them
_WEAK, _STRONG = 0.5, 0.3


@dataclass(frozen=True, eq=False)
class Population:
    """A set of calibration models.

    Attributes:
        responses: theirs, to all items.
        values: the same without gaps: missing cells at what the IRT model expects (n_models, n_items).
        latent: items of the multidimensional 2PL fitted to them.
        probability: that it gives to each response (n_models, n_items).
        ability: of each model on each dimension (n_models, D).
        alike: moments of a new model like them.
        beyond: moments of a new model that may lie far beyond them.
        doubt: 0 … 1, how little to rely on new models being like them: 1 with up to 120 models, then less,
            and no less where some of them are held out in a trial.
    """

    responses: ResponseMatrix
    values: np.ndarray
    latent: Latent
    probability: np.ndarray
    ability: np.ndarray
    alike: Moments
    beyond: Moments
    doubt: float

    @classmethod
    def of(
        cls, responses: ResponseMatrix, device: str = "cpu", seed: int = 0, doubt: float | None = None
    ) -> Population:
        """Fit the IRT model and take the moments; ``doubt`` by the number of models if it is not given."""
        latent = fit_latent(responses, device)
        values = filled(responses.values, latent)
        fitted = posterior(latent, np.arange(responses.n_items), values, NARROW)
        alike = calibration_moments(values, fitted.probability, latent)
        beyond = shift_moments(alike.mean, latent, seed)
        if doubt is None:
            doubt = min((_ENOUGH / responses.n_models) ** 3, 1.0)
        return cls(responses, values, latent, fitted.probability, fitted.ability, alike, beyond, doubt)


@dataclass(frozen=True, eq=False)
class Trial:
    """Some models held out, and the population of those that calibrate instead.

    Attributes:
        population: calibrates.
        test: rows of the models held out.
        far: whether they lie beyond the others' range: the strongest, the weaker half calibrating.
    """

    population: Population
    test: np.ndarray
    far: bool


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that select needs to know of the calibration models; several subsets share it.

    Attributes:
        population: all of them.
        trials: folds of them held out in turn, and the strongest third.
        folds: number of folds asked for.
        seed: of the folds.
    """

    population: Population
    trials: tuple[Trial, ...]
    folds: int
    seed: int

    def of_models(self, responses: ResponseMatrix, device: str, seed: int) -> Population:
        """The population of these models: a trial's, if it has the same ones."""
        for trial in self.trials:
            if trial.population.responses.model_ids == responses.model_ids:
                return trial.population
        return Population.of(responses, device, seed, self.population.doubt)

    def refuse_other(self, responses: ResponseMatrix) -> None:
        """Refuse to serve other responses than those that were prepared.

        Raises:
            InputError: other responses.
        """
        if self.population.responses.fingerprint != responses.fingerprint:
            raise InputError(
                "the population given in 'prepared' is of other responses; prepare the same ones"
            )


def prepare(
    responses: ResponseMatrix,
    *,
    average: Average = "micro",
    folds: int = 5,
    seed: int = 0,
    device: str = "cpu",
) -> Prepared:
    """Fit the calibration models' population, and that of each part of them that calibrates in a trial.

    Args:
        responses: of the calibration models to the full benchmark.
        average: full score by which the models are ranked.
        folds: folds of models.
        seed: seed of the folds and of the draws beyond the range.
        device: where to fit.

    Example:
        >>> from irtbench.irt import simulate
        >>> found = prepare(simulate(n_models=30, n_items=60, seed=0).responses)
        >>> [(len(t.test), t.far) for t in found.trials][-2:]
        [(6, False), (9, True)]
    """
    n = responses.n_models
    parts: list[tuple[np.ndarray, np.ndarray, bool]] = []
    if n >= MIN_MODELS:
        number = fold_numbers(responses, folds, seed)
        parts = [
            (np.flatnonzero(number != k), np.flatnonzero(number == k), False) for k in range(number.max() + 1)
        ]
        full = item_weights(responses.benchmarks, average)
        score = np.nan_to_num(responses.values) @ full / np.maximum(responses.observed @ full, 1e-12)
        order = np.argsort(score if responses.metric.higher_is_better else -score, kind="stable")
        parts.append((order[: max(int(_WEAK * n), 2)], order[n - max(int(_STRONG * n), 1) :], True))
    everyone = Population.of(responses, device, seed)
    trials = tuple(
        Trial(
            Population.of(responses.take(models=np.sort(old)), device, seed, everyone.doubt),
            np.sort(test),
            far,
        )
        for old, test, far in parts
    )
    return Prepared(everyone, trials, folds, seed)
