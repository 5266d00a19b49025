r"""Full scores of models that may lie far beyond the calibration models.

.. math:: \hat s = \tfrac12 \big(\hat s_{\text{IRT}} + \hat s_{\text{linear}}\big)

* :math:`\hat s_{\text{IRT}}`: responses seen and probabilities of the others, from IRT models whose abilities
  and shifts have a wide and a wider prior (:data:`irtbench.subsets.moments.WIDE`, :data:`WIDER`), each
  weighed by its evidence;
* :math:`\hat s_{\text{linear}}`: the best linear prediction under the moments of such models
  (:func:`irtbench.subsets.moments.shift_moments`), without and with a shift that all items share, likewise.

An IRT model draws a model far off towards the calibration models where their items say little; a linear
prediction does not, and knows no floor and no ceiling. Their errors are of opposite sign more often than not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irtbench.subsets.latent import Latent, Reach, posterior
from irtbench.subsets.linear import Linear
from irtbench.subsets.moments import WIDE

__all__ = ["WIDER", "Reached", "reach"]

WIDER = Reach(10.0, 3.0, 1.0)
_SHIFT = 0.2  # variance of a shift that all items share
_SHIFTED = 0.1  # prior probability of it
_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Reached:
    """Full scores of models that may lie anywhere, all (n_models,).

    Attributes:
        score: not clipped.
        sd: of its error.
        free: score by the linear prediction with a shift alone, which follows the responses wherever they
            go: noisy with few items, never drawn far towards the calibration models.
        evidence: log evidence of the responses by the IRT model with the wide reach.
    """

    score: np.ndarray
    sd: np.ndarray
    free: np.ndarray
    evidence: np.ndarray


def reach(
    latent: Latent,
    full: np.ndarray,
    beyond: Linear,
    chosen: np.ndarray,
    values: np.ndarray,
    seen: np.ndarray,
) -> Reached:
    """Predict full scores of models that may lie far beyond the calibration models.

    Args:
        latent: all items.
        full: weight of each item in the full score (n_items,).
        beyond: moments of such models (of the chosen items).
        chosen: positions of the chosen items (size,).
        values: (n_models, n_seen) responses.
        seen: (size,) to which of the chosen items.

    References:
        Hoeting et al. (1999), Bayesian model averaging, https://doi.org/10.1214/ss/1009212519
    """
    at = chosen[seen]
    rest = full.copy()
    rest[at] = 0
    known = values @ full[at]
    wide, wider = (posterior(latent, at, values, r) for r in (WIDE, WIDER))
    curved = _averaged(
        [known + p.probability @ rest for p in (wide, wider)],
        [p.variance(rest, latent) for p in (wide, wider)],
        [wide.evidence, wider.evidence],
    )
    still, free = (beyond(values, seen, shift) for shift in (0.0, _SHIFT))
    linear = _averaged(
        [still[0], free[0]],
        [np.full(len(values), still[1]), np.full(len(values), free[1])],
        [still[2] + np.log(1 - _SHIFTED), free[2] + np.log(_SHIFTED)],
    )
    score = (curved[0] + linear[0]) / 2
    variance = (curved[1] + linear[1]) / 2 + (curved[0] - linear[0]) ** 2 / 4
    return Reached(score, np.sqrt(np.maximum(variance, _LEAST)), free[0], wide.evidence)


def _averaged(
    score: list[np.ndarray], variance: list[np.ndarray], evidence: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a mixture, weighted by evidence (n_models,)."""
    s, v, e = np.stack(score), np.stack(variance), np.stack(evidence)
    weight = np.exp(e - e.max(axis=0))
    weight /= weight.sum(axis=0)
    mean = (weight * s).sum(axis=0)
    return mean, (weight * (v + (s - mean) ** 2)).sum(axis=0)
