"""Subset: the chosen items, their weights, and all that turns responses to them into full scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.files import SCHEMA, atomic_folder, fingerprint, read_manifest, write_json
from irtbench.irt.bank import ItemBank
from irtbench.subsets.estimators import Board, Curves
from irtbench.subsets.predictor import Predictor

__all__ = ["Subset"]

_TABLES = ("benchmark", "groups", "residuals")


@dataclass(frozen=True, eq=False, repr=False)
class Subset:
    """Items chosen from a benchmark, with what estimates full scores from them.

    Attributes:
        benchmark: table of all items of the full benchmark, indexed by item id: ``benchmark``, ``group``
            (the parts that gp-IRT mixes separately), ``full_weight`` (in the full score, sums to 1)
            and ``weight`` (in the subset, sums to 1; NaN for an item that was not chosen).
        groups: table by group: ``error`` b and ``variance`` v of gp-IRT's mixture.
        residuals: table by calibration model: standardised cross-fitted error of each estimator.
        bank: calibrated items of the full benchmark, or None.
        info: ``method``, ``seed``, ``average``, ``per_benchmark``, ``metric``, ``higher_is_better``,
            ``span`` (range of the calibration models), ``responses`` (n_models, fingerprint),
            ``versions``.
        predictor: what the default estimator knows of the calibration models, or None.
        parts: by benchmark, the same items calibrated for the score of that benchmark alone; empty unless
            asked for (``select(..., by_benchmark=True)``).

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets import select
        >>> select(simulate(n_models=30, n_items=50, seed=0).responses, 10, "random", irt=None)
        Subset: 10 of 50 items by random, no bank, calibrated on 30 models
    """

    benchmark: pd.DataFrame
    groups: pd.DataFrame
    residuals: pd.DataFrame
    bank: ItemBank | None
    info: Mapping[str, Any]
    predictor: Predictor | None = None
    parts: Mapping[str, Subset] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """How the items were chosen."""
        return str(self.info["method"])

    @cached_property
    def items(self) -> list[str]:
        """Ids of the chosen items, in the order of the benchmark."""
        return list(self.benchmark.index[self.benchmark["weight"].notna()])

    @cached_property
    def weights(self) -> np.ndarray:
        """Weight of each chosen item (size,), sums to 1."""
        weights = self.benchmark["weight"].to_numpy(dtype=float, copy=True)
        weights = weights[~np.isnan(weights)]
        weights.flags.writeable = False
        return weights

    @property
    def size(self) -> int:
        """Number of chosen items."""
        return len(self.items)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The chosen items: benchmark, weight, and their parameters if there is a bank."""
        table = self.benchmark.loc[self.items, ["benchmark", "weight"]]
        if self.bank is None:
            return table
        return table.join(self.bank.items[["discrimination", "difficulty", "guessing"]])

    @cached_property
    def board(self) -> Board:
        """The benchmark and the chosen items as the estimators want them."""
        groups = pd.Index(self.groups.index).get_indexer(self.benchmark["group"])
        return Board(
            full=self.benchmark["full_weight"].to_numpy(dtype=float),
            chosen=np.flatnonzero(self.benchmark["weight"].notna()),
            weights=self.weights,
            groups=groups,
            strata=np.unique(self.benchmark["benchmark"].astype(str), return_inverse=True)[1],
            error=self.groups["error"].to_numpy(dtype=float),
            variance=self.groups["variance"].to_numpy(dtype=float),
            macro=self.info["average"] == "macro",
        )

    @cached_property
    def curves(self) -> Curves | None:
        """The response curves of all items of the benchmark, or None without a bank."""
        return None if self.bank is None else Curves.of(self.bank)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the benchmark, the choice, its weights, the calibration and the bank."""
        numbers = (self.benchmark[["full_weight", "weight"]], self.groups, self.residuals)
        names = (self.benchmark.index, self.benchmark["benchmark"], self.benchmark["group"])
        made = (self.info.get(k) for k in ("method", "seed", "average", "metric", "higher_is_better"))
        return fingerprint(
            *(np.ascontiguousarray(x, dtype=float).tobytes() for x in numbers),
            *("\n".join(map(str, x)) for x in names),
            "\n".join(map(str, made)),
            "" if self.bank is None else self.bank.fingerprint,
            *(() if self.predictor is None else (self.predictor.fingerprint,)),
            *(x for name, part in self.parts.items() for x in (name, part.fingerprint)),
        )

    def __repr__(self) -> str:
        irt = "no bank" if self.bank is None else f"{self.bank.irt.upper()} bank"
        names = self.benchmark["benchmark"].nunique()
        of = f" in {names} benchmarks" if names > 1 else ""
        of += f" for {self.info['benchmark']!r}" if "benchmark" in self.info else ""
        models = self.info["responses"]["n_models"]
        return (
            f"Subset: {self.size} of {len(self.benchmark)} items{of} by {self.method}, {irt},"
            f" calibrated on {models} models"
        )

    def save(self, path: str | Path) -> None:
        """Write a folder: ``subset.json`` (human readable), three tables, ``predictor.npz``, ``bank/``.

        Each part is such a folder, too: ``parts/0``, ``parts/1`` …
        """
        with atomic_folder(path) as folder:
            for name in _TABLES:
                getattr(self, name).to_parquet(folder / f"{name}.parquet")
            if self.bank is not None:
                self.bank.save(folder / "bank")
            if self.predictor is not None:
                self.predictor.save(folder / "predictor.npz")
            for k, part in enumerate(self.parts.values()):
                (folder / "parts").mkdir(exist_ok=True)
                part.save(folder / "parts" / str(k))
            content = {
                "kind": "Subset",
                "schema": SCHEMA,
                "fingerprint": self.fingerprint,
                "bank": None if self.bank is None else self.bank.fingerprint,
                "predictor": None if self.predictor is None else self.predictor.fingerprint,
                "parts": list(self.parts),
                **self.info,
                "items": self.items,
                "weights": self.weights.tolist(),
            }
            write_json(folder / "subset.json", content)

    @classmethod
    def load(cls, path: str | Path) -> Subset:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: not a subset, or damaged.
        """
        folder = Path(path)
        content = read_manifest(folder, "subset.json")
        benchmark, groups, residuals = (_read_table(folder / f"{name}.parquet") for name in _TABLES)
        bank = ItemBank.load(folder / "bank") if content.get("bank") else None
        predictor = Predictor.load(folder / "predictor.npz") if content.get("predictor") else None
        left_out = ("kind", "schema", "fingerprint", "bank", "predictor", "parts", "items", "weights")
        info = {k: v for k, v in content.items() if k not in left_out}
        names = content.get("parts", [])
        parts = {name: cls.load(folder / "parts" / str(k)) for k, name in enumerate(names)}
        subset = cls(benchmark, groups, residuals, bank, info, predictor, parts)
        same = subset.items == content.get("items") and subset.weights.tolist() == content.get("weights")
        if not same or subset.fingerprint != content.get("fingerprint"):
            raise InputError(f"{folder}: subset.json and the tables do not match; it was damaged or edited")
        return subset


def _read_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); save the subset again") from None
    table.index = pd.Index(table.index.astype(str), name=table.index.name, dtype=object)
    return table
