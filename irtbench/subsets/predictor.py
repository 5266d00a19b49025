r"""Predict full scores of new models: a regression inside the old models' range, a reaching one beyond it.

.. math:: \hat s = (1 - γ)\,\hat s_{\text{regression}} + γ\,\hat s_{\text{reaching}}

* *regression*: the best linear prediction from the responses, with the calibration models' covariance shrunk
  towards the IRT model's (:func:`irtbench.subsets.moments.calibration_moments`);
* *reaching*: for models that may lie far beyond them (:func:`irtbench.subsets.reaching.reach`);
* γ, the probability that the model lies beyond the range: that its score does, by the reaching estimate or by
  the one that follows the responses alone, and not by a hair, since a regression does hold a little beyond
  its range; times the probability that its responses are not those of a model with the abilities of a
  calibration model, by their likelihood or because the two estimates part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from irtbench.errors import InputError
from irtbench.files import fingerprint
from irtbench.subsets.calibration import full_scores
from irtbench.subsets.estimators import PREDICTORS, patterns
from irtbench.subsets.latent import NARROW, Latent, posterior
from irtbench.subsets.linear import Linear
from irtbench.subsets.population import Population, Prepared
from irtbench.subsets.reaching import Reached, reach

__all__ = ["Prediction", "Predictor", "build_predictor", "held_out_errors"]

_ENOUGH = 30  # items; fewer do not tell a model beyond the range from an unlucky one
_ODDS = 10.0  # that a model whose score lies beyond the range has abilities beyond it, too
_UNLIKE, _CLEAR, _FAR = 0.1, 0.95, 3.0  # prior odds, and when it is worth saying
_MARGIN = 0.03  # of the calibration models' range, within which a regression still holds beyond it
_BELOW = 3.0  # margins below: a floor is in sight there, and a regression goes less astray
_APART = 0.7  # log odds for each root mean square by which the two estimates part
_TRUST = 0.7  # least in the reaching estimate against the regression when asking whether a score lies outside
_DOUBT = 1.5  # items by which the estimate that follows the responses alone must clear it, too
_LEAST = 1e-9
_CERTAIN = 1e-4  # no calibration model's response is more certain than this


_PARTS: dict[str, Any] = {"latent": Latent, "alike": Linear, "beyond": Linear}


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
            "beyond the calibration models: rests on what reaches beyond them"
            if beyond > 0.5
            else "regression and reaching estimate disagree"
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
        alike: moments of a new model like the calibration models.
        beyond: moments of a new model that may lie far beyond them.
        score_range: lowest and highest full score of the calibration models.
        gap: root mean square of reaching minus regression estimate over the calibration models.
        old: probability of the calibration models' responses to the chosen items (n_calibration, size).
        trust: in the reaching estimate, against the regression, when asking whether a score lies outside.
    """

    latent: Latent
    full: np.ndarray
    chosen: np.ndarray
    alike: Linear
    beyond: Linear
    score_range: tuple[float, float]
    gap: float
    old: np.ndarray
    trust: float

    def __call__(self, values: np.ndarray, method: str = "blend") -> Prediction:
        """Predict full scores.

        Args:
            values: (n_models, size) responses to the chosen items, NaN where missing.
            method: one of :data:`PREDICTORS`.
        """
        return self.all(values)[method]

    def all(self, values: np.ndarray) -> dict[str, Prediction]:
        """Predict full scores by each of :data:`PREDICTORS`, from (n_models, size) responses."""
        found = np.empty((len(PREDICTORS), 6, len(values)))
        for rows, seen in patterns(~np.isnan(values)):
            found[:, :, rows] = self._predict(values[rows][:, seen], seen)
        return {method: Prediction(*own) for method, own in zip(PREDICTORS, found, strict=True)}

    def _predict(self, values: np.ndarray, seen: np.ndarray) -> np.ndarray:
        far = self.reach(values, seen)
        regression, _, _ = self.alike(values, seen)
        outside, clear = self._outside(far, regression, int(seen.sum()))
        gap = (regression - far.score) / far.sd
        odds = self._odds(values, seen, far.evidence)
        apart = _APART * (np.abs(far.score - regression) / self.gap - 1)
        few = np.log(_ODDS * min(1.0, seen.sum() / _ENOUGH))
        beyond = clear * expit(np.maximum(odds, apart) + few)
        told = np.stack([beyond, expit(odds + np.log(_UNLIKE)), gap, outside])
        rest = self.full.copy()
        rest[self.chosen[seen]] = 0
        narrow = posterior(self.latent, self.chosen[seen], values, NARROW).variance(rest, self.latent)
        score = (1 - beyond) * regression + beyond * far.score
        variance = (1 - outside) * (narrow + (regression - score) ** 2)
        variance += outside * (far.sd**2 + (far.score - score) ** 2)
        by_method = {
            "blend": (score, np.sqrt(variance)),
            "regression": (regression, np.sqrt(narrow)),
            "reaching": (far.score, far.sd),
        }
        parts = (by_method[method] for method in PREDICTORS)
        return np.stack([np.stack([mean, np.maximum(sd, _LEAST), *told]) for mean, sd in parts])

    def reach(self, values: np.ndarray, seen: np.ndarray) -> Reached:
        """The estimate for models that may lie anywhere, from (n_models, n_seen) responses."""
        return reach(self.latent, self.full, self.beyond, self.chosen, values, seen)

    def _outside(self, far: Reached, regression: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Probability that the score lies outside the calibration models', and that it clearly does."""
        low, high = self.score_range
        margin = _MARGIN * (high - low)

        def out(score: np.ndarray, sd: np.ndarray, margin: float) -> np.ndarray:
            up, down = ndtr((score - high - margin) / sd), ndtr((low - _BELOW * margin - score) / sd)
            return np.asarray(np.minimum(up + down, 1))

        reaching, free = (self.trust * x + (1 - self.trust) * regression for x in (far.score, far.free))
        clear = out(reaching, far.sd, margin)
        clear = np.maximum(clear, out(free, np.maximum(far.sd, 0.5 / np.sqrt(n)), margin + _DOUBT / n))
        return np.maximum(out(far.score, far.sd, 0.0), clear), clear

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
        found: dict[str, np.ndarray] = {}
        for own in fields(self):
            value = getattr(self, own.name)
            parts = (
                {f"_{f.name}": getattr(value, f.name) for f in fields(value)}
                if own.name in _PARTS
                else {"": value}
            )
            found |= {own.name + name: np.asarray(part) for name, part in parts.items()}
        return found

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
            parts: dict[str, Any] = {
                name: kind(**{f.name: _plain(arrays.pop(f"{name}_{f.name}")) for f in fields(kind)})
                for name, kind in _PARTS.items()
            }
            low, high = arrays.pop("score_range").tolist()
            parts |= {name: _plain(value) for name, value in arrays.items()}
            return cls(**parts, score_range=(low, high))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({error}); save the subset again") from None


def _plain(value: np.ndarray) -> np.ndarray | float:
    """A number where the array holds just one."""
    return float(value) if value.ndim == 0 else value


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
    scores = population.values @ full
    found = Predictor(
        latent=population.latent,
        full=full,
        chosen=chosen,
        alike=Linear.of(population.alike, full, chosen),
        beyond=Linear.of(population.beyond, full, chosen),
        score_range=(float(scores.min()), float(scores.max())),
        gap=1.0,
        old=population.probability[:, chosen],
        trust=_TRUST + (1 - _TRUST) * population.doubt,
    )
    everything, values = np.ones(len(chosen), dtype=bool), population.values[:, chosen]
    apart = found.reach(values, everything).score - found.alike(values, everything)[0]
    return replace(found, gap=max(float(np.sqrt((apart**2).mean())), _LEAST))


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
        for method, got in predict.all(values[usable]).items():
            column = method if not trial.far else "far" if method == "blend" else None
            if column is not None:
                z = (truth[rows] - np.clip(got.score, 0, 1)) / got.sd
                found.iloc[rows, found.columns.get_loc(column)] = z
    return found.dropna(how="all")
