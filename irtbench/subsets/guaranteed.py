r"""Scores whose interval holds whatever the IRT model: random items, predictions corrected by them.

With predictions p that were made before item I was drawn, with probability q(I), from the items U still open,

.. math:: φ = \sum_{i ∉ U} f_i y_i + \sum_{i ∈ U} f_i p_i + f_I \frac{y_I - p_I}{q(I)}

has the full score :math:`\sum_i f_i y_i` for its expectation, whatever p is. Good predictions make it
precise, and its variance over the draws can be seen in the residuals :math:`y - p`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from irtbench.errors import InputError
from irtbench.responses.matrix import ResponseMatrix
from irtbench.subsets.estimators import patterns
from irtbench.subsets.latent import NARROW, Latent, posterior
from irtbench.subsets.moments import WIDE
from irtbench.subsets.predictor import Predictor

__all__ = ["active", "difference"]

_FOLDS = 5
_UNIFORM = 0.2  # share of every draw that looks at nothing: no item's probability gets small
_PSEUDO = 2.0  # responses of prior weight in a variance: strata where no residual was seen keep one


def expected(latent: Latent, chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Probability of every response given those seen: the narrow and the wide reach, by their evidence."""
    narrow, wide = (posterior(latent, chosen, values, reach) for reach in (NARROW, WIDE))
    share = expit(wide.evidence - narrow.evidence)[:, None]
    return np.asarray((1 - share) * narrow.probability + share * wide.probability)


