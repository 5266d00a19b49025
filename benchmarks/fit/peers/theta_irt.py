"""theta-irt: EM on Gauss-Hermite nodes in JAX; abilities by its ``score``."""

from typing import Any

import numpy as np
import theta
from theta.priors import Priors


def prepare(values: np.ndarray, irt: str) -> np.ndarray:
    """It takes NaN."""
    return values.astype(float)


def fit(data: np.ndarray, irt: str, seed: int, epochs: int, score: str, slope_sd: float | None = None) -> Any:
    """Fit, then score; ``slope_sd`` puts its optional normal prior on log a, and one of sd 2 on the intercept."""
    priors = Priors() if slope_sd is None else Priors(la_sd=slope_sd, beta_sd=2.0)
    found = theta.fit(data, model=irt.upper(), max_iter=epochs, priors=priors)
    return found, found.score(data, method=score)[0]


def read(found: Any, data: np.ndarray) -> dict[str, np.ndarray]:
    """Item parameters and scores."""
    items, scores = found
    return {"theta": np.asarray(scores), "a": items.a, "b": items.b, "c": items.c}
