"""Pictures and the HTML page: they draw what the other rooms return, and compute nothing of their own."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
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
    "write_report",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
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
