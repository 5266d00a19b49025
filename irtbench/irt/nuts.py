"""NUTS, the reference: exact up to Monte Carlo error, for small data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyro.poutine as poutine
import torch
from pyro.infer.mcmc import MCMC, NUTS
from torch import Tensor

from irtbench.irt.guide import Block
from irtbench.irt.models import Problem, irt_model
from irtbench.irt.nodes import Nodes
from irtbench.irt.posterior import Posterior
from irtbench.irt.svi import Outcome

__all__ = ["sample"]

_CHAINS, _WARMUP, _DRAWS = 4, 200, 250
_GOOD_R_HAT = 1.01


def sample(
    problem: Problem,
    start: Posterior,
    blocks: list[Block],
    seed: int,
    report: Callable[[int, float], None] | None = None,
) -> tuple[Posterior, Outcome, dict[str, np.ndarray], pd.DataFrame]:
    """Draw from the posterior of abilities and items by Pyro's NUTS.

    The chains move in the coordinates of the guide that SVI would start from, where the posterior is
    nearly standard normal, and start from draws of it. Every draw is brought to the scale where the
    abilities have mean 0 and mean square 1, unless the fit is linked to a bank.

    Args:
        problem: IRT model, priors and responses.
        start: the settled start.
        blocks: the guide's blocks at the start.
        seed: seed of the chains.
        report: called with the draw and its log density.

    Returns:
        The posterior's moments, the outcome (converged: R-hat below 1.01 everywhere), the draws
        (chains, draws, …) on the natural scale, and R-hat and bulk effective sample size by item.

    References:
        Hoffman & Gelman (2014), The No-U-Turn sampler, https://jmlr.org/papers/v15/hoffman14a.html;
        Vehtari et al. (2021), Rank-normalization, folding, and localization: an improved R-hat,
        https://doi.org/10.1214/20-BA1221
    """
    density = _density(problem, start, blocks)
    size = sum(block.loc.numel() for block in blocks)
    chains, log_density = [], []
    for chain in range(_CHAINS):
        torch.manual_seed(seed * _CHAINS + chain)
        kernel = NUTS(potential_fn=lambda at: -density(at["w"]), max_tree_depth=8)
        origin = 0.5 * torch.randn(size, dtype=torch.float64, device=start.theta.device)
        hook = None if report is None else _hook(report, chain, log_density)
        mcmc = MCMC(
            kernel,
            num_samples=_DRAWS,
            warmup_steps=_WARMUP,
            initial_params={"w": origin},
            disable_progbar=True,
            hook_fn=hook,
        )
        mcmc.run()
        chains.append(mcmc.get_samples()["w"])
    return _summary(problem, start, blocks, torch.stack(chains), density)


def _hook(report: Callable[[int, float], None], chain: int, seen: list[float]) -> Callable[..., None]:
    def hook(kernel: Any, samples: Any, stage: str, step: int) -> None:
        report(chain * (_WARMUP + _DRAWS) + step + (_WARMUP if stage.startswith("Sample") else 0), 0.0)

    return hook


def _sites(blocks: list[Block], w: Tensor) -> dict[str, Tensor]:
    """Values of the sites at whitened coordinates (size,)."""
    found, first = {}, 0
    for block in blocks:
        n, k = block.loc.shape
        own = w[first : first + n * k].reshape(n, k).to(block.loc.dtype)
        x = block.loc + (block.root * own[:, None]).sum(-1)
        found.update({site: x[index] for site, index in block.sites.items()})
        first += n * k
    return found


def _density(problem: Problem, start: Posterior, blocks: list[Block]) -> Callable[[Tensor], Tensor]:
    """Log posterior density at whitened coordinates, up to a constant."""
    around = start.nodes(problem)
    nodes = Nodes(min(around.low, -6.0), max(around.high, 6.0), min(2 * around.n, 96), around.device)
    model = irt_model(problem, start, nodes=nodes)

    def density(w: Tensor) -> Tensor:
        trace = poutine.trace(poutine.condition(model, data=_sites(blocks, w))).get_trace()
        return torch.as_tensor(trace.log_prob_sum()).double()

    return density


def _summary(
    problem: Problem, start: Posterior, blocks: list[Block], w: Tensor, density: Callable[[Tensor], Tensor]
) -> tuple[Posterior, Outcome, dict[str, np.ndarray], pd.DataFrame]:
    drawn = [[_sites(blocks, one) for one in chain] for chain in w]
    by_site = {
        site: torch.stack([torch.stack([one[site] for one in chain]) for chain in drawn]).double()
        for site in drawn[0][0]
    }
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
    message = f"{'converged' if worst < _GOOD_R_HAT else 'not converged'}: R-hat at most {worst:.3f}"
    message += f" over {_CHAINS} chains of {_DRAWS} draws"
    if worst >= _GOOD_R_HAT:
        message += "; the chains disagree: look for items with very few responses, or try another seed"
    with torch.no_grad():
        trace = np.array([float(density(one)) for one in w[:, ::10].reshape(-1, w.shape[-1])])
    natural = _natural(draws, sign, theta.shape)
    return found, Outcome(trace, worst < _GOOD_R_HAT, message), natural, checks


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
