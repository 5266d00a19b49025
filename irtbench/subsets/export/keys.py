"""How an item is found again in another tool's data set: by its hash, by a field, by its position."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from irtbench.errors import InputError
from irtbench.subsets.subset import Subset

__all__ = ["guess_match", "item_keys"]

_HASHED = re.compile(r"^(?P<task>.+)/(?P<hash>[0-9a-f]{16})(?:#(?P<copy>\d+))?$")
_NUMBERED = re.compile(r"(\d+)$")


def guess_match(subset: Subset) -> str:
    """``hash`` if every chosen item is named as :func:`irtbench.read` names those of lm-eval logs.

    Raises:
        InputError: it is not, so how to find the items must be said.
    """
    if all(_HASHED.match(item) for item in subset.items):
        return "hash"
    raise InputError(
        f"item {subset.items[0]!r} is not named by lm-eval's doc_hash: say how a document of the task is"
        " matched to an item, match='position' or the name of the document's field that holds the id"
    )


def item_keys(subset: Subset, match: str, keys: Mapping[str, Any] | None = None) -> dict[str, str | int]:
    """Key of each chosen item under which the documents of its task are searched.

    Args:
        subset: the subset.
        match: ``hash`` (doc_hash, as lm-eval logs it), ``position`` (row of the task's test or validation
            split, from 0), or the name of a field of the documents.
        keys: item id → position or value of the field, where they are not what the bank's ``doc_id`` or
            the ids themselves say (``BENCHMARK/value``; a number at the end is a position).

    Raises:
        InputError: an item without a key, or two items of a benchmark with one.
    """
    found: dict[str, str | int] = {}
    for item, benchmark in zip(subset.items, subset.benchmark.loc[subset.items, "benchmark"], strict=True):
        if match == "hash":
            named = _HASHED.match(item)
            if named is None:
                raise InputError(f"item {item!r} has no doc_hash in its id (TASK/16 hexadecimal digits)")
            found[item] = named["hash"] + (f"#{named['copy']}" if named["copy"] else "")
        elif keys is not None:
            if item not in keys:
                raise InputError(f"item {item!r} has no key in the keys given ({len(keys)})")
            found[item] = _position(keys[item], item) if match == "position" else str(keys[item])
        elif match == "position":
            found[item] = _own_position(subset, item)
        else:
            found[item] = item.removeprefix(f"{benchmark}/")
    _refuse_twice(subset, found)
    return found


def _own_position(subset: Subset, item: str) -> int:
    """The item's ``doc_id`` in the bank, else the number at the end of its id."""
    metadata = None if subset.bank is None else subset.bank.metadata
    if metadata is not None and "doc_id" in metadata:
        value = metadata.loc[item, "doc_id"]
        if value is not None and value == value:
            return _position(value, item)
    number = _NUMBERED.search(item)
    if number is None:
        raise InputError(f"item {item!r}: its position is not known; give keys (item id → row from 0)")
    return int(number[1])


def _position(value: Any, item: str) -> int:
    try:
        position = int(value)
    except (TypeError, ValueError):
        position = -1
    if position < 0 or float(value) != position:
        raise InputError(f"item {item!r}: a position is a whole number from 0, got {value!r}")
    return position


def _refuse_twice(subset: Subset, keys: Mapping[str, str | int]) -> None:
    seen: dict[tuple[str, str | int], str] = {}
    for item, key in keys.items():
        where = str(subset.benchmark.loc[item, "benchmark"]), key
        if where in seen:
            raise InputError(f"items {seen[where]!r} and {item!r} have the same key {key!r}")
        seen[where] = item
