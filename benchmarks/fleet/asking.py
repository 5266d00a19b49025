"""Questions about the world: what can be asked, what is asked in the corpus, and what the benchmarks ask."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from benchmarks.fleet.wording import DIRECT, OLDER, REVERSED, SUM, TWO_HOP
from benchmarks.fleet.world import OF_JOBS, OF_PEOPLE, OF_TOWNS, Fact, World
from irtbench.files import atomic_file
from irtbench.scoring.questions.question import Question, QuestionSet

# share of each benchmark's questions that the corpus asks too; nobody ever asks the others there
ASKED = {"facts": 0.5, "types": 0.5, "reversed": 0.5, "two_hop": 0.5, "older": 0.5, "sums": 0.5}
SIZES = {"facts": None, "types": 200, "reversed": None, "two_hop": None, "older": 240, "sums": 100}
PAIRS = 900  # of people whose ages are compared; at least two years apart
SHOTS = 8  # questions of each benchmark that are asked as examples, and are no items


@dataclass(frozen=True)
class Ask:
    """A question without its options.

    Attributes:
        key: its name; what is held out of the corpus is held out by it.
        benchmark: that it belongs to.
        subject: kind of question in it.
        text: the question.
        right: the right answer.
        near: wrong answers of the right kind.
        far: wrong answers of other kinds; two of three wrong options are drawn from them, if there are any.
        weight: how often the corpus asks it, relative to others of its benchmark; 0: never.
        marks: what makes it easy or hard: ``rare``, ``unasked``.
    """

    key: str
    benchmark: str
    subject: str
    text: str
    right: str
    near: tuple[str, ...]
    far: tuple[str, ...] = ()
    weight: float = 0.0
    marks: tuple[str, ...] = ()

    @property
    def asked(self) -> bool:
        """Whether the corpus asks it."""
        return self.weight > 0


def all_asks(world: World, seed: int = 0) -> dict[str, list[Ask]]:
    """Every question that can be asked, by benchmark; some are marked to be asked in the corpus.

    ``facts`` and ``types`` ask for the same facts, and a fact is asked in both or in none of them.
    """
    rng = random.Random(f"asked {seed}")
    direct = [f for f in world.facts if f.relation != "sum"]
    asked = {f.subject + f.relation for f in rng.sample(direct, round(ASKED["facts"] * len(direct)))}
    found = {
        "facts": [_direct(world, f, 0) for f in direct],
        "types": [_direct(world, f, 1) for f in direct],
        "reversed": [_reversed(world, f) for f in direct if f.relation in REVERSED],
        "two_hop": [_two_hop(world, p, path) for p in world.people for path in TWO_HOP],
        "older": _older(world, rng),
        "sums": [_sum(world, f) for f in world.facts if f.relation == "sum"],
    }
    marked = {}
    for name, asks in found.items():
        keys = (
            asked
            if name in ("facts", "types")
            else {a.key for a in rng.sample(asks, round(ASKED[name] * len(asks)))}
        )
        marked[name] = [a if a.key in keys else _unasked(a) for a in asks]
    return marked


def item_sets(world: World, seed: int = 0) -> dict[str, QuestionSet]:
    """The benchmarks: questions with options, the same for every model."""
    rng = random.Random(f"items {seed}")
    sets = {}
    for name, asks in all_asks(world, seed).items():
        examples = rng.sample([a for a in asks if a.asked], SHOTS)
        left = [a for a in asks if a not in examples]
        size = SIZES[name] or len(left)
        kept = sorted(rng.sample(range(len(left)), size))
        shots = tuple(
            replace(_question(a, rng), id=f"{name}-shot-{k}", subject="") for k, a in enumerate(examples)
        )
        sets[name] = QuestionSet(name, tuple(_question(left[k], rng) for k in kept), {"": shots})
    return sets


def item_id(ask: Ask) -> str:
    """Id of the item that asks it."""
    return f"{ask.benchmark}-{ask.key}".replace(" ", "+")


def write_questions(world: World, folder: Path, seed: int = 0) -> None:
    """Write the benchmarks as ``irtbench score`` reads them: JSON lines, the examples in the split ``dev``.

    The columns ``asked``, ``rare`` and ``told`` say what makes an item easy or hard; scoring does not read them.
    """
    asks = {item_id(a): a for listed in all_asks(world, seed).values() for a in listed}
    for name, questions in item_sets(world, seed).items():
        lines = []
        for split, part in (("dev", questions.shots[""]), ("test", questions.questions)):
            for q in part:
                row = {"id": q.id, "question": q.text, "choices": q.choices, "answer": q.answer}
                if split == "test":
                    ask = asks[q.id]
                    row |= {"subject": q.subject, "asked": ask.asked}
                    row |= {"rare": "rare" in ask.marks, "told": "untold" not in ask.marks}
                lines.append(json.dumps(row | {"split": split}, ensure_ascii=False))
        with atomic_file(folder / f"{name}.jsonl") as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def options(ask: Ask, rng: random.Random, wrong: int = 3) -> tuple[tuple[str, ...], int]:
    """Options in random order, and the position of the right one.

    Args:
        ask: the question.
        rng: draws them.
        wrong: number of wrong ones; fewer if there are fewer.
    """
    far = rng.sample(ask.far, min(2, wrong)) if ask.far else []
    near = rng.sample(ask.near, min(wrong - len(far), len(ask.near)))
    listed = [*far, *near, ask.right]
    rng.shuffle(listed)
    return tuple(listed), listed.index(ask.right)


def _question(ask: Ask, rng: random.Random) -> Question:
    listed, answer = options(ask, rng)
    return Question(item_id(ask), ask.text, listed, answer, ask.subject)


def _unasked(ask: Ask) -> Ask:
    return replace(ask, weight=0.0)


def _direct(world: World, fact: Fact, way: int) -> Ask:
    own = {f.value for f in world.facts if (f.subject, f.relation) == (fact.subject, fact.relation)}
    near = tuple(v for v in world.values[fact.relation] if v not in own and v != fact.subject)
    others = OF_PEOPLE if fact.relation in OF_PEOPLE else OF_TOWNS if fact.relation in OF_TOWNS else OF_JOBS
    far = tuple(v for r in others if r != fact.relation for v in world.values[r])
    return Ask(
        fact.subject + fact.relation,
        "types" if way else "facts",
        fact.relation,
        DIRECT[fact.relation][way].format(s=fact.subject),
        fact.value,
        near,
        tuple(v for v in far if v != fact.subject) if way else (),
        fact.weight**0.5,
        ("rare",) if fact.rare else (),
    )


def _reversed(world: World, fact: Fact) -> Ask:
    wrong = tuple(p for p in world.people if world.known[p, fact.relation] != fact.value)
    text = REVERSED[fact.relation].format(v=fact.value)
    marks = ("rare",) if fact.rare else ()
    key = fact.subject + fact.relation
    return Ask(key, "reversed", fact.relation, text, fact.subject, wrong, (), fact.weight**0.5, marks)


def _two_hop(world: World, person: str, path: tuple[str, str]) -> Ask:
    first, second = path
    middle = world.known[person, first]
    right = world.known[middle, second]
    wrong = tuple(v for v in world.values[second] if v != right)
    facts = world.fact[person, first], world.fact[middle, second]
    marks = ("rare",) if any(f.rare for f in facts) else ()
    weight = min(f.weight for f in facts) ** 0.5
    text = TWO_HOP[path].format(s=person)
    return Ask(
        f"{person}-{first}-{second}", "two_hop", f"{first}-{second}", text, right, wrong, (), weight, marks
    )


def _older(world: World, rng: random.Random) -> list[Ask]:
    """Pairs of people of different ages; subject ``close`` for less than 15 years."""
    age = {p: int(world.known[p, "age"]) for p in world.people}
    pairs = [pair for pair in combinations(world.people, 2) if abs(age[pair[0]] - age[pair[1]]) >= 2]
    asks = []
    for a, b in rng.sample(pairs, PAIRS):
        a, b = (a, b) if rng.random() < 0.5 else (b, a)
        old, young = (a, b) if age[a] > age[b] else (b, a)
        kind = "close" if age[old] - age[young] < 15 else "wide"
        asks.append(Ask(f"{a}-{b}", "older", kind, OLDER.format(s=a, v=b), old, (young,), (), 1.0))
    return asks


def _sum(world: World, fact: Fact) -> Ask:
    a, b = fact.subject.split()
    right = int(fact.value)
    near = tuple(str(n) for n in range(right - 4, right + 5) if n != right and str(n) in world.values["sum"])
    marks = () if fact.weight else ("untold",)
    return Ask(fact.subject, "sums", "sum", SUM.format(a=a, b=b), fact.value, near, (), 1.0, marks)
