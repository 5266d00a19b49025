"""The IRT models in Pyro: these few lines define the posterior that every fit approximates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from irtbench.errors import InputError
from irtbench.irt.bank import ItemBank
from irtbench.irt.cells import Cells
from irtbench.irt.likelihood import log_likelihood, marginal_log_likelihood
from irtbench.irt.nodes import Nodes
from irtbench.irt.parameters import ItemParameters, powers
from irtbench.irt.recipes import Population, Priors, Recipe
from irtbench.responses.matrix import ResponseMatrix

if TYPE_CHECKING:
    from irtbench.irt.posterior import Posterior

__all__ = ["Problem", "irt_model", "item_sites"]

# The sites that an item's parameters come from, in the order of the columns everywhere.
_SITES = {
    "1pl": ("difficulty",),
    "2pl": ("difficulty", "log_discrimination"),
    "3pl": ("difficulty", "log_discrimination", "logit_guessing"),
    "4pl": ("difficulty", "log_discrimination", "logit_guessing", "logit_upper_asymptote"),
}

BANK_COLUMN = {  # of a site in ItemBank.loc
    "log_discrimination": 0,
    "difficulty": 1,
    "logit_guessing": 2,
    "logit_upper_asymptote": 3,
    "log_precision": 4,
}


def item_sites(irt: str, family: str) -> tuple[str, ...]:
    """Sites of an item's parameters: those of its curve, and the precision of the beta family."""
    return _SITES[irt] + (("log_precision",) if family == "beta" else ())


@dataclass(frozen=True)
class Problem:
    """What is to be fitted.

    Attributes:
        irt: ``1pl`` … ``4pl``.
        priors: populations of the item parameters.
        cells: the responses.
        group: population that each item belongs to (n_items,), int64.
        n_groups: number of populations.
        known: parameters of items that a bank fixes (n_items, K), NaN for those to be found; or None.
        known_sign: signs of the fixed items' discriminations, 1 for the others; or None.
        known_common: log discrimination of a 1PL bank; or None.
    """

    irt: str
    priors: Priors
    cells: Cells
    group: Tensor
    n_groups: int = 1
    known: Tensor | None = None
    known_sign: Tensor | None = None
    known_common: float | None = None

    @classmethod
    def of(cls, recipe: Recipe, cells: Cells, group: Tensor) -> Problem:
        """Put a recipe and responses together."""
        return cls(recipe.irt, recipe.priors, cells, group, int(group.max()) + 1)

    def linked(self, bank: ItemBank, responses: ResponseMatrix) -> Problem:
        """Fix the items that a bank has.

        Raises:
            InputError: another IRT model, likelihood or metric than the bank's, or no item in common.
        """
        for name, own, other in (
            ("IRT model", self.irt, bank.irt),
            ("likelihood", self.cells.family, bank.likelihood),
            ("metric", responses.metric.name, bank.info.get("metric", responses.metric.name)),
        ):
            if own != other:
                raise InputError(f"the bank was calibrated with {name} {other!r}, this fit uses {own!r}")
        at = bank.metadata.index.get_indexer(responses.items.index)
        shared = at >= 0
        if not shared.any():
            raise InputError("the responses have no item of the bank: nothing links them to its scale")
        known = torch.full((len(at), len(self.sites)), torch.nan)
        for k, site in enumerate(self.sites):
            known[shared, k] = torch.from_numpy(bank.loc[at[shared], BANK_COLUMN[site]]).float()
        sign = torch.ones(len(at))
        sign[shared] = torch.from_numpy(bank.sign[at[shared]]).float()
        device = self.cells.device
        common = float(bank.loc[0, 0]) if self.irt == "1pl" else None
        return replace(self, known=known.to(device), known_sign=sign.to(device), known_common=common)

    @property
    def free(self) -> Any:
        """Index of the items whose parameters are to be found."""
        return slice(None) if self.known is None else self.known[:, 0].isnan().nonzero()[:, 0]

    @cached_property
    def fixed_cells(self) -> Cells:
        """The responses to the items that a bank fixes."""
        assert self.known is not None
        return self.cells.take((~self.known[:, 0].isnan()).nonzero()[:, 0])

    def pinned(self, items: Tensor) -> Tensor:
        """Items with the fixed ones at their values."""
        return items if self.known is None else torch.where(self.known.isnan(), items, self.known)

    def line(self, ability: Tensor) -> Tensor | None:
        """What :class:`Cells` needs where a coefficient is a straight line in ability, else None."""
        return powers(ability) if self.irt in ("1pl", "2pl") and self.cells.family == "bernoulli" else None

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites of an item's parameters, in the order of the columns."""
        return item_sites(self.irt, self.cells.family)

    @property
    def population(self) -> list[Population]:
        """Prior of each column."""
        return [getattr(self.priors, site) for site in self.sites]

    def parameters(self, items: Tensor, common: Tensor, sign: Tensor) -> ItemParameters:
        """Item parameters from an array (n_items, K), and the common log discrimination of a 1PL."""
        columns = dict(zip(self.sites, items.T, strict=True))
        if len(common):
            columns["log_discrimination"] = common[0]
        return self.items(columns, sign)

    def items(self, columns: dict[str, Tensor], sign: Tensor | None) -> ItemParameters:
        """Item parameters from the values of the sites."""
        n = len(columns["difficulty"])
        return ItemParameters(
            columns["difficulty"],
            columns["log_discrimination"].expand(n),
            columns.get("logit_guessing"),
            columns.get("logit_upper_asymptote"),
            columns.get("log_precision"),
            sign,
        )


