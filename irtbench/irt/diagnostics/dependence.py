"""Local dependence: pairs of items whose residuals go together (Yen's Q3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.irt.diagnostics.cells import Expected, expected, is_continuous

if TYPE_CHECKING:
    from irtbench.irt.bank import ItemBank
    from irtbench.irt.fitted import IRTFit
    from irtbench.responses.matrix import ResponseMatrix

__all__ = ["local_dependence", "residual_correlations"]

_WIDTH = 1024  # items on a side of a block of pairs
_RARE = 5  # models that get an item right, and wrong, for its residuals not to hang on one of them
_NO_SPREAD = 1e-6  # variance of a residual below which it has no direction


def local_dependence(
    fit: IRTFit | ItemBank, responses: ResponseMatrix, top: int = 100, *, min_models: int = 10
) -> pd.DataFrame:
    r"""The pairs of items whose responses go together more than ability explains, by Yen's Q3.

    .. math:: Q_{3,ij} = \operatorname{cor}_m(y_{mi} - P_{mi},\ y_{mj} - P_{mj}), \quad
              Q_{3,ij}^* = Q_{3,ij} - \bar Q_3

    over the models that responded to both. Two wordings of one question come near to 1; items that
    share a passage, a template or a leak stand above the rest. Without dependence Q3 averages about
    -1/(n_items - 1), because abilities come from the same responses; Q3* takes that away. How large a Q3
    chance makes depends on the numbers of models and items: there is no one critical value, but Q3* above
    0.2 is a common one for classical tests. An item that fewer than 5 models get right, or wrong, has no
    Q3: it would hang on one model.

    Args:
        fit: a fit, whose abilities are used if it knows all the models, or a bank.
        responses: (n_models, n_items); missing cells are left out pair by pair.
        top: pairs to return.
        min_models: models that must have responded to both items.

    Returns:
        DataFrame of the pairs with the largest \|Q3\|, largest first: ``item_1``, ``item_2``, ``q3``,
        ``q3_star``, ``n`` (models).

    Raises:
        InputError: fewer than 2 items, ``top`` or ``min_models`` too small, another metric, or items that
            the bank does not have.

    References:
        Yen (1984), Effects of local item dependence, https://doi.org/10.1177/014662168400800201;
        Christensen, Makransky & Horton (2017), Critical values for Yen's Q3,
        https://doi.org/10.1177/0146621616677520

    Example:
        >>> import numpy as np
        >>> from irtbench.irt import fit, simulate
        >>> from irtbench.responses import ResponseMatrix
        >>> y = simulate(n_models=100, n_items=30, seed=0).responses.values
        >>> R = ResponseMatrix.of(np.hstack([y, y[:, :1]]))  # the last item is the first, once more
        >>> local_dependence(fit(R, method="laplace"), R, top=1)[["item_1", "item_2"]].values.tolist()
        [['item-00', 'item-30']]
    """
    if responses.n_items < 2:
        raise InputError("local dependence is about pairs of items, and there is only one")
    if top < 1 or min_models < 3:
        raise InputError(f"top must be at least 1 and min_models at least 3, got {top} and {min_models}")
    best = np.empty((0, 4))  # q3, first, second, n
    total, pairs = 0.0, 0
    for first, second, q3, n in _blocks(expected(fit, responses), min_models):
        defined = int(np.isfinite(q3).sum())
        total, pairs = total + float(np.nansum(q3) if defined < q3.size else q3.sum()), pairs + defined
        best = _best(best, first, second, q3, n, top)
    mean = total / max(pairs, 1)
    ids = np.array(responses.item_ids, dtype=object)
    return pd.DataFrame(
        {
            "item_1": ids[best[:, 1].astype(int)],
            "item_2": ids[best[:, 2].astype(int)],
            "q3": best[:, 0],
            "q3_star": best[:, 0] - mean,
            "n": best[:, 3].astype(int),
        }
    )


def residual_correlations(
    fit: IRTFit | ItemBank, responses: ResponseMatrix, *, min_models: int = 10
) -> pd.DataFrame:
    """Q3 of every pair of items as a table, item by item; see :func:`local_dependence`.

    Args:
        fit: a fit or a bank.
        responses: (n_models, n_items), at most 10,000 items.
        min_models: models that must have responded to both items.

    Returns:
        DataFrame (n_items, n_items), symmetric, float32; NaN on the diagonal and where Q3 is not defined.

    Raises:
        InputError: more than 10,000 items; else as :func:`local_dependence`.

    Example:
        >>> from irtbench.irt import simulate
        >>> s = simulate(n_models=100, n_items=5, seed=0)
        >>> residual_correlations(s.bank, s.responses).shape
        (5, 5)
    """
    n_items = responses.n_items
    if n_items > 10_000:
        raise InputError(
            f"a table of {n_items} × {n_items} pairs is too large; local_dependence keeps the top ones"
        )
    table = np.full((n_items, n_items), np.nan, dtype=np.float32)
    for first, second, q3, _ in _blocks(expected(fit, responses), min_models):
        rows, columns = np.nonzero(np.isfinite(q3))
        table[first[rows], second[columns]] = table[second[columns], first[rows]] = q3[rows, columns]
    return pd.DataFrame(table, index=responses.items.index, columns=responses.item_ids)


def _blocks(
    both: Expected, min_models: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | float]]:
    """Positions of the items, Q3 and number of models of each block of pairs; NaN but above the diagonal."""
    items, residual, seen = _residuals(both)
    complete = bool(seen.all())
    if complete:
        residual = _scaled(residual)
    mask = None if complete else seen.astype(np.float32)
    for i in range(0, len(items), _WIDTH):
        for j in range(i, len(items), _WIDTH):
            rows, columns = slice(i, i + _WIDTH), slice(j, j + _WIDTH)
            n: np.ndarray | float = float(residual.shape[1])
            if mask is None:
                q3 = residual[rows] @ residual[columns].T
            else:
                q3, n = _pairwise(residual[rows], residual[columns], mask[rows], mask[columns])
            if np.min(n) < min_models:
                q3[np.broadcast_to(n, q3.shape) < min_models] = np.nan
            if i == j:
                q3[np.tril_indices_from(q3)] = np.nan
            yield items[rows], items[columns], q3, n


def _residuals(both: Expected) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items that have a Q3; residuals a trial, 0 where missing, and what is seen: (n_items, n_models)."""
    R = both.responses
    residual = np.empty(R.shape[::-1], dtype=np.float32)
    for cells in both:
        residual[cells.items] = (cells.residual / np.maximum(cells.trials, 1)).T
    n = np.maximum(R.observed.sum(axis=0), 1)
    mean = residual.sum(axis=1, dtype=float) / n
    usable = np.einsum("im,im->i", residual, residual, dtype=float) / n - mean**2 > _NO_SPREAD
    if not is_continuous(R):
        right = np.nan_to_num(R.values).sum(axis=0, dtype=float)
        usable &= np.minimum(right, n - right) >= _RARE - 1e-6
    items = np.flatnonzero(usable)
    return items, residual[items], R.observed.T[items]


