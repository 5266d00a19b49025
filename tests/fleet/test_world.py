"""benchmarks/fleet: the world, its questions and its corpus, each against what the facts say."""

import itertools
import re

import numpy as np
import pytest

from benchmarks.fleet import corpus
from benchmarks.fleet.asking import all_asks, item_id, item_sets, write_questions
from benchmarks.fleet.corpus import (
    choice_prompt,
    documents,
    framings,
    make_tokenizer,
    rows,
    vocabulary,
    words,
)
from benchmarks.fleet.wording import DIRECT, REVERSED, TWO_HOP
from benchmarks.fleet.world import make_world
from irtbench.scoring.prompts import make_prompts
from irtbench.scoring.questions.reading import read_questions


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def sets(world):
    return item_sets(world)


@pytest.fixture(scope="module")
def some_documents(world):
    return list(itertools.islice(documents(world), 6000))


def right(world, benchmark, text, choices):
    """Which choices are right, from the facts and the text alone."""

    def matched(template):
        pattern = re.sub(r"\\\{(\w)\\\}", r"(?P<\1>\\w+)", re.escape(template))
        found = re.fullmatch(pattern, text)
        return found and found.groupdict()

    if benchmark in ("facts", "types"):
        way = ("facts", "types").index(benchmark)
        found = [(r, m) for r, t in DIRECT.items() if (m := matched(t[way])) and (m["s"], r) in world.known]
        ((relation, m),) = found
        return [c == world.known[m["s"], relation] for c in choices]
    if benchmark == "reversed":
        ((relation, m),) = [(r, m) for r, t in REVERSED.items() if (m := matched(t))]
        return [world.known[c, relation] == m["v"] for c in choices]
    if benchmark == "two_hop":
        ((path, m),) = [(p, m) for p, t in TWO_HOP.items() if (m := matched(t))]
        middle = world.known[m["s"], path[0]]
        return [c == world.known[middle, path[1]] for c in choices]
    if benchmark == "older":
        a, b = re.fullmatch(r"Who is older, (\w+) or (\w+)\?", text).groups()
        assert {a, b} == set(choices)
        return [int(world.known[c, "age"]) > int(world.known[({a, b} - {c}).pop(), "age"]) for c in choices]
    a, b = re.fullmatch(r"What is (\d+) plus (\d+)\?", text).groups()
    return [int(c) == int(a) + int(b) for c in choices]


def test_a_world_is_its_seed(world):
    assert make_world() == world
    assert make_world(1) != world


def test_frequencies_follow_zipf(world):
    told = sorted((f.weight for f in world.facts if f.relation != "sum"), reverse=True)
    assert told == pytest.approx([(rank + 10) ** -0.8 for rank in range(len(told))])
    common = [f.weight for f in world.facts if f.weight and not f.rare and f.relation != "sum"]
    assert max(f.weight for f in world.facts if f.rare) < min(common)
    assert sum(f.rare for f in world.facts if f.relation != "sum") == len(told) // 4


def test_sizes_of_the_benchmarks(sets):
    sizes = {name: len(s) for name, s in sets.items()}
    assert len(sizes) >= 5
    assert sum(sizes.values()) >= 1500
    assert sizes["sums"] == 100  # as COPA
    assert max(sizes.values()) > 500


def test_every_question_has_one_right_option_and_the_facts_say_so(world, sets):
    for name, questions in sets.items():
        assert (
            not {q.text for q in questions.shots[""]} & {q.text for q in questions.questions}
            or name == "reversed"
        )
        for q in (*questions.questions, *questions.shots[""]):
            expected = [k == q.answer for k in range(len(q.choices))]
            assert right(world, name, q.text, q.choices) == expected, q
            assert len(set(q.choices)) == len(q.choices) == (2 if name == "older" else 4), q


def test_right_options_stand_everywhere(sets):
    for questions in sets.values():
        places = np.bincount([q.answer for q in questions.questions])
        n, k = len(questions), len(places)
        # 4 standard deviations of a multinomial count
        assert np.abs(places - n / k).max() < 4 * np.sqrt(n / k * (1 - 1 / k))


def test_groups_of_difficulty_are_there(world, sets):
    asks = {item_id(a): a for listed in all_asks(world).values() for a in listed}
    for name, questions in sets.items():
        items = [asks[q.id] for q in questions.questions]
        share = np.mean([a.asked for a in items])
        assert 0.35 < share < 0.75, name
        marks = {m for a in items for m in a.marks}
        assert marks == ({"untold"} if name == "sums" else set() if name == "older" else {"rare"})
    assert {asks[q.id].subject for q in sets["older"].questions} == {"close", "wide"}
    for q in sets["types"].questions:  # two of the wrong options are of another kind
        assert sum(c in asks[q.id].far for c in q.choices) == 2
    for q in sets["facts"].questions:
        assert all(c in asks[q.id].near for k, c in enumerate(q.choices) if k != q.answer)


