"""Recipes: the priors and settings of a fit, as code defaults and as TOML in ``models/recipes``."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from irtbench.errors import InputError

__all__ = ["IRT_MODELS", "RECIPES", "Population", "Priors", "Recipe", "Steps", "read_recipe", "recipe"]

IRT_MODELS = ("1pl", "2pl", "3pl", "4pl")
LIKELIHOODS = ("bernoulli", "beta")


@dataclass(frozen=True)
class Population:
    r"""Prior of one kind of item parameter: normal, with mean and spread learned from the items.

    .. math:: x_i ∼ N(μ, σ),\quad μ ∼ N(\text{mean}, \text{mean\_sd}),\quad
              \log σ ∼ N(\log \text{spread}, \text{spread\_sd})

    A standard deviation of 0 fixes μ or σ.
    """

    mean: float
    mean_sd: float
    spread: float
    spread_sd: float

    def __post_init__(self) -> None:
        if self.spread <= 0 or self.mean_sd < 0 or self.spread_sd < 0:
            raise InputError(f"priors: spread must be positive and standard deviations not negative: {self}")


@dataclass(frozen=True)
class Priors:
    """Priors of the item parameters; abilities are N(0, 1), which fixes the scale.

    The 1PL's one discrimination has the population's mean and spread as its prior. An item's
    discrimination may be negative with probability ``negative`` (0 rules it out).
    """

    difficulty: Population = Population(0.0, 2.0, 1.2, 1.0)
    log_discrimination: Population = Population(0.0, 0.5, 0.4, 1.0)
    logit_guessing: Population = Population(-1.5, 0.7, 0.4, 0.5)
    logit_upper_asymptote: Population = Population(3.0, 0.7, 0.7, 0.7)
    log_precision: Population = Population(1.0, 1.5, 0.7, 1.0)
    negative: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.negative < 0.5:
            raise InputError(f"priors: negative must lie in [0, 0.5), got {self.negative}")


@dataclass(frozen=True)
class Steps:
    """Settings of SVI.

    Attributes:
        learning_rate: first step, as a share of the step to the maximum of a normal posterior.
        half_life: steps after which the step has shrunk to half; it falls like 1 / (1 + step / half_life).
        window: steps over which the ELBO is averaged to judge convergence, and the parameters at the end.
        tolerance: gain in nats an item between two windows below which the ELBO counts as flat; 0.02 is what
            an item of two parameters gains when each comes nearer by a seventh of a posterior sd.
        max_steps: steps after which the fit gives up with a ``ConvergenceWarning``.
    """

    learning_rate: float = 0.5
    half_life: float = 4.0
    window: int = 4
    tolerance: float = 0.02
    max_steps: int = 600

    def __post_init__(self) -> None:
        if self.window < 2 or self.max_steps < 1 or min(self.learning_rate, self.half_life) <= 0:
            raise InputError(f"steps: window must be at least 2 and the others positive: {self}")


@dataclass(frozen=True)
class Recipe:
    """What a fit does: the IRT model, its likelihood and priors, and the settings of SVI.

    Attributes:
        irt: ``1pl``, ``2pl``, ``3pl`` or ``4pl``.
        likelihood: ``bernoulli`` (binomial for repeated samples; for continuous responses a quasi-likelihood
            that is right in the mean whatever their distribution, with intervals that are too wide) or
            ``beta`` (for continuous responses, with intervals of the right width where it fits).
        by_benchmark: each benchmark has populations of its own.
        priors: populations of the item parameters.
        steps: settings of SVI.
    """

    irt: str = "2pl"
    likelihood: str = "bernoulli"
    by_benchmark: bool = False
    priors: Priors = field(default_factory=Priors)
    steps: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        if self.irt not in IRT_MODELS:
            raise InputError(f"irt must be one of {', '.join(IRT_MODELS)}, got {self.irt!r}")
        if self.likelihood not in LIKELIHOODS:
            raise InputError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {self.likelihood!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and numbers, as in the TOML file."""
        return asdict(self)


RECIPES = {irt: Recipe(irt) for irt in IRT_MODELS}


def recipe(irt: str) -> Recipe:
    """Return the default recipe of an IRT model.

    Raises:
        InputError: unknown ``irt``.

    Example:
        >>> recipe("2pl").priors.difficulty.spread
        1.2
    """
    if irt not in RECIPES:
        raise InputError(f"irt must be one of {', '.join(RECIPES)}, got {irt!r}")
    return RECIPES[irt]


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from TOML; what the file leaves out keeps its default.

    Raises:
        InputError: not TOML, or a name that a recipe does not have.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        given: dict[str, Any] = content.get("priors", {})
        priors: dict[str, Any] = {k: Population(**v) if isinstance(v, dict) else v for k, v in given.items()}
        return Recipe(**{**content, "priors": Priors(**priors), "steps": Steps(**content.get("steps", {}))})
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a recipe ({error}); see models/recipes/2pl.toml") from None
