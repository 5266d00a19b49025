"""The plan of a gate: which items the variant is to answer, and with what weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.files import SCHEMA, fingerprint, read_json, versions, write_json
from irtbench.irt.bank import ItemBank
from irtbench.responses.checks import refuse_beyond_unit
from irtbench.responses.matrix import Average, ResponseMatrix, item_weights
from irtbench.subsets.gates.drawing import inclusion, systematic_sample
from irtbench.subsets.gates.flips import expected_response, flip_sd, prior_mean

__all__ = ["GatePlan", "gate_plan"]

_COLUMNS = ("benchmark", "full", "base", "trials", "expected", "inclusion")


@dataclass(frozen=True, eq=False, repr=False)
class GatePlan:
    """What the variant is asked, and what its answers are compared with.

    Attributes:
        table: by item of the benchmark: ``benchmark``, ``full`` (weight in the score, sums to 1), ``base``
            (mean response of the base), ``trials`` (answers behind it), ``expected`` (the base's expected
            response), ``inclusion`` (probability of being asked).
        items: the items to ask, in random order: any first part of them is a sample, too.
        looks: numbers of items after which the test may stop; the last is all of them.
        info: ``delta``, ``alpha``, ``metric``, ``higher_is_better``, ``continuous``, ``base`` (its name),
            ``seed``, ``versions``.
    """

    table: pd.DataFrame
    items: tuple[str, ...]
    looks: tuple[int, ...]
    info: Mapping[str, Any]

    @property
    def delta(self) -> float:
        """Drop of the score, in its unit, that is still let through."""
        return float(self.info["delta"])

    @property
    def alpha(self) -> float:
        """Most false alarms, were the variant worse by exactly ``delta``."""
        return float(self.info["alpha"])

    @cached_property
    def weights(self) -> np.ndarray:
        """Weight f / π of each chosen item (size,)."""
        chosen = self.table.loc[list(self.items)]
        return (chosen["full"] / chosen["inclusion"]).to_numpy(dtype=float)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the items, the base's answers and the test."""
        numbers = self.table[list(_COLUMNS[1:])].to_numpy(dtype=float)
        names = "\n".join([*map(str, self.table.index), *self.items])
        test = f"{self.delta} {self.alpha} {self.looks} {self.info['metric']}"
        return fingerprint(names, np.ascontiguousarray(numbers).tobytes(), test)

    def __repr__(self) -> str:
        looks = f", {len(self.looks)} looks" if len(self.looks) > 1 else ""
        return (
            f"GatePlan: {len(self.items)} of {len(self.table)} items for variants of {self.info['base']!r},"
            f" delta {self.delta:g}, alpha {self.alpha:g}{looks}"
        )

    def save(self, path: str | Path) -> None:
        """Write a JSON file."""
        table = {name: self.table[name].tolist() for name in _COLUMNS}
        content = {"kind": "GatePlan", "schema": SCHEMA, "fingerprint": self.fingerprint, **self.info}
        content |= {"items": list(self.items), "looks": list(self.looks)}
        write_json(path, {**content, "table": {"item": list(map(str, self.table.index)), **table}})

    @classmethod
    def load(cls, path: str | Path) -> GatePlan:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: not a plan, or damaged.
        """
        content = read_json(path)
        if content.get("kind") != "GatePlan" or int(content.get("schema", SCHEMA + 1)) > SCHEMA:
            raise InputError(f"{path}: not the plan of a gate that this irtbench reads")
        columns = dict(content["table"])
        index = pd.Index(columns.pop("item"), name="item", dtype=object)
        left_out = ("kind", "schema", "fingerprint", "items", "looks", "table")
        info = {k: v for k, v in content.items() if k not in left_out}
        plan = cls(pd.DataFrame(columns, index=index), tuple(content["items"]), tuple(content["looks"]), info)
        if plan.fingerprint != content["fingerprint"]:
            raise InputError(f"{path}: was edited or damaged; make the plan again")
        return plan


def gate_plan(
    base: ResponseMatrix,
    size: int | None = None,
    *,
    delta: float = 0.01,
    alpha: float = 0.05,
    bank: ItemBank | None = None,
    average: Average = "micro",
    uniform: float = 0.2,
    looks: int | Sequence[int] = 1,
    name: str | None = None,
    seed: int = 0,
) -> GatePlan:
    r"""Choose the items on which variants of a model are compared with it.

    Items are drawn with probability proportional to

    .. math:: (1 - ε) \frac{f_i s_i}{\sum f s} + ε f_i, \quad s_i = \sqrt{\hat p_i (1 - \hat p_i)}

    with the base's expected response :math:`\hat p_i` (its answers, shrunk towards the bank's curve), so
    that items which cannot flip are rarely asked; the share ε keeps every item possible, and the estimate is
    unbiased whatever the flips (Neyman's allocation, Horvitz & Thompson's estimator).

    Args:
        base: responses of the base to the full benchmark, a row for each run of it.
        size: items to ask; None asks all.
        delta: drop of the score that is still let through.
        alpha: most false alarms.
        bank: calibrated items; sharpens :math:`\hat p` where the base has few runs.
        average: full score in which every item (``micro``) or every benchmark (``macro``) counts the same.
        uniform: ε; 1 draws plainly at random.
        looks: how often to look, evenly spaced, or after which numbers of items.
        name: of the base; by default that of its first row.
        seed: of the draw.

    Raises:
        InputError: a base that lacks items, or an argument out of range.

    References:
        Neyman (1934), https://doi.org/10.2307/2342192; Horvitz & Thompson (1952),
        https://doi.org/10.1080/01621459.1952.10483446

    Example:
        >>> from irtbench.irt import simulate
        >>> base = simulate(n_models=1, n_items=300, seed=0).responses
        >>> gate_plan(base, 100, delta=0.02)
        GatePlan: 100 of 300 items for variants of 'org-0/model-0', delta 0.02, alpha 0.05
    """
    refuse_beyond_unit(base)
    if bank is not None:
        bank.refuse_foreign(base)
    known = base.observed.any(axis=0)
    if not known.all():
        raise InputError(
            f"{int((~known).sum())} item(s) have no answer of the base, such as"
            f" {base.item_ids[int(np.argmin(known))]!r}; score it on all items or leave these out"
        )
    size = base.n_items if size is None else size
    if not 2 <= size <= base.n_items:
        raise InputError(f"size must be from 2 to {base.n_items} (the items), got {size}")
    if not 0 <= delta < 1 or not 0 < alpha < 0.5 or not 0 < uniform <= 1:
        raise InputError(
            f"delta must lie in [0, 1), alpha in (0, 0.5), uniform in (0, 1]; got {delta}, {alpha}, {uniform}"
        )
    trials = (base.observed.astype(int) if base.trials is None else base.trials).astype(float)
    total, right = trials.sum(axis=0), (trials * np.nan_to_num(base.values)).sum(axis=0)
    full = item_weights(base.benchmarks, average)
    expected = expected_response(right, total, prior_mean(base, base.benchmarks, bank))
    continuous = base.kind == "continuous"
    scale = full * flip_sd(expected, continuous)
    probability = inclusion((1 - uniform) * scale / scale.sum() + uniform * full, size)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(base.n_items)
    order = shuffled[np.lexsort((np.round(expected[shuffled], 1), base.benchmarks[shuffled].astype(str)))]
    chosen = rng.permutation(systematic_sample(probability, order, rng))
    table = pd.DataFrame(
        {
            "benchmark": base.benchmarks.astype(str),
            "full": full,
            "base": right / total,
            "trials": total,
            "expected": expected,
            "inclusion": probability,
        },
        index=base.items.index,
    )
    info = {
        "delta": float(delta),
        "alpha": float(alpha),
        "metric": base.metric.name,
        "higher_is_better": base.metric.higher_is_better,
        "continuous": continuous,
        "base": base.model_ids[0] if name is None else name,
        "seed": seed,
        "versions": versions(),
    }
    ids = base.item_ids
    return GatePlan(table, tuple(ids[k] for k in chosen), _looks(looks, size), info)


def _looks(looks: int | Sequence[int], size: int) -> tuple[int, ...]:
    if isinstance(looks, int):
        if not 1 <= looks <= 20:
            raise InputError(f"looks must be from 1 to 20, got {looks}")
        found = np.unique(np.linspace(0, size, looks + 1)[1:].round().astype(int))
    else:
        found = np.unique(np.array([*looks, size], dtype=int))
    if found[0] < 2 or found[-1] != size:
        raise InputError(f"looks must lie between 2 and {size} items, got {found.tolist()}")
    return tuple(int(n) for n in found)
