"""Fit of models: does a model succeed where its ability says it should, and where does it not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr

from irtbench.irt.diagnostics.cells import (
    Cells,
    Expected,
    expected,
    is_beta,
    is_continuous,
    mean_square,
    standardised_mean_square,
)

if TYPE_CHECKING:
    from irtbench.irt.bank import ItemBank
    from irtbench.irt.fitted import IRTFit
    from irtbench.responses.matrix import ResponseMatrix

__all__ = ["benchmark_residuals", "person_fit"]


def person_fit(fit: IRTFit | ItemBank, responses: ResponseMatrix) -> pd.DataFrame:
    r"""Fit of each model's responses to the IRT model: lz, lz*, infit and outfit.

    .. math:: l_z = \frac{\sum_i r_i w_i}{\sqrt{\sum_i W_i w_i^2}}, \quad w_i = \log \frac{P_i}{1 - P_i},
              \qquad l_z^* = \frac{\sum_i r_i \tilde w_i}{\sqrt{\sum_i W_i \tilde w_i^2}}, \quad
              \tilde w_i = w_i - c\, \frac{P_i'}{P_i (1 - P_i)}

    with the residuals r and variances W of :func:`item_fit`. The ability comes from the same responses,
    which makes lz vary too little; c takes from w what estimating it takes up, so that lz* is about
    N(0, 1). A model far below 0 fails easy items and solves hard ones: it guesses, knows some items
    beforehand, or was scored with a broken prompt. Far above 0, its responses are smoother than chance
    allows. Leaked items show here if they were hard for the model; those of one benchmark show better in
    :func:`benchmark_residuals`. Where the items measure more than one ability, as real benchmarks do,
    many models stand out: compare them with each other before p is taken at its word. Continuous responses
    vary less than P(1 - P): unless the fit knows their precision (beta likelihood), lz and lz* are too near
    to 0, and the mean squares have no z.

    Args:
        fit: a fit, whose abilities are used if it knows all the models, or a bank.
        responses: (n_models, n_items); missing cells are left out, repeated samples enter as counts.

    Returns:
        DataFrame by model: ``n`` (items), ``share_right``, ``ability``, ``infit``, ``infit_z``, ``outfit``,
        ``outfit_z``, ``lz``, ``lz_star``, ``p`` (two-sided, of lz*).

    Raises:
        InputError: another metric, or items that the bank does not have.

    References:
        Drasgow, Levine & Williams (1985), https://doi.org/10.1111/j.2044-8317.1985.tb00817.x; Snijders
        (2001), Asymptotic null distribution of person fit statistics with estimated person parameter,
        https://doi.org/10.1007/BF02294437

    Example:
        >>> import numpy as np
        >>> from irtbench.irt import simulate
        >>> from irtbench.responses import ResponseMatrix
        >>> s = simulate(n_models=20, n_items=300, seed=0)
        >>> y = s.responses.values.copy()
        >>> y[0] = np.random.default_rng(0).random(300) < 0.5  # this model tosses a coin
        >>> table = person_fit(s.bank, ResponseMatrix.of(y, s.responses.models, s.responses.items))
        >>> bool(table["p"].iloc[0] < 1e-6), bool(table["p"].iloc[1:].min() < 1e-3)
        (True, False)
    """
    both = expected(fit, responses)
    everything = np.ones((responses.n_items, 1))
    sums = {k: v[:, 0] for k, v in _sums(both, everything, _linear, _squares).items()}
    infit, outfit = mean_square(sums["squared"], sums["variance"]), mean_square(sums["outer"], sums["n"])
    infit_variance = mean_square(sums["infit"], sums["variance"] ** 2)
    outfit_variance = mean_square(sums["outfit"], sums["n"] ** 2)
    lz_star = corrected(sums["surprise"], sums["spread"], sums["pull"], sums)
    table = pd.DataFrame(
        {
            "n": sums["n"].astype(int),
            "share_right": mean_square(sums["right"], sums["trials"]),
            "ability": both.theta,
            "infit": infit,
            "infit_z": standardised_mean_square(infit, infit_variance),
            "outfit": outfit,
            "outfit_z": standardised_mean_square(outfit, outfit_variance),
            "lz": mean_square(sums["surprise"], np.sqrt(sums["spread"])),
            "lz_star": lz_star,
            "p": 2 * ndtr(-np.abs(lz_star)),
        },
        index=responses.models.index,
    )
    if is_continuous(responses) and not is_beta(both.bank):
        table[["infit_z", "outfit_z"]] = np.nan
    return table


def benchmark_residuals(fit: IRTFit | ItemBank, responses: ResponseMatrix) -> pd.DataFrame:
    r"""Where a model scores above or below its ability: mean residual by model and benchmark.

    .. math:: \bar r_{mb} = \frac{\sum_{i ∈ b} (k_{mi} - n_{mi} P_{mi})}{\sum_{i ∈ b} n_{mi}}

    Its z allows for the ability, which comes from the same responses (as lz* does). A model that has
    seen the items of a benchmark stands far above 0 there, and a little below elsewhere. A model may also
    simply be better at one benchmark than at the others: ``standing`` compares its residual with the
    other models' on the same benchmark.

    Args:
        fit: a fit, whose abilities are used if it knows all the models, or a bank.
        responses: (n_models, n_items), with the column ``benchmark`` in the items' table.

    Returns:
        DataFrame by (model, benchmark): ``n`` (items), ``share_right``, ``residual``, ``z``, ``standing``
        (distance to the models' median residual, in 1.4826 median absolute deviations).

    Raises:
        InputError: another metric, or items that the bank does not have.

    References:
        Snijders (2001), https://doi.org/10.1007/BF02294437

    Example:
        >>> from irtbench.irt import simulate
        >>> s = simulate(n_models=20, n_items=60, n_benchmarks=3, seed=0)
        >>> benchmark_residuals(s.bank, s.responses).shape
        (60, 5)
    """
    both = expected(fit, responses)
    names = list(dict.fromkeys(responses.benchmarks))
    sums = _sums(
        both, (responses.benchmarks[:, None] == np.array(names, dtype=object)).astype(float), _linear
    )
    total = {name: value.sum(axis=1, keepdims=True) for name, value in sums.items()}
    residual = mean_square(sums["residual"], sums["trials"])
    columns = {
        "n": sums["n"].astype(int),
        "share_right": mean_square(sums["right"], sums["trials"]),
        "residual": residual,
        "z": corrected(sums["residual"], sums["variance"], sums["slope"], total),
        "standing": _standing(residual),
    }
    index = pd.MultiIndex.from_product([responses.model_ids, names], names=["model", "benchmark"])
    return pd.DataFrame({name: value.ravel() for name, value in columns.items()}, index=index)


def corrected(
    value: np.ndarray, variance: np.ndarray, pull: np.ndarray, sums: dict[str, np.ndarray]
) -> np.ndarray:
    r"""Standardise :math:`\sum_i w_i r_i` for an ability that was estimated from the same residuals.

    .. math:: z = \frac{\sum_i w_i r_i - (D / I)\, U}{\sqrt{\sum_i w_i^2 W_i - D^2 / I}}

    with the score :math:`U = \sum_i r_i P_i' / (P_i Q_i)`, :math:`D = \sum_i n_i w_i P_i'` and the
    information I. The difference does not depend on the ability to first order, so it holds for any
    consistent estimate of it (Snijders 2001).

    Args:
        value: :math:`\sum_i w_i r_i` of each model.
        variance: :math:`\sum_i w_i^2 W_i`.
        pull: D.
        sums: ``score`` U and ``information`` I of each model.
    """
    share = mean_square(*np.broadcast_arrays(pull, sums["information"]))
    share = np.nan_to_num(share)
    left = variance - share * pull
    # where the ability takes up all of it (one item, or all alike), only rounding is left
    left = np.where(left > 1e-9 * variance, left, np.nan)
    return np.asarray((value - share * sums["score"]) / np.sqrt(left))


def _sums(
    both: Expected, groups: np.ndarray, *parts: Callable[[Cells], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Sum what the statistics are made of over groups of items, (n_models, n_groups) each.

    Args:
        both: responses and expectations.
        groups: which items belong to which group, 0 or 1, (n_items, n_groups).
        parts: functions of a block that return arrays of its shape, 0 where missing.
    """
    total: dict[str, np.ndarray] = {}
    for cells in both:
        for part in parts:
            for name, value in part(cells).items():
                total[name] = total.get(name, 0.0) + value @ groups[cells.items]
    return total


def _linear(cells: Cells) -> dict[str, np.ndarray]:
    return {
        "n": (cells.trials > 0).astype(float),
        "trials": cells.trials,
        "right": cells.right,
        "residual": cells.residual,
        "variance": cells.variance,
        "slope": cells.trials * cells.slope,
        "score": cells.residual * cells.slope / cells.unit_variance,
        "information": cells.trials * cells.slope**2 / cells.unit_variance,
    }


def _squares(cells: Cells) -> dict[str, np.ndarray]:
    seen = cells.trials > 0
    variance = np.where(seen, cells.variance, 1.0)
    squared, logit = cells.residual**2, np.log(cells.p / (1 - cells.p))
    return {
        "squared": squared,
        "outer": squared / variance,
        "infit": cells.fourth - cells.variance**2,
        "outfit": np.where(seen, cells.fourth / variance**2 - 1, 0.0),
        "surprise": cells.residual * logit,
        "spread": cells.variance * logit**2,
        "pull": cells.trials * cells.slope * logit,
    }


def _standing(value: np.ndarray) -> np.ndarray:
    """Robust z of each column; NaN where more than half of the models are alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a benchmark without responses
        distance = value - np.nanmedian(value, axis=0)
        spread = 1.4826 * np.nanmedian(np.abs(distance), axis=0)
    return mean_square(distance, np.broadcast_to(spread, value.shape))
