"""Options that several commands share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "Average",
    "Device",
    "Force",
    "Irt",
    "Json",
    "Level",
    "OptionalOut",
    "OutFile",
    "OutFolder",
    "Quiet",
    "Responses",
    "Seed",
]

Responses = Annotated[Path, typer.Argument(help="Response matrix (Parquet, CSV …).", show_default=False)]
OutFile = Annotated[Path, typer.Option("--out", "-o", help="File to write.", show_default=False)]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", show_default=False)]
OptionalOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="File to write; else stdout.", show_default=False)
]
Irt = Annotated[str, typer.Option("--irt", help="IRT model: 1pl, 2pl, 3pl or 4pl.")]
Average = Annotated[
    Literal["micro", "macro"],
    typer.Option("--average", help="Full score: every item counts the same (micro) or every benchmark does."),
]
Level = Annotated[float, typer.Option("--level", min=0.5, max=0.999, help="Level of the intervals.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="auto takes a GPU if there is one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what irtbench wrote there before.")]
