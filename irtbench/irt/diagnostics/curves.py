"""Curves of items and of the whole test: characteristic, information, standard error, reliability."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from irtbench.errors import InputError
from irtbench.irt.bank import ItemBank
from irtbench.irt.curves import information, probability

if TYPE_CHECKING:
    from irtbench.irt.fitted import IRTFit

__all__ = ["item_curves", "reliability", "test_information"]

_NODES = 121  # of the integral over N(0, 1), on [-6, 6]
_CELLS = 2**20


def item_curves(bank: ItemBank | IRTFit, theta: ArrayLike | None = None) -> pd.DataFrame:
    r"""Characteristic and information curve of each item, at the posterior medians.

    .. math:: P_i(θ) = c_i + (d_i - c_i)\, σ(a_i (θ - b_i)), \quad I_i(θ) = P_i'(θ)^2 / (P_i (1 - P_i))

    Args:
        bank: a bank (``bank.take(items)`` for a few of them) or a fit.
        theta: abilities (n,); 81 from -4 to 4 if not given.

    Returns:
        Long DataFrame by (item, theta), n_items x n rows: ``probability``, ``information`` (1/ability²).

    Raises:
        InputError: ``theta`` is empty or not finite.

    References:
        Lord (1980), Applications of Item Response Theory to Practical Testing Problems, ch. 5.

    Example:
        >>> from irtbench.irt import simulate
        >>> bank = simulate(n_models=5, n_items=2, seed=0).bank
        >>> item_curves(bank, [-1, 0, 1]).shape
        (6, 2)
    """
    bank, grid = _bank(bank), _grid(theta)
    values = {
        "probability": bank.probability(grid).T.ravel(),
        "information": information(grid, *bank.curve_parameters).T.ravel(),
    }
    index = pd.MultiIndex.from_product([bank.item_ids, grid], names=["item", "theta"])
    return pd.DataFrame(values, index=index)


def test_information(bank: ItemBank | IRTFit, theta: ArrayLike | None = None) -> pd.DataFrame:  # noqa: PT028
    r"""Information of all items together, and the standard error of measurement that follows from it.

    .. math:: I(θ) = \sum_i I_i(θ), \quad \text{SEM}(θ) = 1 / \sqrt{I(θ)}

    Args:
        bank: a bank or a fit.
        theta: abilities (n,); 81 from -4 to 4 if not given.

    Returns:
        DataFrame by theta: ``information``, ``sem`` (of the maximum-likelihood ability),
        ``posterior_sd`` (:math:`1 / \sqrt{I + 1}`: about that of the posterior mean under N(0, 1)),
        ``expected_score`` (mean probability over the items: the test characteristic curve).

    Raises:
        InputError: ``theta`` is empty or not finite.

    References:
        Lord (1980), ch. 5.

    Example:
        >>> from irtbench.irt import simulate
        >>> table = test_information(simulate(n_models=5, n_items=100, seed=0).bank, [0.0, 4.0])
        >>> bool(table["sem"].iloc[0] < table["sem"].iloc[1])
        True
    """
    bank, grid = _bank(bank), _grid(theta)
    found = _total(information, bank, grid)
    with np.errstate(divide="ignore"):
        sem = 1 / np.sqrt(found)
    table = {
        "information": found,
        "sem": sem,
        "posterior_sd": 1 / np.sqrt(found + 1),
        "expected_score": _total(probability, bank, grid) / bank.n_items,
    }
    return pd.DataFrame(table, index=pd.Index(grid, name="theta"))


test_information.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest makes of its name


def reliability(fit: IRTFit) -> pd.Series:
    r"""Reliability of the abilities: the share of their variance that is not error, 0 to 1.

    .. math:: ρ_\text{marginal} = 1 - E_{θ ∼ N(0, 1)} \frac{1}{I(θ) + 1}, \quad
              ρ_\text{empirical} = \operatorname{var}(\hat θ) / (\operatorname{var}(\hat θ) + \overline{s^2})

    with the error variance of a posterior under N(0, 1), :math:`\hat θ` and s the posterior means and
    sds. The first is a property of the items, the second also of these models and of their missing
    responses. With thousands of items both are near 1 and say little about a single comparison: look at
    the standard error where the models are.

    Args:
        fit: a fit.

    Returns:
        Series: ``marginal``, ``empirical``.

    References:
        Green, Bock, Humphreys, Linn & Reckase (1984), Technical guidelines for assessing computerized
        adaptive tests, https://doi.org/10.1111/j.1745-3984.1984.tb01039.x; the same two as
        ``marginal_rxx`` and ``empirical_rxx`` of R mirt (Chalmers 2012).

    Example:
        >>> from irtbench.irt import fit, simulate
        >>> s = simulate(n_models=100, n_items=50, seed=0)
        >>> reliability(fit(s.responses, method="laplace")).round(1).to_dict()
        {'marginal': 0.9, 'empirical': 0.9}
    """
    theta = np.linspace(-6, 6, _NODES)
    weight = np.exp(-(theta**2) / 2)
    error = 1 / (_total(information, fit.bank, theta) + 1)
    mean, sd = fit.abilities["mean"].to_numpy(dtype=float), fit.abilities["sd"].to_numpy(dtype=float)
    between = mean.var(ddof=1)
    return pd.Series(
        {
            "marginal": 1 - float(error @ weight / weight.sum()),
            "empirical": float(between / (between + (sd**2).mean())),
        },
        name="reliability",
    )


def _total(curve: Callable[..., np.ndarray], bank: ItemBank, theta: np.ndarray) -> np.ndarray:
    """Sum of a curve over the items at each ability, some items at a time."""
    parameters, width = bank.curve_parameters, max(1, _CELLS // len(theta))
    total = np.zeros(len(theta))
    for start in range(0, bank.n_items, width):
        total += curve(theta, *(x[start : start + width] for x in parameters)).sum(axis=1)
    return total


def _bank(bank: ItemBank | IRTFit) -> ItemBank:
    return bank if isinstance(bank, ItemBank) else bank.bank


def _grid(theta: ArrayLike | None) -> np.ndarray:
    if theta is None:
        return np.linspace(-4, 4, 81)
    grid = np.atleast_1d(np.asarray(theta, dtype=float))
    if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all():
        raise InputError(f"theta must be a list of finite abilities, got {theta!r}")
    return grid
