"""Stochastic variational inference: the loop, and the judgement that the ELBO is flat."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyro
import torch
from pyro.infer import Trace_ELBO

from irtbench.irt.guide import NormalGuide
from irtbench.irt.recipes import Steps

__all__ = ["Outcome", "maximise_elbo", "pyro_isolated"]

_MAX_STRAYS = 20  # draws that overflow and are left out
_MAX_STEP = 0.5  # posterior sds that a parameter moves in one step


@dataclass(frozen=True)
class Outcome:
    """How the optimisation went.

    Attributes:
        elbo: one-sample ELBO of each step, in nats.
        converged: whether the last plateau was reached.
        message: the same in words, with what to try if not.
    """

    elbo: np.ndarray
    converged: bool
    message: str


@contextmanager
def pyro_isolated(seed: int, device: torch.device) -> Iterator[None]:
    """Run Pyro without a trace: no global parameters, validation off, random state put back."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        pyro.settings.context(module_local_params=True),
        pyro.validation_enabled(False),
    ):
        torch.default_generator.manual_seed(seed)  # torch's own call would queue seeds for devices not in use
        for one in devices:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


def maximise_elbo(
    model: Callable[[], None],
    guide: NormalGuide,
    settings: Steps,
    n_items: int,
    report: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Fit the guide by stochastic gradients until the ELBO is flat.

    In the guide's whitened coordinates the ELBO of a normal posterior has curvature 1 by a mean or an
    element below the diagonal of T, and 2 by a log of its diagonal, so a step along the gradient over that
    curvature is a Newton step. T, whose start is near and whose gradient is noisier, takes half of it. Steps
    shrink like 1 / (1 + step / half_life). A step draws an antithetic pair. It has converged when the mean
    ELBO of the last window exceeds that of the window before by less than the tolerance an item or two
    standard errors. The guide is left at the mean of its parameters over the last window (Polyak averaging).

    Args:
        model: the Pyro model.
        guide: the guide, changed in place.
        settings: step size, window, tolerance …
        n_items: number of items.
        report: called with the step and the ELBO.
    """
    elbo = Trace_ELBO()(model, guide)
    parameters = [*guide.delta, *guide.log_diagonal, *guide.below]
    scale = [*(1.0 for _ in guide.delta), *(0.25 for _ in guide.log_diagonal), *(0.5 for _ in guide.below)]
    average = [torch.zeros_like(p) for p in parameters]
    trace: list[float] = []
    strays, flat = 0, False
    while not flat and len(trace) < settings.max_steps:
        loss = _pair(elbo, parameters)
        if loss is None:
            strays += 1
            if strays > _MAX_STRAYS:
                message = f"the ELBO was not finite {strays} times; try another seed"
                return Outcome(np.array(trace), False, message)
            continue
        step = settings.learning_rate / (1 + len(trace) / settings.half_life)
        with torch.no_grad():
            for p, s in zip(parameters, scale, strict=True):
                if p.grad is not None:
                    p.sub_((step * s * p.grad).clamp_(-_MAX_STEP, _MAX_STEP))
        trace.append(-loss)
        _accumulate(average, parameters, len(trace), settings.window)
        if report is not None:
            report(len(trace), trace[-1])
        flat = len(trace) % settings.window == 0 and _flat(trace, settings, n_items)
    if flat:
        with torch.no_grad():
            for p, mean in zip(parameters, average, strict=True):
                p.copy_(mean)
    return Outcome(np.array(trace), flat, _message(flat, trace, settings))


def _pair(elbo: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor]) -> float | None:
    """Mean loss of an antithetic pair, its gradient left in the parameters; None if it is not finite."""
    for p in parameters:
        p.grad = None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Encountered NaN")  # counted as a stray, and told if there are many
        first, second = elbo(), elbo()
    loss = (first + second) / 2
    if not torch.isfinite(loss):
        return None
    loss.backward()
    if not all(bool(torch.isfinite(p.grad).all()) for p in parameters if p.grad is not None):
        return None
    return float(loss.detach())


def _flat(trace: list[float], settings: Steps, n_items: int) -> bool:
    w = settings.window
    if len(trace) < 2 * w:
        return False
    last, before = np.array(trace[-w:]), np.array(trace[-2 * w : -w])
    noise = np.sqrt((last.var(ddof=1) + before.var(ddof=1)) / w)
    return bool(last.mean() - before.mean() < max(settings.tolerance * n_items, 2 * noise))


def _accumulate(
    average: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor], number: int, window: int
) -> None:
    """Running mean of the parameters over the current window."""
    count = (number - 1) % window
    with torch.no_grad():
        for mean, p in zip(average, parameters, strict=True):
            mean.mul_(count / (count + 1)).add_(p, alpha=1 / (count + 1))


def _message(converged: bool, trace: list[float], settings: Steps) -> str:
    if converged:
        return f"converged: the ELBO was flat after {len(trace)} steps"
    return (
        f"not converged after {len(trace)} steps: the ELBO still rises; raise max_steps, try another seed,"
        " or look for items and models with very few responses"
    )
