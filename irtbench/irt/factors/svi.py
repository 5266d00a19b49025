"""Stochastic variational inference: the loop, and the judgement that the ELBO is flat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from pyro.infer import Trace_ELBO
from torch import nn

__all__ = ["Outcome", "maximise_elbo"]

_WINDOW = 10  # steps over which the ELBO is averaged
_RATES = (0.2, 0.08, 0.03)  # step sizes, in posterior sds; the next one after each plateau
_TOLERANCE = 0.5  # nats between two windows
_MAX_MOVE = 0.5  # posterior sds in one step
_MAX_STRAYS = 10  # draws that overflow and are left out


@dataclass(frozen=True)
class Outcome:
    """How the optimisation went.

    Attributes:
        elbo: one-sample ELBO of each step, or the objective of each pass, in nats.
        converged: whether the last plateau was reached.
        message: the same in words, with what to try if not.
    """

    elbo: np.ndarray
    converged: bool
    message: str


def maximise_elbo(
    model: Callable[[], None],
    guide: nn.Module,
    *,
    max_steps: int = 1000,
    report: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Raise the ELBO by gradient steps of unit curvature until it is flat at ever smaller step sizes.

    A plateau: the mean ELBO of the last ten steps exceeds that of the ten before by less than half a nat
    or two standard errors. The guide is left at the mean of its parameters over the steps at the last
    step size (Polyak averaging).

    Args:
        model: the Pyro model.
        guide: the guide's rows, changed in place.
        max_steps: steps after which to give up.
        report: called with the step and the ELBO.
    """
    elbo = Trace_ELBO()(model, _guide(guide))
    parameters = dict(guide.named_parameters())
    trace: list[float] = []
    average = {name: torch.zeros_like(p) for name, p in parameters.items()}
    level, since, strays = 0, 0, 0
    while level < len(_RATES) and len(trace) < max_steps:
        loss = elbo()
        if not torch.isfinite(loss):
            strays += 1
            if strays > _MAX_STRAYS:
                return Outcome(
                    np.array(trace), False, f"the ELBO was not finite {strays} times; try another seed"
                )
            continue
        _step(loss, parameters, _RATES[level])
        trace.append(-float(loss.detach()))
        since += 1
        share = 1 / since
        for name, p in parameters.items():
            average[name].lerp_(p.detach(), share)
        if report is not None:
            report(len(trace), trace[-1])
        if since >= 2 * _WINDOW and since % _WINDOW == 0 and _flat(trace):
            level, since = level + 1, 0
    converged = level == len(_RATES)
    if converged:
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(average[name])
    return Outcome(np.array(trace), converged, _message(converged, len(trace)))


def _guide(rows: nn.Module) -> Callable[[], None]:
    def guide() -> None:
        for site, row in rows.items():  # type: ignore[operator]
            row.sample(site)

    return guide


def _step(loss: torch.Tensor, parameters: dict[str, nn.Parameter], rate: float) -> None:
    """Move against the gradient, by ``rate`` over the curvature."""
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    with torch.no_grad():
        for (name, p), gradient in zip(parameters.items(), gradients, strict=True):
            p.sub_((rate / _curvature(name, p) * gradient).clamp(-_MAX_MOVE, _MAX_MOVE))


def _curvature(name: str, p: nn.Parameter) -> float:
    """1, but 2 for the log of a scale, and more for large factors, whose gradient from one draw is wild."""
    if name.endswith("delta"):
        return 1.0
    return (2.0 if name.endswith("log_diagonal") else 1.0) * max(1.0, (p.shape[-1] + 1) / 4)


def _flat(trace: list[float]) -> bool:
    last, before = np.array(trace[-_WINDOW:]), np.array(trace[-2 * _WINDOW : -_WINDOW])
    noise = np.sqrt((last.var(ddof=1) + before.var(ddof=1)) / _WINDOW)
    return bool(last.mean() - before.mean() < max(_TOLERANCE, 2 * noise))


def _message(converged: bool, steps: int) -> str:
    if converged:
        return f"converged: the ELBO was flat after {steps} steps"
    return (
        f"not converged after {steps} steps: the ELBO still rises; try another seed, fewer dimensions,"
        " or look for items and models with very few responses"
    )
