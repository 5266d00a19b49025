"""Two views of the same runs: discrete against continuous metrics, choice against completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.variance.monotonicity import kendall
from irtbench.variance.ordering import decision_accuracy
from irtbench.variance.resampling import seed_counts
from irtbench.variance.runs import Runs, curves, runs_of
from irtbench.variance.seeds import seed_variance
from irtbench.variance.signal import snr
from irtbench.variance.standard_errors import stated

__all__ = ["agreement_of_views", "crossover", "views_by_benchmark"]


def views_by_benchmark(
    views: Mapping[str, ResponseMatrix],
    *,
    family: str | Sequence[str] = "family",
    seed: str = "seed",
    step: str = "step",
    decide_at: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
) -> pd.DataFrame:
    r"""Put several views of the same runs side by side, a row by benchmark, recipe and view.

    Args:
        views: name of each view (``acc`` and ``prob``, or ``choice`` and ``completion``) → responses of the
            same recipes; each with its own metric and direction.
        family: column of the recipe, see :func:`irtbench.variance.runs_of`.
        seed: column of the replicate.
        step: column of the checkpoint.
        decide_at: position of the checkpoint at which recipes are compared, for ``decision_accuracy``.
        level: coverage of the intervals.
        resamples: of the intervals' bootstraps.

    Returns:
        DataFrame: ``benchmark``, ``family``, ``view``, ``mean`` and ``std`` (over seeds at the last
        checkpoint), ``snr`` with ``snr_low`` and ``snr_high``, ``E`` with ``E_low`` and ``E_high``,
        ``monotonicity`` with ``monotonicity_low`` and ``monotonicity_high`` (τ-b of each seed's curve,
        averaged; Student's interval over seeds), ``decision_accuracy`` (share of pairs of recipes that one
        seed each orders at checkpoint ``decide_at`` as their means at the last one do, in this view) with
        its limits; the same for all recipes of a benchmark, NaN for one recipe.

    Raises:
        InputError: fewer than two views, or views of other recipes or benchmarks.

    References:
        Madaan et al. (2024), Table 2 and section 3.3, https://arxiv.org/abs/2406.10229

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame({"family": "a", "seed": np.arange(8) % 4, "step": np.arange(8) // 4})
        >>> table.index = [f"m{k}" for k in range(8)]
        >>> p = 0.3 + 0.3 * table["step"].to_numpy()[:, None] + 0.1 * rng.random((8, 200))
        >>> acc, prob = (ResponseMatrix.of(y, table) for y in (rng.random(p.shape) < p, p))
        >>> found = views_by_benchmark({"acc": acc, "prob": prob}).set_index("view")
        >>> bool(found.loc["prob", "snr"] > found.loc["acc", "snr"])
        True
    """
    if len(views) < 2:
        raise InputError(f"give two views or more to compare, got {list(views)}")
    runs = {name: runs_of(R, family=family, seed=seed, step=step) for name, R in views.items()}
    _same(runs)
    rows = []
    for name, families in runs.items():
        scores = [curves(one) for one in families]
        decided = _decisions(families, scores, decide_at, level, resamples)
        for one, y in zip(families, scores, strict=True):
            table = _one(one, y, level, resamples)
            table["family"], table["view"] = one.family, name
            rows.append(table.join(decided, on="benchmark"))
    table = pd.concat(rows, ignore_index=True)
    order = {name: k for k, name in enumerate(views)}
    table = table.sort_values(
        ["benchmark", "family", "view"], key=lambda c: c.map(order) if c.name == "view" else c
    )
    front = ["benchmark", "family", "view"]
    table = table[front + [c for c in table if c not in front]].reset_index(drop=True)
    table.attrs = {"ddof": 1, "tau": "b", "level": level, "decide_at": decide_at, "average": "mean"}
    return table


def crossover(
    a: np.ndarray,
    b: np.ndarray,
    steps: Sequence[float],
    *,
    chance: tuple[float, float] | None = None,
    higher_is_better: bool = True,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Where along training the seeds' mean of A overtakes that of B for good.

    The last change of sign of :math:`\bar A_t - \bar B_t` from minus to plus, interpolated between its
    two checkpoints. With ``chance`` both are first put on one scale, :math:`(S - c) / (1 - c)`, which views
    with other chance levels need.

    Args:
        a: (n_seeds, n_steps) scores, NaN where a run is missing.
        b: likewise, of the other view; its seeds are resampled together with A's if there are as many.
        steps: (n_steps,) positions of the checkpoints (steps, tokens …), increasing.
        chance: score of guessing of A and of B.
        higher_is_better: direction of both.
        level: coverage of the interval, percentile over resampled seeds that have a crossing.
        resamples: of the seeds.
        seed: of the resamples.

    Returns:
        DataFrame of one row: ``crossover`` (NaN if A never overtakes for good), ``low``, ``high``,
        ``probability`` (share of the resamples with a crossing), ``ahead_first`` and ``ahead_last`` (is A
        ahead at the first and the last checkpoint), ``n_seeds``.

    Raises:
        InputError: shapes that do not fit, or steps that do not increase.

    References:
        Madaan et al. (2024), section 3.3 (standard MMLU overtakes cloze late in training),
        https://arxiv.org/abs/2406.10229

    Example:
        >>> a, b = np.array([[0.2, 0.3, 0.6]] * 2), np.array([[0.3, 0.4, 0.5]] * 2)
        >>> crossover(a, b, [0, 10, 20])[["crossover", "probability"]].round(2).to_numpy().tolist()
        [[15.0, 1.0]]
    """
    y, x = (np.asarray(v, dtype=np.float64) for v in (a, b))
    at = np.asarray(steps, dtype=np.float64)
    if y.ndim != 2 or x.ndim != 2 or not y.shape[1] == x.shape[1] == len(at):
        raise InputError(
            f"scores of shape {y.shape} and {x.shape} for {len(at)} checkpoints; give seeds × steps"
        )
    if (np.diff(at) <= 0).any():
        raise InputError("steps must increase; sort the checkpoints")
    if chance is not None:
        if max(chance) >= 1:
            raise InputError(f"chance must be below 1, got {chance}")
        y, x = ((v - c) / (1 - c) for v, c in zip((y, x), chance, strict=True))
    if not higher_is_better:
        y, x = -y, -x
    rng = np.random.default_rng(seed)
    of_a = seed_counts(rng, len(y), resamples)
    of_b = of_a if len(x) == len(y) else seed_counts(rng, len(x), resamples)
    gap = _weighted(y, np.ones((1, len(y)))) - _weighted(x, np.ones((1, len(x))))
    draws = _crossings(_weighted(y, of_a) - _weighted(x, of_b), at)
    known = draws[~np.isnan(draws)]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]) if len(known) else (np.nan, np.nan)
    seen = gap[0][~np.isnan(gap[0])]
    table = {
        "crossover": _crossings(gap, at),
        "low": [low],
        "high": [high],
        "probability": [len(known) / resamples],
        "ahead_first": [bool(seen[0] > 0)],
        "ahead_last": [bool(seen[-1] > 0)],
        "n_seeds": [len(y)],
    }
    return stated(table, chance=chance, level=level, resamples=resamples, interval="bootstrap over seeds")


