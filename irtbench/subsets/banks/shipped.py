"""Find, list and load the banks of the catalogue (``models/banks/``) or of another folder of banks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from irtbench.catalogue import catalogue_folder
from irtbench.errors import InputError
from irtbench.files import read_manifest
from irtbench.irt.bank import ItemBank
from irtbench.subsets.adaptive.planning import AdaptivePlan
from irtbench.subsets.subset import Subset

__all__ = ["CARD", "bank_folders", "list_banks", "load_bank", "load_plan", "load_subset"]

CARD = "card.json"
SUBSETS = "subsets"


def bank_folders(home: str | Path | None = None) -> dict[str, Path]:
    """Folders of the banks by name: their paths below ``models/banks``, or below another folder."""
    root = catalogue_folder("banks") if home is None else Path(home)
    found = sorted(path.parent for path in root.rglob(CARD)) if root.is_dir() else []
    return {folder.relative_to(root).as_posix(): folder for folder in found}


def list_banks(home: str | Path | None = None) -> pd.DataFrame:
    """Table of the banks: ``name, benchmarks, items, models, irt, subsets, error, licence``.

    ``error`` is the mean absolute error on held-out models, random splits, of the largest subset of at most
    100 items, in the unit of the score; NaN where it was not measured.

    Args:
        home: folder of banks; by default that of the catalogue.
    """
    columns = ["name", "benchmarks", "items", "models", "irt", "subsets", "error", "licence"]
    rows = []
    for name, folder in bank_folders(home).items():
        card = read_manifest(folder, CARD)
        rows.append(
            {
                "name": name,
                "benchmarks": ", ".join(card["benchmarks"]),
                "items": card["items"],
                "models": card["models"],
                "irt": card["irt"],
                "subsets": ", ".join(map(str, card["subsets"])),
                "error": _headline(card),
                "licence": card["licence"],
            }
        )
    return pd.DataFrame(rows, columns=columns)


def _headline(card: dict[str, Any]) -> float:
    errors = [row for row in card["errors"] if row["split"] == "random" and row["size"] <= 100]
    return float(max(errors, key=lambda row: row["size"])["mae"]) if errors else float("nan")


def load_bank(name: str, home: str | Path | None = None) -> ItemBank:
    """Load a bank by its name.

    Raises:
        InputError: no bank of this name, or a damaged one.
    """
    return ItemBank.load(_folder(name, home))


def load_subset(name: str, size: int | None = None, home: str | Path | None = None) -> Subset:
    """Load a subset of a bank by name; the one of 100 items, else the largest, unless a size is given.

    Raises:
        InputError: no bank of this name, no subset of this size, or a damaged one.
    """
    folder = _folder(name, home)
    sizes = sorted(int(path.name) for path in (folder / SUBSETS).glob("*") if path.name.isdigit())
    if not sizes:
        raise InputError(f"bank {name!r} has no subsets; choose one with irtbench subset --bank")
    if size is None:
        size = 100 if 100 in sizes else sizes[-1]
    if size not in sizes:
        raise InputError(f"bank {name!r} has subsets of {', '.join(map(str, sizes))} items, not of {size}")
    # the bank is stored once, beside its subsets; Subset.load wants it inside
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "subset"
        shutil.copytree(folder / SUBSETS / str(size), whole)
        (whole / "bank").mkdir()
        for part in ("bank.json", "items.parquet"):
            shutil.copy(folder / part, whole / "bank" / part)
        return Subset.load(whole)


def load_plan(folder: str | Path) -> AdaptivePlan | None:
    """The calibrated plan of an adaptive test that a bank's folder brings, or None.

    Raises:
        InputError: a damaged bank.
    """
    card = read_manifest(folder, CARD)
    how = card.get("adaptive")
    if how is None:
        return None
    factors, far = ({int(n): float(x) for n, x in how.pop(kind, {}).items()} for kind in ("factors", "far"))
    span = how.pop("span", None)
    how["span"] = None if span is None else (float(span[0]), float(span[1]))
    return AdaptivePlan(ItemBank.load(folder), factors=factors, far=far, **how)


def _folder(name: str, home: str | Path | None) -> Path:
    known = bank_folders(home)
    if name not in known:
        listed = ", ".join(known) or "none"
        raise InputError(f"no bank {name!r}; there are: {listed} (irtbench banks)")
    return known[name]
