"""Fleets from TOML files, the catalogue, folders and hub ids."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from irtbench.catalogue import catalogue_folder
from irtbench.errors import InputError
from irtbench.scoring.fleet.fleets import Fleet, FleetModel

__all__ = ["DTYPES", "load_fleet"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TEXTS = ("name", "id", "revision", "commit", "dtype", "family", "licence", "parse")
_NUMBERS = ("seed", "step", "tokens", "params", "tokens_per_step")
_LISTS = {"revisions": "revision", "seeds": "seed", "steps": "step"}
_KEYS = (*_TEXTS, *_NUMBERS, *_LISTS, "commits")
DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def load_fleet(name_or_path: str | Path, only: Sequence[str] = ()) -> Fleet:
    """Load a fleet: of the catalogue, a TOML file, or one model (folder, GGUF file, hub id ``id@revision``).

    A file has ``[[models]]`` tables and, before them, ``[defaults]`` for all of them. A table gives ``id`` (a
    hub id, or a folder relative to the file), ``revision``, ``commit``, ``name``, ``dtype``, ``family``,
    ``seed``, ``step``, ``tokens``, ``params`` and ``licence``. Lists ``revisions``, ``seeds`` and ``steps``
    stand for all combinations; ``{seed}``, ``{step}`` and ``{revision}`` are filled in the texts, and a
    part of ``steps`` may be ``{ from = 1000, to = 5000, by = 1000 }``. ``parse`` is a regular expression that
    takes ``seed``, ``step``, ``tokens`` or ``billions`` (of tokens) from the revision; ``commits`` maps
    revisions to commits; ``tokens_per_step`` gives the tokens of each step.

    Args:
        name_or_path: of the fleet, the file or the model.
        only: conditions on its models, see :meth:`Fleet.only`; the folders of others need not be there.

    Raises:
        InputError: no such fleet, file, folder or id; a file that is not a fleet; a condition that no
            model meets.

    Example:
        >>> load_fleet("EleutherAI/pythia-70m@step1000").models[0].name
        'pythia-70m@step1000'
    """
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return Fleet(path.stem, (FleetModel(path.stem, str(path.resolve())),)).only(only)
    if path.is_file():
        if path.suffix != ".toml":
            raise InputError(f"{text}: is a file, but not a fleet (.toml) and not the folder of a model")
        return _chosen(path, only)
    if path.is_dir():
        found = _model_folder(path)
        return Fleet(found.name, (FleetModel(found.name, str(found)),)).only(only)
    shipped = {p.stem: p for p in sorted(catalogue_folder("fleets").glob("*.toml"))}
    if text in shipped:
        return _chosen(shipped[text], only)
    id, _, revision = text.partition("@")
    if _HUB_ID.fullmatch(id) and not text.startswith(".") and path.suffix != ".toml":
        name = id.partition("/")[2] + (f"@{revision}" if revision else "")
        return Fleet(name, (FleetModel(name, id, revision or "main"),)).only(only)
    near = difflib.get_close_matches(text, shipped, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else f" (fleets of the catalogue: {', '.join(shipped)})"
    raise InputError(f"{text}: no such fleet, TOML file, model folder or hub id{guess}")


def _chosen(path: Path, only: Sequence[str]) -> Fleet:
    """The part of a fleet's file that is wanted, with all of its folders there."""
    fleet = _read(path).only(only)
    for model in fleet:
        if model.is_folder:
            _model_folder(Path(model.id), f"{path}: {model.name}: ")
    return fleet


def _read(path: Path) -> Fleet:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid TOML ({error})") from None
    unknown = [k for k in content if k not in ("defaults", "models")]
    if unknown:
        raise InputError(f"{path}: unknown key {unknown[0]!r}; a fleet has [defaults] and [[models]]")
    entries = content.get("models")
    if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        raise InputError(f"{path}: has no [[models]] tables, so it is not a fleet")
    models: list[FleetModel] = []
    for k, entry in enumerate(entries, start=1):
        where = f"{path}: model {k}"
        models += _expand({**content.get("defaults", {}), **entry}, where, path.parent)
    return Fleet(path.stem, tuple(models))


def _expand(entry: Mapping[str, Any], where: str, folder: Path) -> Iterator[FleetModel]:
    """All the models of one table: the product of its lists."""
    _check(entry, where)
    lists = {_LISTS[key]: _numbers(entry[key], where) for key in _LISTS if key in entry}
    for values in product(*lists.values()):
        yield _model({**entry, **dict(zip(lists, values, strict=True))}, where, folder)


