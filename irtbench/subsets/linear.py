r"""The best linear prediction of the full score from some responses.

.. math:: \hat s = E[s] + \operatorname{Cov}(s, y_S)\, \operatorname{Var}(y_S)^{-1} (y_S - E[y_S])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irtbench.subsets.moments import Moments

__all__ = ["Linear"]

_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Linear:
    """Second moments of the responses to the chosen items and of the full score.

    Attributes:
        mean: mean response (size,).
        cov: covariance of the responses (size, size).
        with_score: their covariance with the full score (size,).
        score: mean and variance of the full score (2,).
    """

    mean: np.ndarray
    cov: np.ndarray
    with_score: np.ndarray
    score: np.ndarray

    @classmethod
    def of(cls, moments: Moments, full: np.ndarray, chosen: np.ndarray) -> Linear:
        """Restrict the moments of all items to the chosen ones and to the score with weights ``full``.

        Example:
            >>> twins = Moments(np.zeros(2), np.ones((1, 2)), np.full(2, 1e-6))
            >>> about = Linear.of(twins, np.array([0.5, 0.5]), np.array([0]))
            >>> about(np.array([[0.3]]), np.array([True]))[0].round(3).tolist()
            [0.3]
        """
        x, along, noise = moments.features[:, chosen], moments.features @ full, moments.noise
        return cls(
            moments.mean[chosen],
            x.T @ x + np.diag(noise[chosen]),
            x.T @ along + noise[chosen] * full[chosen],
            np.array([moments.mean @ full, along @ along + noise @ full**2]),
        )

    def __call__(
        self, values: np.ndarray, seen: np.ndarray, shift: float = 0.0
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Predict the full score.

        Args:
            values: (n_models, n_seen) responses to the items seen.
            seen: (size,) which of the chosen items they are.
            shift: further variance of a shift that all items share, in squared score units.

        Returns:
            Scores (n_models,), the variance of their errors, and the log density of the responses, up to
            a constant (n_models,).
        """
        root = np.linalg.cholesky(self.cov[np.ix_(seen, seen)] + shift)
        z = np.linalg.solve(root, (values - self.mean[seen]).T)
        u = np.linalg.solve(root, self.with_score[seen] + shift)
        variance = max(float(self.score[1] + shift - u @ u), _LEAST)
        density = -0.5 * (z**2).sum(axis=0) - np.log(np.diag(root)).sum()
        return self.score[0] + u @ z, variance, density
