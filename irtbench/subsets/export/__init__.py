"""Take a subset elsewhere: an lm-eval task, ``--samples`` lists, JSON, CSV, a card; a bank for catsim."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.subsets.export.card import card, write_card
    from irtbench.subsets.export.lm_eval import export_lm_eval
    from irtbench.subsets.export.plain import sample_lists, write_catsim, write_csv, write_json_items

__all__ = [
    "card",
    "export_lm_eval",
    "sample_lists",
    "write_card",
    "write_catsim",
    "write_csv",
    "write_json_items",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.subsets.export.card": ("card", "write_card"),
        "irtbench.subsets.export.lm_eval": ("export_lm_eval",),
        "irtbench.subsets.export.plain": ("sample_lists", "write_catsim", "write_csv", "write_json_items"),
    },
)
