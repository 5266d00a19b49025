"""Difference: what the responses say about two scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from irtbench.variance.power import minimum_detectable_effect

__all__ = ["Difference", "Items"]


Items = Literal["sampled", "fixed"]


@dataclass(frozen=True)
class Difference:
    """What the responses say about the difference A - B of two scores.

    Attributes:
        a: name of A.
        b: name of B.
        estimate: difference of the mean scores, A - B.
        low: lower limit of its interval.
        high: upper limit.
        p_value: of the two-sided test of no difference; below 1 - ``level`` where the interval leaves
            out 0.
        probability: that A is better, given these data and no prior opinion.
        se: standard error of ``estimate``.
        df: degrees of freedom of the t that gives this interval.
        item_se: part of ``se`` from the items (with the answers' noise); 0 if the items are fixed.
        seed_se: part of ``se`` from the seeds; NaN if nothing is known about them.
        n_items: items that were used.
        n_clusters: clusters of them, n_items where there are none.
        n_seeds: seeds of A and of B.
        items: ``sampled`` (they stand for others like them) or ``fixed``.
        level: coverage of the interval.
        higher_is_better: direction of the metric.
    """

    a: str
    b: str
    estimate: float
    low: float
    high: float
    p_value: float
    probability: float
    se: float
    df: float
    item_se: float
    seed_se: float
    n_items: int
    n_clusters: int
    n_seeds: tuple[int, int]
    items: Items
    level: float
    higher_is_better: bool

    @cached_property
    def detectable(self) -> float:
        """Smallest true difference that such data show 80 % of the time."""
        return minimum_detectable_effect(self.se, df=self.df, level=self.level)

    @property
    def better(self) -> str | None:
        """Name of the better one, or None if the data do not tell them apart at this level."""
        if self.low <= 0 <= self.high:
            return None
        return self.a if (self.estimate > 0) == self.higher_is_better else self.b

    def __repr__(self) -> str:
        verdict = "not told apart" if self.better is None else f"{self.better} is better"
        n_a, n_b = self.n_seeds
        seeds = "seed noise not counted" if math.isnan(self.seed_se) else "with seed noise"
        return (
            f"{self.a} - {self.b}: {self.estimate:+.4f} ({self.low:+.4f} to {self.high:+.4f}), {verdict};"
            f" p {self.p_value:.3g}, {self.n_items} items, seeds {n_a} and {n_b}, {seeds}"
        )
