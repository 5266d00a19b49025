r"""The estimator ``blend`` as plain numbers: what ``blend.py`` needs to repeat it without irtbench.

All items of the subset are asked, so a linear prediction is one vector of coefficients, and the odds of
a shift that all items share need no covariance: with :math:`g = Σ^{-1} 1` and residuals r,

.. math:: \log\frac{N(r; 0, Σ + s\,1 1^⊤)}{N(r; 0, Σ)}
          = \frac{s\,(g^⊤ r)^2}{2 (1 + s\,g^⊤ 1)} - \tfrac12 \log(1 + s\,g^⊤ 1)

(Sherman & Morrison 1950, https://doi.org/10.1214/aoms/1177729893).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from irtbench.subsets import predictor as of
from irtbench.subsets import reaching
from irtbench.subsets.intervals import conformal_factor, far_factor
from irtbench.subsets.latent import NARROW
from irtbench.subsets.linear import Linear
from irtbench.subsets.moments import WIDE
from irtbench.subsets.subset import Subset

__all__ = ["blend_numbers"]


def blend_numbers(subset: Subset, level: float) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers for ``formula.json`` and arrays for ``blend.npz``, by the names that ``blend.py`` uses.

    Args:
        subset: with a predictor and with held-out errors of it.
        level: coverage of the intervals.
    """
    predict = subset.predictor
    assert predict is not None
    near = conformal_factor(subset.residuals["blend"].to_numpy(dtype=float), level)[0]
    far = near
    if "far" in subset.residuals:
        far = far_factor(subset.residuals["far"].to_numpy(dtype=float), near, level)
    low, high = predict.score_range
    n, margin = len(predict.chosen), of._MARGIN * (high - low)
    wide = margin + of._DOUBT / n
    shift, shifted = reaching._SHIFT, reaching._SHIFTED
    common = np.linalg.solve(predict.beyond.cov, np.ones(n))
    grown = 1 + shift * float(common.sum())
    regression, _ = _line(predict.alike, 0.0)
    still, still_variance = _line(predict.beyond, 0.0)
    free, free_variance = _line(predict.beyond, shift)
    reaches = {"narrow": NARROW, "wide": WIDE, "wider": reaching.WIDER}
    numbers = {
        "near": near,
        "far": far,
        "dispersion": predict.latent.dispersion,
        "reaches": {name: [r.ability, r.shift, r.tilt] for name, r in reaches.items()},
        "still_variance": still_variance,
        "free_variance": free_variance,
        "shift_scale": shift / (2 * grown),
        "shift_offset": float(-0.5 * np.log(grown) + np.log(shifted) - np.log1p(-shifted)),
        "range": [low, high],
        "clear_range": [low - of._BELOW * margin, high + margin],
        "free_range": [low - of._BELOW * wide, high + wide],
        "free_sd": float(0.5 / np.sqrt(n)),
        "trust": predict.trust,
        "gap": predict.gap,
        "apart": of._APART,
        "beyond_prior": float(np.log(of._ODDS * min(1.0, n / of._ENOUGH))),
        "unlike_prior": float(np.log(of._UNLIKE)),
        "disagree": of._FAR,
        "unlike": of._CLEAR,
        "certain": of._CERTAIN,
        "least": of._LEAST,
    }
    latent = predict.latent
    arrays = {
        "chosen": predict.chosen,
        "full": predict.full,
        "slope": latent.slope,
        "intercept": latent.intercept,
        "spread": np.stack([latent.cov[:, 0, 0], latent.cov[:, 0, 1], latent.cov[:, 1, 1]]),
        "own": latent.own,
        "tilt": latent.tilt,
        "correlation": latent.correlation,
        "regression": regression,
        "still": still,
        "free": free,
        "common": np.r_[-common @ predict.beyond.mean, common],
        "old": predict.old,
    }
    return numbers, arrays


def _line(linear: Linear, shift: float) -> tuple[np.ndarray, float]:
    """Constant and coefficients (1 + n,) of a linear prediction from all items, the variance of its error."""
    everything = np.ones(len(linear.mean), dtype=bool)
    coefficients = np.linalg.solve(linear.cov + shift, linear.with_score + shift)
    _, variance, _ = linear(linear.mean[None], everything, shift)
    return np.r_[linear.score[0] - linear.mean @ coefficients, coefficients], variance
