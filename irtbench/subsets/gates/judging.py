"""The verdict of a gate: the paired difference of variant and base, its interval, and the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from irtbench.errors import InputError
from irtbench.responses.checks import refuse_beyond_unit
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.gates.planning import GatePlan
from irtbench.subsets.gates.sequential import boundaries

__all__ = ["Verdict", "judge", "paired_difference"]

Outcome = Literal["worse", "safe", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What a gate says.

    Attributes:
        outcome: ``worse`` (by more than delta: the gate fails), ``safe`` (shown not to be), ``undecided``.
        difference: score of the variant less that of the base, on the full benchmark; with its sign turned
            where lower is better, so that a drop is always bad.
        low: lower limit of its interval of level 1 - 2 alpha.
        high: upper limit; below -delta where the outcome is ``worse`` and there was one look.
        p_worse: p-value of the one-sided test that the difference is below -delta.
        p_safe: that it is above.
        se: standard error of the difference.
        flips: items whose response changed by more than a half.
        items: items used.
        final: no more items are to be asked: all are in, or a boundary was crossed.
        delta: the drop that is let through.
        alpha: level of each test.
        variant: its name.
    """

    outcome: Outcome
    difference: float
    low: float
    high: float
    p_worse: float
    p_safe: float
    se: float
    flips: int
    items: int
    final: bool
    delta: float
    alpha: float
    variant: str

    @property
    def passed(self) -> bool:
        """Not shown to be worse by more than delta."""
        return self.outcome != "worse"

    def __repr__(self) -> str:
        said = {
            "worse": f"FAIL, worse by more than {self.delta:g}",
            "safe": f"pass, not worse by more than {self.delta:g}",
            "undecided": f"pass, not shown to be worse by more than {self.delta:g}",
        }
        more = "" if self.final else "; more items may be asked"
        return (
            f"{self.variant}: {self.difference:+.4f} ({self.low:+.4f} to {self.high:+.4f}),"
            f" {said[self.outcome]}; p {self.p_worse:.3g}, {self.flips} flips in {self.items} items{more}"
        )


def judge(plan: GatePlan, variant: ResponseMatrix) -> Verdict:
    r"""Compare a variant's answers to the planned items with the base.

    .. math:: \hat D = \frac{\sum_s w_i r_i}{\sum_s w_i} - (1 - ρ) \sum_i f_i (y_i - \hat p_i), \quad
              r_i = (v_i - \hat p_i) - ρ (y_i - \hat p_i)

    v: the variant's responses, y: the base's, w = f / π. With ρ = 1 it is the plain paired difference; ρ is
    the regression of v on y given :math:`\hat p`, so that answers that are drawn anew each time are compared
    with what the base is expected to say instead. The standard error adds one item that flips (half of what
    Agresti & Min add: enough for a one-sided test) and the noise of the base's own answers. With several
    looks, each uses its part of alpha.

    Args:
        plan: what :func:`irtbench.subsets.gates.gate_plan` returned.
        variant: its responses to the planned items (all, or as many of the first as a look takes), in any
            order; a row for each run. Other items of the benchmark are left out.

    Raises:
        InputError: another metric, or missing items.

    References:
        Särndal, Swensson & Wretman (1992), Model Assisted Survey Sampling, ch. 6; Agresti & Min (2005),
        https://doi.org/10.1002/sim.1781

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets.gates import gate_plan
        >>> two = simulate(n_models=2, n_items=300, seed=0).responses
        >>> plan = gate_plan(two.take(models=[0]), 100, delta=0.03)
        >>> judge(plan, two.take(models=[0], items=list(plan.items))).outcome
        'safe'
    """
    refuse_beyond_unit(variant)
    _refuse_foreign(plan, variant)
    look, chosen = _look(plan, variant)
    own = variant.take(items=chosen)
    trials = (own.observed.astype(float) if own.trials is None else own.trials).astype(float)
    v = (trials * np.nan_to_num(own.values)).sum(axis=0) / trials.sum(axis=0)
    rows = plan.table.loc[chosen]
    sign = 1.0 if plan.info["higher_is_better"] else -1.0
    difference, se = paired_difference(
        v[None],
        rows["base"].to_numpy(dtype=float)[None],
        rows["expected"].to_numpy(dtype=float),
        plan.weights[: len(chosen)],
        *_totals(plan),
    )
    d, e = sign * float(difference[0]), float(se[0])
    flips = int((np.abs(v - rows["base"].to_numpy(dtype=float)) > 0.5).sum())
    return _verdict(plan, d, e, len(chosen), look, flips, variant.model_ids[0])


