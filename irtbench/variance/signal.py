"""Signal and noise: whether a benchmark can tell training runs apart, at this scale and at the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.variance.spread import as_curves, final
from irtbench.variance.standard_errors import stated

__all__ = ["checkpoint_noise", "signal_and_noise", "snr"]


def snr(
    scores: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    chance: float | np.ndarray | None = None,
    higher_is_better: bool = True,
    ddof: int = 1,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Signal-to-noise ratio over seeds at the last checkpoint, as in the paper, and above chance.

    .. math:: SNR = \bar S_T / \mathrm{std}_r(S_{rT}),\qquad (\bar S_T - c) / \mathrm{std}_r(S_{rT})

    The first calls a benchmark at chance precise if all seeds guess alike; the second does not. The
    interval is that of μ/σ for normal scores, from its generalised pivotal quantity
    :math:`\sqrt{χ^2/ν}\,\bar S/s - Z/\sqrt R`, which is the exact one of the noncentral t.

    Args:
        scores: (n_seeds, n_steps) or (n_seeds, n_steps, n_groups), NaN where a run is missing.
        names: name of each group (benchmark).
        chance: score of guessing, for each group or all; None leaves the second ratio out.
        higher_is_better: False for a loss, whose second ratio is of :math:`c - \bar S_T`.
        ddof: of the standard deviation; the paper does not say.
        level: coverage.
        resamples: draws behind the intervals.
        seed: of these draws.

    Returns:
        Table with a row a group: ``mean``, ``std``, ``snr``, ``snr_low``, ``snr_high``, ``snr_chance``,
        ``snr_chance_low``, ``snr_chance_high``, ``n_seeds``. Infinite where all seeds score the same.

    References:
        Madaan et al. (2024), https://arxiv.org/abs/2406.10229, table 2

    Example:
        >>> table = snr(np.array([[0.30], [0.31], [0.32]]), chance=0.25)
        >>> table[["snr", "snr_chance"]].round(1).to_dict("records")
        [{'snr': 31.0, 'snr_chance': 6.0}]
    """
    y = as_curves(scores)
    n_groups = y.shape[2]
    floor = np.broadcast_to(np.nan if chance is None else np.asarray(chance, dtype=float), (n_groups,))
    sign = 1 if higher_is_better else -1
    rng = np.random.default_rng(seed)
    normal, uniform = rng.standard_normal(resamples), rng.random(resamples)
    tails = [(1 - level) / 2, (1 + level) / 2]
    rows = []
    for g in range(n_groups):
        last = final(y[..., g])
        n, mean = len(last), float(last.mean())
        std = float(last.std(ddof=ddof)) if n > 1 else np.nan
        row = {"mean": mean, "std": std}
        for name, above in (("snr", mean), ("snr_chance", sign * (mean - floor[g]))):
            low, high = _ratio_limits(above, last, normal, uniform, tails)
            value = above / std if std > 0 else np.copysign(np.inf, above) if std == 0 else np.nan
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        rows.append(row | {"n_seeds": n})
    return _by_group(rows, names, ddof=ddof, level=level, interval="generalised", step="last", seed=seed)


