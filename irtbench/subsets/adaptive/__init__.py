"""Adaptive testing: ask a model the items that tell most about its full score, until that is known."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.subsets.adaptive.planning import AdaptivePlan, adaptive_plan
    from irtbench.subsets.adaptive.session import AdaptiveSession, resume, start
    from irtbench.subsets.adaptive.simulation import simulate_adaptive, summarize_adaptive

__all__ = [
    "AdaptivePlan",
    "AdaptiveSession",
    "adaptive_plan",
    "resume",
    "simulate_adaptive",
    "start",
    "summarize_adaptive",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.subsets.adaptive.planning": ("AdaptivePlan", "adaptive_plan"),
        "irtbench.subsets.adaptive.session": ("AdaptiveSession", "resume", "start"),
        "irtbench.subsets.adaptive.simulation": ("simulate_adaptive", "summarize_adaptive"),
    },
)
