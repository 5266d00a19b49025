"""What lm-eval writes: which files belong together, and what one sample file says.

Ages of the format: since v0.4.7 rows name their ``filter`` and ``metrics``; since v0.4.3 a file holds
JSON lines (before: one JSON list) and rows a ``doc_hash`` (before: hashed here the way lm-eval does).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from irtbench.errors import InputError
from irtbench.files import read_json
from irtbench.responses.readers.text import open_text

__all__ = ["Log", "Samples", "doc_hash", "find_logs", "number", "read_samples"]

_SAMPLES = re.compile(
    r"samples_(?P<task>.+?)(_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+?))?\.jsonl?(\.gz)?", re.DOTALL
)
_NAME_ARGUMENTS = ("peft", "delta", "pretrained", "model", "path", "engine")  # lm-eval's own order
_NO_METRIC = {
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
    *("doc_hash", "prompt_hash", "target_hash", "task_name", "schema_version"),
}


@dataclass(frozen=True)
class Log:
    """One sample file, and what the results file beside it says about its model.

    Attributes:
        path: the sample file.
        task: name of the task.
        date: timestamp of the run, or None.
        model: name of the model.
        step: checkpoint, where the model's revision is ``step…``, or None.
        results: content of the results file, ``{}`` if there is none.
    """

    path: Path
    task: str
    date: str | None
    model: str
    step: str | None
    results: dict[str, Any] = field(repr=False)

    def about(self, key: str) -> Any:
        """What the results file says about this log's task under ``key``, such as ``n-shot``."""
        entry = self.results.get(key)
        return entry.get(self.task) if isinstance(entry, dict) else None


@dataclass(frozen=True)
class Samples:
    """Columns of one sample file, a row for each document and filter.

    Attributes:
        lines: line number of each row.
        doc_ids: lm-eval's number of the document, or None; not to be trusted as its identity.
        hashes: ``doc_hash`` of each row.
        prompts: ``prompt_hash`` of each row, or None.
        filters: name of the filter of each row.
        details: ``subject`` and ``cluster`` of the document, where it has them.
        metrics: name → value (NaN where missing) and number of repeats behind it, each (n_rows,);
            a value that is no number is infinite.
    """

    lines: list[int]
    doc_ids: list[int | None]
    hashes: list[str]
    prompts: list[str | None]
    filters: list[str]
    details: list[dict[str, str]]
    metrics: dict[str, tuple[np.ndarray, np.ndarray]]


