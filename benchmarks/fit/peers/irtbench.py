"""irtbench itself, as a user calls it."""

import warnings

import numpy as np
from scipy.special import expit

import irtbench as ib


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

    Intervals of items are central ones, so they are the same for a and log a.
    """
    items, mean, sd = found.bank.items, found.abilities["mean"].to_numpy(), found.abilities["sd"].to_numpy()
    out = {"theta": mean, "theta_lower": mean - 1.96 * sd, "theta_upper": mean + 1.96 * sd}
    out |= {"a": items["discrimination"].to_numpy(), "b": items["difficulty"].to_numpy()}
    out |= {"c": items["guessing"].to_numpy(), "probability": found.probability().astype(np.float32)}
    out["converged"] = np.array(found.converged)
    return out | intervals(found.bank)


def intervals(bank: ib.ItemBank) -> dict[str, np.ndarray]:
    """Central 95 % intervals of a, b, c by item: on the unconstrained scale its posterior is normal."""
    half = 1.96 * np.sqrt(np.einsum("ijj->ij", bank.cov))
    lower, upper = (np.where(half > 0, bank.loc + k * half, bank.loc) for k in (-1, 1))
    slopes = np.sort(bank.sign * np.exp([lower[:, 0], upper[:, 0]]), axis=0)
    found = dict(zip(("a_lower", "a_upper"), slopes, strict=True))
    found |= {"b_lower": lower[:, 1], "b_upper": upper[:, 1]}
    return found | {"c_lower": expit(lower[:, 2]), "c_upper": expit(upper[:, 2])}
