"""Stochastic variational inference: the loop, and the judgement that the ELBO is flat."""

from __future__ import annotations

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
        torch.manual_seed(seed)
        yield


def maximise_elbo(
    model: Callable[[], None],
    guide: NormalGuide,
    settings: Steps,
    report: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Fit the guide by Adam until the ELBO is flat at ever smaller step sizes.

    A plateau: the mean ELBO of the last window exceeds that of the window before by less than the
    tolerance or two standard errors. After each plateau the step shrinks; the last one ends the fit.
    The guide is left at the mean of its parameters over the last window (Polyak averaging).

    Args:
        model: the Pyro model.
        guide: the guide, changed in place.
        settings: step size, window, tolerance …
        report: called with the step and the ELBO.
    """
    elbo = Trace_ELBO()(model, guide)
    parameters = list(guide.parameters())
    optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate, betas=(0.9, 0.99))
    trace: list[float] = []
    plateaus, since, strays = 0, 0, 0
    average = [torch.zeros_like(p) for p in parameters]
    while plateaus < settings.plateaus and len(trace) < settings.max_steps:
        optimiser.zero_grad()
        loss = elbo()
        if not torch.isfinite(loss):
            strays += 1
            if strays > _MAX_STRAYS:
                return Outcome(
                    np.array(trace), False, f"the ELBO was not finite {strays} times; try another seed"
                )
            continue
        loss.backward()
        optimiser.step()
        trace.append(-float(loss.detach()))
        since += 1
        _accumulate(average, parameters, since, settings.window)
        if report is not None:
            report(len(trace), trace[-1])
        if since >= 2 * settings.window and since % settings.window == 0 and _flat(trace, settings):
            plateaus, since = plateaus + 1, 0
            if plateaus < settings.plateaus:
                for group in optimiser.param_groups:
                    group["lr"] *= settings.decay
    converged = plateaus == settings.plateaus
    if converged:
        with torch.no_grad():
            for p, mean in zip(parameters, average, strict=True):
                p.copy_(mean)
    return Outcome(np.array(trace), converged, _message(converged, trace, settings))


def _flat(trace: list[float], settings: Steps) -> bool:
    w = settings.window
    last, before = np.array(trace[-w:]), np.array(trace[-2 * w : -w])
    noise = np.sqrt((last.var(ddof=1) + before.var(ddof=1)) / w)
    return bool(last.mean() - before.mean() < max(settings.tolerance, 2 * noise))


def _accumulate(
    average: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor], since: int, window: int
) -> None:
    """Running mean of the parameters over the current window."""
    count = (since - 1) % window
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
