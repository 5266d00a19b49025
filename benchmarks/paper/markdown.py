"""Markdown that the scripts of this folder share: tables, numbers with intervals, and what was run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.environments import machine
from irtbench.files import versions

__all__ = ["grid", "limits", "over_models", "surroundings"]


def grid(table: pd.DataFrame) -> list[str]:
    """Lines of a table, its index first.

    Example:
        >>> grid(pd.DataFrame({"a": ["1"]}, index=pd.Index(["x"], name="n")))
        ['| n | a |', '|---|--:|', '| x | 1 |']
    """
    flat = table.reset_index()
    n = table.index.nlevels
    lines = ["| " + " | ".join(map(str, flat.columns)) + " |"]
    lines.append("|" + "|".join(["---"] * n + ["--:"] * (len(flat.columns) - n)) + "|")
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in flat.itertuples(index=False))]


def limits(values: Sequence[float], digits: int = 2, scale: float = 1.0) -> str:
    """A value with its interval, ``1.00 [0.90, 1.10]``; a dash where it is not known.

    Example:
        >>> limits((0.5, 0.4, 0.6), scale=100, digits=1), limits((np.nan,) * 3)
        ('50.0 [40.0, 60.0]', '–')
    """
    value, low, high = (scale * float(x) for x in values)
    if np.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text if np.isnan(low) else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def over_models(values: np.ndarray, resamples: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Mean over models (the last axis may be missing values) with a 95 % bootstrap interval over them."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=resamples) @ x / len(x)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(x.mean()), float(low), float(high)


def surroundings(script: str, settings: dict[str, Any]) -> list[str]:
    """What wrote the page, on which machine, with which versions and settings."""
    m = machine()
    said = ", ".join(f"{name} {value}" for name, value in settings.items() if name not in ("cpu", "load"))
    return [
        f"Written by `python benchmarks/paper/{script}`: {said}. Machine: {m['processor']}, {m['cores']} cores,"
        f" {m['memory_gib']} GiB, {m['system']}, Python {m['python']}, shared with other work (load"
        f" {settings['load']:.1f}); {settings['cpu']:.0f} CPU s, one process. "
        + ", ".join(f"{k} {v}" for k, v in versions().items())
    ]
