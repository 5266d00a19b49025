"""irtbench itself, as a user calls it."""

import warnings
from typing import Any

import numpy as np

import irtbench as ib

DRAWS = 2000
BATCH = 2000  # items whose draws are held at once


def prepare(values: np.ndarray, irt: str) -> ib.ResponseMatrix:
    """A ResponseMatrix."""
    return ib.ResponseMatrix.of(values)


def fit(data: ib.ResponseMatrix, irt: str, seed: int, method: str | None = None) -> ib.IRTFit:
    """``method=None`` is the plain call with defaults."""
    given = {} if method is None else {"method": method}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ib.fit(data, irt=irt, device="cpu", seed=seed, **given)


def read(found: ib.IRTFit, data: ib.ResponseMatrix) -> dict[str, np.ndarray]:
    """Posterior means, predictive probabilities and 95 % intervals.

    Intervals of items are central ones of posterior draws, so they are the same for a and log a.
    """
    items, mean, sd = found.bank.items, found.abilities["mean"].to_numpy(), found.abilities["sd"].to_numpy()
    out = {"theta": mean, "theta_lower": mean - 1.96 * sd, "theta_upper": mean + 1.96 * sd}
    out |= {"a": items["discrimination"].to_numpy(), "b": items["difficulty"].to_numpy()}
    out |= {"c": items["guessing"].to_numpy(), "probability": found.probability().astype(np.float32)}
    out["converged"] = np.array(found.converged)
    return out | intervals(found.bank)


def intervals(bank: ib.ItemBank) -> dict[str, np.ndarray]:
    """Central 95 % intervals of a, b, c by item."""
    names = {"a": "discrimination", "b": "difficulty", "c": "guessing"}
    pieces: dict[str, list[Any]] = {f"{k}_{end}": [] for k in names for end in ("lower", "upper")}
    ids = bank.item_ids
    for first in range(0, len(ids), BATCH):
        draws = bank.take(ids[first : first + BATCH]).draws(DRAWS, seed=0)
        for k, name in names.items():
            lower, upper = np.quantile(draws[name], [0.025, 0.975], axis=0)
            pieces[f"{k}_lower"].append(lower)
            pieces[f"{k}_upper"].append(upper)
    return {k: np.concatenate(v) for k, v in pieces.items()}
