"""Choose a few items of a benchmark, and estimate full scores from the responses to them."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.subsets.estimation import estimate
    from irtbench.subsets.estimators import ESTIMATORS
    from irtbench.subsets.selection import STRATEGIES, select
    from irtbench.subsets.subset import Subset

__all__ = ["select", "estimate", "Subset", "ESTIMATORS", "STRATEGIES"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.subsets.estimation": ("estimate",),
        "irtbench.subsets.estimators": ("ESTIMATORS",),
        "irtbench.subsets.selection": ("STRATEGIES", "select"),
        "irtbench.subsets.subset": ("Subset",),
    },
    rooms=("adaptive", "banks", "export", "gates"),
)