def find_logs(path: Path) -> list[Log]:
    """Find the sample files under a folder (or the one given), each with its results file.

    Raises:
        InputError: there is none.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*.json*") if file.is_file())
    logs = [log for file in files if (log := _log(file)) is not None]
    if not logs:
        raise InputError(
            f"{path}: no lm-eval sample files (samples_TASK_DATE.jsonl); run lm_eval with"
            " --log_samples --output_path"
        )
    return logs


def read_samples(path: Path) -> Samples:
    """Read one sample file of any age.

    Raises:
        InputError: a line is no JSON object, or tells its document neither by hash nor in full.
    """
    samples = Samples([], [], [], [], [], [], {})
    cells: dict[str, dict[int, tuple[float, int]]] = {}
    for line, row in _rows(path):
        position = len(samples.lines)
        doc = row.get("doc")
        if "doc_hash" not in row and doc is None:
            raise InputError(f"{path}, line {line}: has neither 'doc_hash' nor 'doc', so its item is unknown")
        doc_id = row.get("doc_id")
        samples.lines.append(line)
        samples.doc_ids.append(doc_id if isinstance(doc_id, int) else None)
        samples.hashes.append(str(row["doc_hash"]) if "doc_hash" in row else doc_hash(doc))
        samples.prompts.append(row.get("prompt_hash"))
        samples.filters.append(str(row.get("filter", "none")))
        known = doc if isinstance(doc, dict) else {}
        samples.details.append({key: str(known[key]) for key in ("subject", "cluster") if known.get(key)})
        names = row["metrics"] if isinstance(row.get("metrics"), list) else set(row) - _NO_METRIC
        repeats = _repeats(row)
        for name in names:
            cells.setdefault(str(name), {})[position] = number(row.get(name), repeats)
    if not samples.lines:
        raise InputError(f"{path}: holds no samples; was the run cut short?")
    for name in sorted(cells):
        filled = [cells[name].get(k, (np.nan, 1)) for k in range(len(samples.lines))]
        samples.metrics[name] = (np.array([v for v, _ in filled]), np.array([n for _, n in filled]))
    return samples


def doc_hash(doc: Any) -> str:
    """Hash a document the way lm-eval does.

    Example:
        >>> doc_hash({"q": "é", "a": 1})[:12]
        '133bb5f6d02b'
    """
    text = json.dumps(doc, indent=2, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def number(value: Any, repeats: int = 1) -> tuple[float, int]:
    """Return a logged metric as a number and the number of repeats behind it.

    lm-eval writes numbers, booleans, both as text, None, and lists. A list counts only if it holds one
    number for each of several repeats (its mean is taken); any other, such as the ``[gold, options]`` of
    ``brier_score`` or the pairs of ``f1``, makes a score only over the whole task: infinite here.

    Example:
        >>> number("True"), number(None), number([1, 0.0], repeats=2), number([1, 0])
        ((1.0, 1), (nan, 1), (0.5, 2), (inf, 1))
    """
    if value is None:
        return np.nan, 1
    if isinstance(value, bool | int | float):
        return float(value), 1
    if isinstance(value, str):
        text = {"true": "1", "false": "0", "none": "nan", "": "nan"}.get(value.strip().lower(), value)
        try:
            return float(text), 1
        except ValueError:
            return np.inf, 1
    if isinstance(value, list) and len(value) == repeats > 1:
        each = [number(entry)[0] for entry in value]
        return float(np.mean(each)), repeats
    return np.inf, 1


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open_text(path) as file:
            opening = file.read(64).lstrip()[:1]
            file.seek(0)
            if opening == "[":
                rows: Any = enumerate(_json(file.read(), f"{path}"), 1)
            else:
                rows = (
                    (k, _json(text, f"{path}, line {k}")) for k, text in enumerate(file, 1) if text.strip()
                )
            for line, row in rows:
                if not isinstance(row, dict):
                    raise InputError(
                        f"{path}, line {line}: is no JSON object; is this an lm-eval sample file?"
                    )
                yield line, row
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error}); was it cut short?") from None


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: is not valid JSON ({error}); was the log cut short?") from None


def _repeats(row: dict[str, Any]) -> int:
    resps = row.get("resps")
    return len(resps[0]) if isinstance(resps, list) and resps and isinstance(resps[0], list) else 1


def _log(path: Path) -> Log | None:
    match = _SAMPLES.fullmatch(path.name)
    if match:
        results = _results(path, match["date"])
        model, step = _model(results, path.parent.name)
        return Log(path, match["task"], match["date"] or _date(results), model, step, results)
    if path.name.startswith("results") or not (path.parent / "results.json").is_file():
        return None
    results = read_json(path.parent / "results.json")  # before v0.4.3: MODEL_ARGUMENTS_TASK.jsonl
    stem = path.name.split(".json")[0]
    tasks = [task for task in results.get("results", {}) if f"_{stem}".endswith(f"_{task}")]
    if not tasks:
        return None
    model, step = _model(results, path.parent.name)
    return Log(path, max(tasks, key=len), _date(results), model, step, results)


def _results(path: Path, date: str | None) -> dict[str, Any]:
    """The results file of the same timestamp, else the only one in the folder."""
    same = path.parent / f"results_{date}.json"
    if same.is_file():
        return read_json(same)
    found = sorted(path.parent.glob("results*.json"))
    return read_json(found[0]) if len(found) == 1 else {}


def _model(results: dict[str, Any], folder: str) -> tuple[str, str | None]:
    config = results.get("config")
    arguments = _arguments(config.get("model_args") if isinstance(config, dict) else None)
    stated = [results.get("model_name"), *(arguments.get(key) for key in _NAME_ARGUMENTS)]
    name = next((str(value) for value in stated if value), folder.replace("__", "/"))
    revision = str(arguments.get("revision") or "main")
    step = re.fullmatch(r"step[-_]?(\d+)", revision)
    if step:
        return name, step[1]
    return (name, None) if revision in ("main", "None") else (f"{name}@{revision}", None)


def _arguments(stated: Any) -> dict[str, Any]:
    if isinstance(stated, dict):
        return stated
    parts = [part.partition("=") for part in str(stated or "").split(",")]
    return {key.strip(): value.strip() for key, _, value in parts}


def _date(results: dict[str, Any]) -> str | None:
    """Timestamp in the form of the file names, from the seconds in the results file."""
    seconds = results.get("date")
    if not isinstance(seconds, int | float):
        return None
    return str(np.datetime64(int(seconds), "s")).replace(":", "-")
