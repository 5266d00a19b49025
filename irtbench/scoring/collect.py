"""Answers of many models and question sets → one response matrix, or a summary by benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.responses.build import from_long
from irtbench.responses.matrix import ResponseMatrix
from irtbench.responses.metric import named
from irtbench.scoring.answers import Answers
from irtbench.scoring.metrics import METRICS, item_metrics, ties

__all__ = ["responses", "summary"]

_ROWS = 1 << 17  # of a batch: what a batch costs does not depend on its rows, up to there
_MEANS = ("acc_norm", "prob", "prob_options", "bpb", "exact_match")


def responses(answers: Answers | Sequence[Answers], metric: str = "acc") -> ResponseMatrix:
    """One metric of several models on several question sets: models × items, NaN where not asked.

    What ``about["model_table"]`` says (family, seed, step, tokens …) goes to the models table; seeds and
    steps of one model become rows of their own. Item ids that occur in several sets become ``set/id``.

    Args:
        answers: of any number of models and sets, in one framing.
        metric: a name from ``METRICS``.

    Raises:
        InputError: several framings, prompts that differ between models, a model that answered an item
            twice, or a metric that these answers do not have.
    """
    answers = [answers] if isinstance(answers, Answers) else list(answers)
    if not answers:
        raise InputError("no answers: score a model first")
    if metric not in METRICS:
        raise InputError(f"no metric {metric!r}; there are {', '.join(METRICS)}")
    _check_together(answers)
    values = [item_metrics(A, [metric])[metric].to_numpy() for A in answers]
    if all(np.isnan(part).all() for part in values):
        lack = {"acc_pmi": "unconditional log-likelihoods", "exact_match": "answers written freely"}
        why = f"no {lack.get(metric, 'options to choose from')}"
        raise InputError(f"metric {metric!r} cannot be had from these answers: they have {why}")
    counted = metric == "exact_match" and any((A.items["samples"] > 1).any() for A in answers)
    return from_long(_batches(answers, values, counted), metric=named(metric), source="answers")


def summary(answers: Answers | Sequence[Answers], level: float = 0.95) -> pd.DataFrame:
    """Accuracy with Wilson's interval and other means, a row for each model, benchmark and framing.

    Args:
        answers: of any models, sets and framings.
        level: coverage of the interval of ``acc``.

    Returns:
        Table with columns ``model``, ``benchmark``, ``framing``, ``items``, ``acc``, ``lower``, ``upper``,
        ``acc_norm``, ``prob``, ``prob_options``, ``bpb``, ``exact_match`` (means over the items), ``ties``
        (items whose best options tie in ``acc``) and ``dropped`` (items whose prompt was cut).

    References:
        Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953
    """
    answers = [answers] if isinstance(answers, Answers) else list(answers)
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    rows = []
    for A in answers:
        table = item_metrics(A, ["acc", *_MEANS]).assign(tied=ties(A), cut=A.items["dropped"] > 0)
        for benchmark, part in table.groupby(A.items["benchmark"].to_numpy(), sort=False):
            low, high = _wilson(part["acc"], level)
            rows.append(
                {"model": A.model, "benchmark": benchmark, "framing": A.framing, "items": len(part)}
                | {"acc": part["acc"].mean(), "lower": low, "upper": high}
                | {name: part[name].mean() for name in _MEANS}
                | {"ties": int(part["tied"].sum()), "dropped": int(part["cut"].sum())}
            )
    return pd.DataFrame(rows)


def _wilson(right: pd.Series, level: float) -> tuple[float, float]:
    from scipy.stats import binomtest

    seen = right.dropna()
    if len(seen) == 0:
        return np.nan, np.nan
    found = binomtest(int(seen.sum()), len(seen)).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def _check_together(answers: Sequence[Answers]) -> None:
    framings = list(dict.fromkeys(A.framing for A in answers))
    if len(framings) > 1:
        raise InputError(
            f"answers in several framings ({', '.join(framings)}) make no one matrix; give those of one"
        )
    prompts: dict[str, tuple[Any, str]] = {}
    for A in answers:
        asked = A.about.get("prompts")
        for benchmark in dict.fromkeys(A.items["benchmark"]):
            first, model = prompts.setdefault(benchmark, (asked, A.model))
            if first != asked:
                raise InputError(
                    f"models {model!r} and {A.model!r} were asked other prompts on {benchmark!r} (questions,"
                    " examples, order of options or framing differ); score them alike"
                )


def _batches(answers: Sequence[Answers], values: Sequence[np.ndarray], counted: bool) -> Iterator[Any]:
    """Long tables of the responses; with the number of samples behind each where they are counted."""
    import pyarrow as pa

    tables = [A.about.get("model_table") or {} for A in answers]
    known = [name for name in dict.fromkeys(name for table in tables for name in table) if name != "name"]
    about = {"model": pa.array([A.model for A in answers])}
    for name in known:
        try:
            column = pa.array([table.get(name) for table in tables])
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # some numbers, some text
            stated = [table.get(name) for table in tables]
            column = pa.array([None if value is None else str(value) for value in stated])
        if column.null_count < len(column):
            about[name] = column
    subjects = any((A.items["subject"] != "").any() for A in answers)
    waiting: list[Any] = []
    for k, (A, part) in enumerate(zip(answers, values, strict=True)):
        rows = pa.array(np.full(len(A), k))
        columns = {name: column.take(rows) for name, column in about.items()}
        columns["item"] = pa.array(A.items.index, pa.string())
        columns["benchmark"] = pa.array(A.items["benchmark"], pa.string())
        columns["response"] = pa.array(part, from_pandas=True)
        if counted:
            columns["trials"] = pa.array(A.items["samples"], pa.int32())
        if subjects:
            columns["subject"] = pa.array([name or None for name in A.items["subject"]], pa.string())
        waiting.append(pa.table(columns))
        if sum(map(len, waiting)) >= _ROWS or k == len(answers) - 1:
            yield from pa.concat_tables(waiting).combine_chunks().to_batches()
            waiting = []
