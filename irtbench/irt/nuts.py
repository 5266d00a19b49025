"""NUTS, the reference: exact up to Monte Carlo error, for small data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from pyro.infer.mcmc import MCMC, NUTS
from torch import Tensor

from irtbench.irt.coordinates import Coordinates
from irtbench.irt.guide import Block
from irtbench.irt.likelihood import node_log_posterior
from irtbench.irt.models import Problem
from irtbench.irt.posterior import Posterior
from irtbench.irt.svi import Outcome

__all__ = ["sample"]

_CHAINS, _WARMUP, _DRAWS = 4, 150, 500
_MAX_TREE_DEPTH = 8
_GOOD_R_HAT = 1.01
_FINER = 8  # nodes from which abilities are drawn, by those over which they are integrated


def sample(
    problem: Problem,
    start: Posterior,
    scalars: list[Block],
    seed: int,
    report: Callable[[int, float], None] | None = None,
) -> tuple[Posterior, Outcome, dict[str, np.ndarray], pd.DataFrame]:
    """Draw from the posterior of abilities and items by Pyro's NUTS.

    The abilities are integrated out on a grid, so the chains move over items and populations alone, in
    :class:`~irtbench.irt.coordinates.Coordinates`; then each draw gets abilities from their conditional
    posterior. The joint posterior is that of :func:`~irtbench.irt.models.irt_model`. Every draw is brought
    to the scale where its abilities have mean 0 and mean square 1, unless the fit is linked to a bank.

    Args:
        problem: IRT model, priors and responses.
        start: the settled start.
        scalars: the learned means and log spreads of the populations; empty or one block.
        seed: seed of the chains.
        report: called with the draw and its log density.

    Returns:
        The posterior's moments, the outcome (converged: R-hat below 1.01 everywhere and no divergence),
        the draws (chains, draws, …) on the natural scale, and R-hat and bulk effective sample size by item.

    References:
        Hoffman & Gelman (2014), The No-U-Turn sampler, https://jmlr.org/papers/v15/hoffman14a.html;
        Vehtari et al. (2021), Rank-normalization, folding, and localization: an improved R-hat,
        https://doi.org/10.1214/20-BA1221; Betancourt (2017), A conceptual introduction to Hamiltonian
        Monte Carlo, https://arxiv.org/abs/1701.02434 (divergences)
    """
    grid = _grid(problem, start)
    coordinates = Coordinates.around(problem, start, scalars, grid)
    chains, divergent = [], 0
    for chain in range(_CHAINS):
        torch.manual_seed(seed * _CHAINS + chain)
        kernel = NUTS(potential_fn=_potential(coordinates), max_tree_depth=_MAX_TREE_DEPTH)
        mcmc = MCMC(
            kernel,
            num_samples=_DRAWS,
            warmup_steps=_WARMUP,
            initial_params={"w": torch.randn(len(coordinates.origin), dtype=torch.float64)},
            disable_progbar=True,
            hook_fn=None if report is None else _hook(report, chain),
        )
        mcmc.run()
        chains.append(mcmc.get_samples()["w"])
        divergent += sum(len(found) for found in mcmc.diagnostics()["divergences"].values())
    w = torch.stack(chains)
    by_site = _with_abilities(coordinates, w)
    trace = np.array([coordinates.density(one.numpy())[0] for one in w[:, ::10].reshape(-1, w.shape[-1])])
    return _summary(problem, start, by_site, trace, divergent)


def _hook(report: Callable[[int, float], None], chain: int) -> Callable[..., None]:
    def hook(kernel: Any, samples: Any, stage: str, step: int) -> None:
        drawn = step + (_WARMUP if stage.startswith("Sample") else 0)
        report(chain * (_WARMUP + _DRAWS) + drawn, -float(kernel._potential_energy_last))

    return hook


def _grid(problem: Problem, start: Posterior) -> Tensor:
    """Abilities half a posterior sd apart, over all that the prior and the responses allow.

    The trapezoid rule then errs by less than 1e-30 of a normal posterior, by 1e-8 of one half as wide.
    """
    centre, spread = start.population
    low = min(float((start.theta - 6 * start.theta_sd).min()), centre - 6 * spread)
    high = max(float((start.theta + 6 * start.theta_sd).max()), centre + 6 * spread)
    n = int((high - low) / (0.5 * float(start.theta_sd.min()))) + 2
    return torch.linspace(low, high, n, dtype=torch.float64, device=start.theta.device)


class _Potential(torch.autograd.Function):
    """Minus a log density whose gradient comes with its value."""

    @staticmethod
    def forward(ctx: Any, at: Tensor, coordinates: Coordinates) -> Tensor:
        value, slope = coordinates.density(at.numpy())
        ctx.slope = torch.from_numpy(slope)
        return torch.tensor(-value, dtype=at.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        return -grad[0] * ctx.slope, None


def _potential(coordinates: Coordinates) -> Callable[[dict[str, Tensor]], Tensor]:
    def potential(at: dict[str, Tensor]) -> Tensor:
        found: Tensor = _Potential.apply(at["w"], coordinates)
        return found

    return potential


@torch.no_grad()
def _with_abilities(coordinates: Coordinates, w: Tensor) -> dict[str, Tensor]:
    """Values of the sites at draws (chains, draws, size); abilities from their conditional posterior."""
    grid, start = coordinates.grid, coordinates.start
    fine = torch.linspace(float(grid[0]), float(grid[-1]), _FINER * len(grid)).to(grid)
    apart = fine[1] - fine[0]
    drawn: list[dict[str, Tensor]] = []
    for one in w.reshape(-1, w.shape[-1]).numpy():
        items = coordinates.parameters(one)
        joint = node_log_posterior(fine, items, coordinates.problem.cells, start.population)
        at = torch.multinomial(torch.softmax(joint, dim=1), 1)[:, 0]
        ability = fine[at] + apart * (torch.rand_like(fine[at]) - 0.5)
        drawn.append(coordinates.sites(one) | {"ability": ability})
    return {
        site: torch.stack([one[site] for one in drawn]).reshape(*w.shape[:2], *drawn[0][site].shape).double()
        for site in drawn[0]
    }


def _summary(
    problem: Problem, start: Posterior, by_site: Mapping[str, Tensor], trace: np.ndarray, divergent: int
) -> tuple[Posterior, Outcome, dict[str, np.ndarray], pd.DataFrame]:
    draws = _on_the_scale(problem, by_site)
    sign = start.sign.double().cpu().numpy()
    theta = draws["ability"]
    n_items = len(sign)
    columns = [np.broadcast_to(draws[site], (*theta.shape[:2], n_items)) for site in problem.sites]
    items = np.stack(columns, axis=-1).reshape(-1, n_items, len(columns))
    mean = items.mean(0)
    cov = np.einsum("sjk,sjl->jkl", items - mean, items - mean) / (len(items) - 1)
    common = start.common
    if len(common):
        flat = draws["log_discrimination"].ravel()
        common = torch.tensor([flat.mean(), flat.std(ddof=1)]).to(common)
    flat_theta = theta.reshape(-1, theta.shape[-1])
    found = replace(
        start,
        theta=torch.from_numpy(flat_theta.mean(0)).to(start.theta),
        theta_sd=torch.from_numpy(flat_theta.std(0, ddof=1)).to(start.theta),
        items=torch.from_numpy(mean).to(start.items),
        items_cov=torch.from_numpy(cov).to(start.items_cov),
        common=common,
    )
    checks, worst = _checks(problem, draws)
    natural = _natural(draws, sign, theta.shape)
    return found, Outcome(trace, *_judgement(worst, divergent)), natural, checks


def _judgement(worst: float, divergent: int) -> tuple[bool, str]:
    """Whether the chains can be trusted, and the same in words."""
    good = worst < _GOOD_R_HAT and not divergent
    message = (
        f"{'converged' if good else 'not converged'}: R-hat at most {worst:.3f}, {divergent} divergences"
    )
    message += f" over {_CHAINS} chains of {_DRAWS} draws"
    if worst >= _GOOD_R_HAT:
        message += "; the chains disagree: look for items with very few responses, or try another seed"
    if divergent:
        message += "; parts of the posterior were not reached: tighten the priors or use a simpler IRT model"
    return good, message


def _on_the_scale(problem: Problem, by_site: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Draws of the sites, each on the scale of its own abilities (mean 0, mean square 1)."""
    found = {site: x.cpu().numpy() for site, x in by_site.items()}
    if problem.known is not None:
        return _with_known(problem, found)
    theta = found["ability"]
    shift = theta.mean(-1, keepdims=True)
    scale = np.sqrt(((theta - shift) ** 2).mean(-1, keepdims=True))
    found["ability"] = (theta - shift) / scale
    found["difficulty"] = (found["difficulty"] - shift) / scale
    slope = found["log_discrimination"]
    found["log_discrimination"] = (slope if slope.ndim == 3 else slope[..., None]) + np.log(scale)
    return found


