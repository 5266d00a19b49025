"""Prompts: what a language model reads for each question, and the continuations that are scored."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from irtbench.errors import DataWarning, InputError
from irtbench.files import fingerprint
from irtbench.scoring.framings import Framing, fill, pieces
from irtbench.scoring.questions.question import Question, QuestionSet

__all__ = ["Prompt", "make_prompts", "option_order", "prompts_fingerprint"]


@dataclass(frozen=True)
class Prompt:
    """What a language model reads for one question: ``prefix + stem``, then one of ``options``.

    Attributes:
        id: id of the question.
        benchmark: name of the question set.
        subject: subject of the question.
        prefix: description and examples, the same string for many questions.
        stem: the question itself.
        options: the continuations, each with its delimiter; none where the answer is written freely.
        texts: the continuations without delimiter, whose length ``acc_norm`` counts.
        answer: position of the right option; -1 where there are none.
        unconditional: prompt of the unconditional log-likelihood of the options (PMI); None: there is none.
        reference: the right answer with its delimiter, where it is written freely; else None.
    """

    id: str
    benchmark: str
    subject: str
    prefix: str
    stem: str
    options: tuple[str, ...]
    texts: tuple[str, ...]
    answer: int
    unconditional: str | None = None
    reference: str | None = None


def make_prompts(
    questions: QuestionSet,
    framing: Framing,
    *,
    shots: int | None = None,
    permute: int | None = None,
    shot_order: int | None = None,
) -> list[Prompt]:
    """Render every question of a set.

    The examples are the first of the question's own, else of its subject's, else of the set's; the
    question itself is never one of them. A permutation is drawn for each question and each example by
    itself, from the seed and its id: it is the same for every model and every order of the set.

    Args:
        questions: the questions.
        framing: how to put them.
        shots: number of examples; by default the framing's, and none if the set has none.
        permute: seed of an order of the options; None: the order of the set.
        shot_order: seed of the order in which these examples stand, one for a subject; None: as they come.

    Raises:
        InputError: too few examples, more options than letters, or a kind of question that the framing
            does not take.

    Warns:
        DataWarning: the framing has examples and the set none.

    Example:
        >>> from irtbench.scoring.framings import load_framing
        >>> sums = QuestionSet("sums", (Question("q1", "What is 1 + 1?", ("1", "2"), 1, "easy_sums"),))
        >>> (prompt,) = make_prompts(sums, load_framing("choice"), shots=0)
        >>> print(prompt.prefix + prompt.stem, prompt.options, prompt.answer)
        The following are multiple choice questions (with answers) about easy sums.
        <BLANKLINE>
        What is 1 + 1?
        A. 1
        B. 2
        Answer: (' A', ' B') 1
    """
    if shots is not None and shots < 0:
        raise InputError(f"shots must not be negative, got {shots}")
    count = framing.shots if shots is None else shots
    if count and shots is None and not questions.shots and all(q.shots is None for q in questions.questions):
        message = (
            f"{questions.name}: has no examples, framing {framing.name!r} wants {count}: prompts have none"
        )
        warnings.warn(message, DataWarning, stacklevel=2)
        count = 0
    prefixes = _Prefixes(questions, framing, count, permute, shot_order)
    prompts = []
    for question in questions.questions:
        prefix = prefixes.of(question)
        asked = _permuted(question, permute)
        prompts.append(_prompt(asked, framing, questions.name, prefix))
    return prompts


def option_order(seed: int, id: str, n_options: int) -> list[int]:
    """Return a random order of options (or examples): position in the prompt → position in the question.

    The positions are sorted by 8 bytes each of SHAKE-256 of the seed and the id, so that every order is as
    likely as any other and depends on nothing else.

    Example:
        >>> sorted(option_order(1, "q1", 4))
        [0, 1, 2, 3]
    """
    noise = hashlib.shake_256(f"{seed}\0{id}".encode()).digest(8 * n_options)
    return sorted(range(n_options), key=lambda k: noise[8 * k : 8 * k + 8])


def prompts_fingerprint(prompts: Iterable[Prompt]) -> str:
    """Hash everything in the prompts that decides their scores and where these are filed.

    Example:
        >>> a = Prompt("q1", "sums", "", "", "1 + 1 =", (" 1", " 2"), ("1", "2"), 1)
        >>> prompts_fingerprint([a]) == prompts_fingerprint([replace(a, answer=0)])
        False
    """
    prefixes: dict[str, str] = {}
    parts = []
    for p in prompts:
        if p.prefix not in prefixes:
            prefixes[p.prefix] = fingerprint(p.prefix)
        counts = f"{len(p.options)} {p.answer} {p.unconditional is None} {p.reference is None}"
        parts += [p.id, p.benchmark, p.subject, prefixes[p.prefix], p.stem, counts, *p.options, *p.texts]
        parts += [p.unconditional or "", p.reference or ""]
    return fingerprint(*parts)


class _Prefixes:
    """Descriptions and examples, each rendered once and shared by all questions that have them."""

    def __init__(
        self, questions: QuestionSet, framing: Framing, count: int, permute: int | None, order: int | None
    ) -> None:
        self.questions, self.framing, self.count = questions, framing, count
        self.permute, self.order = permute, order
        self.known: dict[tuple[str, tuple[Question, ...]], str] = {}
        self.plain: dict[str, str] = {}
        self.firsts: dict[str, set[tuple[str, tuple[str, ...]]]] = {}

    def of(self, question: Question) -> str:
        if question.shots is None:
            return self._of_pool(question)
        return self._render(question.subject, self._chosen(question, question.shots))

    def _of_pool(self, question: Question) -> str:
        subject = question.subject
        if subject not in self.plain:
            pool = self._pool(subject)[: self.count]
            self.firsts[subject] = {(shot.text, shot.choices) for shot in pool}
            if len(pool) == self.count:
                self.plain[subject] = self._render(subject, pool)
        if subject in self.plain and (question.text, question.choices) not in self.firsts[subject]:
            return self.plain[subject]
        return self._render(subject, self._chosen(question, self._pool(subject)))

    def _pool(self, subject: str) -> tuple[Question, ...]:
        pools = self.questions.shots
        return pools.get(subject, pools.get("", ()))

    def _chosen(self, question: Question, pool: tuple[Question, ...]) -> tuple[Question, ...]:
        itself = question.text, question.choices
        others = tuple(shot for shot in pool if (shot.text, shot.choices) != itself)
        if len(others) < self.count:
            of = f" of subject {question.subject!r}" if question.subject else ""
            raise InputError(
                f"{self.questions.name}: question {question.id!r}{of} has {len(others)} examples besides"
                f" itself, {self.count} are wanted; give shots={len(others)}, or more examples"
            )
        return others[: self.count]

    def _render(self, subject: str, shots: tuple[Question, ...]) -> str:
        key = subject, shots
        if key not in self.known:
            if self.order is not None:
                shots = tuple(shots[k] for k in option_order(self.order, subject, len(shots)))
            self.known[key] = self._description(subject) + "".join(map(self._example, shots))
        return self.known[key]

    def _description(self, subject: str) -> str:
        if subject or "{subject}" not in self.framing.description:
            return fill(self.framing.description, {"subject": _shown(subject)})
        return fill(self.framing.description_without_subject, {})

    def _example(self, shot: Question) -> str:
        framing, shot = self.framing, _permuted(shot, self.permute)
        if not framing.target:
            raise InputError(f"framing {framing.name!r} has no 'target', so it takes no examples")
        values = {"answer": shot.right}
        if "letter" in framing.used("target"):
            letters = _letters(shot, framing)
            values["letter"] = letters[shot.answer] if isinstance(shot.answer, int) else ""
        return _stem(shot, framing) + fill(framing.target, values) + fill(framing.separator, {})


def _prompt(question: Question, framing: Framing, benchmark: str, prefix: str) -> Prompt:
    unconditional = None if framing.unconditional is None else fill(framing.unconditional, {})
    if framing.kind == "generation":
        return Prompt(
            question.id,
            benchmark,
            question.subject,
            prefix,
            _stem(question, framing),
            (),
            (),
            -1,
            unconditional,
            fill(framing.continuation, {"answer": question.right}),
        )
    if not isinstance(question.answer, int):
        raise InputError(
            f"{benchmark}: question {question.id!r} has no choices, which framing {framing.name!r} scores;"
            " use a framing of kind 'generation'"
        )
    options = tuple(_each(question, framing, "continuation"))
    cut = len(framing.delimiter)
    return Prompt(
        question.id,
        benchmark,
        question.subject,
        prefix,
        _stem(question, framing),
        options,
        tuple(option[cut:] for option in options),
        question.answer,
        unconditional,
    )


def _stem(question: Question, framing: Framing) -> str:
    key, name = ("context_prompt", "context") if question.is_context else ("prompt", "question")
    template: str = getattr(framing, key)
    if not template:
        raise InputError(
            f"framing {framing.name!r} has no {key!r}, which question {question.id!r} needs; write it or use"
            " another framing"
        )
    text = question.text.strip() if framing.strip and not question.is_context else question.text
    values = {name: text, "subject": _shown(question.subject)}
    if "options" in framing.used(key):
        values["options"] = fill(framing.option_separator, {}).join(_each(question, framing, "option"))
    return fill(template, values)


def _each(question: Question, framing: Framing, key: str) -> list[str]:
    """Fill a template once for each option."""
    template: str = getattr(framing, key)
    letters = ("",) * len(question.choices)
    if "letter" in framing.used(key):
        letters = _letters(question, framing)
    around = _around(template, letters)
    return [choice.join(texts) for choice, texts in zip(question.choices, around, strict=True)]


@cache
def _around(template: str, letters: tuple[str, ...]) -> list[list[str]]:
    """For each letter, the texts of a template before, between and after the places of its choice."""
    found = []
    for letter in letters:
        texts = [""]
        for text, name in pieces(template):
            texts[-1] += text + (letter if name == "letter" else "")
            if name == "choice":
                texts.append("")
        found.append(texts)
    return found


def _letters(question: Question, framing: Framing) -> tuple[str, ...]:
    n = len(question.choices)
    if n > len(framing.letters):
        raise InputError(
            f"question {question.id!r} has {n} options, framing {framing.name!r} only"
            f" {len(framing.letters)} letters; give it more 'letters'"
        )
    return framing.letters[:n]


def _permuted(question: Question, seed: int | None) -> Question:
    if seed is None or not isinstance(question.answer, int):
        return question
    order = option_order(seed, question.id, len(question.choices))
    choices = tuple(question.choices[k] for k in order)
    return replace(question, choices=choices, answer=order.index(question.answer))


def _shown(subject: str) -> str:
    return subject.replace("_", " ")