def _verdict(plan: GatePlan, d: float, e: float, n: int, look: int, flips: int, name: str) -> Verdict:
    from scipy.stats import norm, t

    df = max(n - 2, 1)
    p_worse = float(t.cdf((d + plan.delta) / e, df))
    p_safe = float(t.sf((d + plan.delta) / e, df))
    bound = float(norm.sf(boundaries(plan.looks, plan.alpha)[look]))  # the p-value at which this look stops
    outcome: Outcome = "worse" if p_worse < bound else "safe" if p_safe < bound else "undecided"
    half = float(t.ppf(1 - plan.alpha, df)) * e
    final = outcome != "undecided" or look == len(plan.looks) - 1
    more = (plan.delta, plan.alpha, name)
    return Verdict(outcome, d, d - half, d + half, p_worse, p_safe, e, flips, n, final, *more)


def paired_difference(
    v: np.ndarray, y: np.ndarray, expected: np.ndarray, weights: np.ndarray, gap: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Estimated difference of full scores and its standard error, for several variants at once.

    .. math:: SE^2 = \frac{\sum w^2 (r - \bar r)^2 + \overline{w^2}}{(\sum w + \bar w)^2}
              + (1 - ρ^2) \sum_i f_i^2 \hat p_i (1 - \hat p_i) / K_i

    with the means :math:`\bar w` and :math:`\overline{w^2}` of an item that flips: they weigh by
    :math:`\hat p (1 - \hat p)`.

    Args:
        v: responses of the variants (n_variants, size).
        y: responses of the base to the same items (n_variants or 1, size).
        expected: the base's expected responses :math:`\hat p` (size,).
        weights: w = f / π (size,).
        gap: :math:`\sum_i f_i (y_i - \hat p_i)` over all items (n_variants or 1,).
        noise: the last sum.

    Returns:
        Differences and standard errors (n_variants,).
    """
    new, old = v - expected, y - expected
    w2 = weights**2
    top, bottom = (w2 * new * old).sum(axis=1), (w2 * old**2).sum(axis=1)
    rho = np.clip((top + 1e-9) / (bottom + 1e-9), 0.0, 1.0)
    r = new - rho[:, None] * old
    total = weights.sum()
    mean = r @ weights / total
    share = expected * (1 - expected)
    share = share / share.sum()
    square = (w2 * (r - mean[:, None]) ** 2).sum(axis=1) + float(share @ w2)
    se2 = square / (total + float(share @ weights)) ** 2 + (1 - rho**2) * noise
    return mean - (1 - rho) * gap, np.sqrt(se2)


def _totals(plan: GatePlan) -> tuple[np.ndarray, float]:
    table = plan.table
    f, p = table["full"].to_numpy(dtype=float), table["expected"].to_numpy(dtype=float)
    gap = float(f @ (table["base"].to_numpy(dtype=float) - p))
    noise = float((f**2) @ (p * (1 - p) / table["trials"].to_numpy(dtype=float)))
    return np.array([gap]), noise


def _refuse_foreign(plan: GatePlan, variant: ResponseMatrix) -> None:
    metric, higher = plan.info["metric"], plan.info["higher_is_better"]
    if (variant.metric.name, variant.metric.higher_is_better) != (metric, higher):
        raise InputError(f"the base was scored by {metric!r}, the variant by {variant.metric.name!r}")
    unknown = variant.items.index.difference(plan.table.index, sort=False)
    if len(unknown):
        raise InputError(
            f"the variant answered {unknown[0]!r}, which is not in the base's benchmark"
            f" ({len(unknown)} such items)"
        )


def _look(plan: GatePlan, variant: ResponseMatrix) -> tuple[int, list[str]]:
    """Number of the last look whose items are all answered, and these items."""
    answered = set(variant.items.index[variant.observed.any(axis=0)])
    there = [item in answered for item in plan.items]
    first = there.index(False) if False in there else len(there)
    look = max((k for k, n in enumerate(plan.looks) if n <= first), default=None)
    if look is None:
        raise InputError(
            f"the variant has no response to item {plan.items[first]!r}: the first {plan.looks[0]} of the"
            f" plan's items are needed, {sum(there)} of {len(there)} are there"
        )
    return look, list(plan.items[: plan.looks[look]])
