r"""The estimator ``blend`` for one model, from the numbers beside it. Needs Python and NumPy, nothing else.

.. math:: \hat s = (1 - γ)\,\hat s_{\text{regression}} + γ\,\hat s_{\text{reaching}}

* *regression*: the best linear prediction from the responses, right for models like those that calibrated;
* *reaching*: the mean of an IRT model's prediction and of a linear one, both made for models anywhere;
* γ (``beyond``): probability that the model lies beyond the range of the calibration models, both by its
  score and by the likelihood of its responses.

The interval is the posterior sd times a factor from calibration models that were held out.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["estimate", "load"]

_STEPS, _TOLERANCE, _LONGEST = 60, 1e-5, 1.5  # of Newton's method


def load(path: str | Path, numbers: dict[str, Any]) -> SimpleNamespace:
    """Arrays of ``blend.npz`` and the numbers under ``blend`` in ``formula.json``, by name.

    ``chosen``: positions of the n items asked among all N. For each of the N items: ``full`` weight in the
    score, ``slope`` a, ``intercept`` d and their (co)variances ``spread`` (aa, ad, dd), ``own`` ability,
    ``tilt`` standardised difficulty. ``correlation`` of the abilities. ``regression``, ``still``, ``free``,
    ``common``: a constant and coefficients of the n responses. ``old`` (models, n): probabilities that the
    calibration models had of their responses.
    """
    with np.load(path, allow_pickle=False) as file:
        return SimpleNamespace(**numbers, **dict(file))


def estimate(b: SimpleNamespace, y: np.ndarray) -> dict[str, Any]:
    """Score, interval, ``beyond`` and ``note`` of one model.

    Args:
        b: what :func:`load` returns.
        y: (n,) its responses to the items asked, in the order of ``chosen``.
    """
    regression = _line(b.regression, y)
    reaching, sd, free, evidence = _reaching(b, y)
    odds = _unlike(b, y, evidence)
    clear = _clearly_outside(b, reaching, sd, free, regression)
    outside = max(_outside(reaching, sd, b.range), clear)
    apart = b.apart * (abs(reaching - regression) / b.gap - 1)
    beyond = clear * float(_sigmoid(max(odds, apart) + b.beyond_prior))
    score = (1 - beyond) * regression + beyond * reaching
    narrow = _irt(b, y, "narrow")[1]
    variance = (1 - outside) * (narrow + (regression - score) ** 2)
    variance += outside * (sd**2 + (reaching - score) ** 2)
    half = ((1 - outside) * b.near + outside * b.far) * max(math.sqrt(variance), b.least)
    score = min(max(score, 0.0), 1.0)
    note = ""
    if beyond > 0.5:
        note = "beyond the calibration models: rests on what reaches beyond them"
    elif abs(regression - reaching) > b.disagree * sd:
        note = "regression and reaching estimate disagree"
    elif _sigmoid(odds + b.unlike_prior) > b.unlike:
        note = "answers unlike any calibration model's"
    limits = {"lower": min(max(score - half, 0.0), 1.0), "upper": min(max(score + half, 0.0), 1.0)}
    return {"score": score, **limits, "beyond": beyond, "note": note}


def _reaching(b: SimpleNamespace, y: np.ndarray) -> tuple[float, float, float, float]:
    """Score wherever the model lies, its sd, that of the free linear prediction, and log evidence."""
    wide, wider = _irt(b, y, "wide"), _irt(b, y, "wider")
    curved = _averaged(wide[:2], wider[:2], wider[2] - wide[2])
    still, free = _line(b.still, y), _line(b.free, y)
    shifted = b.shift_scale * _line(b.common, y) ** 2 + b.shift_offset  # log odds that all items shifted
    linear = _averaged((still, b.still_variance), (free, b.free_variance), shifted)
    variance = (curved[1] + linear[1]) / 2 + (curved[0] - linear[0]) ** 2 / 4
    return (curved[0] + linear[0]) / 2, math.sqrt(max(variance, b.least)), free, wide[2]


def _line(coefficients: np.ndarray, y: np.ndarray) -> float:
    return float(coefficients[0] + y @ coefficients[1:])


def _averaged(one: tuple[float, float], two: tuple[float, float], odds: float) -> tuple[float, float]:
    """Mean and variance of a mixture of two (mean, variance), at these log odds of the second."""
    w = float(_sigmoid(odds))
    mean = (1 - w) * one[0] + w * two[0]
    return mean, (1 - w) * (one[1] + (one[0] - mean) ** 2) + w * (two[1] + (two[0] - mean) ** 2)


def _irt(b: SimpleNamespace, y: np.ndarray, reach: str) -> tuple[float, float, float]:
    """Score, its variance and the log evidence by a 2PL with one ability a benchmark and shifts of it.

    Laplace's method: Newton's to the mode, the curvature there; MacKay's mean of a logistic curve.
    """
    loadings, precision = _loadings(b, *b.reaches[reach])
    m, d = loadings[b.chosen], b.intercept[b.chosen]
    z = np.zeros(len(precision))
    for _ in range(_STEPS):
        p = _sigmoid(m @ z + d)
        hessian = (m.T * (p * (1 - p) / b.dispersion)) @ m + precision
        step = np.linalg.solve(hessian, m.T @ (y - p) / b.dispersion - precision @ z)
        step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-12))
        z = z + step
        if np.abs(step).max() < _TOLERANCE:
            break
    cov, x = np.linalg.inv(hessian), m @ z + d
    evidence = float((y * x - np.logaddexp(0, x)).sum()) / b.dispersion - 0.5 * float(z @ precision @ z)
    evidence += 0.5 * float(np.linalg.slogdet(precision)[1] - np.linalg.slogdet(hessian)[1])
    theta = z[: len(b.correlation)]
    square = theta**2 + np.diag(cov)[: len(theta)]
    aa, ad, dd = b.spread
    variance = ((loadings @ cov) * loadings).sum(axis=1) + square[b.own] * aa + 2 * theta[b.own] * ad + dd
    p = _sigmoid((loadings @ z + b.intercept) / np.sqrt(1 + np.pi / 8 * variance))
    rest, noise = b.full.copy(), p * (1 - p)
    rest[b.chosen] = 0
    slope = (noise * rest) @ loadings
    of_score = float(slope @ cov @ slope + b.dispersion * (noise @ rest**2))
    return float(y @ b.full[b.chosen] + p @ rest), of_score, evidence


def _loadings(b: SimpleNamespace, ability: float, shift: float, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Loadings of all items on abilities and shifts (N, K), and the prior precision of these (K, K).

    Args:
        b: the numbers.
        ability: variance of the abilities relative to the calibration models'.
        shift: sd of a shift of a benchmark, in logits; 0 for none.
        tilt: sd of a shift that grows with difficulty.
    """
    one = np.eye(len(b.correlation))
    columns, blocks = [b.slope], [np.linalg.inv(ability * b.correlation)]
    for sd, feature in ((shift, np.ones(len(b.own))), (tilt, b.tilt)):
        if sd > 0:
            columns.append(feature)
            blocks.append(one / sd**2)
    precision, size = np.zeros((len(one) * len(blocks),) * 2), len(one)
    for k, block in enumerate(blocks):
        precision[k * size : (k + 1) * size, k * size : (k + 1) * size] = block
    return np.hstack([one[b.own] * column[:, None] for column in columns]), precision


