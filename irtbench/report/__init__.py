"""Pictures and the HTML page: they draw what the other rooms return, and compute nothing of their own."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.report.fit_page import write_fit_report
    from irtbench.report.fit_plots import (
        infit_outfit,
        item_characteristic_curves,
        precision_of_ability,
        q3_pairs,
    )
    from irtbench.report.html import write_report
    from irtbench.report.plots import (
        coverage,
        discrimination_difficulty,
        elbo_trace,
        estimate_against_truth,
        size_error,
    )

__all__ = [
    "size_error",
    "estimate_against_truth",
    "coverage",
    "elbo_trace",
    "discrimination_difficulty",
    "item_characteristic_curves",
    "precision_of_ability",
    "infit_outfit",
    "q3_pairs",
    "write_report",
    "write_fit_report",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.report.fit_page": ("write_fit_report",),
        "irtbench.report.fit_plots": (
            "infit_outfit",
            "item_characteristic_curves",
            "precision_of_ability",
            "q3_pairs",
        ),
        "irtbench.report.html": ("write_report",),
        "irtbench.report.plots": (
            "coverage",
            "discrimination_difficulty",
            "elbo_trace",
            "estimate_against_truth",
            "size_error",
        ),
    },
)