def irt_model(
    problem: Problem, at: Posterior, *, nodes: Nodes | None = None, grid: Tensor | None = None
) -> Callable[[], None]:
    """Return the Pyro model: θ ~ N(0, 1), items from their populations, responses by the likelihood.

    Args:
        problem: IRT model, priors and responses.
        at: where the start has come: gives the discriminations' signs; in a linked fit also the
            populations of abilities and items, which are fixed there.
        nodes: nodes that cover the abilities, which are then a site, ``ability``.
        grid: or abilities to integrate θ over: no such site, and the same posterior of the items.
    """
    like = at.theta.new_zeros(())
    n_models = problem.cells.shape[0]

    def model() -> None:
        if grid is None:
            theta = pyro.sample("ability", _normal(like, *at.population).expand([n_models]).to_event(1))
        columns = {}
        for k, site in enumerate(problem.sites):
            if problem.known is None:
                columns[site] = _population(site, problem, like)
            else:
                columns[site] = _linked(site, k, problem, at)
        if problem.known_common is not None:
            columns["log_discrimination"] = like.new_tensor(problem.known_common)
        elif problem.irt == "1pl":
            common = problem.priors.log_discrimination
            columns["log_discrimination"] = pyro.sample(
                "log_discrimination", _normal(like, common.mean, common.spread)
            )
        items = problem.items(columns, at.sign)
        if grid is None:
            assert nodes is not None
            pyro.factor("responses", log_likelihood(theta, items, problem.cells, nodes))
        else:
            pyro.factor("responses", marginal_log_likelihood(grid, items, problem.cells, at.population))

    return model


def _population(site: str, problem: Problem, like: Tensor) -> Tensor:
    """Parameters of the items from normal populations whose means and spreads are learned."""
    prior: Population = getattr(problem.priors, site)
    groups = [problem.n_groups]
    mean: Any = like.new_full(groups, prior.mean)
    log_spread: Any = like.new_full(groups, prior.spread).log()
    if prior.mean_sd:
        mean = pyro.sample(f"{site}_mean", dist.Normal(mean, like.new_tensor(prior.mean_sd)).to_event(1))
    if prior.spread_sd:
        spread = dist.Normal(log_spread, like.new_tensor(prior.spread_sd)).to_event(1)
        log_spread = pyro.sample(f"{site}_log_spread", spread)
    own = dist.Normal(mean[problem.group], log_spread.exp()[problem.group])
    found: Tensor = pyro.sample(site, own.to_event(1))
    return found


def _linked(site: str, k: int, problem: Problem, at: Posterior) -> Tensor:
    """Parameters of the items, those of the bank fixed, the others from fixed populations."""
    assert problem.known is not None
    group = problem.group[problem.free]
    own = dist.Normal(at.mean[group, k], at.spread[group, k])
    found = problem.known[:, k].clone()
    found[problem.free] = pyro.sample(site, own.to_event(1))
    return found


def _normal(like: Tensor, mean: float, sd: float) -> Any:
    return dist.Normal(like.new_tensor(mean), like.new_tensor(sd))