def checkpoint_noise(
    scores: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    last: int = 5,
    detrend: bool = False,
    ddof: int = 1,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Standard deviation of a run over its last checkpoints: what seed noise costs nothing to guess from.

    .. math:: \frac1R \sum_r \mathrm{std}_{t > T - n}(S_{rt})

    Args:
        scores: (n_runs, n_steps) or (n_runs, n_steps, n_groups), NaN where a run is missing.
        names: name of each group (benchmark).
        last: number of last checkpoints.
        detrend: take each run's straight line out first, so that learning does not count as noise.
        ddof: 1 or 0, besides the one degree of freedom that a line takes.
        level: coverage of the interval, by chi-square of the average variance, checkpoints taken as
            independent (noise that lasts from one to the next makes it too narrow).

    Returns:
        Table with a row a group: ``noise``, ``noise_low``, ``noise_high``, ``relative`` (to the mean),
        ``seed_std`` at the last checkpoint for comparison (NaN for one run), ``ratio`` of the two,
        ``df``.

    Raises:
        InputError: too few checkpoints.

    References:
        Heineman et al. (2025), Signal and Noise, https://arxiv.org/abs/2508.13144

    Example:
        >>> scores = np.array([[0.1, 0.5, 0.6, 0.4], [0.1, 0.5, 0.4, 0.6]])
        >>> checkpoint_noise(scores, last=3)[["noise", "relative"]].round(2).to_dict("records")
        [{'noise': 0.1, 'relative': 0.2}]
    """
    from scipy.stats import chi2

    y = as_curves(scores)
    free = ddof + detrend
    if last < 2 + detrend or y.shape[1] < last:
        raise InputError(
            f"noise over the last {last} checkpoints needs that many, and {2 + detrend} or more; the runs"
            f" have {y.shape[1]}"
        )
    tail = y[:, -last:]
    if detrend:
        time = np.arange(last) - (last - 1) / 2
        slope = np.einsum("rtg,t->rg", tail, time) / (time**2).sum()
        residual = tail - slope[:, None] * time[:, None]
    else:
        residual = tail
    squares = ((residual - residual.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    std = np.sqrt(squares / (last - free)) if last > free else np.full(squares.shape, np.nan)
    rows = []
    for g in range(y.shape[2]):
        own = std[~np.isnan(std[:, g]), g]
        if len(own) == 0:
            rows.append(dict.fromkeys(_NOISE, np.nan))
            continue
        noise, mean = own.mean(), np.nanmean(tail[..., g])
        df = len(own) * (last - 1.0 - detrend)
        end = final(y[..., g])
        seed_std = end.std(ddof=1) if len(end) > 1 else np.nan
        pooled = np.sqrt((own**2).mean() * (last - free) / (last - 1 - detrend))
        low, high = (pooled * np.sqrt(df / chi2.ppf(q, df)) for q in ((1 + level) / 2, (1 - level) / 2))
        ratio = noise / seed_std if seed_std > 0 else np.nan
        found = (noise, low, high, noise / mean if mean else np.nan, seed_std, ratio, df)
        rows.append(dict(zip(_NOISE, found, strict=True)))
    return _by_group(rows, names, last=last, detrend=detrend, ddof=ddof, level=level, interval="chi2")


def signal_and_noise(
    scores: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    external: np.ndarray | None = None,
    last: int = 5,
    detrend: bool = False,
    ddof: int = 1,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Relative dispersion of models over the relative noise of their last checkpoints.

    .. math:: \text{signal} = \max_{jk} |m_j - m_k| / \bar m,\quad
              \text{noise} = \mathrm{std}_{t > T-n} / \bar m,\quad SNR = \text{signal} / \text{noise}

    Args:
        scores: (n_models, n_steps) or (n_models, n_steps, n_groups) of models trained with similar
            compute; m_j is a model's mean over its last checkpoints.
        names: name of each group (benchmark).
        external: (n_others,) or (n_others, n_groups) scores of the models that show the signal, where
            they are not the ones that show the noise.
        last: number of last checkpoints.
        detrend: see :func:`checkpoint_noise`.
        ddof: 1 as in the paper, 0 as in the code released with it.
        level: coverage of the interval, which is that of the noise; the models are taken as given.

    Returns:
        Table with a row a group: ``signal``, ``noise``, ``snr``, ``snr_low``, ``snr_high``, ``n_models``.

    References:
        Heineman et al. (2025), https://arxiv.org/abs/2508.13144

    Example:
        >>> scores = np.array([[0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
        >>> signal_and_noise(scores, last=3)[["signal", "noise", "snr"]].round(2).to_dict("records")
        [{'signal': 0.46, 'noise': 0.15, 'snr': 3.0}]
    """
    y = as_curves(scores)
    noise = checkpoint_noise(y, last=last, detrend=detrend, ddof=ddof, level=level)
    own = y[:, -last:].mean(axis=1)
    shown = own if external is None else np.asarray(external, dtype=float).reshape(-1, y.shape[2])
    if len(shown) < 2:
        raise InputError("signal is a difference of models; give two or more")
    centre = np.nanmean(shown, axis=0)
    signal = (np.nanmax(shown, axis=0) - np.nanmin(shown, axis=0)) / centre
    rows = []
    for g in range(y.shape[2]):
        level_of_noise = np.nanmean(own[:, g])
        relative = [float(noise[c].iloc[g]) / level_of_noise for c in ("noise", "noise_high", "noise_low")]
        ratios = [signal[g] / x if x > 0 else np.inf for x in relative]
        rows.append(
            {"signal": signal[g], "noise": relative[0], "snr": ratios[0]}
            | {"snr_low": ratios[1], "snr_high": ratios[2], "n_models": len(shown)}
        )
    return _by_group(rows, names, last=last, detrend=detrend, ddof=ddof, level=level, interval="of the noise")


_NOISE = ("noise", "noise_low", "noise_high", "relative", "seed_std", "ratio", "df")


def _ratio_limits(
    mean: float, last: np.ndarray, normal: np.ndarray, uniform: np.ndarray, tails: list[float]
) -> tuple[float, float]:
    from scipy.stats import chi2

    n = len(last)
    std = last.std(ddof=1) if n > 1 else 0.0
    if n < 2 or np.isnan(mean) or std == 0:
        return np.nan, np.nan
    nu = n - 1
    draws = mean / std * np.sqrt(chi2.ppf(uniform, nu) / nu) - normal / np.sqrt(n)
    low, high = np.quantile(draws, tails)
    return float(low), float(high)


def _by_group(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None, **choices: object
) -> pd.DataFrame:
    table = stated({column: [row[column] for row in rows] for column in rows[0]}, **choices)
    table.index = pd.Index(range(len(rows)) if names is None else list(names), name="benchmark")
    return table
