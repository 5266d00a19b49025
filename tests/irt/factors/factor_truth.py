"""Simulated responses with several abilities a model, and the truth on the scale of a fit."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from irtbench.irt.factors.rotation import procrustes
from irtbench.responses.matrix import ResponseMatrix


@dataclass(frozen=True)
class Truth:
    responses: ResponseMatrix
    ability: np.ndarray
    slopes: np.ndarray
    intercept: np.ndarray
    probability: np.ndarray


def simulate_factors(n_models, n_items, dimensions, *, missing=0.0, samples=1, seed=0):
    """Slopes on the first dimension are positive, |N(.8, .4)|, those on others N(0, .6)."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(n_models, dimensions))
    theta = _white(theta - theta.mean(axis=0))
    slopes = rng.normal(0, 0.6, (n_items, dimensions))
    slopes[:, 0] = np.abs(rng.normal(0.8, 0.4, n_items))
    return _truth(theta, slopes, rng.normal(0, 1.2, n_items), missing, samples, rng)


def simulate_between(n_models, per_dimension, correlation, *, seed=0):
    """Items of dimension d in benchmark ``b{d}``; abilities N(0, correlation)."""
    rng = np.random.default_rng(seed)
    d = len(correlation)
    theta = rng.normal(size=(n_models, d)) @ np.linalg.cholesky(correlation).T
    own = np.tile(np.arange(d), per_dimension)  # the benchmarks' items are mixed
    slopes = np.zeros((len(own), d))
    slopes[np.arange(len(own)), own] = np.exp(rng.normal(0, 0.3, len(own)))
    truth = _truth(theta, slopes, rng.normal(0, 1.2, len(own)), 0.0, 1, rng)
    R = ResponseMatrix.of(truth.responses.values, benchmark=[f"b{k}" for k in own])
    return Truth(R, truth.ability, truth.slopes, truth.intercept, truth.probability)


def to_truth(fit, truth):
    """The fit's posterior, turned as near to the true slopes as a rotation brings it."""
    return fit.posterior.moved(procrustes(fit.posterior.slopes, truth.slopes).T)


def rmse(x):
    return float(np.sqrt(np.mean(np.square(x))))


def _white(theta):
    value, axes = np.linalg.eigh(theta.T @ theta / len(theta))
    return theta @ (axes * value**-0.5) @ axes.T


def _truth(theta, slopes, intercept, missing, samples, rng):
    p = expit(theta @ slopes.T + intercept)
    values = (rng.binomial(samples, p) / samples).astype(np.float32)
    values[rng.random(p.shape) < missing] = np.nan
    trials = np.where(np.isnan(values), 0, samples) if samples > 1 else None
    return Truth(ResponseMatrix.of(values, trials=trials), theta, slopes, intercept, p)