def agreement_of_views(a: np.ndarray, b: np.ndarray, *, level: float = 0.95) -> pd.DataFrame:
    """Correlation over models of two views' scores.

    Args:
        a: (n_models,) scores, NaN where missing.
        b: likewise, of the other view.
        level: coverage of the intervals, by Fisher's z.

    Returns:
        DataFrame by ``pearson`` and ``spearman``: ``correlation``, ``low``, ``high``, ``n_models``.

    Raises:
        InputError: fewer than 4 models have both.

    References:
        Madaan et al. (2024), section 3.3 (0.92 over the models for MMLU); Bonett & Wright (2000),
        https://doi.org/10.1007/BF02294183 (standard error of Spearman's)

    Example:
        >>> agreement_of_views([1, 2, 3, 4, 5], [1, 2, 4, 3, 5])["correlation"].round(2).to_dict()
        {'pearson': 0.9, 'spearman': 0.9}
    """
    from scipy.stats import norm, rankdata

    x, y = (np.asarray(v, dtype=np.float64) for v in (a, b))
    both = ~(np.isnan(x) | np.isnan(y))
    x, y, n = x[both], y[both], int(both.sum())
    if n < 4:
        raise InputError(f"{n} model(s) have a score in both views; at least 4 are needed")
    rows = {}
    for name in ("pearson", "spearman"):
        r = float(np.corrcoef(*((x, y) if name == "pearson" else (rankdata(x), rankdata(y))))[0, 1])
        spread = (1 + r**2 / 2) if name == "spearman" else 1.0
        half = norm.ppf((1 + level) / 2) * np.sqrt(spread / (n - 3))
        z = np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15))
        rows[name] = (r, np.tanh(z - half), np.tanh(z + half), n)
    columns = ["correlation", "low", "high", "n_models"]
    return stated(pd.DataFrame.from_dict(rows, orient="index", columns=columns), level=level)


