"""Files: written to a temporary name and moved into place, stamped with kind, schema and fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from irtbench.errors import InputError

__all__ = [
    "atomic_file",
    "atomic_folder",
    "fingerprint",
    "is_ours",
    "read_json",
    "read_manifest",
    "refuse_mixed",
    "refuse_overwrite",
    "versions",
    "write_json",
]

SCHEMA = 1
_MANIFESTS = ("bank.json", "fit.json", "factors.json", "subset.json", "formula.json", "card.json")


def fingerprint(*parts: bytes | memoryview | str) -> str:
    """Hash the parts to 16 hexadecimal digits (SHA-256, truncated).

    Example:
        >>> fingerprint("a", b"b") == fingerprint("a", b"b") != fingerprint("ab", b"")
        True
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    names = ("irtbench", "numpy", "pandas", "scipy", "torch", "pyro-ppl")
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def refuse_overwrite(path: str | Path, *, force: bool = False) -> Path:
    """Return ``path`` if it may be written, else raise.

    Raises:
        InputError: the path exists and ``force`` is false.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; choose another name or allow it with --force")
    return path


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary file name beside ``path``; move it into place if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; move it into place if the block succeeds.

    A folder that stands there already is replaced only if irtbench made it or it is empty.

    Raises:
        InputError: ``path`` is a file, or a folder that irtbench did not write.
    """
    path = Path(path)
    if path.is_file():
        raise InputError(f"{path}: is a file; a folder is written here, so choose another name")
    if path.is_dir() and any(path.iterdir()) and not is_ours(path):
        raise InputError(f"{path}: holds files that irtbench did not write; choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write ``content`` as indented JSON, atomically; NaN is refused."""
    with atomic_file(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is missing, not JSON, or not an object.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); was it cut short?") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {type(content).__name__}, expected a JSON object")
    return content


def read_manifest(folder: str | Path, name: str) -> dict[str, Any]:
    """Read ``folder/name`` and check that this version of irtbench can read the folder.

    Raises:
        InputError: not such a folder, or written by a newer schema.
    """
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"{folder}: is a file; give a folder that irtbench wrote, with a {name} in it")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not (folder / name).is_file():
        raise InputError(f"{folder}: has no {name}; give a folder that irtbench wrote")
    content = read_json(folder / name)
    schema = content.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise InputError(
            f"{folder / name}: has schema {schema!r}, this irtbench reads up to {SCHEMA}; update irtbench"
        )
    return content


def refuse_mixed(folder: str | Path, manifest: dict[str, Any], found: str) -> None:
    """Check that the fingerprint of what was read from a folder is the one in its manifest.

    Raises:
        InputError: it is another.
    """
    if found != manifest.get("fingerprint"):
        kind = manifest.get("kind", "result")
        raise InputError(f"{folder}: its files do not belong together; the {kind} was damaged or edited")


def is_ours(folder: str | Path) -> bool:
    """Whether irtbench wrote this folder: it has a manifest, or the configuration of a command."""
    folder = Path(folder)
    if any((folder / name).is_file() for name in _MANIFESTS):
        return True
    try:
        return read_json(folder / "config.json").get("program") == "irtbench"
    except (InputError, OSError):
        return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
