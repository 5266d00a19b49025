"""A folder in which long work is done: a killed run continues there, a finished one is not touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from irtbench.commands.session import Session
from irtbench.errors import InputError
from irtbench.files import is_ours, read_json, write_json

__all__ = ["refuse_finished", "unfinished"]

PARTS = "splits"
_SAME = ("name", "options", "inputs", "versions")
_FREE_OPTIONS = ("jobs", "executor", "out")  # they change nothing in the result


def refuse_finished(session: Session, out: Path) -> None:
    """Check, before the long work, that ``out`` is new, unfinished, or may be replaced.

    Raises:
        InputError: it is none of them.
    """
    if out.is_file() or not _is_unfinished(out):
        session.free_folder(out)


@contextmanager
def unfinished(session: Session, out: Path, inputs: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folder of finished parts in ``out``; mark ``out`` finished when the block succeeds.

    What stood there before comes back if the input turns out to be bad.

    Raises:
        InputError: unfinished work of another command lies there.
    """
    config = session.config(inputs)
    continues = not session.force and _is_unfinished(out)
    if continues:
        _refuse_other(out, config)
        session.say(f"{out}: continuing where the last run was stopped")
    aside = out.with_name(f".{out.name}.old")
    if not continues and out.exists():
        shutil.rmtree(aside, ignore_errors=True)
        out.rename(aside)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", {**config, "finished": False})
    try:
        yield out / PARTS
    except (InputError, MemoryError):
        if not continues:
            shutil.rmtree(out)
            if aside.exists():
                aside.rename(out)
        raise
    write_json(out / "config.json", {**config, "finished": True})
    for gone in (out / PARTS, aside):
        shutil.rmtree(gone, ignore_errors=True)


def _is_unfinished(out: Path) -> bool:
    return is_ours(out) and (out / "config.json").is_file() and _config(out).get("finished") is False


def _refuse_other(out: Path, config: Mapping[str, Any]) -> None:
    old = _config(out)
    for key in _SAME:
        then, now = (
            {k: v for k, v in c[key].items() if k not in _FREE_OPTIONS}
            if isinstance(c[key], dict)
            else c[key]
            for c in (old, config)
        )
        if then != now:
            raise InputError(
                f"{out}: holds unfinished work with other {key} ({_first_difference(then, now)}); finish"
                " that, choose another folder, or start over with --force"
            )


def _config(out: Path) -> dict[str, Any]:
    return read_json(out / "config.json")


def _first_difference(then: Any, now: Any) -> str:
    if not isinstance(then, dict):
        return f"{then} then, {now} now"
    key = next(k for k in [*then, *now] if then.get(k) != now.get(k))
    return f"{key}: {then.get(key)} then, {now.get(key)} now"