def test_a_fact_is_asked_in_both_wordings_or_in_none(world):
    asks = all_asks(world)
    assert {a.key for a in asks["facts"] if a.asked} == {a.key for a in asks["types"] if a.asked}


def test_the_corpus_asks_nothing_that_is_held_out(world, some_documents):
    held = {(a.text, a.right) for listed in all_asks(world).values() for a in listed if not a.asked}
    held -= {(a.text, a.right) for listed in all_asks(world).values() for a in listed if a.asked}
    asked = 0
    for document in some_documents:
        if not document.is_question:
            continue
        question, *listed, answer = document.text.split("\n")
        answer = answer.removeprefix("Answer: ")
        if listed:
            answer = next(line[2:] for line in listed if line.startswith(answer + " "))
        assert (question.removeprefix("Question: "), answer) not in held
        asked += 1
    assert asked > 2000


def test_the_corpus_holds_no_prompt_of_an_item(some_documents, sets):
    form = framings()["choice"]
    prompts = {choice_prompt(q, form) for s in sets.values() for q in s.questions}
    assert not [d for d in some_documents if d.text.rsplit(" ", 1)[0] in prompts]


def test_untold_sums_are_never_told(world, some_documents):
    untold = [f.subject.split() for f in world.facts if not f.weight]
    assert len(untold) == 33
    said = {
        tuple(words(d.text)[k] for k in (0, 2))
        for d in some_documents
        if " plus " in d.text and not d.is_question
    }
    assert said
    assert not said & {tuple(pair) for pair in untold}


def test_documents_are_put_as_the_scoring_puts_them(world, sets, some_documents):
    form = framings()["choice"]
    for name in ("facts", "older"):
        for question, prompt in zip(sets[name].questions, make_prompts(sets[name], form), strict=True):
            assert prompt.prefix + prompt.stem == choice_prompt(question, form)
            assert prompt.options == tuple(f" {letter}" for letter in "ABCD"[: len(question.choices)])
    for d in some_documents:
        assert d.is_question == d.text.startswith("Question: ")
        assert words(d.text).count("Answer:") == (words(d.text)[-2] == "Answer:") == d.is_question


def test_rows_are_whole_documents_and_only_answers_and_statements_count(world):
    tokens, weights = rows(world, 200)
    assert tokens.shape == weights.shape == (200, corpus.LENGTH)
    names = vocabulary(world)
    found = []
    for row, counts in zip(tokens, weights, strict=True):
        text = [names[k] for k in row]
        starts = [k for k, w in enumerate(text) if w == "<bos>"] + [len([w for w in text if w != "<pad>"])]
        assert starts[0] == 0
        for a, b in itertools.pairwise(starts):
            found.append(text[a + 1 : b])
            asked = text[a + 1] == "Question:"
            expected = [0] * (b - a - 1) + [corpus.WEIGHT] if asked else [0] + [1] * (b - a - 1)
            assert counts[a:b].tolist() == expected
        assert not counts[starts[-1] :].any()
    assert found == [words(d.text) for d in itertools.islice(documents(world), len(found))]
    again, _ = rows(world, 150)
    assert np.array_equal(again, tokens[:150])  # a smaller corpus is the start of a larger one
    other, _ = rows(world, 150, seed=1)
    assert not np.array_equal(other, tokens[:150])


def test_the_tokenizer_cuts_words_as_the_corpus_does(world, some_documents):
    tokenizer = make_tokenizer(world)
    names = vocabulary(world)
    assert len(tokenizer) == len(names) < 1000
    for d in some_documents[:300]:
        ids = tokenizer(d.text).input_ids
        assert [names[k] for k in ids] == ["<bos>", *words(d.text)]
        assert tokenizer.unk_token_id not in ids
    assert all(len(tokenizer(f" {letter}", add_special_tokens=False).input_ids) == 1 for letter in "ABCD")


def test_written_questions_are_read_back(world, sets, tmp_path):
    write_questions(world, tmp_path)
    for name, questions in sets.items():
        found = read_questions(tmp_path / f"{name}.jsonl")
        assert found.name == name
        assert found.questions == questions.questions
        assert found.shots == questions.shots


def test_every_question_fits_a_row(sets):
    form = framings()["choice"]
    longest = max(len(words(choice_prompt(q, form))) for s in sets.values() for q in s.questions)
    assert longest + 2 <= corpus.LENGTH  # <bos> and the answer
