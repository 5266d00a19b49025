r"""The answer of an adaptive test: the belief within the calibration models' range, the reach beyond it.

.. math:: \hat s = (1 - γ)\, \hat s_\text{belief} + γ\, \hat s_\text{reaching}, \quad
          h^2 = (1 - γ) \big((q V_\text{belief}^{1/2})^2 + (\hat s_\text{belief} - \hat s)^2\big)
              + γ \big((q' V_\text{reaching}^{1/2})^2 + (\hat s_\text{reaching} - \hat s)^2\big)

with the half width h of the interval and factors q and q' from calibration models that were held out: all of
them in turn, and the strongest of them, with a bank of the weaker half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from irtbench.subsets.adaptive.belief import Belief
from irtbench.subsets.adaptive.reach import reaching

if TYPE_CHECKING:
    from irtbench.subsets.adaptive.planning import AdaptivePlan

__all__ = ["Estimate", "Parts", "answer", "parts"]

_DOUBT = math.e  # how many times less likely beyond the range than the wide prior says, which favours it


@dataclass(frozen=True)
class Estimate:
    """What is known of a full score.

    Attributes:
        score: estimate, in [0, 1].
        lower: lower limit of the interval.
        upper: upper limit.
        sd: posterior standard deviation, were the IRT model true.
        items: answers that it rests on.
        beyond: probability that the score lies outside those of the calibration models; 0 where the plan
            does not know them.
    """

    score: float
    lower: float
    upper: float
    sd: float
    items: int
    beyond: float = 0.0

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.upper - self.lower) / 2

    @property
    def note(self) -> str:
        """What to say of it; empty where there is nothing to say."""
        if self.beyond <= 0.5:
            return ""
        return "beyond the calibration models' range: rests on the IRT model's reach, with a wider interval"


@dataclass(frozen=True)
class Parts:
    """The two estimates of a full score, and how much each counts.

    Attributes:
        inside: by the belief, that the model is one like the calibration models.
        inside_sd: its posterior sd.
        outside: by the reach, that it may be anywhere.
        outside_sd: its posterior sd.
        beyond: γ, probability that the score lies outside the calibration models'.
    """

    inside: float
    inside_sd: float
    outside: float
    outside_sd: float
    beyond: float

    @property
    def score(self) -> float:
        """The two, weighted."""
        return (1 - self.beyond) * self.inside + self.beyond * self.outside

    def half_width(self, factor: float, far: float) -> float:
        """Half the width of an interval so many sds of each part wide."""
        near = (factor * self.inside_sd) ** 2 + (self.inside - self.score) ** 2
        wide = (far * self.outside_sd) ** 2 + (self.outside - self.score) ** 2
        return math.sqrt((1 - self.beyond) * near + self.beyond * wide)


def parts(plan: AdaptivePlan, belief: Belief) -> Parts:
    r"""Both estimates after some answers.

    .. math:: \frac{γ}{1 - γ} = \frac1e\, \frac{o}{1 - o}, \quad
              o = Φ\Big(\frac{\hat s_\text{reaching} - s_\text{max}}{V^{1/2}}\Big)
                + Φ\Big(\frac{s_\text{min} - \hat s_\text{reaching}}{V^{1/2}}\Big)

    Args:
        plan: the test.
        belief: what the answers say.
    """
    inside, variance = belief.score
    inside_sd = math.sqrt(max(variance, 1e-18))
    if plan.span is None:
        return Parts(inside, inside_sd, inside, inside_sd, 0.0)
    outside, sd = reaching(plan.latent, plan.lattice.full, belief.values)
    sd = max(sd, 1e-9)
    low, high = plan.span
    share = min(float(ndtr((outside - high) / sd) + ndtr((low - outside) / sd)), 1.0)
    return Parts(inside, inside_sd, outside, sd, share / (share + _DOUBT * (1 - share)))


def answer(plan: AdaptivePlan, belief: Belief) -> Estimate:
    """The estimate of the full score after some answers, with its interval."""
    found, asked = parts(plan, belief), int((~belief.open).sum())
    half = found.half_width(plan.factor(asked), plan.far_factor(asked))
    low, high, score = np.clip([found.score - half, found.score + half, found.score], 0.0, 1.0)
    sd = found.half_width(1.0, 1.0)
    return Estimate(float(score), float(low), float(high), sd, asked, found.beyond)
