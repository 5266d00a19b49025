"""How facts are told and asked: templates with ``{s}`` for the subject, ``{v}`` for the value."""

from __future__ import annotations

TOLD = {
    "town": (
        "{s} lives in {v}.",
        "The home of {s} is in {v}.",
        "In {v} lives {s}.",
        "{v} is the town of {s}.",
    ),
    "job": ("{s} works as a {v}.", "The job of {s} is {v}.", "As a {v} works {s}.", "One {v} is {s}."),
    "food": ("{s} eats {v}.", "The dish of {s} is {v}.", "Cook {v} for {s}.", "{v} is what {s} eats."),
    "pet": ("{s} has a {v}.", "The pet of {s} is a {v}.", "One {v} follows {s}.", "This {v} belongs to {s}."),
    "friend": ("The friend of {s} is {v}.", "{s} likes {v}.", "{s} writes letters to {v}."),
    "age": ("{s} is {v} years old.", "The age of {s} is {v}.", "At {v} years we find {s}."),
    "country": ("{s} is in {v}.", "The country of {s} is {v}.", "In {v} is the town {s}."),
    "river": ("The river of {s} is {v}.", "{s} lies at the {v}.", "The {v} runs through {s}."),
    "crop": ("{s} grows {v}.", "The crop of {s} is {v}.", "Farms of {v} surround {s}."),
    "tool": ("Every {s} uses the {v}.", "The tool of every {s} is the {v}.", "The {v} is for a {s}."),
    "place": ("Every {s} works in the {v}.", "The place of a {s} is the {v}.", "In the {v} works a {s}."),
    "sum": ("{a} plus {b} makes {v}.", "The sum of {a} and {b} is {v}."),
}

DIRECT = {  # two ways to ask: the first in the benchmark `facts`, the second in `types`
    "town": ("Where does {s} live?", "Which town is the home of {s}?"),
    "job": ("What is the job of {s}?", "What does {s} work as?"),
    "food": ("What does {s} eat?", "Which dish is for {s}?"),
    "pet": ("Which pet has {s}?", "What follows {s}?"),
    "friend": ("Who is the friend of {s}?", "Who gets letters of {s}?"),
    "age": ("How old is {s}?", "What is the age of {s}?"),
    "country": ("In which country is {s}?", "Which is the country of {s}?"),
    "river": ("Which river has {s}?", "What runs through {s}?"),
    "crop": ("What grows in {s}?", "Which crop has {s}?"),
    "tool": ("What does a {s} use?", "Which tool has a {s}?"),
    "place": ("Where does a {s} work?", "Which place has a {s}?"),
}

REVERSED = {
    "town": "Who lives in {v}?",
    "job": "Who works as a {v}?",
    "food": "Who eats {v}?",
    "pet": "Who has a {v}?",
}

TWO_HOP = {  # the relations in the order in which they are followed
    ("town", "country"): "In which country does {s} live?",
    ("job", "tool"): "Which tool does {s} use?",
    ("friend", "job"): "What is the job of the friend of {s}?",
    ("friend", "town"): "Where does the friend of {s} live?",
}

OLDER = "Who is older, {s} or {v}?"
SUM = "What is {a} plus {b}?"
FIND = "Which of these is {v}?"  # only in the corpus: how letters are used, without any knowledge
