"""Read back any result that irtbench saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irtbench.errors import InputError

__all__ = ["load"]


def load(path: str | Path) -> Any:
    """Load what ``x.save(path)`` wrote: a ResponseMatrix, ItemBank, IRTFit, FactorFit or Subset.

    Args:
        path: the Parquet file or folder that was written.

    Raises:
        InputError: nothing there, or not written by irtbench.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_file():
        from irtbench.responses import read

        return read(path)
    if (path / "fit.json").is_file():
        from irtbench.irt import IRTFit

        return IRTFit.load(path)
    if (path / "bank.json").is_file():
        from irtbench.irt import ItemBank

        return ItemBank.load(path)
    if (path / "factors.json").is_file():
        from irtbench.irt import FactorFit

        return FactorFit.load(path)
    if (path / "subset.json").is_file():
        from irtbench.subsets import Subset

        return Subset.load(path)
    raise InputError(
        f"{path}: not a result of irtbench (no fit.json, bank.json, factors.json or subset.json in it)"
    )
