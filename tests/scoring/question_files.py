"""Question files that the tests write, and what they hold."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irtbench.errors import InputError
from irtbench.scoring import Question
from irtbench.scoring import read_questions as read

ROWS = [
    {
        "id": "a",
        "question": "1 + 1?",
        "choices": ["1", "two"],
        "answer": 1,
        "subject": "sums",
        "split": "test",
    },
    {"id": "b", "question": "Is 'NA' {null}?", "choices": ["NA", "no, never", "nan"], "answer": 0},
    {
        "id": "c",
        "context": "The cup fell and ",
        "choices": ["broke.", "flew."],
        "answer": 0,
        "subject": "cups",
    },
]
EXPECTED = (
    Question("a", "1 + 1?", ("1", "two"), 1, "sums"),
    Question("b", "Is 'NA' {null}?", ("NA", "no, never", "nan"), 0),
    Question("c", "The cup fell and ", ("broke.", "flew."), 0, "cups", is_context=True),
)


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    return path


def write_csv(path, rows, delimiter=","):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def refuses(path, message):
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def simple(k=0, **changes):
    return {"id": f"q{k}", "question": f"{k}?", "choices": ["yes", "no"], "answer": 0, **changes}


# files
