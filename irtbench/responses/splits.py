"""Split the models into those that calibrate and those that test, without leaks between runs of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import Average, ResponseMatrix

__all__ = ["Split", "SplitKind", "model_groups", "split"]

SplitKind = Literal["random", "family", "date", "weak-to-strong"]
_KINDS = ("random", "family", "date", "weak-to-strong")
_KEPT = 0.9  # share of the groups of each side in repeated splits whose order is fixed
_WEAK, _STRONG = 0.5, 0.3


@dataclass(frozen=True)
class Split:
    """Which models calibrate and which test.

    Attributes:
        name: kind and number of the split.
        calibration: ids of the models to calibrate on.
        test: ids of the models to test on; none of them is in ``calibration``.
    """

    name: str
    calibration: tuple[str, ...]
    test: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Split {self.name}: {len(self.calibration)} calibration, {len(self.test)} test models"


def split(
    R: ResponseMatrix,
    kind: SplitKind = "random",
    n_splits: int = 24,
    test_size: float = 0.25,
    seed: int = 0,
    average: Average = "micro",
) -> list[Split]:
    """Split the models in two, several times.

    All runs of one model (rows with the same ``name``) stay on one side. ``random``: models at random.
    ``family``: whole families (column ``family``, else the organisation before ``/`` in the name) at
    random. ``date``: the newest models test, the older ones calibrate (column ``date``).
    ``weak-to-strong``: the weaker half calibrates, the strongest 30 % test. Where the order is fixed
    (the last two), each of several splits keeps a random 90 % of both sides.

    Args:
        R: responses.
        kind: how to split.
        n_splits: how many splits.
        test_size: share of the models to test on, met as closely as whole groups allow.
        seed: the same seed gives the same splits.
        average: average that ranks the models in ``weak-to-strong``.

    Raises:
        InputError: fewer than 4 models, fewer than 2 groups, a column that is missing, or an argument
            out of range.

    Example:
        >>> R = ResponseMatrix.of([[0, 0], [0, 1], [1, 0], [1, 1]], ["a/1", "a/2", "b/1", "b/2"])
        >>> split(R, "family", n_splits=1, test_size=0.5)
        [Split family-00: 2 calibration, 2 test models]
    """
    if kind not in _KINDS:
        raise InputError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}")
    if n_splits < 1:
        raise InputError(f"n_splits must be at least 1, got {n_splits}")
    if not 0 < test_size < 1:
        raise InputError(f"test_size must lie between 0 and 1, got {test_size}")
    if R.n_models < 4:
        raise InputError(f"splitting needs at least 4 models, there are {R.n_models}")
    groups = model_groups(R, "family" if kind == "family" else "model")
    _check_groups(groups, kind)
    sides = _fixed_sides(R, kind, groups, test_size, average)
    splits = []
    for k in range(n_splits):
        rng = np.random.default_rng([seed, k])
        if sides is None:
            test = _near(rng.permutation(groups.unique()), groups, test_size * len(groups))
            calibration = np.setdiff1d(groups.unique(), test)
        else:
            calibration, test = (_thinned(side, n_splits, rng) for side in sides)
        splits.append(Split(f"{kind}-{k:02d}", _members(groups, calibration), _members(groups, test)))
    return splits


def model_groups(R: ResponseMatrix, by: Literal["model", "family"] = "model") -> pd.Series:
    """Return the group of each row: runs of one model share its name, models of one family its name.

    Raises:
        InputError: families are asked for and not known.
    """
    return _families(R) if by == "family" else _names(R)


def _members(groups: pd.Series, chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(groups.index[groups.isin(chosen)])


def _names(R: ResponseMatrix) -> pd.Series:
    """Name of the model of each row: its runs share it."""
    names = R.models["name"] if "name" in R.models else pd.Series(R.models.index, index=R.models.index)
    return names.where(names.notna(), R.models.index.to_series()).astype(str)


def _families(R: ResponseMatrix) -> pd.Series:
    names = _names(R)
    if "family" in R.models:
        family = R.models["family"].where(R.models["family"].notna(), names).astype(str)
        return family.groupby(names).transform("first")
    if not names.str.contains("/", regex=False).any():
        raise InputError(
            "the models table has no column 'family', and no model id names an organisation before '/';"
            " add a column 'family' to split by family"
        )
    return names.str.partition("/")[0]


def _check_groups(groups: pd.Series, kind: str) -> None:
    if groups.nunique() < 2:
        what = "families" if kind == "family" else "models (runs of one model stay on one side)"
        raise InputError(f"a {kind} split needs at least 2 {what}, there is only {groups.iloc[0]!r}")


def _near(order: np.ndarray, groups: pd.Series, target: float) -> np.ndarray:
    """Groups taken in this order as long as each brings their size nearer to the target; never all."""
    sizes = groups.value_counts()
    chosen: list[str] = []
    total = 0
    for group in order:
        size = int(sizes[group])
        if abs(total + size - target) < abs(total - target) and len(chosen) < len(order) - 1:
            chosen.append(group)
            total += size
    return np.array(chosen or [min(order, key=lambda group: sizes[group])], dtype=object)


def _fixed_sides(
    R: ResponseMatrix, kind: str, groups: pd.Series, test_size: float, average: Average
) -> tuple[np.ndarray, np.ndarray] | None:
    """Calibration and test groups of the kinds whose order is given."""
    if kind == "date":
        order = _dates(R).groupby(groups).min().sort_values(kind="stable").index.to_numpy(dtype=object)
        cut = _cut(order[::-1], groups, test_size)
        return order[: len(order) - cut], order[len(order) - cut :]
    if kind == "weak-to-strong":
        scores = R.scores(average) * (1 if R.metric.higher_is_better else -1)
        if scores.isna().any():
            raise InputError(f"model {scores.index[scores.isna()][0]!r} has no responses, so it has no rank")
        order = scores.groupby(groups).mean().sort_values(kind="stable").index.to_numpy(dtype=object)
        weak = _cut(order, groups, _WEAK)
        strong = min(_cut(order[::-1], groups, _STRONG), len(order) - weak)
        return order[:weak], order[len(order) - strong :]
    return None


def _dates(R: ResponseMatrix) -> pd.Series:
    if "date" not in R.models:
        raise InputError("the models table has no column 'date'; add one to split by date")
    column = R.models["date"]
    dates = pd.to_datetime(
        column.astype(str).where(column.notna()), errors="coerce", utc=True, format="ISO8601"
    )
    if dates.isna().any():
        model = R.models.index[int(np.argmax(dates.isna()))]
        raise InputError(
            f"model {model!r} has no date of the form 2024-05-30 (got {column[model]!r}); correct it"
        )
    return dates


def _cut(order: np.ndarray, groups: pd.Series, share: float) -> int:
    """How many groups from the start hold this share of the models most nearly; neither none nor all."""
    total = np.cumsum(groups.value_counts()[order].to_numpy())
    return min(int(np.argmin(np.abs(total - share * total[-1]))) + 1, len(order) - 1)


def _thinned(side: np.ndarray, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    if n_splits == 1:
        return side
    return rng.choice(side, size=int(np.ceil(_KEPT * len(side))), replace=False)
