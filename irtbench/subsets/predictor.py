r"""Predict full scores of new models: a regression inside the old models' range, an IRT model beyond it.

.. math:: \hat s = (1 - γ)\,\hat s_{\text{regression}} + γ\,\hat s_{\text{reaching}}

* *regression*: the best linear prediction from the responses, with the calibration models' covariance shrunk
  towards the IRT model's (:func:`irtbench.subsets.moments.calibration_moments`);
* *reaching*: responses seen and probabilities of the others, from an IRT model whose abilities and shifts may
  lie far beyond the calibration models (:data:`irtbench.subsets.moments.WIDE`);
* γ, the probability that the model lies beyond the range: that its score, by the reaching estimate, lies
  outside the calibration models' scores, times the probability that its responses are not those of a model
  with the abilities of one of them (their mean likelihood against the evidence of the reaching IRT model).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from irtbench.errors import InputError
from irtbench.files import fingerprint
from irtbench.subsets.calibration import full_scores
from irtbench.subsets.estimators import PREDICTORS, patterns
from irtbench.subsets.latent import NARROW, Latent, posterior
from irtbench.subsets.moments import WIDE
from irtbench.subsets.population import Population, Prepared

__all__ = ["Prediction", "Predictor", "build_predictor", "held_out_errors"]

_ENOUGH = 30  # items; fewer do not tell a model beyond the range from an unlucky one
_ODDS = 10.0  # that a model whose score lies beyond the range has abilities beyond it, too
_UNLIKE, _CLEAR, _FAR = 0.1, 0.95, 3.0  # prior odds, and when it is worth saying
_LEAST = 1e-9
_CERTAIN = 1e-4  # no calibration model's response is more certain than this


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted full scores, not clipped, with a scale of their errors; all (n_models,).

    Attributes:
        score: by the estimator.
        sd: posterior sd were the model behind it true.
        beyond: γ, probability that the model lies beyond the calibration models' range.
        unlike: probability that its responses are not those of a model with a calibration model's abilities.
        gap: regression minus reaching estimate, in sds of the latter.
        outside: probability that the score lies outside the calibration models' scores, by the reaching
            estimate alone: at least γ, and what the interval goes by, since an estimate must not jump at
            every unlucky draw of a few items, but an interval may.
    """

    score: np.ndarray
    sd: np.ndarray
    beyond: np.ndarray
    unlike: np.ndarray
    gap: np.ndarray
    outside: np.ndarray

    def notes(self) -> list[str]:
        """What to say of each model; an empty string where there is nothing to say."""
        return [
            "beyond the calibration models: rests on the IRT model's reach"
            if beyond > 0.5
            else "regression and IRT model disagree"
            if abs(gap) > _FAR
            else "answers unlike any calibration model's"
            if unlike > _CLEAR
            else ""
            for beyond, unlike, gap in zip(self.beyond, self.unlike, self.gap, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Predictor:
    """What the calibration models say about the responses to the chosen items and about the full score.

    Attributes:
        latent: all items.
        full: weight of each item in the full score (n_items,).
        chosen: positions of the chosen items (size,).
        mean: mean response to them (size,).
        cov: its covariance over models like the calibration models (size, size).
        with_score: covariance with the full score (size,).
        score_mean: mean full score.
        score_range: lowest and highest full score of the calibration models.
        old: probability of the calibration models' responses to the chosen items (n_calibration, size).
    """

    latent: Latent
    full: np.ndarray
    chosen: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    with_score: np.ndarray
    score_mean: float
    score_range: tuple[float, float]
    old: np.ndarray

    def __call__(self, values: np.ndarray, method: str = "blend") -> Prediction:
        """Predict full scores.

        Args:
            values: (n_models, size) responses to the chosen items, NaN where missing.
            method: one of :data:`PREDICTORS`.
        """
        found = np.empty((6, len(values)))
        for rows, seen in patterns(~np.isnan(values)):
            found[:, rows] = self._predict(values[rows][:, seen], seen, method)
        return Prediction(*found)

    def _predict(self, values: np.ndarray, seen: np.ndarray, method: str) -> np.ndarray:
        chosen = self.chosen[seen]
        rest = self.full.copy()
        rest[chosen] = 0
        known = values @ self.full[chosen]
        wide = posterior(self.latent, chosen, values, WIDE)
        reaching = known + wide.probability @ rest
        wide_sd = np.maximum(np.sqrt(wide.variance(rest, self.latent)), _LEAST)
        odds = self._odds(values, seen, wide.evidence)
        low, high = self.score_range
        outside = np.minimum(ndtr((reaching - high) / wide_sd) + ndtr((low - reaching) / wide_sd), 1)
        beyond = outside * expit(odds + np.log(_ODDS * min(1.0, len(chosen) / _ENOUGH) ** 2))
        beta = np.linalg.solve(self.cov[np.ix_(seen, seen)], self.with_score[seen])
        regression = self.score_mean + (values - self.mean[seen]) @ beta
        gap = regression - reaching
        unlike = expit(odds + np.log(_UNLIKE))
        told = np.stack([beyond, unlike, gap / wide_sd, outside])
        if method == "reaching":
            return np.stack([reaching, wide_sd, *told])
        narrow = posterior(self.latent, chosen, values, NARROW).variance(rest, self.latent)
        if method == "regression":
            return np.stack([regression, np.maximum(np.sqrt(narrow), _LEAST), *told])
        score = (1 - beyond) * regression + beyond * reaching
        variance = (1 - outside) * (narrow + (regression - score) ** 2)
        variance += outside * (wide_sd**2 + (reaching - score) ** 2)
        return np.stack([score, np.maximum(np.sqrt(variance), _LEAST), *told])

    def _odds(self, values: np.ndarray, seen: np.ndarray, wide: np.ndarray) -> np.ndarray:
        """Log Bayes factor of the wide IRT model against the calibration models' abilities (n_models,)."""
        p = np.clip(self.old[:, seen], _CERTAIN, 1 - _CERTAIN)
        like = (values @ np.log(p).T + (1 - values) @ np.log1p(-p).T) / self.latent.dispersion
        return np.asarray(wide - np.logaddexp.reduce(like, axis=1) + np.log(len(p)))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all arrays."""
        return fingerprint(*(np.ascontiguousarray(x).tobytes() for x in self._arrays().values()))

    def _arrays(self) -> dict[str, np.ndarray]:
        own = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name != "latent"}
        return own | {
            f"latent_{f.name}": np.asarray(getattr(self.latent, f.name)) for f in fields(self.latent)
        }

    def save(self, path: Path) -> None:
        """Write all arrays to one ``.npz`` file."""
        with open(path, "wb") as file:
            np.savez_compressed(file, **self._arrays())  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Predictor:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: not a predictor, or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            latent = {
                k.removeprefix("latent_"): arrays.pop(k) for k in list(arrays) if k.startswith("latent_")
            }
            latent["dispersion"] = float(latent["dispersion"])
            arrays["score_mean"] = float(arrays["score_mean"])
            arrays["score_range"] = tuple(map(float, arrays["score_range"]))
            return cls(latent=Latent(**latent), **arrays)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({error}); save the subset again") from None


def build_predictor(population: Population, full: np.ndarray, chosen: np.ndarray) -> Predictor:
    """What a population of calibration models says about a choice of items.

    Args:
        population: the calibration models.
        full: weight of each item in the full score (n_items,), sums to 1.
        chosen: positions of the items (size,).

    References:
        Zhang, Dorner & Hardt (2025), How benchmark prediction from fewer data misses the mark,
        https://arxiv.org/abs/2506.07673 (where regressions fail); Firth & Bennett (1998), Robust models in
        probability sampling, https://doi.org/10.1111/1467-9868.00105 (intercepts that correct a bias)

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets.population import Population, Prepared
        >>> R = simulate(n_models=60, n_items=200, seed=0).responses
        >>> items, full = np.arange(0, 200, 10), np.full(200, 1 / 200)
        >>> predict = build_predictor(Population.of(R.take(models=slice(0, 50))), full, items)
        >>> found = predict(R.take(models=slice(50, 60)).values[:, items])
        >>> bool(np.abs(found.score - R.take(models=slice(50, 60)).scores()).mean() < 0.08)
        True
    """
    alike, values = population.alike, population.values
    x = alike.features[:, chosen]
    noise = alike.noise[chosen]
    scores = values @ full
    return Predictor(
        latent=population.latent,
        full=full,
        chosen=chosen,
        mean=alike.mean[chosen],
        cov=x.T @ x + np.diag(noise),
        with_score=x.T @ (alike.features @ full) + noise * full[chosen],
        score_mean=float(scores.mean()),
        score_range=(float(scores.min()), float(scores.max())),
        old=population.probability[:, chosen],
    )


def held_out_errors(
    prepared: Prepared, full: np.ndarray, choose: Callable[[Population], np.ndarray]
) -> pd.DataFrame:
    """Standardised errors of models that were held out, (full score - estimate) / sd.

    Args:
        prepared: the calibration models and the trials.
        full: weight of each item in the full score (n_items,).
        choose: repeats the choice of items on a population.

    Returns:
        DataFrame by model: a column for each of the predictors, and ``far`` for the blend where the
        strongest models were held out and the weaker half calibrated.
    """
    responses = prepared.population.responses
    _, strata = np.unique(responses.benchmarks.astype(str), return_inverse=True)
    truth = full_scores(responses.values, full, strata.reshape(-1))
    index = pd.Index(responses.model_ids, name="model", dtype=object)
    found = pd.DataFrame(np.nan, index=index, columns=[*PREDICTORS, "far"])
    for trial in prepared.trials:
        chosen = np.sort(choose(trial.population))
        predict = build_predictor(trial.population, full, chosen)
        values = responses.values[trial.test][:, chosen].astype(float)
        usable = ~np.isnan(values).all(axis=1) & ~np.isnan(truth[trial.test])
        rows = trial.test[usable]
        for method in ("blend",) if trial.far else PREDICTORS:
            got = predict(values[usable], method)
            z = (truth[rows] - np.clip(got.score, 0, 1)) / got.sd
            found.iloc[rows, found.columns.get_loc("far" if trial.far else method)] = z
    return found.dropna(how="all")
