"""What a gate can see: items needed for a drop, false alarms and power by simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.subsets.gates.drawing import inclusion, systematic_sample
from irtbench.subsets.gates.judging import paired_difference
from irtbench.subsets.gates.planning import GatePlan

__all__ = ["drop_probability", "gate_items_needed", "gate_power"]


def gate_items_needed(
    plan: GatePlan, drop: float, *, power: float = 0.8, flips: float | None = None
) -> dict[str, int]:
    r"""Items on which a drop is found, of the plan's kind and drawn plainly at random.

    .. math:: n = \Big\lceil (z_{1 - α} + z_\text{power})^2
              \frac{\sum_i f_i^2 q_i / π_i}{(\text{drop} - δ)^2} \Big\rceil

    with π the probability of an item in one draw, and :math:`q_i ∝ \hat p_i (1 - \hat p_i)` the mean squared
    difference of two answers.

    Args:
        plan: gives the base, delta and alpha.
        drop: true drop of the score, above delta.
        power: probability of finding it.
        flips: share of the items that flip; None: as many as new answers of the base would,
            :math:`\sum f_i\, 2 \hat p_i (1 - \hat p_i)`.

    Returns:
        ``flips`` (items chosen as in the plan) and ``random``; not more than there are items only if so many
        are enough.

    Raises:
        InputError: a drop that is not above delta, or a power or share out of range.

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets.gates import gate_plan
        >>> s = simulate(n_models=2, n_items=2000, seed=0)
        >>> plan = gate_plan(s.responses.take(models=[0]), 200, delta=0.0, bank=s.bank)
        >>> found = gate_items_needed(plan, 0.05, flips=0.1)
        >>> found["flips"] < found["random"]
        True
    """
    from scipy.stats import norm

    if not plan.delta < drop < 1:
        raise InputError(f"drop must lie above delta ({plan.delta:g}) and below 1, got {drop}")
    if not 0 < power < 1 or not (flips is None or 0 < flips < 1):
        raise InputError(f"power and flips must lie between 0 and 1, got {power} and {flips}")
    f, p, pi = (plan.table[k].to_numpy(dtype=float) for k in ("full", "expected", "inclusion"))
    q = 2 * p * (1 - p)
    if flips is not None:
        q = q * flips / float(f @ q)
    factor = ((norm.ppf(1 - plan.alpha) + norm.ppf(power)) / (drop - plan.delta)) ** 2
    found = {"flips": pi / pi.sum(), "random": np.full(len(f), 1 / len(f))}
    return {name: math.ceil(factor * float((f**2 * q / one).sum())) for name, one in found.items()}


def drop_probability(expected: np.ndarray, full: np.ndarray, drop: float) -> np.ndarray:
    """Expected responses of a variant whose score is lower by ``drop``: all logits are shifted alike.

    Args:
        expected: of the base (n_items,).
        full: weight of each item in the score.
        drop: in the unit of the score; less than the score itself.

    Raises:
        InputError: the base scores no more than ``drop``.
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    score = float(full @ expected)
    if not 0 <= drop < score:
        raise InputError(f"a drop of {drop:g} is not possible from a score of {score:.3f}")
    z = logit(expected)
    shift = brentq(lambda s: float(full @ expit(z - s)) - (score - drop), 0, 60) if drop else 0.0
    return np.asarray(expit(z - shift))


def gate_power(
    plan: GatePlan,
    drops: Sequence[float] = (0.0, 0.01, 0.03, 0.05),
    *,
    sizes: Sequence[int] | None = None,
    sticky: float = 0.0,
    repeats: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of alarms by true drop, number of items and kind of draw, by simulation.

    In every repeat base and variant answer anew, by the plan's expected responses, and items are drawn anew.

    Args:
        plan: gives the base, delta and alpha (for one look).
        drops: true drops of the score; at 0 … delta alarms are false.
        sizes: numbers of items; by default the plan's.
        sticky: probability that the variant repeats the base's answer before a drop is applied: 0 for answers
            sampled anew, near 1 for a greedy engine of which few items flip.
        repeats: simulated gates of each kind.
        seed: of the simulation.

    Returns:
        DataFrame ``draw`` (flips, random), ``items, drop, alarms, difference, sd`` (of the estimated
        difference) and ``se`` (mean of the standard errors).
    """
    from scipy.stats import t

    f, p, k, pi = (plan.table[c].to_numpy(dtype=float) for c in ("full", "expected", "trials", "inclusion"))
    order = np.lexsort((np.round(p, 1), plan.table["benchmark"].astype(str)))
    noise = float((f**2) @ (p * (1 - p) / k))
    rows = []
    for size in [len(plan.items)] if sizes is None else sizes:
        draws = {"flips": inclusion(pi / pi.sum(), size), "random": np.full(len(f), size / len(f))}
        for draw, probability in draws.items():
            for drop in drops:
                rng = np.random.default_rng([seed, size])
                lower = drop_probability(p, f, drop)
                found = np.array(
                    [
                        _one(
                            rng,
                            p,
                            lower,
                            f,
                            k,
                            noise,
                            systematic_sample(probability, order, rng),
                            probability,
                            sticky,
                        )
                        for _ in range(repeats)
                    ]
                )
                alarm = t.cdf((found[:, 0] + plan.delta) / found[:, 1], max(size - 2, 1)) < plan.alpha
                row = {"draw": draw, "items": int(size), "drop": drop, "alarms": float(alarm.mean())}
                row |= {"difference": found[:, 0].mean(), "sd": found[:, 0].std(), "se": found[:, 1].mean()}
                rows.append(row)
    return pd.DataFrame(rows)


def _one(
    rng: np.random.Generator,
    p: np.ndarray,
    lower: np.ndarray,
    f: np.ndarray,
    k: np.ndarray,
    noise: float,
    chosen: np.ndarray,
    probability: np.ndarray,
    sticky: float,
) -> tuple[float, float]:
    """Difference and standard error of one simulated gate."""
    y = rng.binomial(k.astype(int), p) / k
    v = (rng.random(len(p)) < p).astype(float)
    if sticky:
        v = np.where(rng.random(len(p)) < sticky, (rng.random(len(p)) < y).astype(float), v)
    v = v * (rng.random(len(p)) < lower / p)
    gap = np.array([float(f @ (y - p))])
    d, se = paired_difference(
        v[None, chosen], y[None, chosen], p[chosen], (f / probability)[chosen], gap, noise
    )
    return float(d[0]), float(se[0])
