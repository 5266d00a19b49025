"""Text files on disk: opened whether compressed or not, their first line looked at."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import IO

from irtbench.errors import InputError

__all__ = ["header", "is_gzip", "is_parquet", "open_text", "start"]


def start(path: Path, size: int = 1 << 16) -> bytes:
    """First bytes of a file, unpacked if it is compressed by gzip.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error}); was it cut short?") from None


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed by gzip, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def is_parquet(path: Path) -> bool:
    """Whether the file begins as a Parquet file does."""
    return start(path, 4) == b"PAR1"


def open_text(path: Path) -> IO[str]:
    """Open as UTF-8 text, unpacked if it is compressed by gzip."""
    if is_gzip(path):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def header(path: Path) -> tuple[list[str], str]:
    """Column names and delimiter of a delimited file.

    Raises:
        InputError: the file is empty, not UTF-8 text, or repeats a column.
    """
    try:
        with open_text(path) as file:
            line = file.readline()
            if not line.strip():
                raise InputError(f"{path}: is empty; expected a line of column names")
            delimiter = max(",\t;", key=line.count)
            file.seek(0)
            names = next(csv.reader(file, delimiter=delimiter))
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error}); was it cut short?") from None
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} occurs more than once; rename one")
    return names, delimiter
