"""Question sets from folders, from the Hub, and as well-known sets write them."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import hub
from question_files import refuses, simple, write_jsonl, write_parquet

from irtbench.errors import InputError
from irtbench.scoring import read_questions as read
from irtbench.scoring.questions.rows import to_question
from irtbench.scoring.questions.tables import layout


def parts(found):
    return [q.id for q in found.questions], [q.id for q in found.shots.get("", ())]


@pytest.mark.parametrize(
    ("names", "write"),
    [
        (("test.jsonl", "dev.jsonl", "val.jsonl"), write_jsonl),
        (("quiz_test.jsonl", "quiz_dev.jsonl", "quiz_valid.jsonl"), write_jsonl),
        (("data/test-00000-of-00001.parquet", "data/dev-00000-of-00001.parquet"), write_parquet),
        (("default/test/0000.parquet", "default/partial-dev/0000.parquet"), write_parquet),
        (("test/part.jsonl", "dev/part.jsonl"), write_jsonl),
    ],
)
def test_a_folder_with_a_file_a_split(tmp_path, names, write):
    folder = tmp_path / "quiz"
    for k, name in enumerate(names):
        write(folder / name, [simple(10 * k), simple(10 * k + 1)])
    found = read(folder)
    assert (found.name, *parts(found)) == ("quiz", ["q0", "q1"], ["q10", "q11"])
    if len(names) > 2:
        assert parts(read(folder, split="validation"))[0] == ["q20", "q21"]
    with pytest.raises(InputError, match="has no split 'train'; its splits: "):
        read(folder, split="train")


def test_shards_are_read_in_order(tmp_path):
    for k in (1, 0):
        write_parquet(tmp_path / f"test-0000{k}-of-00002.parquet", [simple(2 * k), simple(2 * k + 1)])
    assert parts(read(tmp_path))[0] == ["q0", "q1", "q2", "q3"]


def test_rows_without_ids_are_counted_by_split(tmp_path):
    rows = [{k: v for k, v in simple(j).items() if k != "id"} for j in range(2)]
    for split in ("validation", "train"):
        write_jsonl(tmp_path / "quiz" / f"{split}.jsonl", rows)
    ids, examples = parts(read(tmp_path / "quiz"))
    assert ids == ["quiz-validation-0", "quiz-validation-1"]
    assert examples == ["quiz-train-0", "quiz-train-1"]


def test_several_configurations_ask_for_one(tmp_path):
    for k, config in enumerate(("anatomy", "law")):
        write_parquet(tmp_path / "mmlu" / config / "test-00000-of-00001.parquet", [simple(k)])
    refuses(tmp_path / "mmlu", "has several configurations, give one: anatomy, law")
    found = read(tmp_path / "mmlu", config="law")
    assert (found.name, parts(found)[0]) == ("mmlu-law", ["q1"])
    with pytest.raises(InputError, match="has no 'physics', only: anatomy, law"):
        read(tmp_path / "mmlu", config="physics")


def test_the_card_of_a_dataset_tells_its_files(tmp_path):
    for k, name in enumerate(("part-a.jsonl", "part-b.jsonl")):
        write_jsonl(tmp_path / name, [simple(k)])
    head = "configs:\n- config_name: quiz\n  data_files:\n  - {split: test, path: part-b*}\n"
    (tmp_path / "README.md").write_text(f"---\n{head}  - {{split: train, path: [part-a*]}}\n---\n# Quiz\n")
    assert parts(read(tmp_path)) == (["q1"], ["q0"])
    (tmp_path / "README.md").write_text("---\nconfigs: [\n---\n")
    refuses(tmp_path, r"README\.md: its head is not valid YAML")


def test_a_folder_that_does_not_tell_its_splits(tmp_path):
    refuses(tmp_path, "has no Parquet, JSON or CSV files")
    write_jsonl(tmp_path / "quiz.jsonl", [simple(0, split="dev"), simple(1)])
    assert parts(read(tmp_path)) == (["q1"], ["q0"])
    write_jsonl(tmp_path / "other.jsonl", [simple(2)])
    refuses(tmp_path, r"files whose split their names do not tell \(other\.jsonl, quiz\.jsonl\); give one")
    (tmp_path / "more").mkdir()
    for split in ("first", "second"):
        write_parquet(tmp_path / "more" / f"{split}-00000-of-00001.parquet", [simple()])
    refuses(tmp_path / "more", "give the split to score, one of first, second")


def test_hidden_files_and_caches_are_no_data():
    assert layout([".cache/test.parquet", "a/.x/test.json", "notes.txt"]) == {}


# the shapes of well-known sets (their prompts are compared with lm-eval's in test_prompts.py)


@pytest.mark.parametrize(
    ("row", "text", "choices", "answer"),
    [
        (
            {
                "context": "Ann ran.",
                "question": "Why?",
                "answerA": "x",
                "answerB": "y",
                "answerC": "z",
                "label": "3",
            },
            "Ann ran. Why?",
            ("x", "y", "z"),
            2,
        ),
        ({"goal": "Open", "sol1": "turn", "sol2": "push", "label": 1}, "Open", ("turn", "push"), 1),
        ({"question": "?", "options": ["a", "b"], "answer": "B", "answer_index": 1}, "?", ("a", "b"), 1),
    ],
)
def test_rows_of_well_known_sets(row, text, choices, answer):
    found = to_question(row, "here", "x")
    assert (found.id, found.text, found.choices, found.answer) == ("x", text, choices, answer)


def test_well_known_sets_without_answers_are_refused():
    row = {"activity_label": "A", "ctx_a": "B.", "ctx_b": "c", "endings": ["x", "y"], "label": ""}
    with pytest.raises(InputError, match="here: has no right answer; score a split whose answers are public"):
        to_question(row, "here", "x")
    with pytest.raises(InputError, match="COPA's question must be cause or effect, got 'why'"):
        to_question(
            {"premise": "P.", "choice1": "x", "choice2": "y", "question": "why", "label": 0}, "here", "x"
        )
    two_right = {"question": "?", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 1]}}
    with pytest.raises(InputError, match="mc1_targets must have one right answer, got 2"):
        to_question(two_right, "here", "x")


# the Hub


def parquet_bytes(rows):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


DATASETS = {
    "someone/quiz": {
        "main": {
            "README.md": b"---\nlicense: mit\n---\n",
            "easy/test-00000-of-00001.parquet": parquet_bytes([simple(0)]),
            "easy/train-00000-of-00001.parquet": parquet_bytes([simple(1)]),
            "hard/test-00000-of-00001.parquet": parquet_bytes([simple(2)]),
        },
        "v2": {"easy/test-00000-of-00001.parquet": parquet_bytes([simple(3)])},
    },
    "someone/script": {
        "main": {"script.py": b"raise SystemExit"},
        "refs/convert/parquet": {"default/validation/0000.parquet": parquet_bytes([simple(4)])},
    },
}
READ = """
import sys
from irtbench.errors import InputError
from irtbench.scoring import read_questions
for call in sys.argv[1:]:
    try:
        found = eval(f"read_questions({call})")
        print(found.name, [q.id for q in found.questions], [q.id for p in found.shots.values() for q in p])
    except InputError as error:
        print(error)