def _with_known(problem: Problem, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Draws with the fixed items at their values."""
    assert problem.known is not None
    known = problem.known.double().cpu().numpy()
    free = np.isnan(known[:, 0])
    for k, site in enumerate(problem.sites):
        full = np.broadcast_to(known[:, k], (*found["ability"].shape[:2], len(known))).copy()
        full[..., free] = found[site]
        found[site] = full
    if problem.known_common is not None:
        found["log_discrimination"] = np.full((*found["ability"].shape[:2], 1), problem.known_common)
    return found


def _checks(problem: Problem, draws: Mapping[str, np.ndarray]) -> tuple[pd.DataFrame, float]:
    """Worst R-hat and bulk effective sample size of each item's parameters, and the worst R-hat of all."""
    import arviz

    sites = ["ability", *problem.sites]
    data = arviz.convert_to_dataset({site: draws[site] for site in sites})
    r_hat, ess = arviz.rhat(data), arviz.ess(data)
    table = pd.DataFrame(
        {
            "r_hat": np.max([r_hat[site].to_numpy() for site in problem.sites], axis=0),
            "ess_bulk": np.min([ess[site].to_numpy() for site in problem.sites], axis=0),
        }
    )
    return table, float(max(np.nanmax(r_hat[site].to_numpy()) for site in sites))


def _natural(
    draws: Mapping[str, np.ndarray], sign: np.ndarray, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Draws of abilities and items on the natural scale, (chains, draws, …)."""
    every = (*shape[:2], len(sign))

    def full(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.broadcast_to(x, every))

    def share(site: str, absent: float) -> np.ndarray:
        return full(1 / (1 + np.exp(-draws[site])) if site in draws else np.array(absent))

    found = {
        "ability": draws["ability"],
        "discrimination": full(sign * np.exp(draws["log_discrimination"])),
        "difficulty": full(draws["difficulty"]),
        "guessing": share("logit_guessing", 0.0),
        "upper_asymptote": share("logit_upper_asymptote", 1.0),
    }
    if "log_precision" in draws:
        found["precision"] = full(np.exp(draws["log_precision"]))
    return found
