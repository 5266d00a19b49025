"""The response matrix: the type, its checks, its splits, and one reader a format."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.responses.build import from_long
    from irtbench.responses.checks import check, describe
    from irtbench.responses.matrix import Average, Metric, ResponseMatrix, item_weights
    from irtbench.responses.reading import read
    from irtbench.responses.splits import Split, split

__all__ = [
    "ResponseMatrix",
    "Metric",
    "Average",
    "item_weights",
    "read",
    "from_long",
    "check",
    "describe",
    "Split",
    "split",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.responses.build": ("from_long",),
        "irtbench.responses.checks": ("check", "describe"),
        "irtbench.responses.matrix": ("Average", "Metric", "ResponseMatrix", "item_weights"),
        "irtbench.responses.reading": ("read",),
        "irtbench.responses.splits": ("Split", "split"),
    },
)
