"""Banks calibrated without each fold of the models in turn: what honest errors are measured with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from irtbench.errors import ConvergenceWarning
from irtbench.irt.abilities import ability_posterior
from irtbench.irt.bank import ItemBank
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.splits import model_groups
from irtbench.subsets.estimators import Curves

__all__ = ["CrossFit", "Fold", "cross_fit", "fold_numbers"]


@dataclass(frozen=True, eq=False)
class Fold:
    """A fold of the models.

    Attributes:
        responses: of the fold's models to all items.
        bank: calibrated on the other models.
    """

    responses: ResponseMatrix
    bank: ItemBank

    @cached_property
    def curves(self) -> Curves:
        """The bank's response curves."""
        return Curves.of(self.bank)


@dataclass(frozen=True, eq=False)
class CrossFit:
    """All folds of a set of models; several subsets of one benchmark share it.

    Attributes:
        folds: every model is in one of them.
    """

    folds: tuple[Fold, ...]
    _errors: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False)

    def prediction_error(self, groups: np.ndarray, full: np.ndarray) -> np.ndarray:
        """Mean absolute error of each group's mean on one half of the items, θ from the other half.

        Args:
            groups: code of the group of each item (n_items,).
            full: weight of each item in the full score (n_items,).

        Returns:
            Array (n_groups,), in score units; computed once for each pair of arguments.
        """
        key = groups.tobytes() + full.tobytes()
        if key not in self._errors:
            half = np.random.default_rng(0).permutation(len(groups)) % 2 == 0
            parts = [
                _half_errors(fold, groups, full, known) for fold in self.folds for known in (half, ~half)
            ]
            total, count = (np.sum(x, axis=0) for x in zip(*parts, strict=True))
            self._errors[key] = total / np.maximum(count, 1)
        return self._errors[key]


def cross_fit(
    responses: ResponseMatrix, bank: ItemBank, folds: int = 5, seed: int = 0, device: str = "auto"
) -> CrossFit:
    """Calibrate the items without each fold of the models in turn, by the instant ``laplace`` fit.

    Args:
        responses: of the calibration models to all items.
        bank: gives the IRT model and its likelihood.
        folds: number of folds of models.
        seed: seed of the folds.
        device: where to fit.
    """
    from irtbench.irt import fit, recipe

    same = replace(recipe(bank.irt), likelihood=bank.likelihood)
    fold = fold_numbers(responses, folds, seed)
    found = []
    for k in range(fold.max() + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the user's own fit has said so already
            others = responses.take(models=fold != k)
            fitted = fit(others, irt=same, method="laplace", seed=seed, device=device)
        found.append(Fold(responses.take(models=fold == k), fitted.bank))
    return CrossFit(tuple(found))


def fold_numbers(responses: ResponseMatrix, folds: int, seed: int) -> np.ndarray:
    """Number of the fold of each row (n_models,), folds of nearly equal size.

    All runs of one model are in one fold, else a model would be held out from itself; where there is but
    one model, its runs are what is held out.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"name": ["a", "a", "b", "b"]}, index=["a1", "a2", "b1", "b2"])
        >>> found = fold_numbers(ResponseMatrix.of([[0, 1]] * 4, runs), 5, seed=0).tolist()
        >>> found[0] == found[1] != found[2] == found[3]
        True
    """
    _, code = np.unique(model_groups(responses).to_numpy(), return_inverse=True)
    code = code.reshape(-1)
    if not code.any():
        code = np.arange(len(code))
    n = int(code.max()) + 1
    return np.asarray(np.random.default_rng(seed).permutation(n) % min(folds, n))[code]


def _half_errors(
    fold: Fold, groups: np.ndarray, full: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum over models of the absolute errors on the items not known, and their number, by group."""
    part, n_groups = fold.responses, groups.max() + 1
    total, count = np.zeros(n_groups), np.zeros(n_groups)
    if not known.any() or not part.observed[:, known].any():
        return total, count
    posterior = ability_posterior(fold.bank, part.take(items=known))
    for g in range(n_groups):
        target = ~known & (groups == g)
        weight = full[target] * part.observed[:, target]
        some = weight.sum(axis=1) > 0
        mass = np.where(some, weight.sum(axis=1), 1)
        truth = (weight * np.nan_to_num(part.values[:, target])).sum(axis=1) / mass
        curve = fold.curves.p[:, target] @ full[target] / max(full[target].sum(), 1e-300)
        total[g] = np.abs(posterior.expect(fold.curves.grid, curve)[0] - truth)[some].sum()
        count[g] = some.sum()
    return total, count
