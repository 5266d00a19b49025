"""girth: marginal or joint maximum likelihood item by item; abilities by its ``ability_eap``."""

from typing import Any

import girth
import numpy as np


def prepare(values: np.ndarray, irt: str) -> np.ndarray:
    """Items × models, tagged where missing."""
    return girth.tag_missing_data(np.nan_to_num(values, nan=-1).astype(int).T, [0, 1])


def fit(data: np.ndarray, irt: str, seed: int, epochs: int, method: str) -> Any:
    """``onepl``, ``twopl`` or ``threepl`` by ``mml`` or ``jml``."""
    name = {"1pl": "onepl", "2pl": "twopl", "3pl": "threepl"}[irt]
    found = getattr(girth, f"{name}_{method}")(data, options={"max_iteration": epochs})
    b = np.ravel(found["Difficulty"])
    a = np.broadcast_to(found["Discrimination"], b.shape)
    return found, a, b, girth.ability_eap(data, b, a)


def read(found: Any, data: np.ndarray) -> dict[str, np.ndarray]:
    """Item parameters and scores."""
    result, a, b, theta = found
    return {"theta": theta, "a": a, "b": b, "c": np.asarray(result.get("Guessing", np.zeros(len(b))))}
