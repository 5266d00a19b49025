"""Fit an IRT model to a response matrix: the start, SVI, and the item bank that comes out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from irtbench.errors import ConvergenceWarning, InputError
from irtbench.files import versions
from irtbench.irt.abilities import ability_posterior
from irtbench.irt.bank import ItemBank
from irtbench.irt.fitted import IRTFit, abilities_table, elbo_table
from irtbench.irt.guide import Block, NormalGuide, joined
from irtbench.irt.likelihood import Counts
from irtbench.irt.models import ITEM_SITES, irt_model
from irtbench.irt.recipes import Population, Recipe, recipe
from irtbench.irt.start import Start, find_start, refine_start
from irtbench.irt.svi import Outcome, maximise_elbo, pyro_isolated
from irtbench.progress import objective_bar
from irtbench.responses.matrix import ResponseMatrix

__all__ = ["IRTFit", "fit", "pick_device"]

_MAX_NODES = 256  # more would cost more than θ as a site
_ONE_THREAD = 2_000_000  # cells
_MAX_JOINED = 24  # unknowns that get one full covariance


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
    with _threads_for(responses), pyro_isolated(seed, where), objective_bar("fit", progress) as report:
        counts = Counts.of(responses, where)
        start = find_start(chosen.irt, chosen.priors, counts)
        nodes = _nodes(start)
        if nodes is not None:
            start = refine_start(chosen.irt, chosen.priors, counts, start, nodes)
        guide = NormalGuide(_blocks(chosen, start, marginal=nodes is not None))
        outcome = _laplace_outcome(start)
        if method == "svi":
            model = irt_model(chosen.irt, chosen.priors, counts, nodes)
            outcome = maximise_elbo(model, guide, chosen.steps, report)
    if not outcome.converged:
        warnings.warn(f"{chosen.irt} {method}: {outcome.message}", ConvergenceWarning, stacklevel=2)
    config = {"method": method, "device": where.type, "recipe": chosen.to_dict()}
    bank = _bank(responses, chosen.irt, guide, seed, config)
    bank, abilities = _standardised(bank, _abilities(bank, guide, responses), responses)
    seconds = time.perf_counter() - began
    return IRTFit(bank, abilities, elbo_table(outcome.elbo), outcome.converged, outcome.message, seconds)


@contextmanager
def _threads_for(responses: ResponseMatrix) -> Iterator[None]:
    """One thread for a matrix so small that more would wait for each other longer than they work."""
    before = torch.get_num_threads()
    if responses.values.size < _ONE_THREAD:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
        raise InputError(
            "device 'cuda' was asked for, but this machine has no CUDA device; use 'auto' or 'cpu'"
        )
    return found


def _nodes(start: Start) -> Tensor | None:
    """Nodes to integrate abilities over, half a posterior sd apart; None keeps abilities as sites.

    In a classical test (more models than items) θ is uncertain and must be integrated out: a guide that
    factorises over models and items would be overconfident. With many items θ is nearly known.
    """
    if len(start.theta) <= len(start.items):
        return None
    low, high = start.theta - 6 * start.theta_sd, start.theta + 6 * start.theta_sd
    apart = 0.5 * float(torch.quantile(start.theta_sd, 0.1))
    n = int(float(high.max() - low.min()) / apart) + 2
    if n > _MAX_NODES:
        return None
    return torch.linspace(float(low.min()), float(high.max()), n, device=start.theta.device)


def _blocks(chosen: Recipe, start: Start, *, marginal: bool) -> list[Block]:
    """The guide's blocks at the Laplace posterior; all item parameters in one block if they are few."""
    columns = {site: (slice(None), k) for k, site in enumerate(ITEM_SITES[chosen.irt])}
    items = [Block(columns, start.items, torch.linalg.cholesky(start.items_cov))]
    if len(start.common):
        loc, sd = start.common
        items.append(Block({"log_discrimination": (0, 0)}, loc.reshape(1, 1), sd.reshape(1, 1, 1)))
    items += _population_blocks(chosen, start)
    if marginal and sum(block.loc.numel() for block in items) <= _MAX_JOINED:
        return [joined(items)]
    if marginal:
        return items
    ability = Block({"ability": (slice(None), 0)}, start.theta[:, None], start.theta_sd[:, None, None])
    return [ability, *items]


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
                blocks.append(Block({f"{site}_{name}": (0, 0)}, like.new_tensor([[value]]), root))
    return blocks


def _laplace_outcome(start: Start) -> Outcome:
    message = f"{'converged' if start.converged else 'not converged'} after {start.passes} passes"
    return Outcome(np.array(start.trace), start.converged, message)


def _abilities(
    bank: ItemBank, guide: NormalGuide, responses: ResponseMatrix
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and sds of the abilities: the guide's own, or by quadrature if θ was integrated out."""
    if any("ability" in block.sites for block in guide.blocks):
        mean, variance = guide.moments(["ability"])
        return mean[:, 0].double().cpu().numpy(), variance[:, 0, 0].double().sqrt().cpu().numpy()
    posterior = ability_posterior(bank, responses)
    return posterior.mean, posterior.sd


def _standardised(
    bank: ItemBank, ability: tuple[np.ndarray, np.ndarray], responses: ResponseMatrix
) -> tuple[ItemBank, pd.DataFrame]:
    """Move to the scale where the calibration models have mean 0 and mean square 1: P does not change."""
    mean, sd = ability
    shift = mean.mean()
    scale = np.sqrt(((mean - shift) ** 2 + sd**2).mean())
    factor = np.array([1.0, 1 / scale, 1.0])
    loc = bank.loc * factor + np.array([np.log(scale), -shift / scale, 0.0])
    theta = (mean - shift) / scale
    info = {**bank.info, "ability": {k: float(getattr(theta, k)()) for k in ("mean", "std", "min", "max")}}
    moved = ItemBank(bank.metadata, loc, bank.cov * factor[:, None] * factor, info)
    return moved, abilities_table(responses, theta, sd / scale)


def _bank(
    responses: ResponseMatrix, irt: str, guide: NormalGuide, seed: int, config: dict[str, Any]
) -> ItemBank:
    n_models, n_items = responses.shape
    loc, cov = np.zeros((n_items, 3)), np.zeros((n_items, 3, 3))
    loc[:, 2] = -np.inf
    sites = list(dict.fromkeys(["log_discrimination", *ITEM_SITES[irt]]))  # the bank's order: a, b, c
    found, spread = guide.moments(sites)
    k = len(sites)
    loc[:, :k], cov[:, :k, :k] = found.double().cpu().numpy(), spread.double().cpu().numpy()
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
        "seed": seed,
        "config": config,
        "versions": versions(),
    }
    return ItemBank(responses.items, loc, cov, info)
