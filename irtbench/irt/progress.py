"""A progress bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(title: str, wanted: bool) -> Iterator[Callable[[int, float], None] | None]:
    """Yield a function of step and objective that updates a bar on stderr; None where none is wanted."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("step {task.completed:.0f}  ELBO {task.fields[elbo]:.1f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, elbo=float("nan"))
        yield lambda step, elbo: bar.update(task, completed=step, elbo=elbo)
