"""Read questions from a file, a folder, or a dataset of the Hugging Face Hub."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from irtbench.catalogue import catalogue_file
from irtbench.errors import DataWarning, InputError
from irtbench.scoring.questions.question import Question, QuestionSet, gather
from irtbench.scoring.questions.rows import COLUMNS, id_of, split_of, to_question

__all__ = ["read_questions"]

_FOR_SHOTS = ("dev", "fewshot", "train")  # in this order of preference
_FOR_ITEMS = ("test", "validation")
_Rows = list[tuple[str, str, dict[str, Any]]]  # place, default id, row


def read_questions(
    source: str | Path,
    *,
    name: str | None = None,
    split: str | None = None,
    config: str | None = None,
    columns: Mapping[str, str] | None = None,
    revision: str | None = None,
) -> QuestionSet:
    r"""Read the questions of one benchmark.

    A row has ``question`` or ``context``, ``choices`` (none: the answer is free text), ``answer`` (position
    from 0, letter, or text of the choice), and may have ``id``, ``subject``, ``split`` and ``shots`` (ids, or
    rows); ``irtbench.scoring.questions.rows`` tells what else is understood. Rows of the split ``dev``, else
    ``fewshot``, else ``train`` are examples, if there are others: those are the items.

    Args:
        source: JSON lines, Parquet or CSV file; a folder with a file a split; the name of a set that ships
            with irtbench (``seedlings/facts``); or of a dataset on the Hugging Face Hub, whose files are read
            in the same way.
        name: name of the benchmark; by default that of the source.
        split: the split whose rows are the items. By default a file's rows that are no examples; in a
            folder or dataset ``test``, else ``validation``.
        config: the configuration of a folder or dataset that has several.
        columns: irtbench's name → the source's name of a column; "" says that there is none.
        revision: branch, tag or commit of a dataset.

    Raises:
        InputError: nothing there, or a row that is no question; says which and what is wrong.

    Warns:
        DataWarning: a question with equal options.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "sums.csv").write_text("question,A,B,answer\n1 + 1?,1,2,B\n2 + 1?,3,4,A\n")
        ...     read_questions(Path(folder, "sums.csv"))
        QuestionSet 'sums': 2 questions with 2 choices, no examples
    """
    for key in columns or {}:
        if key not in COLUMNS:
            raise InputError(f"columns has no {key!r}; known names: {', '.join(COLUMNS)}")
    path = Path(source)
    if not path.exists():
        path = catalogue_file("questions", path.as_posix()) or path
    if path.is_file():
        if config is not None or revision is not None:
            raise InputError(f"{path}: is a file, which has no configurations and revisions; leave them out")
        items, examples = _of_file(path, split, columns)
        own_name = path.name.split(".")[0]
    else:
        items, examples, own_name = _of_dataset(source, split, config, columns, revision)
    return _make_set(name or own_name, items, examples, columns)


def _of_file(path: Path, split: str | None, columns: Mapping[str, str] | None) -> tuple[_Rows, _Rows]:
    rows = _rows([path], path.name.split(".")[0])
    if not rows:
        raise InputError(f"{path}: has no questions")
    splits = [split_of(row, columns) for _, _, row in rows]
    known = list(dict.fromkeys(splits))
    wanted = [name for name in known if name not in _FOR_SHOTS] or known
    if split is not None:
        wanted = [split_of({"split": split})]
        if wanted[0] not in known:
            names = ", ".join(repr(name) for name in known if name) or "none"
            raise InputError(f"{path}: has no rows of the split {split!r}; its splits: {names}")
    pool = next((name for name in _FOR_SHOTS if name in known and name not in wanted), None)
    items = [row for row, name in zip(rows, splits, strict=True) if name in wanted]
    examples = [row for row, name in zip(rows, splits, strict=True) if name == pool]
    return items, examples


def _of_dataset(
    source: str | Path,
    split: str | None,
    config: str | None,
    columns: Mapping[str, str] | None,
    revision: str | None,
) -> tuple[_Rows, _Rows, str]:
    from irtbench.scoring.questions.hub import choose_config, fetch, folder_layout, looks_like_hub

    folder = Path(source)
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"{folder}: is a folder, which has no revisions; leave it out")
        found = folder_layout(folder)
        if not found:
            raise InputError(f"{folder}: has no Parquet, JSON or CSV files")
    elif looks_like_hub(os.fspath(source)):
        folder, found = fetch(os.fspath(source), config, revision)
    else:
        raise InputError(f"{source}: no such file or folder")
    label = Path(source).resolve().name if Path(source).is_dir() else os.fspath(source).split("/")[-1]
    chosen = choose_config(found, config, str(source))
    files = {name: [folder / file for file in files] for name, files in found[chosen].items()}
    label = label if chosen == "default" else f"{label}-{chosen.replace('/', '-')}"
    if set(files) == {""}:
        if len(files[""]) > 1:
            names = ", ".join(file.name for file in files[""][:4])
            raise InputError(f"{source}: has files whose split their names do not tell ({names}); give one")
        return *_of_file(files[""][0], split, columns), label
    wanted = _wanted(files, split, source)
    pool = next((name for name in _FOR_SHOTS if name in files and name != wanted), None)
    examples = _rows(files[pool], f"{label}-{pool}") if pool else []
    return _rows(files[wanted], f"{label}-{wanted}"), examples, label


def _wanted(files: Mapping[str, list[Path]], split: str | None, source: str | Path) -> str:
    if split is not None:
        wanted = split_of({"split": split})
        if wanted not in files:
            raise InputError(f"{source}: has no split {split!r}; its splits: {', '.join(files)}")
        return wanted
    for name in _FOR_ITEMS:
        if name in files:
            return name
    others = [name for name in files if name not in _FOR_SHOTS] or list(files)
    if len(others) > 1:
        raise InputError(f"{source}: give the split to score, one of {', '.join(others)}")
    return others[0]


def _rows(paths: list[Path], label: str) -> _Rows:
    from irtbench.scoring.questions.tables import read_rows

    places = (found for path in paths for found in read_rows(path))
    return [(place, f"{label}-{k}", row) for k, (place, row) in enumerate(places)]


def _make_set(name: str, items: _Rows, examples: _Rows, columns: Mapping[str, str] | None) -> QuestionSet:
    by_id = {id_of(row, default_id, columns): (place, default_id, row) for place, default_id, row in examples}
    by_id |= {id_of(row, default_id, columns): (place, default_id, row) for place, default_id, row in items}
    own_shots = (columns or {}).get("shots", "shots")

    @cache
    def found(id: str) -> Question | None:
        if id not in by_id:
            return None
        place, default_id, row = by_id[id]
        return to_question({k: v for k, v in row.items() if k != own_shots}, place, default_id, columns)

    def find(id: str, place: str) -> Question:
        question = found(id)
        if question is None:
            raise InputError(f"{place}: shot {id!r} is no id of a row; give ids of this source, or rows")
        return question

    def questions(rows: _Rows) -> Iterator[Question]:
        places: dict[str, str] = {}
        for place, default_id, row in rows:
            question = to_question(row, place, default_id, columns, find)
            if question.id in places:
                first = places[question.id]
                raise InputError(f"{place}: id {question.id!r} stands already in {first}; rename one")
            places[question.id] = place
            yield question

    made = gather(name, list(questions(items)), list(questions(examples)))
    equal = [q.id for q in made.questions if len(set(q.choices)) < len(q.choices)]
    if equal:
        ids = ", ".join(equal[:3]) + (" …" if len(equal) > 3 else "")
        message = f"{name}: {len(equal)} question(s) have equal options ({ids}); look whether a text was lost"
        warnings.warn(message, DataWarning, stacklevel=3)
    return made
