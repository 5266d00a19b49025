"""What a choice of items must keep to: quotas, items wanted and not wanted, prices and a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.design import Limits

__all__ = ["limits_of"]


def limits_of(
    responses: ResponseMatrix,
    size: int,
    quotas: Mapping[str, int] | None = None,
    required: Sequence[str] = (),
    forbidden: Sequence[str] = (),
    cost: Mapping[str, float] | pd.Series | str | None = None,
    budget: float | None = None,
) -> tuple[Limits, int]:
    """Limits of a choice, checked, and the largest number of items within them.

    Args:
        responses: of the calibration models; its items are meant.
        size: number of items; not used with quotas or a budget.
        quotas: number of items of each benchmark.
        required: ids that must be chosen.
        forbidden: ids that must not.
        cost: price of each item by id, or a column of the items table.
        budget: most that the chosen items may cost.

    Raises:
        InputError: unknown ids or benchmarks, or limits that contradict each other.

    Example:
        >>> R = ResponseMatrix.of([[0, 1, 1], [1, 1, 0]], items=["a", "b", "c"])
        >>> limits_of(R, 2, required=["c"], forbidden=["a"])[0].allowed.tolist()
        [False, True, True]
    """
    must = _positions(responses, required, "required")
    not_ = _positions(responses, forbidden, "forbidden")
    both = np.intersect1d(must, not_)
    if len(both):
        raise InputError(f"item {responses.item_ids[both[0]]!r} is both required and forbidden")
    allowed = np.ones(responses.n_items, dtype=bool)
    allowed[not_] = False
    names, strata = np.unique(responses.benchmarks.astype(str), return_inverse=True)
    quota = None
    if quotas is not None:
        quota = _quota(quotas, names, strata, allowed, must)
        size = int(quota.sum())
    price = _prices(responses, cost)
    if budget is not None:
        if cost is None:
            raise InputError("a budget needs the items' cost: pass cost= (on the command line: --cost)")
        if not budget > 0:
            raise InputError(f"budget must be positive, got {budget}")
        spent = float(price[must].sum())
        if spent > budget:
            raise InputError(f"the required items cost {spent:g}, more than the budget of {budget:g}")
        if float(price[allowed].min()) > budget:
            raise InputError(f"no item costs as little as the budget of {budget:g}; raise it")
        size = size if quotas is not None else int(allowed.sum())
    elif size > allowed.sum():
        raise InputError(f"size {size} is more than the {int(allowed.sum())} items that are not forbidden")
    if len(must) > size:
        raise InputError(f"{len(must)} items are required, more than the size of {size}")
    return Limits(must, allowed, strata.reshape(-1), quota, price, np.inf if budget is None else budget), size


def _positions(responses: ResponseMatrix, ids: Sequence[str], what: str) -> np.ndarray:
    if isinstance(ids, str):
        ids = [ids]
    wanted = pd.Index([str(i) for i in ids], dtype=object)
    at = responses.items.index.get_indexer(wanted)
    if (at < 0).any():
        raise InputError(f"{what} item {wanted[int((at < 0).argmax())]!r} is not in the benchmark")
    return np.unique(at).astype(int)


def _quota(
    quotas: Mapping[str, int], names: np.ndarray, strata: np.ndarray, allowed: np.ndarray, must: np.ndarray
) -> np.ndarray:
    unknown = [name for name in quotas if name not in names]
    if unknown:
        raise InputError(f"quota for {unknown[0]!r}: no such benchmark; there are {', '.join(names)}")
    quota = np.array([int(quotas.get(name, 0)) for name in names])
    available = np.bincount(strata[allowed], minlength=len(names))
    least = np.bincount(strata[must], minlength=len(names))
    for k, name in enumerate(names):
        if not least[k] <= quota[k] <= available[k]:
            raise InputError(
                f"quota of {quota[k]} items for {name!r}: {available[k]} may be chosen,"
                f" {least[k]} are required"
            )
    if not quota.sum():
        raise InputError("the quotas leave no item to choose")
    return quota


def _prices(responses: ResponseMatrix, cost: Mapping[str, float] | pd.Series | str | None) -> np.ndarray:
    if cost is None:
        return np.ones(responses.n_items)
    if isinstance(cost, str):
        if cost not in responses.items:
            raise InputError(
                f"cost: the items table has no column {cost!r}, only {list(responses.items)};"
                " pass prices by id"
            )
        cost = responses.items[cost]
    prices = pd.Series(cost, dtype=float).reindex(responses.items.index).to_numpy(dtype=float)
    bad = ~(np.isfinite(prices) & (prices > 0))
    if bad.any():
        item = responses.item_ids[int(bad.argmax())]
        raise InputError(f"cost of item {item!r} must be a positive number, got {prices[bad.argmax()]}")
    return prices
