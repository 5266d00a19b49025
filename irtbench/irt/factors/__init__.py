"""The multidimensional 2PL: several abilities a model, exploratory or one for each benchmark."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.irt.factors.choosing import dimensionality
    from irtbench.irt.factors.fitted import FactorFit
    from irtbench.irt.factors.fitting import fit_factors
    from irtbench.irt.factors.scoring import Abilities, abilities_of

__all__ = ["fit_factors", "FactorFit", "abilities_of", "Abilities", "dimensionality"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.irt.factors.choosing": ("dimensionality",),
        "irtbench.irt.factors.fitted": ("FactorFit",),
        "irtbench.irt.factors.fitting": ("fit_factors",),
        "irtbench.irt.factors.scoring": ("Abilities", "abilities_of"),
    },
)
