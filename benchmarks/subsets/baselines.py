"""The methods to beat, from their published formulas: each takes responses and returns scores of new models.

Written from the formulas in the papers and the description of the released code, not from the code:

* AIPW: Zhang, Dorner & Hardt (2025), https://arxiv.org/abs/2506.07673;
* anchors and gp-IRT: Maia Polo et al. (2024), https://arxiv.org/abs/2402.14992;
* information + ridge follows metabench, Kipnis et al. (2025), https://arxiv.org/abs/2407.12844.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

__all__ = [
    "Board",
    "aipw",
    "anchor_mean",
    "anchors",
    "forest",
    "gp_irt",
    "information",
    "largest",
    "lasso",
    "mirt",
    "pls",
    "point_biserial",
    "ridge",
    "shares",
    "stratified",
]

PENALTIES = np.logspace(-1, 4, 16)


@dataclass(frozen=True, eq=False)
class Board:
    """Calibration responses (n_old, n_items), test responses (n_new, n_items), benchmark codes, weights."""

    old: np.ndarray
    new: np.ndarray
    strata: np.ndarray
    full: np.ndarray

    @property
    def parts(self) -> list[np.ndarray]:
        """Positions of each benchmark's items."""
        return [np.flatnonzero(self.strata == h) for h in range(self.strata.max() + 1)]

    @property
    def share(self) -> np.ndarray:
        """Weight of each benchmark in the full score."""
        return np.bincount(self.strata, self.full)


def shares(board: Board, size: int) -> np.ndarray:
    """Number of items of each benchmark, by its weight in the full score."""
    from irtbench.subsets.sampling import allocate

    return allocate(size, board.share, np.bincount(board.strata))


def stratified(board: Board, size: int, rng: np.random.Generator) -> np.ndarray:
    """A stratified random sample."""
    drawn = [rng.choice(p, n, replace=False) for p, n in zip(board.parts, shares(board, size), strict=True)]
    return np.sort(np.concatenate(drawn))


def ridge(board: Board, chosen: np.ndarray) -> np.ndarray:
    """Cross-validated ridge of the full score on the responses."""
    from sklearn.linear_model import RidgeCV

    fit = RidgeCV(alphas=PENALTIES).fit(board.old[:, chosen], board.old @ board.full)
    return np.asarray(fit.predict(board.new[:, chosen]))


def aipw(board: Board, chosen: np.ndarray) -> np.ndarray:
    """Ridge over items from the old models' responses to the new one's, and the mean residual."""
    from sklearn.linear_model import Ridge

    rest = np.setdiff1d(np.arange(len(board.full)), chosen)
    seen = board.new[:, chosen]
    fit = Ridge(alpha=10).fit(board.old[:, chosen].T, seen.T)
    at_seen, at_rest = fit.predict(board.old[:, chosen].T).T, fit.predict(board.old[:, rest].T).T
    at_seen, at_rest = at_seen.reshape(seen.shape), at_rest.reshape(len(seen), -1)
    score = np.zeros(len(seen))
    for h, weight in enumerate(board.share):
        i, j = board.strata[chosen] == h, board.strata[rest] == h
        if j.any():
            score += weight * at_rest[:, j].mean(axis=1)
        if i.any():
            residual = (seen[:, i] - at_seen[:, i]).mean(axis=1)
            score += weight * residual / (1 + i.sum() / max(j.sum(), 1))
    return score


