"""One run of a command: what was asked for, how it talks, and the configuration it leaves behind."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from irtbench.errors import InputError
from irtbench.files import atomic_file, atomic_folder, is_ours, refuse_overwrite, versions, write_json

if TYPE_CHECKING:
    import pandas as pd

    from irtbench.responses import ResponseMatrix

__all__ = ["PROGRAM", "Session", "about", "config_beside", "records", "refuse_file"]

PROGRAM = "irtbench"
_TALK_OPTIONS = ("json_", "quiet", "force")


@dataclass(frozen=True)
class Session:
    """One run of a command.

    Attributes:
        name: the command (``fit`` …).
        arguments: what was typed after ``irtbench``.
        options: every option with the value that is in effect.
    """

    name: str
    arguments: tuple[str, ...]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, context: typer.Context) -> Session:
        """Take the run from typer's context."""
        plain = {k: _plain(v) for k, v in context.params.items() if k not in _TALK_OPTIONS}
        talk = {k: context.params.get(k, False) for k in _TALK_OPTIONS}
        return cls(str(context.info_name), tuple(context.obj or ()), {**plain, **talk})

    @property
    def quiet(self) -> bool:
        """Say nothing but warnings and errors."""
        return bool(self.options["quiet"])

    @property
    def force(self) -> bool:
        """Replace earlier outputs."""
        return bool(self.options["force"])

    @property
    def progress(self) -> bool:
        """Show progress bars: on a terminal only."""
        return not self.quiet and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Print a line for a person, on stderr."""
        if not self.quiet:
            typer.echo(text, err=True)

    def show(self, table: pd.DataFrame, title: str) -> None:
        """Print a table for a person, on stderr."""
        if not self.quiet:
            _print_table(table, title)

    def result(self, content: Mapping[str, Any]) -> None:
        """Print the result for a machine, on stdout, if it was asked for."""
        if self.options["json_"]:
            typer.echo(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))

    def free_file(self, out: Path, suffix: str = "") -> Path:
        """Return ``out`` if this file may be written; asked before the long work.

        Raises:
            InputError: it exists and ``--force`` was not given, is a folder, or cannot be written.
        """
        if out.is_dir():
            raise InputError(f"{out}: is a folder; a file is written here, so choose another name")
        if not out.name.endswith(suffix):
            raise InputError(f"{out}: a Parquet file is written here, so choose a name that ends in {suffix}")
        return _writable(refuse_overwrite(out, force=self.force))

    def free_folder(self, out: Path) -> Path:
        """Return ``out`` if this folder may be written; asked before the long work.

        Raises:
            InputError: it exists and ``--force`` was not given, is not irtbench's, or cannot be written.
        """
        if out.is_file():
            raise InputError(f"{out}: is a file; a folder is written here, so choose another name")
        if out.is_dir() and any(out.iterdir()) and not is_ours(out):
            raise InputError(f"{out}: holds files that irtbench did not write; choose another folder")
        return _writable(refuse_overwrite(out, force=self.force))

    def config(self, inputs: Mapping[str, str]) -> dict[str, Any]:
        """Everything that decided the result: command, options, versions and fingerprints of the inputs."""
        options = {k: v for k, v in self.options.items() if k not in _TALK_OPTIONS}
        return {
            "program": PROGRAM,
            "command": shlex.join([PROGRAM, *self.arguments]),
            "name": self.name,
            "options": options,
            "inputs": dict(inputs),
            "versions": {**versions(), "python": platform.python_version()},
            "platform": platform.platform(terse=True),
        }

    @contextmanager
    def write_file(self, out: Path, inputs: Mapping[str, str]) -> Iterator[Path]:
        """Yield a temporary name for ``out``; write the configuration beside it."""
        with atomic_file(out) as temporary:
            yield temporary
            write_json(config_beside(out), self.config(inputs))

    @contextmanager
    def write_folder(self, out: Path, inputs: Mapping[str, str]) -> Iterator[Path]:
        """Yield a temporary folder for ``out``; write the configuration into it."""
        with atomic_folder(out) as temporary:
            yield temporary
            write_json(temporary / "config.json", self.config(inputs))

    def read(self, path: Path, **how: Any) -> ResponseMatrix:
        """Read a response matrix, and say what it holds."""
        import irtbench as ib

        with about(path):
            responses = ib.read(path, **how)
        self.say(f"{path}: {responses!r}")
        return responses


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Name the file in every InputError raised inside."""
    try:
        yield
    except InputError as error:
        text = re.sub(r"\b(\w+)='(\w+)'", r"--\1 \2", str(error))  # the same options, as typed here
        raise InputError(text if str(path) in text else f"{path}: {text}") from None


def config_beside(path: Path) -> Path:
    """Name of the configuration of an output file: ``scores.csv`` → ``scores.csv.config.json``."""
    return path.with_name(f"{path.name}.config.json")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as plain objects, its named index included; NaN becomes null."""
    flat = table.reset_index() if any(table.index.names) else table
    content: list[dict[str, Any]] = json.loads(flat.to_json(orient="records", double_precision=12))
    return content


def refuse_file(path: Path, wanted: str, maker: str) -> None:
    """Refuse a file where a folder that irtbench wrote is meant, and say what to give.

    Args:
        path: what was given.
        wanted: what the folder holds.
        maker: command that makes such a folder of responses.

    Raises:
        InputError: it is a file.
    """
    if not path.is_file():
        return
    if any((path.parent / name).is_file() for name in ("subset.json", "bank.json", "fit.json")):
        raise InputError(f"{path}: is a file; give the folder that it lies in, {path.parent}")
    raise InputError(
        f"{path}: is a file; give the folder of {wanted}. {PROGRAM} {maker} RESPONSES -o FOLDER makes one"
    )


def _writable(out: Path) -> Path:
    parent = next(p for p in out.absolute().parents if p.exists())
    if not parent.is_dir():
        raise InputError(f"{out}: cannot be written, {parent} is a file")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{out}: cannot be written, no permission for {parent}")
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _print_table(table: pd.DataFrame, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    flat = table.reset_index() if any(table.index.names) else table
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in flat:
        number = flat[column].dtype.kind in "if"
        grid.add_column(str(column).replace("_", " "), justify="right" if number else "left", no_wrap=number)
    for row in flat.itertuples(index=False):
        grid.add_row(*(_cell(value) for value in row))
    width = None if sys.stderr.isatty() else 160
    Console(stderr=True, width=width, highlight=False).print(grid)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value)
    return str(value)
