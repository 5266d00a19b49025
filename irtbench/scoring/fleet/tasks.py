"""Tasks: question sets in framings, what every model of a fleet is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from irtbench.errors import InputError

if TYPE_CHECKING:
    from irtbench.scoring.engine.generation import Decoding
    from irtbench.scoring.fleet.writing import Writing
    from irtbench.scoring.framings import Framing
    from irtbench.scoring.prompts import Prompt
    from irtbench.scoring.questions.question import QuestionSet

__all__ = ["Task", "make_tasks"]


@dataclass(frozen=True)
class Task:
    """A question set in a framing: what every model is asked.

    Attributes:
        benchmark: name of the question set.
        framing: name of the framing.
        prompts: in item order.
        about: what else is worth keeping with the answers (shots, seeds, fingerprints).
        writing: how answers are written freely; None: options are scored.
    """

    benchmark: str
    framing: str
    prompts: tuple[Prompt, ...]
    about: Mapping[str, Any]
    writing: Writing | None = None

    @property
    def decides(self) -> dict[str, Any]:
        """What of the task decides its result."""
        written = {} if self.writing is None else {"written": self.writing.decides}
        return {"prompts": self.about["prompts"], **written}

    @property
    def name(self) -> str:
        """For people: set and framing."""
        return f"{self.benchmark} {self.framing}"


def make_tasks(
    questions: Sequence[QuestionSet],
    framings: Sequence[Framing],
    *,
    shots: int | None = None,
    permute: int | None = None,
    shot_order: int | None = None,
    limit: int | None = None,
    decoding: Decoding | None = None,
) -> list[Task]:
    """Write the prompts of every question set in every framing.

    Args:
        questions: sets with different names.
        framings: with different names.
        shots: examples before each question; None: as the framing says.
        permute: seed of the order of options; None: as they come.
        shot_order: seed of the order of examples; None: as they come.
        limit: items of each set, the first ones; None: all.
        decoding: how answers to framings of kind ``generation`` are written; None: greedily.

    Raises:
        InputError: two sets or framings of one name; a set that a framing cannot put.
    """
    from irtbench.scoring.engine.generation import Decoding
    from irtbench.scoring.fleet.writing import Writing
    from irtbench.scoring.prompts import make_prompts, prompts_fingerprint

    for kind, listed in (
        ("question sets", [q.name for q in questions]),
        ("framings", [f.name for f in framings]),
    ):
        if len(set(listed)) < len(listed):
            raise InputError(f"two {kind} have one name: {', '.join(listed)}; give each a name of its own")
    tasks = []
    for asked in questions:
        chosen = asked if limit is None else asked.take(limit)
        for framing in framings:
            prompts = make_prompts(chosen, framing, shots=shots, permute=permute, shot_order=shot_order)
            about = {
                "prompts": prompts_fingerprint(prompts),
                "shots": shots,
                "permute": permute,
                "shot_order": shot_order,
                "limit": limit,
            }
            writing = Writing(framing, decoding or Decoding()) if framing.kind == "generation" else None
            tasks.append(Task(asked.name, framing.name, tuple(prompts), about, writing))
    return tasks
