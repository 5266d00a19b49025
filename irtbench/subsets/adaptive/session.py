"""A session: one model, its answers, the items to ask next, the estimate; saved and resumed as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from irtbench.errors import InputError
from irtbench.files import SCHEMA, read_json, versions, write_json
from irtbench.irt.bank import ItemBank
from irtbench.subsets.adaptive.answering import Estimate, answer
from irtbench.subsets.adaptive.belief import Belief
from irtbench.subsets.adaptive.choosing import CRITERIA
from irtbench.subsets.adaptive.planning import AdaptivePlan

__all__ = ["AdaptiveSession", "Estimate", "resume", "start"]


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveSession:
    """A model under an adaptive test. It never changes: an answer gives a new session.

    Attributes:
        plan: the test.
        answers: item id → response in [0, 1], in the order in which they came.
        budget: most items to ask, or None.
        half_width: stop when half the interval's width is at most this, or None.

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets.adaptive import adaptive_plan
        >>> s = simulate(n_models=20, n_items=200, seed=0)
        >>> session = start(adaptive_plan(s.bank), budget=40)
        >>> while session.finished is None:
        ...     asked = session.next_items(10)
        ...     row = s.responses.take(models=[3], items=asked).values[0]
        ...     session = session.answer(dict(zip(asked, row, strict=True)))
        >>> session.finished, bool(abs(session.estimate().score - s.responses.scores().iloc[3]) < 0.1)
        ('budget', True)
    """

    plan: AdaptivePlan
    answers: Mapping[str, float] = field(default_factory=dict)
    budget: int | None = None
    half_width: float | None = None

    def __repr__(self) -> str:
        now = self.estimate()
        return (
            f"AdaptiveSession: {now.items} of {self.plan.bank.n_items} items asked,"
            f" score {now.score:.3f} ({now.lower:.3f} to {now.upper:.3f})"
        )

    @cached_property
    def belief(self) -> Belief:
        """What the answers say."""
        values = np.full(self.plan.bank.n_items, np.nan)
        index = self.plan.bank.metadata.index.get_indexer(list(self.answers))
        values[index] = list(self.answers.values())
        return self.plan.lattice.belief(values)

    @property
    def finished(self) -> str | None:
        """Why the test is over: ``all`` items, ``budget`` or ``precision``; None if it is not."""
        if len(self.answers) >= self.plan.bank.n_items:
            return "all"
        if self.budget is not None and len(self.answers) >= self.budget:
            return "budget"
        if self.half_width is not None and self.answers and self.estimate().half_width <= self.half_width:
            return "precision"
        return None

    def next_items(self, batch: int = 1) -> list[str]:
        """Ids of the next items to ask, best first; none when the test is over.

        Args:
            batch: how many at once, chosen so that they do not tell the same; fewer if the budget or the
                items end.

        Raises:
            InputError: ``batch`` is not positive.
        """
        if batch < 1:
            raise InputError(f"batch must be at least 1, got {batch}")
        if self.finished is not None:
            return []
        if self.budget is not None:
            batch = min(batch, self.budget - len(self.answers))
        ids = self.plan.bank.item_ids
        if self.plan.order == "random":
            order = np.random.default_rng(self.plan.seed).permutation(len(ids))
            return [ids[k] for k in order if ids[k] not in self.answers][:batch]
        allowed = np.ones(len(ids), dtype=bool)
        return [ids[k] for k in CRITERIA[self.plan.order](self.belief, self.plan.bank, batch, allowed)]

    def answer(self, answers: Mapping[str, float]) -> AdaptiveSession:
        """The session with these answers added: item id → response in [0, 1], asked for or not.

        Raises:
            InputError: an item that is not in the bank or was answered, or a response out of range.
        """
        known = self.plan.bank.metadata.index
        for item, value in answers.items():
            if item not in known:
                raise InputError(f"item {item!r} is not in the bank")
            if item in self.answers:
                raise InputError(f"item {item!r} has been answered already ({self.answers[item]:g})")
            if not 0 <= float(value) <= 1:
                raise InputError(f"the response to item {item!r} must lie in [0, 1], got {value}")
        more = {str(item): float(value) for item, value in answers.items()}
        return replace(self, answers={**self.answers, **more})

    @cached_property
    def surprise(self) -> float:
        r"""How unlike what was expected the answers came, each before it was known.

        .. math:: z = \sum_t (y_t - \hat p_t) \Big/ \sqrt{\sum_t \hat p_t (1 - \hat p_t)}

        About standard normal for a model like those of the calibration, whatever items were asked; far
        above 0 for a model that answers what the bank takes to be too hard for it, as many stronger than all
        calibration models do. Unless :attr:`Estimate.beyond` says the same, the estimate is then drawn
        towards theirs, and its interval too narrow.

        References:
            Dawid (1984), Statistical theory: the prequential approach, https://doi.org/10.2307/2981683
        """
        belief = self.plan.lattice.belief(np.full(self.plan.bank.n_items, np.nan))
        index = self.plan.bank.metadata.index.get_indexer(list(self.answers))
        total, variance = 0.0, 0.0
        for item, value in zip(index, self.answers.values(), strict=True):
            p = float(belief.means[item])
            total, variance = total + value - p, variance + p * (1 - p)
            belief = belief.answer(int(item), value)
        return total / float(np.sqrt(variance)) if variance else 0.0

    def estimate(self) -> Estimate:
        """The full score as far as it is known, with its interval."""
        return self._estimate

    @cached_property
    def _estimate(self) -> Estimate:
        return answer(self.plan, self.belief)

    def save(self, path: str | Path) -> None:
        """Write a JSON file; the bank is not in it, only its fingerprint."""
        plan = self.plan
        content = {
            "kind": "AdaptiveSession",
            "schema": SCHEMA,
            "bank": plan.bank.fingerprint,
            "average": plan.average,
            "order": plan.order,
            "level": plan.level,
            "spread": dict(plan.spread),
            "factors": {str(n): x for n, x in plan.factors.items()},
            "far": {str(n): x for n, x in plan.far.items()},
            "span": plan.span,
            "seed": plan.seed,
            "budget": self.budget,
            "half_width": self.half_width,
            "answers": dict(self.answers),
            "versions": versions(),
        }
        write_json(path, content)


def start(
    plan: AdaptivePlan, *, budget: int | None = None, half_width: float | None = None
) -> AdaptiveSession:
    """Start a session.

    Args:
        plan: the test.
        budget: most items to ask.
        half_width: stop when half the width of the score's interval is at most this.

    Raises:
        InputError: a budget or width that is not positive.
    """
    if budget is not None and budget < 1:
        raise InputError(f"budget must be at least 1, got {budget}")
    if half_width is not None and not half_width > 0:
        raise InputError(f"half_width must be positive, got {half_width}")
    return AdaptiveSession(plan, {}, budget, half_width)


def resume(path: str | Path, bank: ItemBank) -> AdaptiveSession:
    """Read what :meth:`AdaptiveSession.save` wrote; the same items come next as before.

    Raises:
        InputError: not a session, or one of another bank.
    """
    content: dict[str, Any] = read_json(path)
    if content.get("kind") != "AdaptiveSession" or not isinstance(content.get("schema"), int):
        raise InputError(f"{path}: not an adaptive session")
    if content["schema"] > SCHEMA:
        raise InputError(f"{path}: has schema {content['schema']}, this irtbench reads up to {SCHEMA}")
    if content["bank"] != bank.fingerprint:
        raise InputError(f"{path}: this session belongs to another bank ({content['bank']})")
    plan = AdaptivePlan(
        bank,
        average=content["average"],
        order=content["order"],
        level=content["level"],
        spread=content["spread"],
        factors={int(n): float(x) for n, x in content["factors"].items()},
        far={int(n): float(x) for n, x in content.get("far", {}).items()},
        span=tuple(content["span"]) if content.get("span") else None,
        seed=content["seed"],
    )
    empty = start(plan, budget=content["budget"], half_width=content["half_width"])
    return empty.answer(content["answers"])
