"""The simulated matrices that every tool fits: NumPy only, so that the peers' environments can read them too.

A cell is named SIZE-DESIGN, as in ``S2-2pl-m20``. Sizes are models × items. Of every cell 10 % of the responses
are held out of the fit; ``-m20`` drops another 20 % of the rest at random.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["CELLS", "SIZES", "Cell", "curve", "load", "save", "simulate"]

SIZES = {"S0": (12, 8), "S1": (100, 500), "S2": (400, 5000), "S3": (400, 29000)}
CELLS = ["S1-2pl", "S1-3pl", "S1-1pl", "S2-2pl", "S2-2pl-m20", "S2-3pl", "S2-misspecified", "S3-2pl"]
SEED = 20240


@dataclass(frozen=True)
class Cell:
    """A simulated matrix with its truth: P = c + (1 - c) σ(a (θ - b)), or ``p`` where that is given."""

    name: str
    y: np.ndarray  # (n_models, n_items) int8, what would be answered
    seen: np.ndarray  # bool, what a tool may fit
    held: np.ndarray  # bool, what it is scored on
    theta: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    p: np.ndarray | None = None

    @property
    def irt(self) -> str:
        """The IRT model to fit: a misspecified cell gets the 2PL."""
        design = self.name.split("-")[1]
        return "2pl" if design == "misspecified" else design

    @property
    def probability(self) -> np.ndarray:
        """True P(right), (n_models, n_items)."""
        return curve(self.theta, self.a, self.b, self.c) if self.p is None else self.p

    def responses(self, *, complete: bool = False) -> np.ndarray:
        """0/1 as float32, NaN where a tool may not look; ``complete`` is for tools that know no missing cells."""
        values = self.y.astype(np.float32)
        if not complete:
            values[~self.seen] = np.nan
        return values


def curve(theta: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """P(right) of the 3PL, (n_models, n_items); logits are cut at ±500, where exp still is a number."""
    z = np.clip(a * (theta[:, None] - b), -500, 500)
    return c + (1 - c) / (1 + np.exp(-z))


def simulate(name: str, seed: int = SEED, size: tuple[int, int] | None = None) -> Cell:
    """Simulate a cell: θ ~ N(0, 1), b ~ N(0, 1.2), log a ~ N(0, 0.4), c ~ U(.1, .3) for the 3PL, a = 1 for the 1PL.

    ``misspecified``: θ of two groups, 70 % N(-0.6, 0.5) and 30 % N(1.4, 0.7), over the mixture's sd 1.078;
    b = 1.2 t with t of 3 degrees of freedom, not rescaled (its sd is 2.08); log a ~ N(0, 0.5), and
    5 % of the items have a negative slope. The seed is joined with the name without ``-m20``, so that
    a cell and its thinner version share models, items and answers.
    """
    parts = name.split("-")
    design = parts[1]
    n, j = size or SIZES[parts[0]]
    rng = np.random.default_rng([seed, zlib.crc32("-".join(parts[:2]).encode())])
    c = np.zeros(j)
    if design == "misspecified":
        strong = rng.random(n) < 0.3
        theta = np.where(strong, rng.normal(1.4, 0.7, n), rng.normal(-0.6, 0.5, n)) / 1.078
        b = 1.2 * rng.standard_t(3, j)
        a = np.exp(rng.normal(0, 0.5, j)) * np.where(rng.random(j) < 0.05, -1.0, 1.0)
    else:
        theta = rng.normal(0, 1, n)
        b = rng.normal(0, 1.2, j)
        a = np.ones(j) if design == "1pl" else np.exp(rng.normal(0, 0.4, j))
        c = rng.uniform(0.1, 0.3, j) if design == "3pl" else c
    y = (rng.random((n, j)) < curve(theta, a, b, c)).astype(np.int8)
    u = rng.random((n, j))
    held = u < 0.10
    seen = u > 0.28 if "m20" in parts else ~held  # 0.10 to 0.28: 20 % of the 90 % that are left
    return Cell(name, y, seen, held, theta, a, b, c)


def save(cell: Cell, path: Path) -> None:
    """Write a cell for the workers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {k: v for k, v in vars(cell).items() if k != "name" and v is not None}
    np.savez(path, name=np.array(cell.name), **arrays)


def load(path: Path) -> Cell:
    """Read what :func:`save` wrote."""
    with np.load(path) as found:
        return Cell(name=str(found["name"]), **{k: found[k] for k in found.files if k != "name"})
