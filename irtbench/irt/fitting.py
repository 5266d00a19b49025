"""Fit an IRT model to a response matrix: the start, SVI, and the item bank that comes out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from irtbench.errors import ConvergenceWarning, InputError
from irtbench.files import versions
from irtbench.irt.bank import ItemBank
from irtbench.irt.fitted import IRTFit, abilities_table, elbo_table
from irtbench.irt.guide import Block, NormalGuide
from irtbench.irt.likelihood import Counts
from irtbench.irt.models import ITEM_SITES, irt_model
from irtbench.irt.progress import progress_bar
from irtbench.irt.recipes import Population, Priors, Recipe, recipe
from irtbench.irt.start import Start, find_start
from irtbench.irt.svi import Outcome, maximise_elbo, pyro_isolated
from irtbench.responses.matrix import ResponseMatrix

__all__ = ["IRTFit", "fit", "pick_device"]

Posterior = dict[tuple[str, ...], tuple[Tensor, Tensor]]
_COLUMN = {"log_discrimination": 0, "difficulty": 1, "logit_guessing": 2}


def fit(
    responses: ResponseMatrix,
    irt: str | Recipe = "2pl",
    *,
    method: Literal["svi", "laplace"] = "svi",
    device: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> IRTFit:
    r"""Fit a 1PL, 2PL or 3PL to a response matrix and return items and abilities with uncertainty.

    .. math:: P(y_{mi} = 1) = c_i + (1 - c_i)\, σ(a_i (θ_m - b_i)),\quad θ_m ∼ N(0, 1)

    with b, log a and logit c normal in populations whose means and spreads are learned. Missing cells
    are left out; repeated samples enter as binomial counts; continuous responses in [0, 1] by the
    Bernoulli quasi-likelihood (their intervals are then conservative).

    Args:
        responses: (n_models, n_items).
        irt: ``1pl`` (one discrimination), ``2pl``, ``3pl``, or a :class:`Recipe` with priors of your own.
        method: ``svi`` (Pyro, started from the penalised maximum) or ``laplace`` (that maximum and its
            curvature: instant, and good where there are many items).
        device: ``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:1`` …
        seed: seed of SVI.
        progress: show a bar on a terminal.

    Returns:
        An :class:`IRTFit`: ``.bank``, ``.abilities``, ``.probability()``, ``.elbo``, ``.converged``.

    Raises:
        InputError: unknown ``irt``, ``method`` or device, fewer than two models or items.

    Warns:
        ConvergenceWarning: the criterion was not met.

    References:
        Birnbaum (1968) in Lord & Novick; Hoffman et al. (2013), Stochastic variational inference,
        https://jmlr.org/papers/v14/hoffman13a.html; Natesan et al. (2016), Bayesian prior choice in
        IRT estimation using MCMC and variational Bayes, https://doi.org/10.3389/fpsyg.2016.01422

    Example:
        >>> from irtbench.irt import simulate
        >>> s = simulate(n_models=60, n_items=80, seed=0)
        >>> found = fit(s.responses, irt="2pl", seed=0)
        >>> bool(np.corrcoef(found.abilities["mean"], s.abilities["ability"])[0, 1] > 0.95)
        True
    """
    chosen = irt if isinstance(irt, Recipe) else recipe(irt)
    if method not in ("svi", "laplace"):
        raise InputError(f"method must be 'svi' or 'laplace', got {method!r}")
    if min(responses.shape) < 2:
        raise InputError(f"an IRT fit needs at least 2 models and 2 items, got {responses.shape}")
    where = pick_device(device)
    began = time.perf_counter()
    counts = Counts.of(responses, where)
    start = find_start(chosen.irt, chosen.priors, counts)
    posterior = _start_posterior(chosen, start)
    if method == "laplace":
        outcome = _laplace_outcome(start)
    else:
        with progress_bar("fit", progress) as report:
            posterior, outcome = _svi(chosen, counts, posterior, start, seed, report)
    if not outcome.converged:
        warnings.warn(f"{chosen.irt} {method}: {outcome.message}", ConvergenceWarning, stacklevel=2)
    posterior = _standardised(posterior)
    theta, variance = (x[:, 0].double().cpu().numpy() for x in _first(posterior, "ability"))
    abilities = abilities_table(responses, theta, np.sqrt(variance.reshape(len(theta))))
    config = {"method": method, "device": where.type, "recipe": chosen.to_dict()}
    bank = _bank(responses, chosen.irt, posterior, abilities, seed, config)
    return IRTFit(
        bank, abilities, elbo_table(outcome.elbo), outcome.converged, outcome.message, time.perf_counter() - began
    )


def pick_device(device: str) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda`` … to a device that is there.

    Raises:
        InputError: not a device name, or CUDA asked for where there is none.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise InputError(f"device must be 'auto', 'cpu' or 'cuda', got {device!r}") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' was asked for, but this machine has no CUDA device; use 'auto' or 'cpu'")
    return found


def _svi(
    chosen: Recipe,
    counts: Counts,
    posterior: Posterior,
    start: Start,
    seed: int,
    report: Callable[[int, float], None] | None,
) -> tuple[Posterior, Outcome]:
    blocks = [_block(sites, *found) for sites, found in posterior.items()]
    blocks += _population_blocks(chosen, start)
    with pyro_isolated(seed, counts.right.device):
        guide = NormalGuide(blocks)
        model = irt_model(chosen.irt, chosen.priors, counts)
        outcome = maximise_elbo(model, guide, chosen.steps, report)
    return guide.posterior(), outcome


def _start_posterior(chosen: Recipe, start: Start) -> Posterior:
    """The Laplace posterior at the penalised maximum, by sites."""
    posterior: Posterior = {
        ("ability",): (start.theta[:, None], (start.theta_sd**2)[:, None, None]),
        ITEM_SITES[chosen.irt]: (start.items, start.items_cov),
    }
    if len(start.common):
        loc, sd = start.common
        posterior["log_discrimination",] = (loc.reshape(1, 1), (sd**2).reshape(1, 1, 1))
    return posterior


def _block(sites: tuple[str, ...], loc: Tensor, cov: Tensor) -> Block:
    return Block(sites, loc, torch.linalg.cholesky(cov), scalar=sites == ("log_discrimination",))


def _population_blocks(chosen: Recipe, start: Start) -> list[Block]:
    """One scalar block for each learned mean and log spread, as sure as n items make it."""
    n = len(start.items)
    blocks = []
    for site, (mean, spread) in zip(ITEM_SITES[chosen.irt], start.populations, strict=True):
        prior: Population = getattr(chosen.priors, site)
        for name, value, sd, learned in (
            ("mean", mean, spread / n**0.5, prior.mean_sd),
            ("log_spread", float(np.log(spread)), (2 * n) ** -0.5, prior.spread_sd),
        ):
            if learned:
                like = start.items
                root = like.new_tensor(min(sd, learned)).reshape(1, 1, 1)
                blocks.append(Block((f"{site}_{name}",), like.new_tensor([[value]]), root, scalar=True))
    return blocks


def _first(posterior: Posterior, site: str) -> tuple[Tensor, Tensor]:
    return next(found for sites, found in posterior.items() if sites[0] == site)


def _laplace_outcome(start: Start) -> Outcome:
    message = f"{'converged' if start.converged else 'not converged'} after {start.passes} passes"
    return Outcome(np.array(start.trace), start.converged, message)


def _standardised(posterior: Posterior) -> Posterior:
    """Move to the scale where the calibration models have mean 0 and mean square 1."""
    theta, variance = _first(posterior, "ability")
    mean = theta.mean()
    scale = torch.sqrt(((theta - mean) ** 2 + variance[..., 0]).mean())
    moved: Posterior = {}
    for sites, (loc, cov) in posterior.items():
        shift, factor = torch.zeros_like(loc[0]), torch.ones_like(loc[0])
        add = torch.zeros_like(loc[0])
        for k, site in enumerate(sites):
            if site in ("ability", "difficulty"):
                shift[k], factor[k] = mean, 1 / scale
            elif site == "log_discrimination":
                add[k] = scale.log()
        moved[sites] = ((loc - shift) * factor + add, cov * factor[:, None] * factor[None, :])
    return moved


def _bank(
    responses: ResponseMatrix,
    irt: str,
    posterior: Posterior,
    abilities: Any,
    seed: int,
    config: dict[str, Any],
) -> ItemBank:
    n_models, n_items = responses.shape
    loc, cov = np.zeros((n_items, 3)), np.zeros((n_items, 3, 3))
    loc[:, _COLUMN["logit_guessing"]] = -np.inf
    for sites, (found, spread) in posterior.items():
        columns = [_COLUMN[s] for s in sites if s in _COLUMN]
        if len(columns) == len(sites):
            loc[:, columns] = found.double().cpu().numpy()
            cov[np.ix_(range(n_items), columns, columns)] = spread.double().cpu().numpy()
    info = {
        "irt": irt,
        "metric": responses.metric.name,
        "higher_is_better": responses.metric.higher_is_better,
        "calibrated_on": {
            "n_models": n_models,
            "n_items": n_items,
            "n_responses": int(responses.observed.sum()),
            "fingerprint": responses.fingerprint,
        },
        "ability": {k: float(getattr(abilities["mean"], k)()) for k in ("mean", "std", "min", "max")},
        "seed": seed,
        "config": config,
        "versions": versions(),
    }
    return ItemBank(responses.items, loc, cov, info)
