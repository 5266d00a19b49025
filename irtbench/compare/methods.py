"""Names of the methods that are compared: a selection and an estimator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from irtbench.errors import InputError
from irtbench.subsets.estimators import BANK_ESTIMATORS, ESTIMATORS
from irtbench.subsets.selection import DEFAULT_STRATEGY, STRATEGIES

__all__ = ["CONTROL", "METHODS", "Method", "parse_methods"]

CONTROL = "random + mean"
METHODS = (
    CONTROL,
    "default",  # robust + blend
    "stratified + blend",
    "stratified + difference",
    "random + p-irt",
    "random + gp-irt",
    "stratified + weighted",
    "stratified + gp-irt",
    "stratified + p-irt",
    "anchor-correctness + weighted",
    "anchor-irt + weighted",
    "anchor-irt + p-irt",
    "anchor-irt + gp-irt",
)


@dataclass(frozen=True)
class Method:
    """A selection and an estimator, under one name."""

    name: str
    selection: str
    estimator: str

    @property
    def needs_bank(self) -> bool:
        """Whether an IRT model must be fitted for it."""
        return self.selection == "anchor-irt" or self.estimator in BANK_ESTIMATORS


def parse_methods(names: Iterable[str] | None) -> list[Method]:
    """Parse ``"selection + estimator"``; the control comes first, whether asked for or not.

    Args:
        names: None for all of :data:`METHODS`; a selection alone has the default estimator.

    Raises:
        InputError: an unknown selection or estimator.

    Example:
        >>> [m.name for m in parse_methods(["anchor-irt + gp-irt"])]
        ['random + mean', 'anchor-irt + gp-irt']
    """
    wanted = METHODS if names is None else [names] if isinstance(names, str) else names
    parsed = {CONTROL: Method(CONTROL, "random", "mean")}
    for text in wanted:
        selection, _, estimator = (part.strip() for part in text.partition("+"))
        estimator = estimator or "default"
        if selection not in ("default", *STRATEGIES) or estimator not in ("default", *ESTIMATORS):
            raise InputError(
                f"unknown method {text!r}: write 'selection + estimator', with a selection from"
                f" {sorted(STRATEGIES)} and an estimator from {sorted(ESTIMATORS)}, or 'default'"
            )
        name = selection if estimator == "default" else f"{selection} + {estimator}"
        resolved = DEFAULT_STRATEGY if selection == "default" else selection  # then it shares the subset
        parsed[name] = Method(name, resolved, estimator)
    return list(parsed.values())
