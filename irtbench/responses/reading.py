"""Read responses of any known format: look at the content, call the reader, warn about doubts."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from irtbench.errors import DataWarning, InputError
from irtbench.responses.matrix import Metric, ResponseMatrix

__all__ = ["FORMATS", "read", "sniff"]


def _own(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.parquet import read_parquet

    return read_parquet(path, **options)


def _long(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.long import read_long

    return read_long(path, **options)


def _wide(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.wide import read_wide

    return read_wide(path, **options)


def _pyirt(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.pyirt import read_pyirt

    return read_pyirt(path, **options)


def _lm_eval(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.lm_eval import read_lm_eval

    return read_lm_eval(path, **options)


_READERS: dict[str, tuple[Callable[..., ResponseMatrix], tuple[str, ...]]] = {
    "irtbench": (_own, ()),
    "long": (_long, ("metric", "columns")),
    "wide": (_wide, ("metric",)),
    "pyirt": (_pyirt, ("metric",)),
    "lm-eval": (_lm_eval, ("metric", "filter")),
}
FORMATS = tuple(_READERS)


def read(
    path: str | Path,
    *,
    format: str | None = None,
    metric: Metric | str | None = None,
    filter: str | None = None,
    columns: dict[str, str] | None = None,
) -> ResponseMatrix:
    r"""Read responses from a file or folder.

    Known formats: ``irtbench`` (what ``R.save`` wrote), ``long`` (a row a response: CSV, TSV,
    Parquet), ``wide`` (a row a model, a column an item), ``pyirt`` (JSON lines of py-irt), ``lm-eval``
    (a folder of lm-eval logs with ``--log_samples``, or one sample file).

    Args:
        path: the file or folder.
        format: the format, instead of looking at the content.
        metric: what the responses measure; for ``lm-eval`` which of the logged metrics to take.
        filter: for ``lm-eval``: which filter to take where a task has several.
        columns: for ``long``: irtbench's name → the file's name of a column.

    Raises:
        InputError: nothing there, no known format, an option the format does not have, or content
            that makes no matrix.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "r.csv").write_text("model,q1,q2\na,1,0\nb,0,1\n")
        ...     with warnings.catch_warnings():
        ...         warnings.simplefilter("ignore", DataWarning)  # only two models
        ...         R = read(Path(folder, "r.csv"))
        >>> R
        ResponseMatrix: 2 models × 2 items, 100.0 % observed, acc (higher is better)
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if format is not None and format not in _READERS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    chosen = format or sniff(path)
    reader, known = _READERS[chosen]
    options = {"metric": metric, "filter": filter, "columns": columns}
    given = {name: value for name, value in options.items() if value is not None}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise InputError(f"{path}: format {chosen!r} has no option {unknown[0]!r}; leave it out")
    R = reader(path, **given)
    if chosen != "irtbench":  # a matrix of our own was checked when it was first read
        _warn(R, path)
    return R


def sniff(path: str | Path) -> str:
    """Tell the format of a file or folder by its content.

    Raises:
        InputError: it is none of the known formats.
    """
    from irtbench.responses.naming import looks_long
    from irtbench.responses.parquet import is_ours
    from irtbench.responses.readers.text import header, is_parquet, start

    path = Path(path)
    if path.is_dir():
        return "lm-eval"
    if is_parquet(path):
        if is_ours(path):
            return "irtbench"
        import pyarrow.parquet as pq

        return "long" if looks_long(pq.read_schema(path).names) else "wide"
    first = start(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    if first[:1] not in (b"{", b"["):
        return "long" if looks_long(header(path)[0]) else "wide"
    if first[:1] == b"[" or b'"doc_id"' in first or b'"doc_hash"' in first:
        return "lm-eval"
    if b'"subject_id"' in first or b'"responses"' in first:
        return "pyirt"
    raise InputError(
        f"{path}: JSON of no known kind (keys {_keys(first)}); known formats: {', '.join(FORMATS)}"
    )


def _keys(text: bytes) -> str:
    try:
        content = json.loads(text.splitlines()[0])
        return ", ".join(map(str, list(content)[:8])) if isinstance(content, dict) else "none"
    except json.JSONDecodeError:
        return "unknown"


def _warn(R: ResponseMatrix, path: Path) -> None:
    from irtbench.responses.checks import DOUBTS, check

    for finding in check(R).itertuples():
        if finding.finding in DOUBTS:
            text = f"{path}: {finding.finding}: {finding.count} ({finding.examples}); {finding.advice}"
            warnings.warn(text, DataWarning, stacklevel=3)
