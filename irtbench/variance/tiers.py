"""A leaderboard that says no more than the data support: ranks with intervals, and tiers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.all_pairs import compare_all
from irtbench.variance.decisions import compare_recipes
from irtbench.variance.difference import Items
from irtbench.variance.multiplicity import Control, adjusted

__all__ = ["leaderboard", "pairwise"]


def leaderboard(
    R: ResponseMatrix,
    *,
    by: str | None = None,
    clusters: str | None = None,
    items: Items = "sampled",
    seed_sd: float | None = None,
    control: Control = "holm",
    level: float = 0.95,
    comparisons: pd.DataFrame | None = None,
) -> pd.DataFrame:
    r"""Rank models, or recipes with several seeds, in tiers that the data tell apart.

    All pairs are compared (:func:`pairwise`) with the error controlled over all of them. A model's rank
    lies between 1 + the models that are better than it and M - those that it is better than; with ``holm``
    all these intervals hold together with probability ``level``. A tier begins with the best model that
    is worse than the first of the tier above, so two of one tier may differ, two leaders always do.

    Args:
        R: responses.
        by: column of the models table that names the recipe, whose rows are its seeds; None: every row
            by itself.
        clusters: column of the items table that says which items belong together.
        items: ``sampled`` or ``fixed``, see :func:`compare_recipes`.
        seed_sd: sd of a run's score over seeds, if it is known.
        control: error over all pairs: ``holm``, ``bonferroni`` (family-wise), ``bh`` (false discovery rate)
            or ``none``.
        level: 1 - error.
        comparisons: from :func:`pairwise`, if it has been computed.

    Returns:
        DataFrame by model or recipe, best first: ``score``, ``seeds``, ``rank_low``, ``rank_high``,
        ``tier``, ``better_than``, ``worse_than`` (numbers of models). ``attrs`` holds the arguments.

    Raises:
        InputError: fewer than two models, an unknown column, or see :func:`compare_recipes`.

    References:
        Mogstad, Romano, Shaikh & Wilhelm (2024), Inference for ranks,
        https://doi.org/10.1093/restud/rdad006; Holm (1979), https://www.jstor.org/stable/4615733

    Example:
        >>> values = np.repeat([[0.9], [0.88], [0.3]], 100, axis=1) > np.linspace(0, 1, 100)
        >>> board = leaderboard(ResponseMatrix.of(values, ["a", "b", "c"]))
        >>> board[["score", "rank_low", "rank_high", "tier"]].round(2).to_numpy().tolist()
        [[0.9, 1.0, 2.0, 1.0], [0.88, 1.0, 2.0, 1.0], [0.3, 3.0, 3.0, 2.0]]
    """
    groups = _groups(R, by)
    pairs = comparisons
    if pairs is None:
        pairs = pairwise(
            R, by=by, clusters=clusters, items=items, seed_sd=seed_sd, control=control, level=level
        )
    found = pairs[pairs["p_adjusted"] <= 1 - level]
    up = found["difference"].gt(0) == R.metric.higher_is_better
    winners, losers = found["a"].where(up, found["b"]), found["b"].where(up, found["a"])
    board = pd.DataFrame(
        {
            "score": pd.Series({name: R.scores().iloc[rows].mean() for name, rows in groups.items()}),
            "seeds": pd.Series({name: len(rows) for name, rows in groups.items()}),
        }
    )
    board["better_than"] = winners.value_counts().reindex(board.index, fill_value=0)
    board["worse_than"] = losers.value_counts().reindex(board.index, fill_value=0)
    board = board.sort_values("score", ascending=not R.metric.higher_is_better, kind="stable")
    board.insert(2, "rank_low", 1 + board["worse_than"])
    board.insert(3, "rank_high", len(board) - board["better_than"])
    board.insert(4, "tier", _tiers(list(board.index), set(zip(winners, losers, strict=True))))
    board.index.name = "model" if by is None else by
    board.attrs = {"by": by, "items": items, "seed_sd": seed_sd, "control": control, "level": level}
    return board


def pairwise(
    R: ResponseMatrix,
    *,
    by: str | None = None,
    clusters: str | None = None,
    items: Items = "sampled",
    seed_sd: float | None = None,
    control: Control = "holm",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare every pair of models or recipes on the items that both answered.

    Args:
        R: responses.
        by: column of the models table that names the recipe; None: every row by itself.
        clusters: column of the items table that says which items belong together.
        items: ``sampled`` or ``fixed``, see :func:`compare_recipes`.
        seed_sd: sd of a run's score over seeds, if it is known.
        control: error that ``p_adjusted`` is adjusted for.
        level: coverage of each pair's own interval.

    Returns:
        DataFrame, a row a pair: ``a``, ``b``, ``difference`` (a - b), ``low``, ``high``, ``p_value``,
        ``p_adjusted``, ``probability`` (that a is better), ``n_items``.

    Raises:
        InputError: fewer than two models, an unknown column, or see :func:`compare_recipes`.

    Example:
        >>> R = ResponseMatrix.of(np.eye(3).repeat(20, axis=1), ["x", "y", "z"])
        >>> pairwise(R)[["a", "b", "p_adjusted"]].round(3).to_numpy().tolist()
        [['x', 'y', 1.0], ['x', 'z', 1.0], ['y', 'z', 1.0]]
    """
    groups = _groups(R, by)
    if clusters is not None and clusters not in R.items:
        raise InputError(f"the items table has no column {clusters!r} (columns: {', '.join(R.items)})")
    own = None if clusters is None else R.items[clusters].to_numpy()
    if items == "sampled" and 0 < level < 1 and (seed_sd is None or seed_sd >= 0):
        table = _at_once(R, groups, own, seed_sd, level)
        if table is not None:
            table.insert(6, "p_adjusted", adjusted(table["p_value"].to_numpy(), control))
            return table
    rows = []
    for (a, of_a), (b, of_b) in combinations(groups.items(), 2):
        result = compare_recipes(
            R.values[of_a],
            R.values[of_b],
            clusters=own,
            items=items,
            seed_sd=seed_sd,
            higher_is_better=R.metric.higher_is_better,
            level=level,
            names=(a, b),
        )
        limits = (result.estimate, result.low, result.high, result.p_value)
        rows.append((a, b, *limits, result.probability, result.n_items))
    columns = ["a", "b", "difference", "low", "high", "p_value", "probability", "n_items"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(6, "p_adjusted", adjusted(table["p_value"].to_numpy(), control))
    return table


def _at_once(
    R: ResponseMatrix,
    groups: dict[str, np.ndarray],
    clusters: np.ndarray | None,
    seed_sd: float | None,
    level: float,
) -> pd.DataFrame | None:
    """All pairs from matrix products; None where they are to be compared one by one.

    That is where a recipe has several runs, items with clusters are missing, or a pair has too little in
    common, which one of the comparisons then says.
    """
    if any(len(rows) > 1 for rows in groups.values()):
        return None
    values = R.values[np.concatenate(list(groups.values()))]
    seen = ~np.isnan(values)
    common = seen.astype(np.float32) @ seen.T.astype(np.float32)
    if common.min() < 2:
        return None
    codes = None
    if clusters is not None:
        names, codes = np.unique(clusters.astype(object).astype(str), return_inverse=True)
        if len(names) < 2 or not seen.all():
            return None
    up = R.metric.higher_is_better
    found = compare_all(values, clusters=codes, seed_sd=seed_sd, higher_is_better=up, level=level)
    names = np.array(list(groups), dtype=object)
    table = pd.DataFrame({"a": names[found.first], "b": names[found.second]})
    return table.assign(**{name: getattr(found, name) for name in found._fields[2:]})


def _groups(R: ResponseMatrix, by: str | None) -> dict[str, np.ndarray]:
    if by is None:
        groups = {name: np.array([k]) for k, name in enumerate(R.model_ids)}
    elif by in R.models:
        labels = R.models[by].astype(str).to_numpy(dtype=object)
        groups = {str(name): np.flatnonzero(labels == name) for name in dict.fromkeys(labels)}
        steps = R.models.groupby(labels)["step"].nunique() if "step" in R.models else pd.Series([1])
        if steps.max() > 1:
            raise InputError(
                f"{by} {steps.idxmax()!r} has several checkpoints, which are no replicates; take one first"
            )
    else:
        raise InputError(f"the models table has no column {by!r} (columns: {', '.join(R.models) or 'none'})")
    if len(groups) < 2:
        raise InputError("a leaderboard needs at least 2 models; there is only one")
    return groups


def _tiers(order: list[str], better: set[tuple[str, str]]) -> list[int]:
    """Tier of each model, best first: a new one at each model that its tier's leader is better than."""
    tiers: list[int] = []
    leader = order[0]
    for name in order:
        if (leader, name) in better:
            leader = name
            tiers.append(tiers[-1] + 1)
        else:
            tiers.append(tiers[-1] if tiers else 1)
    return tiers
