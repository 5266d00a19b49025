r"""Item parameters, and what they say at nodes of ability: coefficients of the statistics, derivatives.

A response is right with probability

.. math:: P_i(θ) = c_i + (d_i - c_i)\, σ(z),\quad z = a_i (θ - b_i)

and k of n trials are binomial. A continuous response y in [0, 1] has mean P as well. Family
``bernoulli`` treats it as a share of one trial: a quasi-likelihood whose variance bounds that of any
response in [0, 1] with the same mean (Papke & Wooldridge 1996,
https://doi.org/10.1002/(SICI)1099-1255(199611)11:6<619::AID-JAE418>3.0.CO;2-1). Family ``beta`` is a
likelihood: y ~ Beta(Pφ, (1 - P)φ) with a precision φ an item; φ < 2 gives U shapes (Ferrari & Cribari-Neto
2004, https://doi.org/10.1080/0266476042000214501). Of a y within ε of 0 or 1 only that is known (censored,
as in Tobin 1958, https://doi.org/10.2307/1907382), with the leading term of the incomplete beta function,

.. math:: P(y < ε) ≈ ε^{α} / (α\, B(α, β)),\quad α = Pφ,\ β = (1 - P)φ

so that exact zeros and ones are welcome, and φ → 0 is the Bernoulli family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from irtbench.irt.cells import EXACT

__all__ = ["ItemParameters", "coefficients", "derivatives", "powers", "shared_information"]

_MAX_LOGIT = 30.0  # beyond, float32 gives log 0: reached by a stray draw alone
_MAX_ASYMPTOTE = 12.0
_LEAST_RISE = 1e-3  # of d - c by 1 - c: where c reaches d the item is flat, and d has no say
_MAX_LOG_PRECISION = 9.0


@dataclass(frozen=True)
class ItemParameters:
    """Unconstrained item parameters (n_items,); None where the IRT model has no such parameter.

    Attributes:
        b: difficulty.
        log_a: log of the discrimination's absolute value.
        logit_c: lower asymptote; None where c = 0.
        logit_d: upper asymptote; None where d = 1.
        log_phi: precision of the beta family; None for others.
        sign: 1 or -1, the sign of the discrimination; None where all are positive.
    """

    b: Tensor
    log_a: Tensor
    logit_c: Tensor | None = None
    logit_d: Tensor | None = None
    log_phi: Tensor | None = None
    sign: Tensor | None = None

    def take(self, part: Any) -> ItemParameters:
        """These items."""
        given = (self.b, self.log_a, self.logit_c, self.logit_d, self.log_phi, self.sign)
        return ItemParameters(*(None if x is None else x[part] for x in given))  # type: ignore[arg-type]

    @property
    def a(self) -> Tensor:
        """Signed discrimination."""
        a = self.log_a.exp()
        return a if self.sign is None else a * self.sign

    @property
    def steepest(self) -> float:
        """Discrimination that nearly all stay below: the 99 % quantile, of a sample where there are many."""
        return float(torch.quantile(self.log_a[:: max(1, len(self.log_a) // 10_000)], 0.99).exp())

    @property
    def plain(self) -> bool:
        """Whether P = σ(z) and responses are Bernoulli."""
        return self.logit_c is None and self.logit_d is None and self.log_phi is None

    @property
    def c(self) -> Tensor:
        """Lower asymptote."""
        if self.logit_c is None:
            return torch.zeros((), device=self.b.device)
        return torch.sigmoid(self.logit_c.clamp(-_MAX_ASYMPTOTE, _MAX_ASYMPTOTE))

    @property
    def d(self) -> Tensor:
        """Upper asymptote."""
        if self.logit_d is None:
            return torch.ones((), device=self.b.device)
        return torch.sigmoid(self.logit_d.clamp(-_MAX_ASYMPTOTE, _MAX_ASYMPTOTE))

    @property
    def phi(self) -> Tensor:
        """Precision of the beta family."""
        assert self.log_phi is not None
        return self.log_phi.clamp(-_MAX_LOG_PRECISION, _MAX_LOG_PRECISION).exp()


def powers(t: Tensor) -> Tensor:
    """1 and t, (n_nodes, 2): a straight line at abilities t is their product with its two coefficients."""
    return torch.stack([torch.ones_like(t), t], dim=1).float()


def coefficients(t: Tensor, items: ItemParameters) -> list[Tensor]:
    """Coefficients of the statistics of :class:`Cells` at nodes t, each (n_nodes, n_items).

    The first of plain items is z, a straight line, and told by its coefficients of 1 and t, (2, n_items).
    """
    if items.plain:
        line = torch.stack([-items.a * items.b, items.a])
        return [line, logsigmoid(-(powers(t) @ line))]
    z = _logit(t, items)
    p, q = _curve(z, items)
    log_p, log_q = p.log(), q.log()
    found = [log_p - log_q, log_q]
    if items.log_phi is not None:
        log_phi, rest = items.phi.log(), _log_gammas(p, q, items.phi)
        found = [log_p + log_phi, log_q + log_phi, p * items.phi, q * items.phi, -log_phi - rest]
    return found


def derivatives(t: Tensor, items: ItemParameters, statistics: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Gradient (n_items, K) and Fisher information (n_items, K, K) of the log-likelihood.

    The K parameters are b, log a, and those of logit c, logit d and log φ that the items have.

    Args:
        t: nodes (n_nodes,).
        items: item parameters.
        statistics: gathered at the nodes, each (n_nodes, n_items); the first of plain items with 1 and
            ability, (2, n_items).
    """
    if items.plain:
        return _plain_derivatives(t, items, statistics)
    z = _logit(t, items)
    _, slopes = _slopes(z, items)
    p, q = _curve(z, items)
    by_p, information, *precision = _by_mean(p, q, items, statistics)
    gradient = [(x * by_p).sum(0) for x in slopes]
    weighted = [x * information for x in slopes]
    k = len(slopes) + (items.log_phi is not None)
    fisher = z.new_empty(z.shape[1], k, k)
    for i, x in enumerate(weighted):
        for j in range(i + 1):
            fisher[:, i, j] = fisher[:, j, i] = (x * slopes[j]).sum(0)
    if precision:
        by_phi, cross, own = precision
        gradient.append(by_phi.sum(0))
        for j, x in enumerate(slopes):
            fisher[:, -1, j] = fisher[:, j, -1] = (x * cross).sum(0)
        fisher[:, -1, -1] = own.sum(0)
    return torch.stack(gradient, dim=1), fisher


