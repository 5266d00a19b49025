"""Arrow columns as integer codes and numbers; only the distinct values become Python objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["Encoder", "PairEncoder", "numbers", "tidy"]

_WORDS = {"true": 1.0, "false": 0.0, "": np.nan, "na": np.nan, "n/a": np.nan, "null": np.nan, "none": np.nan}


class Encoder:
    """Number the distinct values of a column over record batches, in order of first appearance.

    Attributes:
        values: Arrow array of the distinct values; a code is a position in it.

    Example:
        >>> import pyarrow as pa
        >>> encoder = Encoder(text=True)
        >>> encoder.encode(pa.array([7.0, None, 3.0])).tolist()
        [0, -1, 1]
        >>> encoder.encode(pa.array(["3", "b"])).tolist(), encoder.values.to_pylist()
        ([1, 2], ['7', '3', 'b'])
    """

    def __init__(self, *, text: bool = False) -> None:
        self.text = text
        self.values: Any = None

    def __len__(self) -> int:
        return 0 if self.values is None else len(self.values)

    def encode(self, column: Any) -> np.ndarray:
        """Return the code of each entry (n,), -1 where it is null (or, as text, empty)."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_null(column.type):
            return np.full(len(column), -1, dtype=np.int32)
        codes, distinct = _distinct(column)
        if self.text:
            distinct = _as_text(distinct)
        if self.values is None:
            self.values = distinct.slice(0, 0)
        distinct = distinct.cast(self.values.type)
        position = pc.index_in(distinct, value_set=self.values)
        new = distinct.filter(position.is_null()).drop_null()
        if len(new):
            self.values = pa.concat_arrays([self.values, new.unique()])
            position = pc.index_in(distinct, value_set=self.values)
        lookup = np.append(position.fill_null(-1).to_numpy(zero_copy_only=False), -1).astype(np.int32)
        return np.asarray(lookup[codes])

    def texts(self) -> list[str]:
        """Distinct values as a list."""
        return [] if self.values is None else self.values.to_pylist()

    def series(self, codes: np.ndarray) -> pd.Series:
        """Return the values of these codes, missing where a code is negative."""
        import pyarrow as pa

        if self.values is None:
            return pd.Series([None] * len(codes), dtype=object)
        positions = pa.array(np.maximum(codes, 0), mask=codes < 0)
        return self.values.take(positions).to_pandas()


class PairEncoder:
    """Number the distinct pairs of two columns of codes.

    Example:
        >>> pairs = PairEncoder()
        >>> pairs.encode(np.array([0, 0, 1, 0]), np.array([5, -1, 5, 5])).tolist()
        [0, 1, 2, 0]
        >>> [side.tolist() for side in pairs.sides()]
        [[0, 0, 1], [5, -1, 5]]
    """

    def __init__(self) -> None:
        self._keys = Encoder()

    def __len__(self) -> int:
        return len(self._keys)

    def encode(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the code of each pair (n,)."""
        import pyarrow as pa

        return self._keys.encode(pa.array((left.astype(np.int64) << 32) + right + 1))

    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Left and right code of each distinct pair."""
        keys = np.array(self._keys.values, dtype=np.int64)
        return keys >> 32, (keys & 0xFFFFFFFF) - 1


def numbers(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as float64, and where it is not a number.

    Empty text and ``NA`` are NaN; ``True`` is 1, ``False`` 0, in text too.

    Example:
        >>> import pyarrow as pa
        >>> values, bad = numbers(pa.array(["1.0", "True", "", "yes"]))
        >>> values.tolist(), bad.tolist()
        ([1.0, 1.0, nan, nan], [False, False, False, True])
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), _nowhere(column)
    if pa.types.is_boolean(kind):
        return numbers(column.cast(pa.int8()))
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan), _nowhere(column)
    if pa.types.is_dictionary(kind) or _is_text(kind):
        codes, distinct = _distinct(column)
        if _is_text(distinct.type):
            values, bad = _parsed(distinct)
        else:
            values, bad = numbers(distinct)
        return np.append(values, np.nan)[codes], np.append(bad, False)[codes]
    return np.full(len(column), np.nan), column.is_valid().to_numpy(zero_copy_only=False)


def tidy(texts: list[str | None]) -> pd.Series:
    """Return texts as integers if all of them are, else as numbers, else as they are.

    Example:
        >>> tidy(["1", "10"]).tolist(), tidy(["1", "best"]).tolist()
        ([1, 10], ['1', 'best'])
    """
    series = pd.Series(texts)
    stated = series.dropna()
    if len(stated) == 0:
        return pd.Series(np.full(len(texts), np.nan))
    if set(stated.astype(str)) <= {"True", "False", "true", "false"} and len(stated) == len(series):
        return series.astype(str).str.lower() == "true"
    try:
        return pd.to_numeric(series)
    except (ValueError, TypeError):
        return series


def _nowhere(column: Any) -> np.ndarray:
    return np.zeros(len(column), dtype=bool)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _distinct(column: Any) -> tuple[np.ndarray, Any]:
    """Codes (-1 null) and distinct values in order of first appearance; unused ones are left out."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    where = np.flatnonzero(codes >= 0)
    first = np.full(len(column.dictionary), len(codes), dtype=np.int64)
    first[codes[where[::-1]]] = where[::-1]
    order = np.argsort(first, kind="stable")
    used = order[: int((first < len(codes)).sum())]
    rank = np.full(len(first) + 1, -1, dtype=np.int64)
    rank[used] = np.arange(len(used))
    return rank[codes], column.dictionary.take(pa.array(used))


def _as_text(values: Any) -> Any:
    """Distinct values as text: whole numbers without ``.0``, empty text as null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type):
        texts = [None if v is None or np.isnan(v) else _plain(v) for v in values.to_pylist()]
        return pa.array(texts, type=pa.large_string())
    if not (_is_text(values.type) or pa.types.is_primitive(values.type) or pa.types.is_decimal(values.type)):
        values = pa.array([None if v is None else str(v) for v in values.to_pylist()])
    values = values.cast(pa.large_string())
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.large_string()), values)


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _parsed(distinct: Any) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow as pa

    try:
        return numbers(distinct.cast(pa.float64()))
    except pa.ArrowInvalid:
        pass
    values = np.full(len(distinct), np.nan)
    bad = np.zeros(len(distinct), dtype=bool)
    for k, text in enumerate(distinct.to_pylist()):
        if text is None:
            continue
        word = text.strip().lower()
        try:
            values[k] = _WORDS[word] if word in _WORDS else float(word)
        except ValueError:
            bad[k] = True
    return values, bad
