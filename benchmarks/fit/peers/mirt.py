"""mirt, the Python package: EM on fixed quadrature, in Rust for the 2PL; abilities by its ``fscores``."""

from typing import Any

import numpy as np
from mirt import fit_mirt, fscores


def prepare(values: np.ndarray, irt: str) -> np.ndarray:
    """Integers, -1 where missing."""
    return np.where(np.isnan(values), -1, values).astype(int)


def fit(data: np.ndarray, irt: str, seed: int, errors: bool, score: str, points: int = 21) -> Any:
    """Fit, then score the models."""
    found = fit_mirt(data, model=irt.upper(), compute_standard_errors=errors, n_quadpts=points)
    return found, fscores(found, data, method=score)


def read(found: Any, data: np.ndarray) -> dict[str, np.ndarray]:
    """Discriminations and difficulties, and guessing for the 3PL."""
    result, scores = found
    given = result.model.parameters
    b = np.asarray(given["difficulty"], dtype=float).ravel()
    a = np.broadcast_to(np.asarray(given.get("discrimination", 1.0), dtype=float).ravel(), b.shape)
    c = np.broadcast_to(np.asarray(given.get("guessing", 0.0), dtype=float).ravel(), b.shape)
    return {"theta": np.asarray(scores.theta, dtype=float).ravel(), "a": a, "b": b, "c": c}
