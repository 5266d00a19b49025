"""Fleets: the language models to score, each pinned to a revision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from irtbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fleet", "FleetModel"]


@dataclass(frozen=True)
class FleetModel:
    """A language model to score: one revision of one repository, or a folder.

    Attributes:
        name: id of its row in the response matrix.
        id: ``organisation/name`` on the Hugging Face hub, or a folder, or a GGUF file.
        revision: branch, tag or commit; None for a folder.
        dtype: numbers to compute in: ``auto``, ``float32`` ….
        family: models that belong together (a size of a suite).
        seed: of its training run.
        step: of its training.
        tokens: that it was trained on.
        params: number of its parameters.
        licence: of its weights.
        commit: what is loaded in place of ``revision``, if given.
    """

    name: str
    id: str
    revision: str | None = None
    dtype: str = "auto"
    family: str | None = None
    seed: int | None = None
    step: int | None = None
    tokens: int | None = None
    params: int | None = None
    licence: str | None = None
    commit: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder (or a GGUF file) of this machine."""
        return self.revision is None and self.commit is None

    @property
    def pin(self) -> str | None:
        """What is loaded from the hub: the commit, else the revision."""
        return self.commit or self.revision


@dataclass(frozen=True, repr=False)
class Fleet:
    """Language models to score, in order.

    Attributes:
        name: of the fleet.
        models: its models; their names are unique.

    Raises:
        InputError: no model, or two of one name.
    """

    name: str
    models: tuple[FleetModel, ...]

    def __post_init__(self) -> None:
        names = [m.name for m in self.models]
        if not names:
            raise InputError(f"fleet {self.name}: no models")
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise InputError(f"fleet {self.name}: two models are named {twice!r}; give them a name each")

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[FleetModel]:
        return iter(self.models)

    def __repr__(self) -> str:
        families = {m.family for m in self.models if m.family}
        return f"Fleet {self.name}: {len(self)} models" + (f", {len(families)} families" if families else "")

    def only(self, conditions: Sequence[str]) -> Fleet:
        """Keep the models that meet every condition ``column=value,value…``.

        Raises:
            InputError: a condition that is none, or that no model meets.

        Example:
            >>> from irtbench.scoring.fleet.reading import load_fleet
            >>> fleet = load_fleet("polypythias")
            >>> fleet.only(["family=pythia-160m", "step=1000,143000", "seed=0,1,2"])
            Fleet polypythias: 6 models, 1 families
        """
        kept = self.models
        for condition in conditions:
            column, equals, values = condition.partition("=")
            if not equals or column not in _COLUMNS:
                raise InputError(
                    f"fleet {self.name}: {condition!r} is not a condition; write for example"
                    f" step=1000,143000 (columns: {', '.join(_COLUMNS)})"
                )
            wanted = {value.strip() for value in values.split(",")}
            there = {str(getattr(m, column)) for m in kept}
            kept = tuple(m for m in kept if str(getattr(m, column)) in wanted)
            if not kept:
                few = sorted(there)[:5]
                raise InputError(
                    f"fleet {self.name}: no model has {condition!r}; there is {', '.join(few)} …"
                )
        return replace(self, models=kept)

    def table(self) -> pd.DataFrame:
        """What is known about the models, indexed by name: the table of a ResponseMatrix."""
        import pandas as pd

        rows = [{c: getattr(m, c) for c in _COLUMNS[1:]} for m in self.models]
        table = pd.DataFrame(rows, index=pd.Index([m.name for m in self.models], name="model"))
        for column in ("seed", "step", "tokens", "params"):
            table[column] = table[column].astype("Int64")
        return table.dropna(axis="columns", how="all")


_COLUMNS = tuple(f.name for f in fields(FleetModel))
