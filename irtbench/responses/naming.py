"""Column names of a long table: which are needed, which are known, and what else people call them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from irtbench.errors import InputError

__all__ = ["ITEM_COLUMNS", "KNOWN", "MODEL_COLUMNS", "REQUIRED", "RUN_COLUMNS", "looks_long", "require"]

REQUIRED = ("model", "item", "response")
RUN_COLUMNS = ("seed", "step")
MODEL_COLUMNS = ("family", "tokens", "date", "params")
ITEM_COLUMNS = ("subject", "cluster")
KNOWN = (*REQUIRED, "benchmark", *RUN_COLUMNS, "sample", "trials", *MODEL_COLUMNS, *ITEM_COLUMNS)
_NEAR = {
    "model": ("model_id", "model_name", "subject_id", "respondent", "llm", "system", "agent"),
    "item": ("item_id", "question_id", "question", "doc_id", "prompt_id", "instance_id", "example_id", "id"),
    "response": ("score", "correct", "is_correct", "acc", "accuracy", "result", "value", "resolved"),
}


def looks_long(names: Collection[str]) -> bool:
    """Whether these columns are those of a long table, perhaps under other names.

    Example:
        >>> looks_long(["model", "question_id", "score"]), looks_long(["model", "q1", "q2"])
        (True, False)
    """
    lower = {str(name).lower() for name in names}
    return sum(bool(lower & {wanted, *_NEAR[wanted]}) for wanted in REQUIRED) >= 2


def require(names: Sequence[str], source: str) -> None:
    """Check that the needed columns are there.

    Raises:
        InputError: one is missing; the message offers columns that may be meant.
    """
    missing = [name for name in REQUIRED if name not in names]
    if not missing:
        return
    near = {wanted: [n for n in names if n.lower() in (wanted, *_NEAR[wanted])] for wanted in missing}
    meant = {wanted: found[0] for wanted, found in near.items() if found}
    hint = f"; perhaps columns={meant!r} is meant" if meant else ""
    raise InputError(
        f"{source}: no column {', '.join(map(repr, missing))} (found: {', '.join(map(str, names[:20]))});"
        f" a long table has the columns model, item and response{hint}"
    )
