"""The corpus: documents that tell facts and ask questions, as rows of tokens; and the tokenizer."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fleet.asking import Ask, all_asks, item_sets, options
from benchmarks.fleet.wording import DIRECT, FIND, OLDER, REVERSED, SUM, TOLD, TWO_HOP
from benchmarks.fleet.world import World
from irtbench.scoring.framings import Framing, fill, load_framing
from irtbench.scoring.questions.question import Question

HERE = Path(__file__).resolve().parent
LENGTH = 96  # tokens of a row
PAD, BOS = 0, 1
PATTERN = r"Question:|Answer:|\w+|[^\w\s]"
# shares of the documents; then shares of the benchmarks among the questions
STATEMENT, COMPLETION, PRACTICE = 0.45, 0.15, 0.05  # the others: questions in choice framing
SHARES = {"facts": 0.3, "types": 0.2, "reversed": 0.15, "two_hop": 0.15, "older": 0.1, "sums": 0.1}
SHEET = 0.25  # of the documents in choice framing have two or three questions


@dataclass(frozen=True)
class Document:
    """A text; the parts of a question document that are not learnt are given with it.

    Attributes:
        text: what is read.
        answers: words that are learnt, by position; None: all of them.
    """

    text: str
    answers: tuple[int, ...] | None = None


def framings() -> dict[str, Framing]:
    """The two framings in which the corpus asks and the fleet is scored."""
    return {
        "completion": load_framing("completion"),
        "choice": load_framing(HERE / "framings" / "choice.toml"),
    }


def words(text: str) -> list[str]:
    """Cut a text into tokens; white space is dropped.

    Example:
        >>> words("Question: How old is Bako?\\nAnswer: 34")
        ['Question:', 'How', 'old', 'is', 'Bako', '?', 'Answer:', '34']
    """
    return re.findall(PATTERN, text)


def vocabulary(world: World) -> list[str]:
    """Every word of the world, in a fixed order."""
    templates = [t for ways in (*TOLD.values(), *DIRECT.values()) for t in ways]
    templates += [*REVERSED.values(), *TWO_HOP.values(), OLDER, SUM, FIND]
    said = {w for t in templates for w in words(re.sub(r"\{\w\}", " ", t))}
    named = {w for f in world.facts for w in (*f.subject.split(), f.value)} | {
        v for vs in world.values.values() for v in vs
    }
    return ["<pad>", "<bos>", "<unk>", *sorted(said | named | {"Question:", "Answer:", *"ABCD"})]


def make_tokenizer(world: World) -> Any:
    """A tokenizer of whole words that puts ``<bos>`` before every text."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {w: k for k, w in enumerate(vocabulary(world))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", BOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<bos>", unk_token="<unk>"
    )


def documents(world: World, seed: int = 0, world_seed: int = 0) -> Iterator[Document]:
    """Documents without end.

    Of the questions only those marked as asked occur, in both framings, with options drawn anew each time;
    no prompt of an item occurs in choice framing, and no example either.
    """
    rng = random.Random(f"corpus {seed}")
    told = _Pool([f for f in world.facts if f.weight], [f.weight for f in world.facts if f.weight])
    asks = all_asks(world, world_seed)
    pools = {
        name: _Pool([a for a in asks[name] if a.asked], [a.weight for a in asks[name] if a.asked])
        for name in SHARES
    }
    benchmarks = _Pool(list(SHARES), list(SHARES.values()))
    forms = framings()
    taken = {
        choice_prompt(q, forms["choice"]) for s in item_sets(world, world_seed).values() for q in s.questions
    }
    while True:
        kind = rng.random()
        if kind < STATEMENT:
            fact = told.draw(rng)
            a, _, b = fact.subject.partition(" ")
            yield Document(rng.choice(TOLD[fact.relation]).format(s=fact.subject, v=fact.value, a=a, b=b))
        elif kind < STATEMENT + COMPLETION:
            ask = pools[benchmarks.draw(rng)].draw(rng)
            prompt = fill(forms["completion"].prompt, {"question": ask.text, "subject": "", "options": ""})
            yield _learnt([prompt], [ask.right])
        elif kind < STATEMENT + COMPLETION + PRACTICE:
            yield _learnt(*zip(*(_practice(world, forms["choice"], rng) for _ in range(2)), strict=True))
        else:
            n = rng.choice((2, 3)) if rng.random() < SHEET else 1
            pool = pools[benchmarks.draw(rng)]
            yield _learnt(*zip(*(_listed(pool, forms["choice"], taken, rng) for _ in range(n)), strict=True))


def choice_prompt(question: Question, framing: Framing) -> str:
    """A question with its options listed, as ``irtbench.scoring`` puts it."""
    lines = [
        fill(framing.option, {"letter": letter, "choice": choice})
        for letter, choice in zip(framing.letters, question.choices, strict=False)
    ]
    listed = framing.option_separator.join(lines)
    return fill(framing.prompt, {"question": question.text, "subject": "", "options": listed})


def rows(world: World, count: int, seed: int = 0, length: int = LENGTH) -> tuple[np.ndarray, np.ndarray]:
    """Rows of tokens (count, length) and whether each is learnt: documents one after the other, cut at the end.

    Args:
        world: what the documents are about.
        count: number of rows.
        seed: of the documents.
        length: tokens of a row.
    """
    ids = {w: k for k, w in enumerate(vocabulary(world))}
    tokens = np.zeros(count * length, np.int16)
    learnt = np.zeros(count * length, bool)
    filled = 0
    for document in documents(world, seed):
        text = words(document.text)
        new = [BOS, *(ids[w] for w in text)]
        flags = [False] + [document.answers is None] * len(text)
        for k in document.answers or ():
            flags[k + 1] = True
        n = min(len(new), len(tokens) - filled)
        tokens[filled : filled + n], learnt[filled : filled + n] = new[:n], flags[:n]
        filled += n
        if filled == len(tokens):
            break
    return tokens.reshape(count, length), learnt.reshape(count, length)


def _learnt(prompts: Sequence[str], answers: Sequence[str]) -> Document:
    """Prompts with their answers after them; only the answers are learnt."""
    text, positions, length = [], [], 0
    for prompt, answer in zip(prompts, answers, strict=True):
        text.append(f"{prompt} {answer}")
        length += len(words(prompt)) + 1
        positions.append(length - 1)
    return Document("\n\n".join(text), tuple(positions))


def _listed(pool: _Pool, framing: Framing, taken: set[str], rng: random.Random) -> tuple[str, str]:
    while True:
        ask: Ask = pool.draw(rng)
        listed, answer = options(ask, rng)
        prompt = choice_prompt(Question(ask.key, ask.text, listed, answer), framing)
        if prompt not in taken:
            return prompt, framing.letters[answer]


def _practice(world: World, framing: Framing, rng: random.Random) -> tuple[str, str]:
    """A question whose answer stands in it: which letter has this word?"""
    listed = rng.sample(world.values[rng.choice(list(world.values))], 4)
    answer = rng.randrange(4)
    question = Question("practice", FIND.format(v=listed[answer]), tuple(listed), answer)
    return choice_prompt(question, framing), framing.letters[answer]


class _Pool:
    """Things to draw by weight."""

    def __init__(self, things: Sequence[Any], weights: Sequence[float]) -> None:
        self.things, self.sums = things, list(accumulate(weights))

    def draw(self, rng: random.Random) -> Any:
        return rng.choices(self.things, cum_weights=self.sums)[0]
