"""The card of a subset: what it is, how it was made, how well it estimates, when not to use it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from irtbench.files import atomic_file
from irtbench.subsets.estimators import MODEL_FREE
from irtbench.subsets.export.formula import benchmark_method, exported_method
from irtbench.subsets.subset import Subset

__all__ = ["card", "write_card"]


def card(
    subset: Subset, *, name: str | None = None, method: str = "default", licence: str = "unknown"
) -> str:
    """Markdown with a YAML header, after the cards of data sets on the Hugging Face hub.

    Args:
        subset: the subset.
        name: its name.
        method: estimator that the card speaks of.
        licence: of the benchmark or of the responses that calibrated it.
    """
    method = exported_method(subset, method)
    info = subset.info
    made = info.get("responses", {})
    counts = subset.benchmark.groupby("benchmark", sort=False)["weight"].agg(["size", "count"])
    header = {
        "name": name or f"subset_{subset.size}_{subset.fingerprint[:8]}",
        "source_benchmark": list(map(str, counts.index)),
        "license": licence,
        "n_items": subset.size,
        "n_items_full": len(subset.benchmark),
        "selection": subset.method,
        "estimator": method,
        "benchmark_estimator": benchmark_method(subset, method),
        "metric": info.get("metric"),
        "average": info.get("average"),
        "seed": info.get("seed"),
        "item_bank": None if subset.bank is None else subset.bank.fingerprint,
        "calibration_models": made.get("n_models"),
        "calibration_responses": made.get("fingerprint"),
        "irtbench_version": info.get("versions", {}).get("irtbench"),
        "fingerprint": subset.fingerprint,
        "tags": ["irtbench", "benchmark-subset"],
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in header.items()), "---", ""]
    lines += [f"# {header['name']}", "", _intended(subset), "", "## Items", ""]
    lines += ["| benchmark | items | of |", "|---|--:|--:|"]
    lines += [f"| {b} | {row['count']} | {row['size']} |" for b, row in counts.iterrows()]
    lines += ["", "## How it was made", "", _made(subset, method), "", "## Error on held-out models", ""]
    lines += [_error(subset, method), "", "## When not to use it", "", *_limits(subset, method)]
    lines += ["", "## Citation", "", *_citations(method)]
    return "\n".join(lines) + "\n"


def write_card(
    subset: Subset,
    path: str | Path,
    *,
    name: str | None = None,
    method: str = "default",
    licence: str = "unknown",
) -> None:
    """Write :func:`card` to a file."""
    text = card(subset, name=name, method=method, licence=licence)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _intended(subset: Subset) -> str:
    return (
        f"Estimates the full score ({subset.info.get('average')} average, metric {subset.info.get('metric')})"
        f" of a language model on {len(subset.benchmark)} items from its responses to {subset.size} of them."
    )


def _made(subset: Subset, method: str) -> str:
    made = subset.info.get("responses", {})
    bank = "no item bank" if subset.bank is None else f"a {subset.bank.irt.upper()} item bank"
    return (
        f"Items chosen by `{subset.method}` (seed {subset.info.get('seed')}) from the responses of"
        f" {made.get('n_models', '?')} models, {bank}; scores estimated by `{method}`{_how(subset, method)}."
        " The raw mean of the chosen items is not an estimate of the score unless the estimator is `mean`."
    )


def _how(subset: Subset, method: str) -> str:
    """What the estimator is, and which one a benchmark's own score is by."""
    what = ""
    if method == "blend":
        what = (
            " (within the calibration models' range a regression on their responses; beyond it an estimate"
            " made for models anywhere)"
        )
    own = benchmark_method(subset, method)
    return what if own == method else f"{what}; a benchmark's own score by `{own}`"


def _error(subset: Subset, method: str) -> str:
    """Errors of the calibration models when they were left out, in units of the estimator's own sd."""
    found = subset.residuals.get(method, pd.Series(dtype=float)).dropna().to_numpy(dtype=float)
    if not len(found):
        return "Not measured: too few calibration models. Measure it with `irtbench compare`."
    q = float(np.quantile(np.abs(found), 0.9))
    text = (
        f"{len(found)} calibration models, each left out in turn of the calibration: errors are"
        f" {_rms(found):.2f} (root mean square) and {q:.2f} (90 % quantile) times the standard deviation that"
        " the estimator states; the intervals are scaled by them. In points, and against a random subset of"
        " the same size: `irtbench compare`."
    )
    far = subset.residuals.get("far", pd.Series(dtype=float)).dropna().to_numpy(dtype=float)
    if method == "blend" and len(far):
        text += (
            f" The {len(far)} strongest of them, estimated from the weaker half alone: {_rms(far):.2f} times"
            " (root mean square); by these the interval of a model beyond the range is scaled."
        )
    return text


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt((errors**2).mean()))


def _limits(subset: Subset, method: str) -> list[str]:
    lines = [
        f"- With another metric than {subset.info.get('metric')}, other prompts, or changed items.",
        "- On models that may have seen these items more than the rest of the benchmark.",
    ]
    if method == "blend" and subset.predictor is not None:
        low, high = subset.predictor.score_range
        lines += [
            f"- On models far outside the calibration models' full scores ({low:.2f} to {high:.2f}): the"
            " interval is wider then, and `beyond` and `note` say so."
        ]
    elif span := subset.info.get("span", {}).get("score"):
        lines += [
            "- On models far outside the calibration models' scores on the subset"
            f" ({span[0]:.2f} to {span[1]:.2f}){'' if method in MODEL_FREE else ': IRT then extrapolates'}."
        ]
    return [*lines, "- To compare two variants of one model: `irtbench gate` asks the items that can flip."]


def _citations(method: str) -> list[str]:
    lines = [
        "- Cochran (1977), Sampling Techniques; Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953"
    ]
    if method in ("p-irt", "gp-irt"):
        lines += ["- Maia Polo et al. (2024), tinyBenchmarks, https://arxiv.org/abs/2402.14992"]
    if method == "blend":
        lines += [
            "- Zhang, Dorner & Hardt (2025), How benchmark prediction from fewer data misses the mark,"
            " https://arxiv.org/abs/2506.07673"
        ]
    return lines