def pls(board: Board, chosen: np.ndarray) -> np.ndarray:
    """Partial least squares of the full score on the responses, components by cross-validation."""
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.model_selection import cross_val_predict

    x, y = board.old[:, chosen], board.old @ board.full
    most = max(min(6, len(chosen), len(x) * 4 // 5 - 1), 1)
    folds = min(5, len(x))
    error = [
        ((cross_val_predict(PLSRegression(k, scale=False), x, y, cv=folds).ravel() - y) ** 2).mean()
        for k in range(1, most + 1)
    ]
    fit = PLSRegression(int(np.argmin(error)) + 1, scale=False).fit(x, y)
    return np.asarray(fit.predict(board.new[:, chosen])).ravel()


def forest(board: Board, chosen: np.ndarray, seed: int = 0) -> np.ndarray:
    """A random forest of 100 trees from the responses to the full score."""
    from sklearn.ensemble import RandomForestRegressor

    fit = RandomForestRegressor(100, random_state=seed, max_features=1 / 3, min_samples_leaf=2)
    return np.asarray(fit.fit(board.old[:, chosen], board.old @ board.full).predict(board.new[:, chosen]))


def largest(board: Board, size: int, value: np.ndarray) -> np.ndarray:
    """By benchmark the items with the largest value."""
    found = [
        p[np.argsort(-value[p], kind="stable")[:n]]
        for p, n in zip(board.parts, shares(board, size), strict=True)
    ]
    return np.sort(np.concatenate(found))


def point_biserial(board: Board) -> np.ndarray:
    """Correlation of each item with the full score (n_items,); 0 for a constant item."""
    x, score = board.old - board.old.mean(axis=0), board.old @ board.full
    norm = np.sqrt((x**2).sum(axis=0)) * np.sqrt(((score - score.mean()) ** 2).sum())
    return np.where(norm > 0, x.T @ (score - score.mean()) / np.where(norm > 0, norm, 1), 0.0)


def lasso(board: Board, sizes: list[int]) -> dict[int, np.ndarray]:
    """Items on the lasso path with at most so many weights, filled up by their correlation with the score."""
    from sklearn.linear_model import lasso_path

    x, score = board.old - board.old.mean(axis=0), board.old @ board.full
    along = point_biserial(board)
    weights = lasso_path(x, score - score.mean(), alphas=120, eps=1e-4, max_iter=3000)[1]
    count = (np.abs(weights) > 1e-10).sum(axis=0)
    found = {}
    for size in sizes:
        fits = np.flatnonzero(count <= size)
        chosen = list(np.flatnonzero(np.abs(weights[:, fits[np.argmax(count[fits])]]) > 1e-10))
        more = [j for j in np.argsort(-along) if j not in set(chosen)]
        found[size] = np.sort(np.array([*chosen, *more[: size - len(chosen)]], dtype=int))
    return found


def information(
    board: Board, size: int, slope: np.ndarray, intercept: np.ndarray, ability: np.ndarray
) -> np.ndarray:
    """By benchmark, at each quantile of ability (n_old, n_benchmarks) the unused item with most information."""
    chosen = []
    for h, (part, n) in enumerate(zip(board.parts, shares(board, size), strict=True)):
        if not n:
            continue
        theta = np.quantile(ability[:, h], (np.arange(n) + 0.5) / n)
        p = expit(theta[:, None] * slope[part] + intercept[part])
        value = slope[part] ** 2 * p * (1 - p)
        taken = np.zeros(len(part), dtype=bool)
        for row in value:
            taken[np.argmax(np.where(taken, -1.0, row))] = True
        chosen.append(part[taken])
    return np.sort(np.concatenate(chosen))


@dataclass(frozen=True, eq=False)
class Mirt:
    """Slopes (n_items, D), intercepts -b and the validation error of each benchmark."""

    slopes: np.ndarray
    b: np.ndarray
    error: np.ndarray


def mirt(board: Board, dimensions: int = 10, seed: int = 0) -> Mirt:
    """The multidimensional 2PL over all benchmarks, and how well it predicts the items of new models."""
    rows = np.arange(len(board.old))
    held = rows[::5]
    slopes, b = _mirt(board.old[np.setdiff1d(rows, held)], dimensions, seed)
    seen, hidden = np.arange(0, len(b), 2), np.arange(1, len(b), 2)
    theta = _abilities(board.old[held][:, seen], slopes[seen], b[seen], 1.0)
    p = expit(theta @ slopes.T - b)
    error = [
        np.abs(p[:, i].mean(axis=1) - board.old[held][:, i].mean(axis=1)).mean()
        for i in (np.intersect1d(hidden, part) for part in board.parts)
    ]
    return Mirt(*_mirt(board.old, dimensions, seed), np.array(error))


def anchors(
    board: Board, size: int, features: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """K-means on the items' features within each benchmark: the items nearest the centres, cluster weights.

    Two clusters may share an item, so that there may be fewer than ``size``; the weights (n_items,) sum to 1.
    """
    from sklearn.cluster import KMeans

    weight = np.zeros(len(board.full))
    for part, n, share in zip(board.parts, shares(board, size), board.share, strict=True):
        if not n:
            continue
        seed = int(rng.integers(2**31))
        fitted = KMeans(int(n), n_init=1, max_iter=100, random_state=seed).fit(features[part])
        centre = fitted.cluster_centers_
        away = (
            (centre**2).sum(axis=1)[:, None]
            - 2 * centre @ features[part].T
            + (features[part] ** 2).sum(axis=1)
        )
        count = np.bincount(fitted.labels_, minlength=int(n))
        np.add.at(weight, part[away.argmin(axis=1)], share * count / len(part))
    return np.flatnonzero(weight), weight / weight.sum()


def anchor_mean(board: Board, chosen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mean of the anchors' responses by the weights of their clusters."""
    own = weight[chosen] * (board.full[chosen] > 0)
    return (
        np.asarray(board.new[:, chosen] @ own / own.sum()) if own.sum() else np.full(len(board.new), np.nan)
    )


def gp_irt(board: Board, chosen: np.ndarray, weight: np.ndarray, fit: Mirt, prior: float = 0.0) -> np.ndarray:
    """P-IRT mixed with the mean of the anchors; the ability without a prior, as released, or with one."""
    theta = _abilities(board.new[:, chosen], fit.slopes[chosen], fit.b[chosen], prior)
    p = expit(np.clip(theta @ fit.slopes.T - fit.b, -30, 30))
    score = np.zeros(len(board.new))
    for h, (part, share) in enumerate(zip(board.parts, board.share, strict=True)):
        own, unseen = np.intersect1d(chosen, part), np.setdiff1d(part, chosen)
        if not len(own):
            score += share * p[:, part].mean(axis=1)
            continue
        y = board.new[:, own]
        predicted = (len(own) * y.mean(axis=1) + p[:, unseen].sum(axis=1)) / len(part)
        noise = board.old[:, part].var(axis=1).mean() / (4 * len(own))
        mix = fit.error[h] ** 2 / (fit.error[h] ** 2 + noise)
        mean = y @ weight[own] / weight[own].sum()
        score += share * (mix * mean + (1 - mix) * predicted)
    return score


def _mirt(
    y: np.ndarray, dimensions: int, seed: int, steps: int = 300, rate: float = 0.08
) -> tuple[np.ndarray, np.ndarray]:
    """Penalised maximum by Adam: abilities and slopes N(0, 1), difficulties N(0, 3²)."""
    rng = np.random.default_rng(seed)
    y = y.astype(np.float32)
    theta, slopes = rng.normal(0, 0.1, (len(y), dimensions)), rng.normal(0, 0.1, (y.shape[1], dimensions))
    theta[:, 0], slopes[:, 0] = (y.mean(axis=1) - y.mean()) / (y.mean(axis=1).std() + 1e-9), 0.5
    p = np.clip(y.mean(axis=0), 0.01, 0.99)
    at = [theta.astype(np.float32), slopes.astype(np.float32), -np.log(p / (1 - p)).astype(np.float32)]
    first, second = [np.zeros_like(x) for x in at], [np.zeros_like(x) for x in at]
    for t in range(1, steps + 1):
        e = expit(at[0] @ at[1].T - at[2]) - y
        gradient = [e @ at[1] + at[0], e.T @ at[0] + at[1], -e.sum(axis=0) + at[2] / 9]
        step = rate * (1 if t < 0.6 * steps else 0.3)
        for k, g in enumerate(gradient):
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 0.001 * g**2
            at[k] = at[k] - step * (first[k] / (1 - 0.9**t)) / (np.sqrt(second[k] / (1 - 0.999**t)) + 1e-8)
    return at[1].astype(float), at[2].astype(float)


def _abilities(y: np.ndarray, slopes: np.ndarray, b: np.ndarray, prior: float) -> np.ndarray:
    """Abilities by Newton, with prior precision ``prior`` or without."""
    d = slopes.shape[1]
    outer = (slopes[:, :, None] * slopes[:, None, :]).reshape(len(slopes), d * d)
    theta = np.zeros((len(y), d))
    for _ in range(40):
        p = expit(np.clip(theta @ slopes.T - b, -30, 30))
        hessian = ((p * (1 - p)) @ outer).reshape(-1, d, d) + np.eye(d) * max(prior, 1e-3)
        step = np.linalg.solve(hessian, ((y - p) @ slopes - prior * theta)[..., None])[..., 0]
        step *= np.minimum(1, 2 / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9))
        theta = theta + step
        if np.abs(step).max() < 1e-6:
            break
    return np.clip(theta, -8, 8)
