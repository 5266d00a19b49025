"""Banks that ship: calibrated items with subsets, held-out errors and a card; no responses, no questions."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.subsets.banks.making import held_out_errors, write_bank
    from irtbench.subsets.banks.shipped import (
        bank_folders,
        list_banks,
        load_bank,
        load_plan,
        load_subset,
    )

__all__ = [
    "bank_folders",
    "held_out_errors",
    "list_banks",
    "load_bank",
    "load_plan",
    "load_subset",
    "write_bank",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.subsets.banks.making": ("held_out_errors", "write_bank"),
        "irtbench.subsets.banks.shipped": (
            "bank_folders",
            "list_banks",
            "load_bank",
            "load_plan",
            "load_subset",
        ),
    },
)
