"""Long tables (one row a response) from Parquet, CSV or TSV files, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from irtbench.errors import InputError
from irtbench.responses.build import from_long
from irtbench.responses.matrix import Metric, ResponseMatrix
from irtbench.responses.readers.text import header, is_gzip, is_parquet

__all__ = ["read_long"]

_ROWS_PER_BATCH = 1 << 18
_BYTES_PER_BATCH = 1 << 24


def read_long(
    path: Path, *, metric: Metric | str | None = None, columns: dict[str, str] | None = None
) -> ResponseMatrix:
    """Read a long table; see :func:`~irtbench.responses.build.from_long` for its columns.

    Args:
        path: Parquet, CSV or TSV file; the text files may be compressed by gzip.
        metric: what the responses measure.
        columns: irtbench's name → the file's name, for columns called otherwise.

    Raises:
        InputError: the file cannot be read, or its rows make no matrix.
    """
    import pyarrow as pa

    packed = is_parquet(path)
    try:
        batches = _parquet_batches(path) if packed else _csv_batches(path)
        return from_long(batches, metric=metric, columns=columns, source=str(path), text=not packed)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read ({reason}); is it whole, and every line alike?") from None


def _parquet_batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        texts = [
            field.name
            for field in file.schema_arrow
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        yield from file.iter_batches(_ROWS_PER_BATCH)


def _csv_batches(path: Path) -> Iterator[Any]:
    """Batches with every column as text: a guess from the first rows could turn id 007 into 7."""
    import pyarrow as pa
    import pyarrow.csv as pc

    names, delimiter = header(path)
    kind = pa.dictionary(pa.int32(), pa.string())
    with pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None) as stream:
        yield from pc.open_csv(
            stream,
            read_options=pc.ReadOptions(block_size=_BYTES_PER_BATCH),
            parse_options=pc.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(names, kind), null_values=[""], strings_can_be_null=True
            ),
        )
