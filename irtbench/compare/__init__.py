"""The experiment: strategies × sizes × splits of the models, always with the random control.

The package can be called: ``irtbench.compare(...)`` is :func:`irtbench.compare.experiment.compare`,
whether or not a module of this room was imported before.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.compare.experiment import compare
    from irtbench.compare.methods import CONTROL, METHODS
    from irtbench.compare.replicates import SubsetStudy, subset_study
    from irtbench.compare.summary import summarize

__all__ = ["compare", "summarize", "METHODS", "CONTROL", "SubsetStudy", "subset_study"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.compare.experiment": ("compare",),
        "irtbench.compare.methods": ("METHODS", "CONTROL"),
        "irtbench.compare.replicates": ("SubsetStudy", "subset_study"),
        "irtbench.compare.summary": ("summarize",),
    },
)


class _Callable(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from irtbench.compare.experiment import compare

        return compare(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
