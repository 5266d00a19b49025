"""Read responses of any known format: look at the content, call the reader, warn about doubts."""

from __future__ import annotations

import difflib
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from irtbench.catalogue import catalogue_file, catalogue_names
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


def _lighteval(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.lighteval import read_lighteval

    return read_lighteval(path, **options)


def _helm(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.helm import read_helm

    return read_helm(path, **options)


def _inspect(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.inspect_ai import read_inspect

    return read_inspect(path, **options)


def _olmes(path: Path, **options: Any) -> ResponseMatrix:
    from irtbench.responses.readers.olmes import read_olmes

    return read_olmes(path, **options)


_READERS: dict[str, tuple[Callable[..., ResponseMatrix], tuple[str, ...]]] = {
    "irtbench": (_own, ()),
    "long": (_long, ("metric", "columns")),
    "wide": (_wide, ("metric",)),
    "pyirt": (_pyirt, ("metric",)),
    "lm-eval": (_lm_eval, ("metric", "filter")),
    "lighteval": (_lighteval, ("metric",)),
    "helm": (_helm, ("metric",)),
    "inspect": (_inspect, ("metric",)),
    "olmes": (_olmes, ("metric",)),
}
FORMATS = tuple(_READERS)
_LOGS = {  # names of the files that tell a folder of logs
    "lm-eval": re.compile(r"samples_.+\.jsonl?(\.gz)?", re.DOTALL),
    "lighteval": re.compile(r"details_.+\.parquet", re.DOTALL),
    "helm": re.compile(r"per_instance_stats\.json"),
    "inspect": re.compile(r".+\.eval|\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d.*_.+_.+\.json", re.DOTALL),
    "olmes": re.compile(r".+-predictions\.jsonl(\.gz)?", re.DOTALL),
}


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
    (logs with ``--log_samples``), ``lighteval`` (details), ``helm`` (runs with ``per_instance_stats.json``),
    ``inspect`` (``.eval`` or ``.json`` logs), ``olmes`` (predictions of OLMES and olmo-eval). Logs are read
    from a folder, several models in it making several rows, or from one file.

    Args:
        path: the file or folder; or the name of responses that ship, ``seedlings/completion_acc``.
        format: the format, instead of looking at the content.
        metric: what the responses measure; for logs which of the logged metrics to take.
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
    path = _place(path)
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


def _place(path: str | Path) -> Path:
    """The file or folder, or the catalogue's responses of this name."""
    if Path(path).exists():
        return Path(path)
    text = Path(path).as_posix()
    shipped = catalogue_file("responses", text)
    if shipped is None:
        near = difflib.get_close_matches(text, catalogue_names("responses"), n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{path}: no such file or folder{guess}")
    return shipped


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
        return _sniff_folder(path)
    if is_parquet(path):
        if is_ours(path):
            return "irtbench"
        import pyarrow.parquet as pq

        names = pq.read_schema(path).names
        if {"doc", "metric"} <= set(names) or {"example", "metrics"} <= set(names):
            return "lighteval"
        return "long" if looks_long(names) else "wide"
    first = start(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    if first.startswith(b"PK\x03\x04"):
        return "inspect"
    if first[:1] not in (b"{", b"["):
        return "long" if looks_long(header(path)[0]) else "wide"
    if b'"instance_id"' in first and b'"stats"' in first:
        return "helm"
    if b'"model_output"' in first or b'"instance_metrics"' in first:
        return "olmes"
    if b'"eval"' in first and b'"task_id"' in first:
        return "inspect"
    if first[:1] == b"[" or b'"doc_id"' in first or b'"doc_hash"' in first:
        return "lm-eval"
    if b'"subject_id"' in first or b'"responses"' in first:
        return "pyirt"
    raise InputError(
        f"{path}: JSON of no known kind (keys {_keys(first)}); known formats: {', '.join(FORMATS)}"
    )


def _sniff_folder(folder: Path) -> str:
    """The logs of which tool lie in a folder; lm-eval's old ones have no name of their own."""
    found: dict[str, Path] = {}
    for file in folder.rglob("*"):
        for name, pattern in _LOGS.items():
            if pattern.fullmatch(file.name) and file.is_file():
                found.setdefault(name, file)
    if len(found) > 1:
        listed = ", ".join(f"{name} ({file})" for name, file in found.items())
        raise InputError(f"{folder}: holds logs of several tools: {listed}; give format=, or read them apart")
    return next(iter(found), "lm-eval")


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