"""


def from_hub(folder, endpoint, *calls, offline=False):
    # the client's address and cache are fixed when it is imported, hence a process of its own
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder),
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "*",
        "no_proxy": "*",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    run = [sys.executable, "-c", READ, *calls]
    done = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_dataset_is_read_from_the_hub_and_then_from_its_cache(tmp_path):
    with hub(DATASETS) as (endpoint, asked):
        found = from_hub(
            tmp_path,
            endpoint,
            "'someone/quiz', config='easy'",
            "'someone/quiz', config='easy', revision='v2'",
            "'someone/quiz'",
            "'someone/script'",
            "'someone/quizz'",
            "'someone/quiz', config='easy', revision='v3'",
        )
        fetched = {line.split("/", 6)[-1] for line in asked if line.startswith("GET") and "/resolve/" in line}
    assert found[:2] == ["quiz-easy ['q0'] ['q1']", "quiz-easy ['q3'] []"]
    assert found[2] == "someone/quiz: has several configurations, give one: easy, hard"
    assert found[3] == "script ['q4'] []"
    assert found[4] == "someone/quizz: no such file or folder, and no such dataset on the Hub"
    assert found[5].startswith("someone/quiz: has no revision 'v3'")
    assert not any("hard" in name for name in fetched)  # only what is needed
    again = from_hub(
        tmp_path,
        endpoint,
        "'someone/quiz', config='easy'",
        "'someone/script'",
        "'someone/quiz', config='easy', revision='v2'",
        "'someone/quiz', config='easy', revision='v3'",
        "'someone/none'",
        offline=True,
    )
    assert again[:3] == [found[0], found[3], found[1]]
    assert again[3].startswith("someone/quiz: no such")
    assert again[4].startswith("someone/none: no such file or folder; the Hub was not reached either (")


# the set itself
