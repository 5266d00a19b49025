"""Progress bars on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["counting_bar", "objective_bar"]


@contextmanager
def objective_bar(title: str, wanted: bool) -> Iterator[Callable[[int, float], None] | None]:
    """Yield a function of step and ELBO that updates a bar on stderr; None where none is wanted."""
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


@contextmanager
def counting_bar(title: str, total: int, done: int, wanted: bool) -> Iterator[Callable[[], None]]:
    """Yield a function that advances a bar of ``total`` parts, ``done`` of which were there before."""
    if not wanted or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, completed=done)
        yield lambda: bar.advance(task)
