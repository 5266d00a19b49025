"""Gates: is a variant (quantised, fine-tuned, another engine) worse than its base by more than δ?"""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.subsets.gates.judging import Verdict, judge
    from irtbench.subsets.gates.planning import GatePlan, gate_plan
    from irtbench.subsets.gates.power import gate_items_needed, gate_power

__all__ = ["GatePlan", "Verdict", "gate_items_needed", "gate_plan", "gate_power", "judge"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.subsets.gates.judging": ("Verdict", "judge"),
        "irtbench.subsets.gates.planning": ("GatePlan", "gate_plan"),
        "irtbench.subsets.gates.power": ("gate_items_needed", "gate_power"),
    },
)
