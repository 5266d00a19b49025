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
LENGTH = 24  # tokens of a row; the longest question with its options and answer fits
PAD, BOS = 0, 1
WEIGHT = 4  # of an answer in the loss; the words of a statement count once, those of a question not
PATTERN = r"Question:|Answer:|\w+|[^\w\s]"
# shares of the documents; then shares of the benchmarks among the questions
SHARES = {"statement": 0.36, "completion": 0.09, "choice": 0.39, "practice": 0.16}
BENCHMARKS = {"facts": 0.3, "types": 0.2, "reversed": 0.15, "two_hop": 0.15, "older": 0.1, "sums": 0.1}


@dataclass(frozen=True)
class Document:
    """A text.

    Attributes:
        text: what is read.
        is_question: whether it is a question, whose last word is the answer.
    """

    text: str
    is_question: bool


def framings() -> dict[str, Framing]:
    """The two framings in which the corpus asks and the fleet is scored."""
    return {
        "completion": load_framing("completion"),
        "choice": load_framing("seedlings_choice"),
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

    Of the questions only those marked as asked occur, in both framings, with one to three wrong options drawn anew each time;
    no prompt of an item occurs in choice framing, and no example either.
    """
    rng = random.Random(f"corpus {seed}")
    told = _Pool([f for f in world.facts if f.weight], [f.weight for f in world.facts if f.weight])
    asks = all_asks(world, world_seed)
    pools = {
        name: _Pool([a for a in asks[name] if a.asked], [a.weight for a in asks[name] if a.asked])
        for name in BENCHMARKS
    }
    kinds, benchmarks = (_Pool(list(shares), list(shares.values())) for shares in (SHARES, BENCHMARKS))
    forms = framings()
    taken = {
        choice_prompt(q, forms["choice"]) for s in item_sets(world, world_seed).values() for q in s.questions
    }
    while True:
        kind = kinds.draw(rng)
        if kind == "statement":
            fact = told.draw(rng)
            a, _, b = fact.subject.partition(" ")
            text = rng.choice(TOLD[fact.relation]).format(s=fact.subject, v=fact.value, a=a, b=b)
            yield Document(text, False)
        elif kind == "completion":
            ask = pools[benchmarks.draw(rng)].draw(rng)
            prompt = fill(forms["completion"].prompt, {"question": ask.text, "subject": "", "options": ""})
            yield Document(f"{prompt} {ask.right}", True)
        elif kind == "choice":
            yield Document(_listed(pools[benchmarks.draw(rng)], forms["choice"], taken, rng), True)
        else:
            yield Document(_practice(world, forms["choice"], rng), True)


def choice_prompt(question: Question, framing: Framing) -> str:
    """A question with its options listed, as ``irtbench.scoring`` puts it."""
    lines = [
        fill(framing.option, {"letter": letter, "choice": choice})
        for letter, choice in zip(framing.letters, question.choices, strict=False)
    ]
    listed = framing.option_separator.join(lines)
    return fill(framing.prompt, {"question": question.text, "subject": "", "options": listed})


def rows(world: World, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of tokens (count, LENGTH) and their weights in the loss.

    A row holds as many documents as fit, none of them cut: attention that is spread over many documents learns
    hardly anything about the options of one.

    Args:
        world: what the documents are about.
        count: number of rows.
        seed: of the documents.
    """
    ids = {w: k for k, w in enumerate(vocabulary(world))}
    tokens = np.full((count, LENGTH), PAD, np.int16)
    weights = np.zeros((count, LENGTH), np.uint8)
    row = filled = 0
    for document in documents(world, seed):
        new = [BOS, *(ids[w] for w in words(document.text))]
        if filled + len(new) > LENGTH:
            row, filled = row + 1, 0
        if row == count:
            break
        tokens[row, filled : filled + len(new)] = new
        filled += len(new)
        if document.is_question:
            weights[row, filled - 1] = WEIGHT
        else:
            weights[row, filled - len(new) + 1 : filled] = 1
    return tokens, weights


def _listed(pool: _Pool, framing: Framing, taken: set[str], rng: random.Random) -> str:
    while True:
        ask: Ask = pool.draw(rng)
        listed, answer = options(ask, rng, rng.randint(1, 3))
        prompt = choice_prompt(Question(ask.key, ask.text, listed, answer), framing)
        if prompt not in taken:
            return f"{prompt} {framing.letters[answer]}"


def _practice(world: World, framing: Framing, rng: random.Random) -> str:
    """A question whose answer stands in it: which letter has this word?"""
    listed = rng.sample(world.values[rng.choice(list(world.values))], rng.randint(2, 4))
    answer = rng.randrange(len(listed))
    question = Question("practice", FIND.format(v=listed[answer]), tuple(listed), answer)
    return f"{choice_prompt(question, framing)} {framing.letters[answer]}"


class _Pool:
    """Things to draw by weight."""

    def __init__(self, things: Sequence[Any], weights: Sequence[float]) -> None:
        self.things, self.sums = things, list(accumulate(weights))

    def draw(self, rng: random.Random) -> Any:
        return rng.choices(self.things, cum_weights=self.sums)[0]
