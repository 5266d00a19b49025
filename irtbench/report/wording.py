"""What the numbers of a comparison say, in sentences; honest when nothing beats the random control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from irtbench.compare import CONTROL

if TYPE_CHECKING:
    from irtbench.irt.diagnostics import Diagnosis

__all__ = ["against_control", "by_size", "fit_verdict", "signed", "tally", "verdict"]

_NOISY, _COPY, _ODD = 3.0, 0.9, -3.0  # z, Q3 and lz* beyond which the report speaks of it


def against_control(row: Any) -> str:
    """Say how one row of a summary stands against the random subset of the same size.

    Args:
        row: mapping with ``method``, ``mae_diff_lower`` and ``mae_diff_upper``.

    Example:
        >>> against_control({"method": "a + b", "mae_diff_lower": -0.02, "mae_diff_upper": -0.01})
        'better than the random subset'
        >>> against_control({"method": "a + b", "mae_diff_lower": -0.02, "mae_diff_upper": 0.01})
        'no different from the random subset'
    """
    if row["method"] == CONTROL:
        return "the random subset itself"
    if row["mae_diff_upper"] < 0:
        return "better than the random subset"
    if row["mae_diff_lower"] > 0:
        return "worse than the random subset"
    if pd.isna(row["mae_diff_lower"]):
        return "not to be told from the random subset by one split"
    return "no different from the random subset"


def verdict(summary: pd.DataFrame) -> str:
    """One sentence: whether anything beats a random subset of the same size, and by how much."""
    others = summary[summary["method"] != CONTROL]
    if others.empty:
        return "Only the random subset was tried, so there is nothing to compare it with."
    better = others[others["mae_diff_upper"] < 0]
    sizes = sorted(summary["size"].unique())
    if better.empty:
        return (
            f"No method beats a random subset of the same size with a plain mean, at {_listed(sizes)} items:"
            " a random subset is all these data ask for."
        )
    size = better["size"].max()
    best = better[better["size"] == size].nsmallest(1, "mae").iloc[0]
    lost = [n for n in sizes if n not in set(better["size"])]
    but = f" No method does at {_listed(lost)} items." if lost else ""
    name = best["method"]
    return f"At {size} items, “{name}” beats a random subset of the same size: {_gain(summary, best)}.{but}"


def by_size(summary: pd.DataFrame) -> list[str]:
    """One sentence a size: the smallest error, the control's, and what the choice of items adds."""
    sentences = []
    for size, rows in summary.groupby("size"):
        others = rows[rows["method"] != CONTROL]
        if others.empty:
            continue
        best = others.nsmallest(1, "mae").iloc[0]
        text = f"{size} items: “{best['method']}” has the smallest error and is {against_control(best)}"
        sentences.append(f"{text}; {_gain(summary, best)}.{_choice(others, best)}")
    return sentences


def tally(summary: pd.DataFrame) -> str:
    """Count the pairs of method and size that are better, no different and worse."""
    said = [against_control(row) for row in summary.to_dict("records") if row["method"] != CONTROL]
    better, worse = (sum(s.startswith(word) for s in said) for word in ("better", "worse"))
    same = len(said) - better - worse
    return (
        f"Of {len(said)} pairs of method and size, {better} are better than the random subset, {same} no"
        f" different and {worse} worse. Each interval stands alone: of 20 pairs that do not differ, about one"
        " would show a difference by chance."
    )


def fit_verdict(diagnosis: Diagnosis, *, converged: bool) -> str:
    """Say whether a fit has converged, and how many items, pairs of items and models stand out."""
    items, models, pairs = diagnosis.items, diagnosis.models, diagnosis.pairs
    noisy = int((items[["infit_z", "outfit_z"]] > _NOISY).any(axis=1).sum())
    copies = int((pairs["q3"] > _COPY).sum())
    at_least = "at least " if copies and copies == len(pairs) else ""  # only the top pairs are listed
    return (
        f"The fit has {'' if converged else 'not '}converged. Items noisier than their curve allows (infit or"
        f" outfit z > {_NOISY:g}): {noisy} of {len(items)}; items that abler models fail (negative"
        f" discrimination): {int(items['negative'].sum())}; pairs of items that are nearly copies"
        f" (Q3 > {_COPY:g}): {at_least}{copies}; odd models (lz* < −{-_ODD:g}):"
        f" {int((models['lz_star'] < _ODD).sum())} of {len(models)}."
    )


def signed(value: float) -> str:
    """Write a difference with its sign.

    Example:
        >>> signed(0.01), signed(-0.01)
        ('+0.0100', '−0.0100')
    """
    return "–" if pd.isna(value) else f"{value:+.4f}".replace("-", "−")


def _gain(summary: pd.DataFrame, best: pd.Series) -> str:
    control = summary[(summary["method"] == CONTROL) & (summary["size"] == best["size"])]
    against = f" against {control['mae'].iloc[0]:.4f}" if len(control) else ""
    return (
        f"its mean absolute error is {best['mae']:.4f}{against}"
        f" (difference {signed(best['mae_diff'])}, 95 % interval {signed(best['mae_diff_lower'])} to"
        f" {signed(best['mae_diff_upper'])})"
    )


def _choice(others: pd.DataFrame, best: pd.Series) -> str:
    """Separate what the choice of items adds from what the estimator does on random items."""
    selection, _, estimator = best["method"].partition(" + ")
    same = others[others["method"] == f"random + {estimator}"]
    if selection == "random" or same.empty:
        return ""
    row = same.iloc[0]
    difference = signed(row["mae_diff"])
    return f" On random items the same estimator already has {row['mae']:.4f} (difference {difference})."


def _listed(numbers: list[int]) -> str:
    words = [str(n) for n in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
