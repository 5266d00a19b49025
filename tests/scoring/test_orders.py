"""Orders of options and of examples: what they move, and what they depend on."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

from irtbench.scoring import Question, QuestionSet, load_framing, make_prompts
from irtbench.scoring.prompts import option_order

SUMS = tuple(
    Question(f"q{k}", f"What is {k} + 1?", (f"{k}", f"{k + 1}", f"{k + 2}"), 1, "easy_sums") for k in range(4)
)
SHOTS = tuple(
    Question(f"s{k}", f"What is {k} - 1?", (f"{k - 1}", f"{k}", f"{k + 1}"), 0, "easy_sums") for k in range(9)
)
SET = QuestionSet("sums", SUMS, {"easy_sums": SHOTS})


def test_a_permutation_moves_the_answer_with_its_option():
    plain = make_prompts(SET, load_framing("completion"))
    moved = make_prompts(SET, load_framing("completion"), permute=3)
    assert [sorted(p.texts) for p in moved] == [sorted(p.texts) for p in plain]
    assert [p.texts[p.answer] for p in moved] == [p.texts[p.answer] for p in plain]
    orders = [option_order(3, q.id, 3) for q in SUMS]
    assert [p.texts for p in moved] == [
        tuple(q.choices[k] for k in order) for q, order in zip(SUMS, orders, strict=True)
    ]
    assert len(set(map(tuple, orders))) > 1


def test_a_permutation_depends_on_seed_and_id_only():
    framing = load_framing("choice")
    whole = {p.id: p for p in make_prompts(SET, framing, permute=1)}
    backwards = make_prompts(replace(SET, questions=SUMS[:0:-1]), framing, permute=1)
    assert all(whole[p.id] == p for p in backwards)
    other = make_prompts(SET, framing, permute=2)
    assert any(whole[p.id].stem != p.stem for p in other)
    assert len({id(p.prefix) for p in whole.values()}) == 1  # an example has one order in all prefixes
    assert whole["q0"].prefix != make_prompts(SET, framing)[0].prefix


def test_the_answer_of_a_permuted_example_moves_too():
    prefix = make_prompts(SET, load_framing("choice"), permute=5)[0].prefix
    for shot, block in zip(SHOTS, prefix.split("\n\n")[1:-1], strict=False):
        *lines, last = block.split("\n")
        assert f"{last.removeprefix('Answer: ')}. {shot.right}" in lines


def test_every_order_is_as_likely_as_any_other():
    counts = Counter(tuple(option_order(0, f"q{k}", 3)) for k in range(6000))
    assert set(counts) == set(permutations(range(3)))
    # χ² with 5 degrees of freedom; 25.7 is exceeded with probability 1e-4
    assert sum((c - 1000) ** 2 / 1000 for c in counts.values()) < 25.7


def blocks(prompt):
    """The examples before a question, one by one."""
    return prompt.prefix.split("\n\n")[1:-1]


def test_an_order_of_examples_moves_nothing_else():
    framing = load_framing("choice")
    plain = make_prompts(SET, framing, shots=4)
    orders = [make_prompts(SET, framing, shots=4, shot_order=seed) for seed in range(20)]
    for moved in orders:
        assert [replace(p, prefix="") for p in moved] == [replace(p, prefix="") for p in plain]
        assert sorted(blocks(moved[0])) == sorted(blocks(plain[0]))
        assert len({p.prefix for p in moved}) == 1  # one order for all questions of the subject
    assert len({p[0].prefix for p in orders}) > 10  # of 24; 20 draws give 10 or fewer with probability 0.002
    assert orders[3] == make_prompts(SET, framing, shots=4, shot_order=3)


def test_the_order_is_that_of_the_seed_and_the_subject():
    framing = load_framing("choice")
    plain, moved = (blocks(make_prompts(SET, framing, shots=5, shot_order=k)[0]) for k in (None, 7))
    assert moved == [plain[k] for k in option_order(7, "easy_sums", 5)]


def test_examples_of_the_question_itself_are_moved_too():
    own = QuestionSet("own", (replace(SUMS[0], shots=SHOTS[:3]),))
    prefixes = {
        make_prompts(own, load_framing("choice"), shots=3, shot_order=seed)[0].prefix for seed in range(30)
    }
    assert (
        len(prefixes) == 6
    )  # every order; one is left out in 30 draws with probability 0.03, but the seeds are fixed
