"""Questions: read from every kind of file; what is refused, and where."""

import gzip
import json
from dataclasses import replace

import pytest
from question_files import EXPECTED, ROWS, refuses, simple, write_csv, write_jsonl, write_parquet
from shared import SHARED, needs_shared

from irtbench.errors import DataWarning, InputError
from irtbench.scoring import Question, QuestionSet
from irtbench.scoring import read_questions as read


def test_json_lines(tmp_path):
    found = read(write_jsonl(tmp_path / "mixed.jsonl", ROWS))
    assert (found.name, found.questions, found.shots) == ("mixed", EXPECTED, {})


def test_json_lines_with_blank_lines_a_mark_and_compression(tmp_path):
    text = "\ufeff" + "\n\n".join(json.dumps(row) for row in ROWS) + "\n\n"
    (tmp_path / "mixed.jsonl").write_text(text, encoding="utf-8")
    assert read(tmp_path / "mixed.jsonl").questions == EXPECTED
    (tmp_path / "mixed.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    found = read(tmp_path / "mixed.jsonl.gz")
    assert (found.name, found.questions) == ("mixed", EXPECTED)


def test_a_json_list(tmp_path):
    (tmp_path / "mixed.json").write_text(json.dumps(ROWS, indent=1))
    assert read(tmp_path / "mixed.json").questions == EXPECTED


def test_parquet(tmp_path):
    assert read(write_parquet(tmp_path / "mixed.parquet", ROWS)).questions == EXPECTED


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_csv_with_the_choices_as_json(tmp_path, delimiter):
    rows = [{**row, "choices": json.dumps(row["choices"])} for row in ROWS]
    assert read(write_csv(tmp_path / "mixed.csv", rows, delimiter)).questions == EXPECTED


def test_csv_with_the_choices_as_python_writes_them(tmp_path):
    rows = [{**row, "choices": repr(row["choices"])} for row in ROWS]
    assert read(write_csv(tmp_path / "mixed.csv", rows)).questions == EXPECTED


@pytest.mark.parametrize(
    "names",
    [
        ("choice_0", "choice_1", "choice_2"),
        ("choice1", "choice2", "choice3"),
        ("option_a", "option_b", "option_c"),
        ("A", "B", "C"),
    ],
)
def test_csv_with_a_column_a_choice(tmp_path, names):
    rows = []
    for row in ROWS:
        rest = {k: v for k, v in row.items() if k != "choices"}
        rows.append({**rest, **dict(zip(names, row["choices"], strict=False)), "answer": "AB"[row["answer"]]})
    assert read(write_csv(tmp_path / "mixed.csv", rows)).questions == EXPECTED


def test_a_gap_between_the_columns_of_choices_is_refused(tmp_path):
    path = write_csv(tmp_path / "x.csv", [{"question": "?", "A": "1", "B": "", "C": "3", "answer": "A"}])
    refuses(path, r"x\.csv, row 1: has the choices A, C; one between or before them is empty")
    path = write_csv(tmp_path / "y.csv", [{"question": "?", "choice_2": "1", "choice_3": "3", "answer": "A"}])
    refuses(path, r"y\.csv, row 1: has the choices choice_2, choice_3; one between or before them is empty")


def test_long_and_quoted_texts_survive_csv(tmp_path):
    text = 'Line one\nline "two", ' + "x" * 20000
    path = write_csv(tmp_path / "x.csv", [{"question": text, "A": "a\nb", "B": "c", "answer": "0"}])
    (question,) = read(path).questions
    assert (question.text, question.choices, question.answer) == (text, ("a\nb", "c"), 0)


# answers


@pytest.mark.parametrize("answer", [1, 1.0, "1", "B", "b", " B ", "no"])
def test_the_answer_may_be_a_position_a_letter_or_the_text(tmp_path, answer):
    assert read(write_jsonl(tmp_path / "x.jsonl", [simple(answer=answer)])).questions[0].answer == 1


@pytest.mark.parametrize(("labels", "key", "answer"), [("ABC", "C", 2), ("123", "1", 0), ("123", "3", 2)])
def test_the_answer_of_hugging_face_is_a_label(tmp_path, labels, key, answer):
    row = {"question": "?", "choices": {"text": ["x", "y", "z"], "label": list(labels)}, "answerKey": key}
    assert read(write_parquet(tmp_path / "x.parquet", [row])).questions[0].answer == answer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": 2}, "answer 2 lies outside 0 to 1; positions are counted from 0"),
        ({"answer": -2}, "answer -2 lies outside 0 to 1"),
        ({"answer": "C"}, "answer 2 lies outside 0 to 1"),
        ({"answer": None}, "has no right answer"),
        ({"answer": ""}, "has no right answer"),
        ({"answer": -1}, "has no right answer"),
        ({"answer": True}, "has no right answer"),
        ({"answer": 0.5}, "the answer must be a position or a letter, got 0.5"),
        ({"answer": "maybe"}, r"answer 'maybe' is none of the choices \(0, 1\)"),
        (
            {"choices": ["1", "0"], "answer": "1"},
            "may be a position or the text of a choice; give its letter",
        ),
        ({"choices": ["B", "A"], "answer": "A"}, "may be a position or the text of a choice"),
        ({"choices": ["yes", "yes"], "answer": "yes"}, "may be a position or the text of a choice"),
        ({"choices": []}, "has an empty list of choices"),
        ({"choices": ["yes"]}, "has one choice only"),
        ({"choices": ["yes", " "]}, "choice 1 is empty"),
        ({"choices": ["yes", None]}, "choice 1 must be text, got None"),
        ({"choices": "yes or no"}, "choices must be a list in JSON"),
        ({"choices": 7}, "choices must be a list of texts, got 7"),
        ({"choices": {"texts": []}}, "choices must be a list or have 'text' and 'label', got texts"),
        ({"question": None}, "has no 'question' and no 'context'"),
        ({"question": " \n"}, "has no text; give its question"),
        ({"question": 7}, "the question must be text, got 7"),
        ({"context": "x"}, "has both a question and a context"),
        ({"choices": None, "answer": None}, "has neither choices nor the text of an answer"),
        ({"shots": 3}, "shots must be a list of ids or of rows, got 3"),
        ({"shots": ["q9"]}, "shot 'q9' is no id of a row"),
        ({"shots": [{"question": "?"}]}, "shot 0: question 'x-1-shot-0' has neither choices nor"),
        ({"id": "q0"}, r"id 'q0' stands already in .*x\.jsonl, line 1"),
    ],
)
def test_what_is_no_question_is_refused_with_its_place(tmp_path, changes, message):
    path = write_jsonl(tmp_path / "x.jsonl", [simple(), simple(1, **changes)])
    refuses(path, rf"x\.jsonl, line 2.*{message}")


