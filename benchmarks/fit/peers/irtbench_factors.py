"""irtbench's multidimensional 2PL; its first dimension stands where one ability is asked for."""

import warnings

import numpy as np

import irtbench as ib
from irtbench.irt import FactorFit, fit_factors


def prepare(values: np.ndarray, irt: str) -> ib.ResponseMatrix:
    """A ResponseMatrix."""
    return ib.ResponseMatrix.of(values)


def fit(data: ib.ResponseMatrix, irt: str, seed: int, dimensions: int, method: str = "svi") -> FactorFit:
    """Principal axes: the fit is the same for every rotation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_factors(data, dimensions, rotation="none", method=method, device="cpu", seed=seed)


def read(found: FactorFit, data: ib.ResponseMatrix) -> dict[str, np.ndarray]:
    """Predictive probabilities; of abilities and items the first dimension only."""
    zero = np.zeros(data.n_items)
    theta = found.abilities.iloc[:, 0].to_numpy()
    return {"theta": theta, "a": zero + 1, "b": zero, "c": zero, "probability": found.probability()}