def _plain_derivatives(
    t: Tensor, items: ItemParameters, statistics: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Derivatives of the 1PL and 2PL: residuals and weights, summed with 1, t - b and its square."""
    right, trials = statistics
    a, b, line = items.a, items.b, powers(t)
    s = torch.sigmoid(line @ torch.stack([-a * b, a]))
    expected = trials * s
    residual, by_t = right - line.T @ expected
    weight = torch.addcmul(expected, expected, s, value=-1.0)
    w0, w1, w2 = torch.cat([line, line[:, 1:] ** 2], dim=1).T @ weight
    away, square = w1 - b * w0, w2 - 2 * b * w1 + b**2 * w0
    fisher = (a**2 * torch.stack([w0, -away, -away, square])).T.reshape(-1, 2, 2)
    return torch.stack([-a * residual, a * (by_t - b * residual)], dim=1), fisher


def shared_information(t: Tensor, items: ItemParameters) -> list[Tensor]:
    """Fisher information that ability and each item parameter share, each (n_nodes, n_items)."""
    z = _logit(t, items)
    by_theta, slopes = _slopes(z, items)
    p, q = _curve(z, items)
    if items.log_phi is None:
        return [by_theta * x / (p * q) for x in slopes]
    information, cross, _ = _beta_information(p, q, items.phi)
    return [by_theta * x for x in (*(information * x for x in slopes), cross)]


def _slopes(z: Tensor, items: ItemParameters) -> tuple[Tensor, list[Tensor]]:
    """Slope of P by ability, and by each parameter of the curve."""
    s, r = torch.sigmoid(z), torch.sigmoid(-z)
    rise, flat = _rise(items)
    u = rise * s * r
    slopes = [-items.a * u, z * u]
    if items.logit_c is not None:
        slopes.append(items.c * (1 - items.c) * torch.where(flat, 1 - _LEAST_RISE * s, r))
    if items.logit_d is not None:
        slopes.append(items.d * (1 - items.d) * s * ~flat)
    return items.a * u, slopes


def _rise(items: ItemParameters) -> tuple[Tensor, Tensor]:
    """How far P rises from c, and whether c has reached d."""
    rise, least = items.d - items.c, _LEAST_RISE * (1 - items.c)
    return torch.maximum(rise, least), rise < least


def _by_mean(p: Tensor, q: Tensor, items: ItemParameters, statistics: Sequence[Tensor]) -> list[Tensor]:
    """Derivative and information by P; then for the beta family by log φ: derivative, cross, information."""
    if items.log_phi is None:
        right, trials = statistics
        return [(right - trials * p) / (p * q), trials / (p * q)]
    phi = items.phi
    above, below, log_y, log_1y, number = statistics
    one, two = p * phi, q * phi
    psi_one, psi_two, psi = (torch.digamma(1 + x) for x in (one, two, phi))
    by_p = above / p - below / q + phi * (log_y - log_1y - number * (psi_one - psi_two))
    by_phi = above + below - number + one * log_y + two * log_1y
    by_phi = by_phi - number * (one * psi_one + two * psi_two - phi * psi)
    information, cross, own = (number * x for x in _beta_information(p, q, phi))
    return [by_p, information, by_phi, cross, own]


def _beta_information(p: Tensor, q: Tensor, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fisher information of a censored beta response by P, by P and log φ, and by log φ."""
    one, two = p * phi, q * phi
    rest, log_end = _log_gammas(p, q, phi), math.log(EXACT)
    above, below = (
        -torch.expm1((log_share + x * log_end - rest).clamp(max=-1e-6))
        for log_share, x in ((q.log(), one), (p.log(), two))
    )  # 1 - P(y < ε), 1 - P(y > 1 - ε)
    tri_one, tri_two, tri = (torch.polygamma(1, 1 + x) for x in (one, two, phi))
    information = above / p**2 + below / q**2 + phi**2 * (tri_one + tri_two)
    cross = above / p - below / q + phi * (one * tri_one - two * tri_two)
    own = above + below - 1 + one**2 * tri_one + two**2 * tri_two - phi**2 * tri
    return information, cross, own.clamp_min(1e-6)


def _log_gammas(p: Tensor, q: Tensor, phi: Tensor) -> Tensor:
    """Log B(Pφ, (1 - P)φ) less its poles at 0: log Γ(1 + α) + log Γ(1 + β) - log Γ(1 + φ)."""
    return torch.lgamma(1 + p * phi) + torch.lgamma(1 + q * phi) - torch.lgamma(1 + phi)


def _logit(t: Tensor, items: ItemParameters) -> Tensor:
    return ((t.to(items.b.dtype)[:, None] - items.b) * items.a).clamp(-_MAX_LOGIT, _MAX_LOGIT)


def _curve(z: Tensor, items: ItemParameters) -> tuple[Tensor, Tensor]:
    """P and 1 - P, each without cancellation."""
    if items.logit_c is None and items.logit_d is None:
        return torch.sigmoid(z), torch.sigmoid(-z)
    rise, flat = _rise(items)
    top = torch.where(flat, (1 - _LEAST_RISE) * (1 - items.c), 1 - items.d)  # P + (1 - P) = 1 there too
    return items.c + rise * torch.sigmoid(z), top + rise * torch.sigmoid(-z)
