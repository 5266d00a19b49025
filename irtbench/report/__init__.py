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
    from irtbench.report.subset_plots import sorted_estimates, subset_curves
    from irtbench.report.variance_page import write_variance_report
    from irtbench.report.variance_plots import item_halves, seed_curves, seed_strips
    from irtbench.report.view_plots import view_crossover, view_scatter, views_side_by_side

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
    "seed_curves",
    "seed_strips",
    "item_halves",
    "views_side_by_side",
    "view_crossover",
    "view_scatter",
    "sorted_estimates",
    "subset_curves",
    "write_variance_report",
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
        "irtbench.report.subset_plots": ("sorted_estimates", "subset_curves"),
        "irtbench.report.variance_page": ("write_variance_report",),
        "irtbench.report.variance_plots": ("item_halves", "seed_curves", "seed_strips"),
        "irtbench.report.view_plots": ("view_crossover", "view_scatter", "views_side_by_side"),
    },
)