def _check(entry: Mapping[str, Any], where: str) -> None:
    for key, value in entry.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (keys: {', '.join(_KEYS)})"
            raise InputError(f"{where}: unknown key {key!r}{hint}")
        kind = str if key in _TEXTS else int if key in _NUMBERS else dict if key == "commits" else list
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(f"{where}: {key} must be {_KINDS[kind]}, got {value!r}")
    if "id" not in entry:
        raise InputError(f"{where}: has no id; give a hub id or a folder")
    if entry.get("dtype", "auto") not in DTYPES:
        raise InputError(f"{where}: dtype must be one of {', '.join(DTYPES)}, got {entry['dtype']!r}")


_KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}


def _numbers(values: Sequence[Any], where: str) -> list[Any]:
    """The list with its ranges written out."""
    written: list[Any] = []
    for value in values:
        if not isinstance(value, dict):
            written.append(value)
            continue
        if set(value) != {"from", "to", "by"} or not all(isinstance(v, int) for v in value.values()):
            raise InputError(
                f"{where}: a range is written {{ from = 1000, to = 5000, by = 1000 }}, got {value!r}"
            )
        written += range(value["from"], value["to"] + 1, value["by"])
    return written


def _model(entry: dict[str, Any], where: str, folder: Path) -> FleetModel:
    filled: dict[str, Any] = {k: entry[k] for k in ("seed", "step") if k in entry}
    revision = _fill(entry.get("revision"), filled, where)
    id = _fill(entry["id"], filled, where)
    assert id is not None
    found: dict[str, Any] = dict(filled)
    if entry.get("parse") and revision is not None:
        found |= _parsed(entry["parse"], revision, where)
    if "tokens_per_step" in entry and "step" in found:
        found.setdefault("tokens", found["step"] * entry["tokens_per_step"])
    commit = entry.get("commit") or entry.get("commits", {}).get(revision)
    if commit is not None and not _COMMIT.fullmatch(str(commit)):
        raise InputError(f"{where}: a commit has 40 hexadecimal digits, got {commit!r}")
    place = Path(id).expanduser()
    place = place if place.is_absolute() else folder / place
    if place.exists() or not _HUB_ID.fullmatch(id) or id.startswith("."):
        id = str(place.resolve())
        short = place.resolve().stem if place.is_file() else place.resolve().name
        if revision is not None or commit is not None:
            raise InputError(f"{where}: {id} is a folder, so it has no revision or commit")
    else:
        short = id.partition("/")[2] + (f"@{revision}" if revision else "")
        if revision is None and commit is None:
            raise InputError(f"{where}: {id} has no revision; pin it, for example to a commit or a branch")
    name = _fill(entry.get("name"), {**filled, "revision": revision}, where) or short
    known: dict[str, Any] = {
        k: entry[k] for k in ("dtype", "family", "tokens", "params", "licence") if k in entry
    }
    return FleetModel(name, id, revision, commit=commit, **{**known, **found})


def _fill(text: str | None, values: Mapping[str, Any], where: str) -> str | None:
    if text is None:
        return None
    try:
        return text.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"{where}: {text!r} cannot be filled: no value for {error}") from None


def _parsed(pattern: str, revision: str, where: str) -> dict[str, int]:
    try:
        match = re.search(pattern, revision)
    except re.error as error:
        raise InputError(f"{where}: parse is not a regular expression ({error})") from None
    if match is None:
        raise InputError(f"{where}: parse {pattern!r} does not fit the revision {revision!r}")
    found = {k: int(v) for k, v in match.groupdict().items()}
    if "billions" in found:
        found["tokens"] = found.pop("billions") * 10**9
    unknown = [k for k in found if k not in ("seed", "step", "tokens")]
    if unknown:
        raise InputError(f"{where}: parse takes seed, step, tokens or billions, not {unknown[0]!r}")
    return found


def _model_folder(path: Path, where: str = "") -> Path:
    """The folder, if a model lies in it."""
    path = path.resolve()
    if path.is_file() and path.suffix == ".gguf":
        return path
    if not path.is_dir():
        hint = "; make it first, or take a part of the fleet with --only" if where else ""
        raise InputError(f"{where}{path}: no such model folder{hint}")
    if not (path / "config.json").is_file():
        raise InputError(f"{where}{path}: no model lies there (no config.json)")
    return path