def _one(runs: Runs, y: np.ndarray, level: float, resamples: int) -> pd.DataFrame:
    from scipy.stats import t

    E = seed_variance(y, level=level)
    ratio = snr(y, level=level, resamples=resamples)
    tau = kendall((1 if runs.metric.higher_is_better else -1) * np.moveaxis(y, 1, 2))
    n = (~np.isnan(tau)).sum(axis=0)
    mean = np.where(n > 0, np.nansum(tau, axis=0) / np.maximum(n, 1), np.nan)
    spread = np.nansum((tau - mean) ** 2, axis=0) / np.where(n > 1, n - 1, np.nan)
    half = t.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * np.sqrt(spread / np.maximum(n, 1))
    return pd.DataFrame(
        {
            "benchmark": runs.benchmarks,
            "mean": E["mean"].to_numpy(),
            "std": ratio["std"].to_numpy(),
            **{c: ratio[c].to_numpy() for c in ("snr", "snr_low", "snr_high")},
            **{c: E[c].to_numpy() for c in ("E", "E_low", "E_high")},
            "monotonicity": mean,
            "monotonicity_low": np.maximum(mean - half, -1),
            "monotonicity_high": np.minimum(mean + half, 1),
        }
    )


def _decisions(
    families: list[Runs], scores: list[np.ndarray], at: int, level: float, resamples: int
) -> pd.DataFrame:
    """Decision accuracy of single seeds at one checkpoint for the recipes' means at the last one."""
    up = families[0].metric.higher_is_better
    most = max(len(y) for y in scores)
    rows: dict[str, Any] = {}
    for g, name in enumerate(families[0].benchmarks):
        small = np.full((len(scores), most), np.nan)
        for f, y in enumerate(scores):
            small[f, : len(y)] = y[:, at, g]
        target = np.array([y[:, -1, g][~np.isnan(y[:, -1, g])].mean() for y in scores])
        rows[name] = (np.nan,) * 3
        if len(set(target)) > 1:
            found = decision_accuracy(
                small, target, higher_is_better=(up, up), level=level, resamples=resamples
            ).iloc[0]
            rows[name] = (found["accuracy"], found["low"], found["high"])
    columns = [f"decision_accuracy{end}" for end in ("", "_low", "_high")]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _weighted(y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over resampled seeds (n_resamples, n_steps)."""
    n = counts @ (~np.isnan(y)).astype(float)
    return np.asarray(np.where(n > 0, counts @ np.nan_to_num(y) / np.maximum(n, 1), np.nan))


def _crossings(gap: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Where each curve (n, n_steps) rises above 0 for good; NaN where it does not."""
    found = np.full(len(gap), np.nan)
    for k, curve in enumerate(gap):
        seen = ~np.isnan(curve)
        d, x = curve[seen], at[seen]
        behind = np.flatnonzero(d <= 0)
        if len(behind) and behind[-1] + 1 < len(d):
            i = behind[-1]
            found[k] = x[i] + (x[i + 1] - x[i]) * -d[i] / (d[i + 1] - d[i])
    return found


def _same(runs: Mapping[str, list[Runs]]) -> None:
    (first, wanted), *others = runs.items()
    for name, families in others:
        for what in ("family", "benchmarks"):
            a, b = ([getattr(one, what) for one in x] for x in (wanted, families))
            if a != b:
                raise InputError(f"views {first!r} and {name!r} differ in {what}: {a[:3]} and {b[:3]}")