def _unlike(b: SimpleNamespace, y: np.ndarray, evidence: float) -> float:
    """Log odds that the responses are not those of a model with a calibration model's abilities."""
    p = np.clip(b.old, b.certain, 1 - b.certain)
    like = (np.log(p) @ y + np.log1p(-p) @ (1 - y)) / b.dispersion
    return evidence - float(np.logaddexp.reduce(like)) + math.log(len(p))


def _clearly_outside(b: SimpleNamespace, reaching: float, sd: float, free: float, regression: float) -> float:
    """Probability that the score lies outside the calibration models' range, and not by a hair."""
    by_reaching, by_free = (b.trust * x + (1 - b.trust) * regression for x in (reaching, free))
    return max(_outside(by_reaching, sd, b.clear_range), _outside(by_free, max(sd, b.free_sd), b.free_range))


def _outside(score: float, sd: float, limits: list[float]) -> float:
    """Probability that a normal variable with this mean and sd lies outside of limits."""
    low, high = limits
    return min(_normal((score - high) / sd) + _normal((low - score) / sd), 1.0)


def _normal(z: float) -> float:
    """Standard normal distribution function."""
    return (1 + math.erf(z / math.sqrt(2))) / 2


def _sigmoid(x: Any) -> np.ndarray:
    return np.asarray(np.exp(-np.logaddexp(0, -x)))
