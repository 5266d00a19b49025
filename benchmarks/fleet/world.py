"""A small world of facts: people, towns, jobs and sums, some of them told often and some rarely.

A fact is a triple ``(subject, relation, value)``. Every name, place and thing is one word, and one token of the
models' vocabulary. Facts are told with Zipf-like frequencies: weight 1 / (rank + 10)^0.8 in a random order of ranks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

SYLLABLES = ["ba", "ko", "ri", "ta", "mu", "ne", "so", "li", "fa", "zu", "pe", "do", "gi", "ha", "vo", "ke"]
JOBS = [
    "baker",
    "smith",
    "tailor",
    "nurse",
    "farmer",
    "painter",
    "miner",
    "barber",
    "cook",
    "driver",
    "weaver",
    "singer",
]
TOOLS = [
    "oven",
    "hammer",
    "needle",
    "syringe",
    "plough",
    "brush",
    "pickaxe",
    "scissors",
    "pan",
    "wheel",
    "loom",
    "microphone",
]
PLACES = [
    "mill",
    "forge",
    "cellar",
    "ward",
    "field",
    "studio",
    "pit",
    "salon",
    "kitchen",
    "garage",
    "attic",
    "stage",
]
FOODS = [
    "bread",
    "soup",
    "rice",
    "cheese",
    "beans",
    "plums",
    "fish",
    "pie",
    "eggs",
    "nuts",
    "corn",
    "figs",
    "jam",
    "leeks",
    "peas",
    "cake",
]
PETS = ["cat", "dog", "goat", "parrot", "snake", "pony", "rabbit", "turtle", "hen", "lizard", "mouse", "crow"]
CROPS = [
    "wheat",
    "oats",
    "barley",
    "rye",
    "grapes",
    "olives",
    "hops",
    "flax",
    "hemp",
    "cotton",
    "tea",
    "maize",
]
N_PEOPLE, N_TOWNS, N_COUNTRIES, N_RIVERS = 73, 16, 6, 8
AGES = range(21, 81)
ADDENDS = range(1, 11), range(1, 12)
TOLD_SUMS = 0.7  # of all sums; the others stand nowhere in the corpus
OF_PEOPLE = ("town", "job", "food", "pet", "friend", "age")
OF_TOWNS = ("country", "river", "crop")
OF_JOBS = ("tool", "place")
RARE = 0.25  # of the facts: those told least


@dataclass(frozen=True)
class Fact:
    """One fact.

    Attributes:
        subject: whom or what it is about; the two numbers of a sum with a blank between them.
        relation: ``town``, ``age``, ``sum`` …
        value: the town, the age, the sum.
        weight: how often it is told, relative to others; 0 for a sum that is never told.
        rare: whether it is among the quarter that is told least.
    """

    subject: str
    relation: str
    value: str
    weight: float
    rare: bool


@dataclass(frozen=True)
class World:
    """All facts, and the values that a relation can take.

    Attributes:
        facts: every fact.
        values: values of each relation, in a fixed order.
    """

    facts: tuple[Fact, ...]
    values: Mapping[str, tuple[str, ...]]

    @cached_property
    def known(self) -> dict[tuple[str, str], str]:
        """The value of each subject and relation."""
        return {(f.subject, f.relation): f.value for f in self.facts}

    @cached_property
    def fact(self) -> dict[tuple[str, str], Fact]:
        """The fact of each subject and relation."""
        return {(f.subject, f.relation): f for f in self.facts}

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the people."""
        return self.values["friend"]


def make_world(seed: int = 0) -> World:
    """Draw a world.

    Args:
        seed: of everything that is drawn.

    Example:
        >>> world = make_world()
        >>> len(world.facts), world.known["7 5", "sum"], make_world() == world
        (620, '12', True)
    """
    rng = random.Random(f"world {seed}")
    names = _names(rng, N_PEOPLE + N_TOWNS + N_COUNTRIES + N_RIVERS)
    people, rest = names[:N_PEOPLE], names[N_PEOPLE:]
    towns, rest = rest[:N_TOWNS], rest[N_TOWNS:]
    values = {
        "town": towns,
        "job": tuple(JOBS),
        "food": tuple(FOODS),
        "pet": tuple(PETS),
        "friend": people,
        "age": tuple(map(str, AGES)),
        "country": rest[:N_COUNTRIES],
        "river": rest[N_COUNTRIES:],
        "crop": tuple(CROPS),
        "tool": tuple(TOOLS),
        "place": tuple(PLACES),
        "sum": tuple(map(str, range(sum(map(min, ADDENDS)), sum(map(max, ADDENDS)) + 1))),
    }
    triples = [(p, r, rng.choice([v for v in values[r] if v != p])) for p in people for r in OF_PEOPLE]
    triples += [(t, r, rng.choice(values[r])) for t in towns for r in OF_TOWNS]
    triples += [(j, r, values[r][k]) for k, j in enumerate(JOBS) for r in OF_JOBS]
    sums = [(f"{a} {b}", "sum", str(a + b)) for a, b in product(*ADDENDS)]
    told = set(rng.sample(range(len(sums)), round(TOLD_SUMS * len(sums))))
    facts = _weighted(rng, triples)
    median = sorted(f.weight for f in facts)[len(facts) // 2]
    facts += [Fact(*s, weight=median if k in told else 0.0, rare=k not in told) for k, s in enumerate(sums)]
    return World(tuple(facts), values)


def _weighted(rng: random.Random, triples: list[tuple[str, str, str]]) -> list[Fact]:
    ranks = rng.sample(range(len(triples)), len(triples))
    last = (1 - RARE) * len(triples)
    return [
        Fact(*triple, weight=(rank + 10) ** -0.8, rare=rank >= last)
        for triple, rank in zip(triples, ranks, strict=True)
    ]


def _names(rng: random.Random, n: int) -> tuple[str, ...]:
    """Names of two syllables, all different."""
    every = [(a + b).capitalize() for a in SYLLABLES for b in SYLLABLES]
    return tuple(rng.sample(every, n))