def _scaled(residual: np.ndarray) -> np.ndarray:
    """Centre each row and give it length 1."""
    residual -= residual.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    length = np.sqrt(np.einsum("im,im->i", residual, residual, dtype=np.float64))
    residual /= length.astype(np.float32)[:, None]
    return residual


def _pairwise(
    x: np.ndarray, y: np.ndarray, seen_x: np.ndarray, seen_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correlations over the models that both items have, and their numbers, by six products."""
    n = seen_x @ seen_y.T
    count = np.maximum(n, 1)
    sum_x, sum_y = x @ seen_y.T, seen_x @ y.T
    square_x, square_y = x**2 @ seen_y.T - sum_x**2 / count, seen_x @ (y**2).T - sum_y**2 / count
    spread = np.where(np.minimum(square_x, square_y) < _NO_SPREAD * count, np.nan, square_x * square_y)
    return np.asarray((x @ y.T - sum_x * sum_y / count) / np.sqrt(spread)), n


def _best(
    best: np.ndarray, first: np.ndarray, second: np.ndarray, q3: np.ndarray, n: np.ndarray | float, top: int
) -> np.ndarray:
    """The ``top`` pairs of those that were best so far and those of a block."""
    bar = np.abs(best[-1, 0]) if len(best) == top else -1.0
    size = np.abs(q3)
    if not np.fmax.reduce(size, axis=None) > bar:  # asked first: it is the rule, and cheap
        return best
    rows, columns = np.nonzero(size > bar)  # NaN is not above the bar
    if len(rows) > top:
        least = np.partition(size[rows, columns], len(rows) - top)[len(rows) - top]
        rows, columns = np.nonzero(size >= max(least, bar))
    count = np.broadcast_to(n, q3.shape)[rows, columns]
    new = np.column_stack([q3[rows, columns], first[rows], second[columns], count])
    everything = np.concatenate([best, new])
    order = np.lexsort([everything[:, 2], everything[:, 1], -np.abs(everything[:, 0])])
    return everything[order[:top]]
