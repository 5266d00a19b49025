"""Everything that a report says about a fit, in one go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from irtbench.irt.diagnostics.curves import reliability
from irtbench.irt.diagnostics.dependence import local_dependence
from irtbench.irt.diagnostics.items import item_fit
from irtbench.irt.diagnostics.models import benchmark_residuals, person_fit

if TYPE_CHECKING:
    from irtbench.irt.fitted import IRTFit
    from irtbench.responses.matrix import ResponseMatrix

__all__ = ["Diagnosis", "diagnose"]

_PAIRS = 100


@dataclass(frozen=True)
class Diagnosis:
    """The diagnostics of one fit.

    Attributes:
        items: from :func:`item_fit`.
        pairs: from :func:`local_dependence`; no rows if there is one item only.
        models: from :func:`person_fit`.
        benchmarks: from :func:`benchmark_residuals`.
        reliability: from :func:`reliability`.
    """

    items: pd.DataFrame
    pairs: pd.DataFrame
    models: pd.DataFrame
    benchmarks: pd.DataFrame
    reliability: pd.Series

    def save(self, folder: str | Path) -> None:
        """Write ``items_fit.csv``, ``pairs_fit.csv``, ``models_fit.csv``, ``benchmarks_fit.csv``."""
        for name in ("items", "pairs", "models", "benchmarks"):
            table: pd.DataFrame = getattr(self, name)
            table.to_csv(Path(folder) / f"{name}_fit.csv", index=any(table.index.names))


def diagnose(fit: IRTFit, responses: ResponseMatrix) -> Diagnosis:
    """Look a fit over: items, pairs of items, models, benchmarks, reliability.

    Args:
        fit: a fit.
        responses: what it was fitted to.

    Raises:
        InputError: another metric, or items that the fit does not have.

    Example:
        >>> from irtbench.irt import fit, simulate
        >>> s = simulate(n_models=60, n_items=40, n_benchmarks=2, seed=0)
        >>> found = diagnose(fit(s.responses, method="laplace"), s.responses)
        >>> len(found.items), len(found.models), len(found.benchmarks)
        (40, 60, 120)
    """
    return Diagnosis(
        items=item_fit(fit, responses),
        pairs=local_dependence(fit, responses, _PAIRS),
        models=person_fit(fit, responses),
        benchmarks=benchmark_residuals(fit, responses),
        reliability=reliability(fit),
    )