@pytest.mark.parametrize("answer", ["0", "A"])
def test_labels_decide_alone_where_there_are_some(tmp_path, answer):
    row = simple(choices={"text": ["x", "y"], "label": ["1", "2"]}, answer=answer)
    refuses(write_jsonl(tmp_path / "x.jsonl", [row]), rf"answer '{answer}' is none of the choices \(1, 2\)")


def test_equal_options_are_doubtful(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", [simple(), simple(1, choices=["a", "a", "b"]), simple(2)])
    with pytest.warns(DataWarning, match=r"x: 1 question\(s\) have equal options \(q1\)"):
        assert len(read(path)) == 3


def test_numbers_are_taken_as_texts(tmp_path):
    rows = [simple(choices=[1, 2.5]), {"id": 7, "question": "2 + 2?", "answer": 4}]
    one, two = read(write_jsonl(tmp_path / "x.jsonl", rows)).questions
    assert (one.choices, two) == (("1", "2.5"), Question("7", "2 + 2?", (), "4"))


# broken files


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b'{"question": "a"}\n{"question', r"line 2: is not valid JSON"),
        ("x.jsonl", b'{"a": 1}\n[1]\n', r"line 2: is list, expected an object"),
        ("x.json", b'[{"a": 1}', r"is not valid JSON"),
        ("x.jsonl", b"", r"is empty"),
        ("x.jsonl", b"\n \n", r"is empty"),
        ("x.csv", b"question,answer\n", r"has no questions"),
        (
            "x.csv",
            b"question,A,B,answer\n1?,a,b,A\n2?,a,b,c,A\n",
            r"row 2: has 5 fields, the first line names 4",
        ),
        ("x.csv", b'question,A,B,answer\n"1?,a,b,A\n', r"is a \" sign missing\?"),
        ("x.csv", b"question,A,B,answer\n\xff,a,b,A\n", r"is not UTF-8 text"),
        ("x.parquet", b"PAR1 and then nothing", r"is not a whole Parquet file"),
        ("x.jsonl.gz", gzip.compress(b'{"question": "a"}\n' * 999, mtime=0)[:40], r"cut short"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    refuses(tmp_path / name, message)


def test_a_source_that_is_not_there(tmp_path):
    refuses(tmp_path / "none.jsonl", "no such file or folder")
    with pytest.raises(InputError, match="is a file, which has no configurations"):
        read(write_jsonl(tmp_path / "x.jsonl", [simple()]), config="all")
    with pytest.raises(InputError, match="is a folder, which has no revisions"):
        read(tmp_path, revision="main")


# columns


def test_columns_with_other_names(tmp_path):
    row = {"Key": "k", "Prompt": "?", "Opts": ["x", "y"], "Right": "B", "question": "not this one"}
    names = {"id": "Key", "question": "Prompt", "choices": "Opts", "answer": "Right"}
    path = write_jsonl(tmp_path / "x.jsonl", [row])
    assert read(path, columns=names).questions == (Question("k", "?", ("x", "y"), 1),)
    with pytest.raises(InputError, match="has no 'Promt', which columns names for 'question'; it has Key"):
        read(path, columns={**names, "question": "Promt"})
    with pytest.raises(InputError, match="columns has no 'text'; known names: id, question"):
        read(path, columns={"text": "Prompt"})


def test_a_column_can_be_said_to_be_missing(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", [simple(context="Once.", subject="s")])
    (question,) = read(path, columns={"context": "", "subject": ""}).questions
    assert (question.text, question.is_context, question.subject) == ("0?", False, "")


# splits and examples


def test_dev_rows_become_examples_of_their_subject(tmp_path):
    rows = [simple(k, subject="ab"[k % 2], split=["dev", "test"][k // 4]) for k in range(8)]
    found = read(write_jsonl(tmp_path / "x.jsonl", rows))
    assert [q.id for q in found.questions] == ["q4", "q5", "q6", "q7"]
    assert {s: [q.id for q in pool] for s, pool in found.shots.items()} == {
        "a": ["q0", "q2"],
        "b": ["q1", "q3"],
    }


def test_dev_comes_before_fewshot_and_train_and_alone_it_is_the_items(tmp_path):
    splits = ["train", "fewshot", "dev", "val", "test"]
    path = write_jsonl(tmp_path / "x.jsonl", [simple(k, split=split) for k, split in enumerate(splits)])
    found = read(path)
    assert [q.id for q in found.questions] == ["q3", "q4"]
    assert [q.id for q in found.shots[""]] == ["q2"]
    assert [q.id for q in read(path, split="validation").questions] == ["q3"]
    on_dev = read(path, split="dev")
    assert ([q.id for q in on_dev.questions], [q.id for q in on_dev.shots[""]]) == (["q2"], ["q1"])
    with pytest.raises(InputError, match="no rows of the split 'tset'; its splits: 'train', 'fewshot'"):
        read(path, split="tset")
    alone = read(write_jsonl(tmp_path / "y.jsonl", [simple(0, split="train"), simple(1, split="train")]))
    assert (len(alone), alone.shots) == (2, {})


def test_examples_serve_all_where_a_subject_has_none(tmp_path):
    rows = [simple(0, subject="a", split="dev"), simple(1, subject="a"), simple(2, subject="b")]
    path = write_jsonl(tmp_path / "x.jsonl", rows)
    with pytest.warns(DataWarning, match=r"no examples for 1 of 2 subjects \('b'\), so all subjects share"):
        assert [q.id for q in read(path).shots[""]] == ["q0"]
    other = [simple(0, subject="c", split="dev"), *rows[1:]]
    assert list(read(write_jsonl(tmp_path / "y.jsonl", other)).shots) == [""]  # other subjects: as meant


def test_a_question_can_have_examples_of_its_own(tmp_path):
    own = {"question": "own?", "choices": ["x", "y"], "answer": "B"}
    rows = [simple(0, split="train"), simple(1, shots=["q0", own]), simple(2, shots=[]), simple(3)]
    one, two, three = read(write_jsonl(tmp_path / "x.jsonl", rows)).questions
    expected = (Question("q0", "0?", ("yes", "no"), 0), Question("x-1-shot-1", "own?", ("x", "y"), 1))
    assert (one.shots, two.shots, three.shots) == (expected, (), None)
    with_key = [{"qid" if k == "id" else k: v for k, v in row.items()} for row in rows]
    assert read(write_jsonl(tmp_path / "x.jsonl", with_key)).questions == (one, two, three)
    itself = read(write_jsonl(tmp_path / "x.jsonl", [simple(0, mine=["q0"])]), columns={"shots": "mine"})
    assert itself.questions[0].shots == (Question("q0", "0?", ("yes", "no"), 0),)
    as_text = [{**row, "choices": json.dumps(row["choices"])} for row in rows]
    as_text[1]["shots"], as_text[2]["shots"] = json.dumps(["q0", own]), "[]"
    assert [q.shots for q in read(write_csv(tmp_path / "x.csv", as_text)).questions] == [expected, (), None]


# folders, as datasets lie on the Hub


def test_a_set_says_what_it_is():
    many = tuple(Question(f"q{k}", "?", ("a", "b", "c")[: 2 + k], 0, "st"[k]) for k in range(2))
    shown = repr(QuestionSet("quiz", many, {"": many[:1]}))
    assert shown == "QuestionSet 'quiz': 2 questions with 2 to 3 choices in 2 subjects, 1 examples"
    free = QuestionSet("free", (Question("q", "?", (), "yes"),))
    assert repr(free) == "QuestionSet 'free': 1 question to be answered in writing, no examples"
    assert QuestionSet("quiz", many).subjects == ("s", "t")


def test_a_set_refuses_no_questions_and_repeated_ids():
    with pytest.raises(InputError, match="'quiz' has no questions"):
        QuestionSet("quiz", ())
    question = Question("q", "?", ("a", "b"), 0)
    with pytest.raises(InputError, match="id 'q' occurs more than once"):
        QuestionSet("quiz", (question, question))
    with pytest.raises(InputError, match="id must be a text of its own, got ''"):
        Question("", "?", ("a", "b"), 0)


def test_take_keeps_the_order_and_is_fixed_by_its_seed():
    many = QuestionSet("quiz", tuple(Question(f"{k:03d}", "?", ("a", "b"), 0) for k in range(100)))
    assert [q.id for q in many.take(3).questions] == ["000", "001", "002"]
    drawn = [q.id for q in many.take(20, seed=1).questions]
    assert drawn == sorted(drawn) == [q.id for q in many.take(20, seed=1).questions]
    assert drawn != [q.id for q in many.take(20, seed=2).questions]
    assert many.take(100) is many.take(1000) is many
    with pytest.raises(InputError, match="limit must be at least 1"):
        many.take(0)


def test_the_fingerprint_tells_every_difference_but_the_name():
    base = Question("q", "text", ("a", "b"), 0, "s")
    sets = [
        QuestionSet("quiz", (base,)),
        QuestionSet("quiz", (Question("r", "text", ("a", "b"), 0, "s"),)),
        QuestionSet("quiz", (Question("q", "texts", ("a", "b"), 0, "s"),)),
        QuestionSet("quiz", (Question("q", "text", ("a", "c"), 0, "s"),)),
        QuestionSet("quiz", (Question("q", "text", ("a", "b"), 1, "s"),)),
        QuestionSet("quiz", (Question("q", "text", ("a", "b"), 0, "t"),)),
        QuestionSet("quiz", (Question("q", "text", ("a", "b"), 0, "s", is_context=True),)),
        QuestionSet("quiz", (Question("q", "text", ("a", "b"), 0, "s", shots=()),)),
        QuestionSet("quiz", (Question("q", "text", ("a", "b"), 0, "s", shots=(base,)),)),
        QuestionSet("quiz", (Question("q", "text", ("a", "b"), 0, "s", shots=(replace(base, answer=1),)),)),
        QuestionSet("quiz", (Question("q", "text", (), "0", "s"),)),
        QuestionSet("quiz", (base,), {"": (base,)}),
        QuestionSet("quiz", (base,), {"s": (base,)}),
    ]
    assert len({s.fingerprint for s in sets}) == len(sets)
    assert QuestionSet("other", (base,)).fingerprint == sets[0].fingerprint


# the real sets


@needs_shared
@pytest.mark.parametrize(
    ("name", "count", "examples", "equal"),
    [
        ("arc", 869, 0, 0),
        ("commonsense_qa", 1221, 0, 24),
        ("openbookqa", 500, 0, 0),
        ("hellaswag_1000", 1000, 0, 0),
        ("copa", 100, 0, 0),
        ("mmlu_12x100", 1200, 60, 1),
        ("truthfulqa_mc1", 813, 0, 0),
    ],
)
def test_the_real_sets_are_read_whole(name, count, examples, equal, recwarn):
    path = SHARED / "data" / "questions" / f"{name}.jsonl"
    found = read(path)
    assert (len(found), sum(map(len, found.shots.values()))) == (count, examples)
    assert [f"{equal} question(s)" in str(w.message) for w in recwarn] == [True] * (equal > 0)
    rows = [row for row in map(json.loads, path.read_text().splitlines()) if row["split"] != "dev"]
    for row, question in zip(rows, found.questions, strict=True):
        text = row.get("question", row.get("context"))
        assert (question.id, question.text, question.right, question.subject) == (
            row["id"],
            text,
            row["choices"][row["answer"]],
            row["subject"],
        )
