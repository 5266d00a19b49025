"""Full scores from the responses to a subset of a benchmark. Needs Python and NumPy, nothing else.

::

    python score.py LOGS            samples_*.jsonl of lm-eval runs of this subset, or folders of them
    python score.py RESPONSES.csv   a table with the columns item and response (and model)

Reads ``formula.json`` beside it: which items, which estimator, which interval. Responses are matched by
item id, in any order; a missing, unknown or repeated item is refused. Where the estimator is ``blend``, it
stands in ``blend.py`` and its numbers in ``blend.npz``, for the score over all benchmarks; a benchmark among
several has a score by the simpler estimator that the table names.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["estimate", "load", "main", "read_responses"]

METRIC = "full_score"  # the metric under which lm-eval logs (item id, response)
GRID = np.linspace(-8.0, 8.0, 321)


def load(folder: str | Path | None = None) -> dict[str, Any]:
    """Read ``formula.json`` of a folder (by default of the one that this file lies in), and ``blend.npz``."""
    home = Path(__file__).parent if folder is None else Path(folder)
    content: dict[str, Any] = json.loads((home / "formula.json").read_text(encoding="utf-8"))
    if content["blend"] is not None:
        spec = importlib.util.spec_from_file_location("irtbench_blend", home / "blend.py")
        assert spec is not None
        assert spec.loader is not None
        blend = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(blend)
        numbers = blend.load(home / "blend.npz", content["blend"])
        content["predict"] = lambda y: blend.estimate(numbers, y)
    return content


def estimate(
    subset: dict[str, Any], responses: dict[str, float], benchmark: str | None = None
) -> dict[str, Any]:
    """Score on the full benchmark, with its interval.

    Args:
        subset: what :func:`load` returns.
        responses: item id → response in [0, 1].
        benchmark: score of this benchmark from its own items; None: of all.

    Returns:
        ``score``, ``lower``, ``upper``, ``estimator``; by ``blend`` also ``beyond``, the probability that
        the model lies beyond the calibration models' range, and a ``note`` where there is something to say.

    Raises:
        ValueError: items that are missing or do not belong, or a response outside [0, 1].
    """
    formula = subset["whole"] if benchmark is None else subset["benchmarks"][benchmark]
    wanted = [subset["items"][k]["id"] for k in formula["items"]]
    _refuse(wanted, responses)
    y = np.array([float(responses[item]) for item in wanted])
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"response of {wanted[int(np.argmin((y >= 0) & (y <= 1)))]!r} is not in [0, 1]")
    found = {"estimator": formula["estimator"], "beyond": None, "note": ""}
    if formula["estimator"] == "blend":
        return found | subset["predict"](y)
    return found | dict(zip(("score", "lower", "upper"), _curves(formula, y, subset["level"]), strict=True))


def _curves(formula: dict[str, Any], y: np.ndarray, level: float) -> tuple[float, float, float]:
    r"""Score and limits by one of the estimators mean, weighted, p-irt, gp-irt.

    .. math:: \hat s = \sum_{i ∈ S} c_i y_i + E\big[g(θ) \mid y\big], \quad
              p(θ | y) ∝ N(θ; 0, 1) \prod_i P_i(θ)^{y_i} (1 - P_i(θ))^{1 - y_i}

    with :math:`P_i(θ) = c_i + (d_i - c_i) σ(a_i (θ - b_i))`; g is the expected share of the items not asked.
    """
    score, variance = float(y @ np.array(formula["c"])), 0.0
    if formula["curves"] is None:
        p = (len(y) * score + 1) / (len(y) + 2)
        variance = p * (1 - p) * formula["unseen"]
    else:
        a, b, c, d = np.array(formula["parameters"]).T
        weight = _posterior(y, c + (d - c) / (1 + np.exp(-a * (GRID[:, None] - b))))
        rest, noise, other = (np.array(formula["curves"][k]) for k in ("rest", "noise", "other"))
        expected = float(weight @ rest)
        gap = float(y @ np.array(formula["gap"]) - weight @ other)
        score += expected
        variance = float(weight @ (rest - expected) ** 2 + weight @ noise) + gap**2
    score = min(max(score, 0.0), 1.0)
    if formula["design"] is not None:
        low, high = _by_design(y, formula["design"], level)
    else:
        half = formula["factor"] * math.sqrt(max(variance, 1e-18))
        low, high = score - half, score + half
    return score, min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def _refuse(wanted: list[str], responses: dict[str, float]) -> None:
    missing = [item for item in wanted if item not in responses]
    extra = sorted(set(responses) - set(wanted))
    if missing or extra:
        what, which = ("no response to", missing) if missing else ("not an item of this subset:", extra)
        raise ValueError(f"{what} {which[0]!r} ({len(missing)} missing, {len(extra)} unknown items)")


def _posterior(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Posterior probabilities of the grid's abilities given responses (n,) and curves (n_grid, n)."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    log = np.log(p) @ y + np.log1p(-p) @ (1 - y) - GRID**2 / 2
    weight = np.exp(log - log.max())
    return np.asarray(weight / weight.sum())


def _by_design(y: np.ndarray, design: dict[str, Any], level: float) -> tuple[float, float]:
    """Wilson's interval of a stratified sample's mean at its effective size (Cochran 1977; Wilson 1927)."""
    from statistics import NormalDist

    weights, strata = np.array(design["weights"]), np.array(design["strata"])
    sizes = np.array(design["sizes"])
    n = np.bincount(strata, minlength=len(sizes))
    count, some = np.bincount(strata, y, len(sizes)), np.maximum(n, 1)
    overall = (y.sum() + 1) / (len(y) + 2)
    shrunk = (count + 2 * overall) / (n + 2)
    within = (count / some)[strata]
    ratio = (((y - within) ** 2).sum() + 0.25) / ((within * (1 - within)).sum() + 0.25)
    share = np.bincount(strata, weights, len(sizes))
    pooled = float(shrunk @ share)
    variance = ratio * ((shrunk * (1 - shrunk)) @ (share**2 * (1 - np.minimum(n / sizes, 1)) / some))
    k = NormalDist().inv_cdf((1 + level) / 2) ** 2 * variance / (pooled * (1 - pooled))
    p = float(y @ weights)
    half = math.sqrt(k * p * (1 - p) + k * k / 4)
    return min((p + k / 2 - half) / (1 + k), p), max((p + k / 2 + half) / (1 + k), p)


def read_responses(path: str | Path, kept: str | None = None) -> dict[str, dict[str, float]]:
    """Responses by model: of a CSV file, an lm-eval sample file, or all sample files under a folder.

    Args:
        path: of the file or folder.
        kept: name of the filter whose rows count, where lm-eval logged a document once for each of several.

    Raises:
        ValueError: no such columns or samples, several filters, or an item that a model answered twice.
    """
    path = Path(path)
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or not {"item", "response"} <= set(rows[0]):
            raise ValueError(f"{path}: needs the columns item and response (and model)")
        return _by_model(
            [(row.get("model") or path.stem, row["item"], float(row["response"])) for row in rows]
        )
    files = sorted(path.rglob("samples_*.jsonl")) if path.is_dir() else [path]
    found = []
    for name in files:
        filters: dict[str, list[tuple[str, str, float]]] = {}
        for line in name.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if METRIC in row:
                item, value = row[METRIC]
                own = filters.setdefault(row.get("filter", "none"), [])
                own.append((name.parent.name, item, float(value)))
        if len(filters) > 1 and kept not in filters:
            raise ValueError(f"{name}: has several filters; give --filter, one of {', '.join(filters)}")
        found += filters[str(kept)] if len(filters) > 1 else [row for own in filters.values() for row in own]
    if not found:
        raise ValueError(f"{path}: no samples with {METRIC!r}; run lm_eval with --log_samples --output_path")
    return _by_model(found)


def _by_model(rows: list[tuple[str, str, float]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for model, item, value in rows:
        own = found.setdefault(model, {})
        if item in own:
            raise ValueError(f"model {model!r} answered item {item!r} twice; give one run at a time")
        own[item] = value
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the scores of all models as CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("responses", nargs="+", help="CSV file, sample file or folder of logs")
    parser.add_argument("--filter", help="of lm-eval, where a task has several")
    given = parser.parse_args(arguments)
    subset = load()
    try:
        models = {m: r for path in given.responses for m, r in read_responses(path, given.filter).items()}
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["model", "benchmark", "score", "lower", "upper", "estimator", "beyond", "note"])
        for model, responses in models.items():
            parts: dict[str, str | None] = {"all": None}
            if len(subset["benchmarks"]) > 1:
                parts |= {name: name for name in subset["benchmarks"]}
            for name, benchmark in parts.items():
                own = responses
                if benchmark is not None:
                    of = {subset["items"][k]["id"] for k in subset["benchmarks"][benchmark]["items"]}
                    own = {item: value for item, value in responses.items() if item in of}
                found = estimate(subset, own, benchmark)
                limits = [f"{found[k]:.6f}" for k in ("score", "lower", "upper")]
                beyond = "" if found["beyond"] is None else f"{found['beyond']:.6f}"
                writer.writerow([model, name, *limits, found["estimator"], beyond, found["note"]])
                if found["note"]:
                    print(f"{model}: {found['note']}", file=sys.stderr)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
