"""Diagnostics of a fit: items, pairs of items, models, groups of models, and the IRT model itself."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.irt.diagnostics.curves import item_curves, reliability, test_information
    from irtbench.irt.diagnostics.dependence import local_dependence, residual_correlations
    from irtbench.irt.diagnostics.diagnosis import Diagnosis, diagnose
    from irtbench.irt.diagnostics.groups import dif
    from irtbench.irt.diagnostics.hidden import heldout
    from irtbench.irt.diagnostics.items import item_fit, item_rest_correlation
    from irtbench.irt.diagnostics.models import benchmark_residuals, person_fit
    from irtbench.irt.diagnostics.predictive import predictive_check

__all__ = [
    "item_curves",
    "test_information",
    "reliability",
    "item_fit",
    "item_rest_correlation",
    "local_dependence",
    "residual_correlations",
    "person_fit",
    "benchmark_residuals",
    "dif",
    "heldout",
    "predictive_check",
    "diagnose",
    "Diagnosis",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.irt.diagnostics.curves": ("item_curves", "reliability", "test_information"),
        "irtbench.irt.diagnostics.dependence": ("local_dependence", "residual_correlations"),
        "irtbench.irt.diagnostics.diagnosis": ("Diagnosis", "diagnose"),
        "irtbench.irt.diagnostics.groups": ("dif",),
        "irtbench.irt.diagnostics.hidden": ("heldout",),
        "irtbench.irt.diagnostics.items": ("item_fit", "item_rest_correlation"),
        "irtbench.irt.diagnostics.models": ("benchmark_residuals", "person_fit"),
        "irtbench.irt.diagnostics.predictive": ("predictive_check",),
    },
)
