r"""What responses say about all items: one ability a benchmark, and ways to leave the old models' range.

.. math:: P_{mi} = σ\big(a_i θ_{mb} + g_{mb} + h_{mb} \tilde d_i + d_i\big),\quad
          θ_m ∼ N(0, κΦ),\; g_{mb} ∼ N(0, ρ^2),\; h_{mb} ∼ N(0, η^2)

for item i of benchmark b, with its 2PL slope a and intercept d (standardised within the benchmark:
:math:`\tilde d`). With κ = 1 and ρ = η = 0 this is the population of the calibration models. A wider κ lets
abilities go beyond it; g makes all items of a benchmark easier alike, also those that the calibration
models say little about (the score equation of g sets the mean residual to 0, as a difference estimator
does); h does so for hard items more than for easy ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from irtbench.responses.matrix import ResponseMatrix

__all__ = ["NARROW", "Latent", "Posterior", "Reach", "fit_latent", "posterior"]

_MAX_STEPS, _TOLERANCE, _LONGEST = 60, 1e-5, 1.5
_MODELS_A_DIMENSION = 10  # calibration models for each benchmark that gets an ability of its own


@dataclass(frozen=True)
class Reach:
    """How far a new model may lie from the calibration models.

    Attributes:
        ability: κ, variance of the abilities relative to the calibration models'.
        shift: ρ, sd of a shift of a whole benchmark, in logits.
        tilt: η, sd of a shift that grows with difficulty, in logits a sd of intercepts.
    """

    ability: float
    shift: float
    tilt: float


NARROW = Reach(1.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Latent:
    """Items of a multidimensional 2PL with one dimension for each benchmark.

    Attributes:
        slope: a (n_items,).
        intercept: d (n_items,).
        cov: posterior covariance of the two (n_items, 2, 2).
        own: dimension of each item (n_items,).
        correlation: Φ of the abilities (D, D).
        dispersion: variance of a response relative to P(1 - P): 1 for 0/1 responses, less for
            continuous ones.
    """

    slope: np.ndarray
    intercept: np.ndarray
    cov: np.ndarray
    own: np.ndarray
    correlation: np.ndarray
    dispersion: float = 1.0

    @property
    def dimensions(self) -> int:
        """D, the number of abilities."""
        return len(self.correlation)

    @cached_property
    def tilt(self) -> np.ndarray:
        """Standardised difficulty of each item within its dimension, cut at 2.5 sds, (n_items,)."""
        found = np.zeros(len(self.own))
        for b in range(self.dimensions):
            d = self.intercept[self.own == b]
            found[self.own == b] = np.clip((d - d.mean()) / max(float(d.std()), 1e-9), -2.5, 2.5)
        return found

    def loadings(self, reach: Reach) -> tuple[np.ndarray, np.ndarray]:
        """Loadings (n_items, K) of abilities and of the shifts in use, and their prior precision (K, K)."""
        one = np.eye(self.dimensions)[self.own]
        columns, blocks = [one * self.slope[:, None]], [np.linalg.inv(reach.ability * self.correlation)]
        for sd, feature in ((reach.shift, np.ones(len(self.own))), (reach.tilt, self.tilt)):
            if sd > 0:
                columns.append(one * feature[:, None])
                blocks.append(np.eye(self.dimensions) / sd**2)
        width = sum(map(len, blocks))
        precision, at = np.zeros((width, width)), 0
        for block in blocks:
            precision[at : at + len(block), at : at + len(block)] = block
            at += len(block)
        return np.hstack(columns), precision


@dataclass(frozen=True, eq=False)
class Posterior:
    """What some responses say about a model.

    Attributes:
        probability: posterior mean P of every item (n_models, n_items).
        ability: posterior mode of the abilities (n_models, D).
        cov: of the latent variables (n_models, K, K).
        evidence: log marginal likelihood of the responses (n_models,), by Laplace's method.
        loadings: (n_items, K).
    """

    probability: np.ndarray
    ability: np.ndarray
    cov: np.ndarray
    evidence: np.ndarray
    loadings: np.ndarray

    def variance(self, weights: np.ndarray, latent: Latent) -> np.ndarray:
        r"""Variance of :math:`\sum_i w_i y_i` over items that were not seen, (n_models,)."""
        p = self.probability
        noise = p * (1 - p)
        slope = (noise * weights) @ self.loadings
        common = np.einsum("mk,mkl,ml->m", slope, self.cov, slope)
        return np.asarray(common + latent.dispersion * noise @ weights**2)


def fit_latent(responses: ResponseMatrix, device: str = "cpu") -> Latent:
    """Fit the multidimensional 2PL with one ability a benchmark, by its penalised maximum.

    With fewer than ten models for each benchmark all items share one ability.

    Args:
        responses: of the calibration models.
        device: where to fit.
    """
    import warnings

    from irtbench.errors import ConvergenceWarning
    from irtbench.irt.factors import fit_factors

    names, counts = np.unique(responses.benchmarks.astype(str), return_counts=True)
    several = 1 < len(names) <= responses.n_models / _MODELS_A_DIMENSION and counts.min() >= 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = fit_factors(
            responses,
            dimensions=1,
            by="benchmark" if several else None,
            rotation="none",
            method="laplace",
            device=device,
        )
    p = fit.posterior
    own = np.zeros(responses.n_items, dtype=int) if p.own is None else p.own
    seen = responses.observed
    fitted = p.probability()[seen]
    spread = fitted * (1 - fitted)
    dispersion = float(((responses.values[seen] - fitted) ** 2).sum() / max(spread.sum(), 1e-12))
    kind = responses.kind
    return Latent(
        p.items[:, 0].copy(),
        p.items[:, 1].copy(),
        p.items_cov.copy(),
        own.copy(),
        p.correlation.copy(),
        1.0 if kind == "binary" else float(np.clip(dispersion, 0.05, 1.0)),
    )


def posterior(latent: Latent, chosen: np.ndarray, values: np.ndarray, reach: Reach) -> Posterior:
    """Posterior of each model's latent variables, by Newton and the curvature there.

    Args:
        latent: the items of the full benchmark.
        chosen: positions of the items with responses (size,).
        values: (n_models, size) responses, NaN where missing.
        reach: how far a model may lie from the calibration models.

    References:
        Tierney & Kadane (1986), Accurate approximations for posterior moments and marginal densities,
        https://doi.org/10.1080/01621459.1986.10478240

    Example:
        >>> items = Latent(np.ones(40), np.zeros(40), np.zeros((40, 2, 2)), np.zeros(40, int), np.eye(1))
        >>> y = np.r_[np.ones(16), np.zeros(4)][None]
        >>> [round(float(posterior(items, np.arange(20), y, r).probability[0, -1]), 2)
        ...  for r in (NARROW, Reach(1, 1, 0))]
        [0.74, 0.76]
    """
    loadings, precision = latent.loadings(reach)
    m, d = loadings[chosen], latent.intercept[chosen]
    width = m.shape[1]
    outer = (m[:, :, None] * m[:, None, :]).reshape(len(chosen), width * width)
    seen = ~np.isnan(values) / latent.dispersion
    y = np.nan_to_num(values) * seen
    z = np.zeros((len(values), width))
    hessian = np.broadcast_to(precision, (len(values), width, width))
    for _ in range(_MAX_STEPS):
        p = expit(z @ m.T + d)
        hessian = ((seen * p * (1 - p)) @ outer).reshape(len(values), width, width) + precision
        step = np.linalg.solve(hessian, ((y - seen * p) @ m - z @ precision)[..., None])[..., 0]
        step *= np.minimum(1, _LONGEST / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
        z = z + step
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            break
    eta = z @ m.T + d
    fitted = (y * eta - seen * np.logaddexp(0, eta)).sum(axis=1)
    prior = -0.5 * ((z @ precision) * z).sum(axis=1) + 0.5 * np.linalg.slogdet(precision)[1]
    evidence = fitted + prior - 0.5 * np.linalg.slogdet(hessian)[1]
    cov = np.linalg.inv(hessian)
    probability = _probability(latent, loadings, z, cov)
    return Posterior(probability, z[:, : latent.dimensions], cov, evidence, loadings)


def _probability(latent: Latent, loadings: np.ndarray, z: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """MacKay's approximation of E[σ(x)] with the uncertainty of the latent variables and of the items."""
    width = loadings.shape[1]
    outer = (loadings[:, :, None] * loadings[:, None, :]).reshape(len(loadings), width * width)
    theta = z[:, : latent.dimensions]
    second = theta**2 + np.einsum("mkk->mk", cov)[:, : latent.dimensions]
    c, own = latent.cov, latent.own
    variance = cov.reshape(len(z), width * width) @ outer.T + second[:, own] * c[:, 0, 0]
    variance += 2 * theta[:, own] * c[:, 0, 1] + c[:, 1, 1]
    return np.asarray(expit((z @ loadings.T + latent.intercept) / np.sqrt(1 + np.pi / 8 * variance)))