def difference(
    predictor: Predictor, strata: np.ndarray, values: np.ndarray, level: float = 0.9, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Cross-fitted difference estimate from a stratified random sample, and its interval.

    The sample is cut into five parts; each part's residuals correct the predictions from the other four:

    .. math:: \hat s = \frac15 \sum_g \Big( \sum_{i ∈ S∖S_g} f_i y_i + \sum_{i ∉ S∖S_g} f_i p_i^{-g}
              + \sum_h \frac{F_{hg}}{n_{hg}} \sum_{i ∈ S_{hg}} (y_i - p_i^{-g}) \Big)

    with :math:`F_{hg}` the weight of stratum h's items outside :math:`S∖S_g`. Each term is unbiased over
    the drawing of the sample. The variance is that of a stratified mean of the residuals.

    Args:
        predictor: of the subset; its items were drawn at random within strata.
        strata: code of the benchmark of each item (n_items,).
        values: (n_models, size) responses, NaN where missing.
        level: coverage.
        seed: seed of the parts.

    Returns:
        Scores, lower and upper limits (n_models,), not clipped.

    References:
        Särndal, Swensson & Wretman (1992), Model assisted survey sampling, ch. 6; Zrnic & Candès (2024),
        Cross-prediction-powered inference, https://doi.org/10.1073/pnas.2322083121
    """
    from scipy.stats import t

    score, variance, free = (np.empty(len(values)) for _ in range(3))
    for rows, seen in patterns(~np.isnan(values)):
        at = predictor.chosen[seen]
        found = _corrected(predictor.latent, predictor.full, strata, at, values[rows][:, seen], seed)
        score[rows], variance[rows] = found
        free[rows] = max(len(at) - len(np.unique(strata[at])), 1)
    half = t.ppf((1 + level) / 2, free) * np.sqrt(variance)
    return score, score - half, score + half


def _corrected(
    latent: Latent, full: np.ndarray, strata: np.ndarray, at: np.ndarray, y: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    own = strata[at]
    part = _parts(own, seed)
    residual, spread = np.empty(y.shape), np.empty(y.shape)
    scores = []
    for g in range(part.max() + 1):
        rest, tested = part != g, part == g
        if rest.any():
            p = expected(latent, at[rest], y[:, rest])
        else:
            p = np.tile(posterior(latent, at[:0], y[:, :0], NARROW).probability[:1], (len(y), 1))
        residual[:, tested], spread[:, tested] = y[:, tested] - p[:, at[tested]], (p * (1 - p))[:, at[tested]]
        open_ = np.ones(len(full), dtype=bool)
        open_[at[rest]] = False
        total = y[:, rest] @ full[at[rest]] + p[:, open_] @ full[open_]
        for h in np.unique(own[tested]):
            weight = full[open_ & (strata == h)].sum()
            total = total + weight * residual[:, tested & (own == h)].mean(axis=1)
        scores.append(total)
    variance = np.zeros(len(y))
    for h in range(strata.max() + 1):
        mine = own == h
        n, size = int(mine.sum()), int((strata == h).sum())
        weight = full[strata == h].sum()
        if not n:  # nothing seen of it: its prediction may be off by as much as a response varies
            variance += weight**2 * 0.25
            continue
        square = (residual[:, mine] ** 2).sum(axis=1) + _PSEUDO * spread[:, mine].mean(axis=1)
        variance += weight**2 * (1 - n / size) / n * square / (n - 1 + _PSEUDO)
    return np.mean(scores, axis=0), variance


def _parts(own: np.ndarray, seed: int) -> np.ndarray:
    """Part of each item seen, so that every stratum with enough items is in each part."""
    rng = np.random.default_rng(seed)
    part, at = np.empty(len(own), dtype=int), 0
    folds = max(min(_FOLDS, int(np.bincount(own)[np.unique(own)].min())), 1) if len(own) else 1
    folds = max(folds, min(2, len(own)))
    for h in np.unique(own):
        mine = rng.permutation(np.flatnonzero(own == h))
        part[mine] = (np.arange(len(mine)) + at) % folds
        at += len(mine)
    return part


def active(
    predictor: Predictor,
    responses: ResponseMatrix,
    size: int,
    *,
    level: float = 0.9,
    batch: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Draw items for each model as its answers come in, and correct the predictions: on a complete matrix.

    Items are drawn without replacement, in batches, with probability proportional to
    :math:`f_i \sqrt{p_i (1 - p_i)}` (which would make the correction most precise were p right), mixed with
    20 % of :math:`f_i`; p is predicted anew after each batch. The estimate is the mean of all φ, weighted by
    the precision that was predicted before each draw; a weight that looks at no later answer keeps it
    unbiased.

    Args:
        predictor: from a subset of the same benchmark; which items that chose is not used.
        responses: (n_models, n_items) to all items of the benchmark, in its order.
        size: items that each model answers.
        level: coverage of the interval.
        batch: items between two predictions.
        seed: seed of the draws.

    Returns:
        DataFrame by model: ``score``, ``lower``, ``upper``, ``gain``: items that a uniform sample would
        have needed for the same standard error, for each that was answered.

    Raises:
        InputError: missing responses, other items, or a size out of range.

    References:
        Wu, Nair & Candès (2026), Efficiently evaluating LLMs: Factorized Active Querying,
        https://arxiv.org/abs/2601.20251

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets import select
        >>> R = simulate(n_models=60, n_items=300, seed=0).responses
        >>> S = select(R.take(models=slice(0, 50)), 30)
        >>> new = R.take(models=slice(50, 60))
        >>> found = active(S.predictor, new, 60)
        >>> bool((found["score"] - new.scores()).abs().mean() < 0.08)
        True
    """
    full, n_items = predictor.full, len(predictor.full)
    y = responses.values.astype(float)
    if responses.n_items != n_items:
        raise InputError(f"the predictor is of {n_items} items, the responses of {responses.n_items}")
    if np.isnan(y).any():
        raise InputError("active drawing is simulated on complete responses; leave out incomplete models")
    if not 2 <= size <= n_items:
        raise InputError(f"size must be from 2 to {n_items}, got {size}")
    rng = np.random.default_rng(seed)
    m, everyone = len(y), np.arange(len(y))
    seen = np.full(y.shape, np.nan)
    open_ = np.ones(y.shape, dtype=bool)
    known, total, weights, squares = (np.zeros(m) for _ in range(4))
    p = np.empty(y.shape)
    for step in range(size):
        if step % batch == 0:
            p = expected(predictor.latent, np.arange(n_items), seen)
        base = np.where(open_, full, 0.0)
        h = base * np.sqrt(p * (1 - p)) + 1e-300
        q = (1 - _UNIFORM) * h / h.sum(axis=1, keepdims=True) + _UNIFORM * base / base.sum(
            axis=1, keepdims=True
        )
        q = np.where(open_, q, 0.0)
        edge = np.cumsum(q, axis=1)
        item = np.minimum((edge < rng.random((m, 1)) * edge[:, -1:]).sum(axis=1), n_items - 1)
        prior = np.where(open_, full**2 * p * (1 - p) / np.maximum(q, 1e-300), 0.0).sum(axis=1)
        weight = 1 / np.maximum(prior, 1e-9)
        answer, guess, chance = y[everyone, item], p[everyone, item], q[everyone, item] / edge[:, -1]
        correction = full[item] * (answer - guess) / chance
        total += weight * (known + (base * p).sum(axis=1) + correction)
        squares += weight**2 * (correction**2 + _PSEUDO * prior / (step + _PSEUDO + 1))
        weights += weight
        known += full[item] * answer
        seen[everyone, item], open_[everyone, item] = answer, False
    from scipy.stats import t

    score, error = total / weights, np.sqrt(squares) / weights
    half = t.ppf((1 + level) / 2, size - 1) * error
    uniform = (1 - size / n_items) / size * (full**2).sum() * n_items * score * (1 - score)
    table = {
        "score": np.clip(score, 0, 1),
        "lower": np.clip(score - half, 0, 1),
        "upper": np.clip(score + half, 0, 1),
        "gain": np.maximum(uniform, 0) / np.maximum(error**2, 1e-12),
    }
    return pd.DataFrame(table, index=responses.models.index)
