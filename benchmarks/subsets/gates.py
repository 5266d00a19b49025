"""Gates on real answers: false alarms on two generations of one model, power on planted drops.

    python benchmarks/subsets/gates.py [--data ../shared/data] [--repeats 20]

CRUXEval has ten answers of each model to each question. Null pairs: one answer is the base, another the variant.
Planted drops: the variant's right answers are made wrong at random, so that its expected score falls by 3, 5 or 10
points, more where the model is unsure (all logits shifted alike) or everywhere alike. WMDP has a probability and a
0/1 of every answer: which of them tells two models apart on fewer questions? Writes Parquet and Markdown.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, t

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import irtbench as ib
from benchmarks.environments import machine
from benchmarks.paper.cruxeval_samples import cells
from irtbench.files import atomic_file, versions
from irtbench.subsets.gates import gate_plan
from irtbench.subsets.gates.drawing import inclusion, systematic_sample
from irtbench.subsets.gates.judging import paired_difference
from irtbench.subsets.gates.power import drop_probability

SIZES = (50, 100, 200)
DROPS = (0.0, 0.03, 0.05, 0.10)
ALPHA = 0.05
PLAIN = "random items, McNemar"


def plain(v: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Paired difference and its error as in irtbench.variance.compare_runs, without continuity correction."""
    d = v - y
    return float(d.mean()), float(np.sqrt(np.abs(d).sum() + 2) / (len(d) + 2))


class Base:
    """A base with a few answers, ready to draw gates of any size."""

    def __init__(self, y: np.ndarray, bank: Any, items: list[str], uniform: float, order_seed: int) -> None:
        R = ib.ResponseMatrix.of(y, models=[f"run-{k}" for k in range(len(y))], items=items)
        table = gate_plan(R, 2, delta=0.0, bank=bank, uniform=uniform).table
        self.p, self.y, self.f = (table[c].to_numpy(dtype=float) for c in ("expected", "base", "full"))
        self.measure = table["inclusion"].to_numpy(dtype=float)
        self.noise = float((self.f**2) @ (self.p * (1 - self.p) / len(y)))
        self.gap = np.array([float(self.f @ (self.y - self.p))])
        shuffled = np.random.default_rng(order_seed).permutation(len(self.p))
        self.order = shuffled[np.argsort(np.round(self.p[shuffled], 1), kind="stable")]

    def gate(self, v: np.ndarray, n: int, rng: np.random.Generator) -> tuple[float, float]:
        """Difference and error of one gate of n items."""
        pi = inclusion(self.measure, n)
        s = systematic_sample(pi, self.order, rng)
        d, e = paired_difference(
            v[None, s], self.y[None, s], self.p[s], (self.f / pi)[s], self.gap, self.noise
        )
        return float(d[0]), float(e[0])


def planted(v: np.ndarray, p: np.ndarray, drop: float, kind: str, rng: np.random.Generator) -> np.ndarray:
    """The variant's answers with some right ones made wrong."""
    if drop == 0:
        return v
    if kind == "everywhere":
        return v * (rng.random(len(v)) >= drop / p.mean())
    lower = drop_probability(np.clip(p, 0.01, 0.99), np.full(len(p), 1 / len(p)), drop)
    return v * (rng.random(len(v)) < lower / np.clip(p, 0.01, 0.99))


def gates(folder: Path, repeats: int) -> pd.DataFrame:
    """Alarms by task, temperature, method, number of items and drop."""
    groups: dict[tuple[str, float], dict[str, np.ndarray]] = {}
    for (task, temperature, model), y in cells(folder).items():
        groups.setdefault((task, temperature), {})[model] = y
    rows = []
    for (task, temperature), own in groups.items():
        known = {m: y[:, ~np.isnan(y).any(axis=0)] for m, y in own.items()}
        width = max(y.shape[1] for y in known.values())
        names = [m for m, y in known.items() if y.shape[1] == width]
        Y, items = np.stack([known[m] for m in names]), [f"q{k}" for k in range(width)]
        half = np.random.default_rng(0).permutation(len(names)) % 2 == 0
        for side in (half, ~half):
            trials = np.full((int((~side).sum()), width), Y.shape[1])
            R = ib.ResponseMatrix.of(Y[~side].mean(axis=1), items=items, trials=trials)
            bank = ib.fit(R, "2pl", method="laplace", device="cpu").bank
            for k in np.flatnonzero(side):
                rows += _of_model(Y[k], bank, items, repeats, k, (task, temperature, names[k]))
    return pd.DataFrame(rows)


def _of_model(
    Y: np.ndarray, bank: Any, items: list[str], repeats: int, k: int, key: tuple[Any, ...]
) -> list[Any]:
    rng = np.random.default_rng([1, k])
    hits: dict[tuple[Any, ...], list[Any]] = {}
    for repeat in range(repeats):
        order = rng.permutation(len(Y))
        v, truth = Y[order[0]], Y[order[5:]].mean(axis=0)
        bases = {
            "gate, base answered once": Base(Y[order[1:2]], bank, items, 0.2, repeat),
            "gate, base answered four times": Base(Y[order[1:5]], bank, items, 0.2, repeat),
            "random items, gate's estimate": Base(Y[order[1:2]], bank, items, 1.0, repeat),
        }
        for drop in DROPS:
            if drop >= truth.mean():
                continue
            for kind in ("unsure", "everywhere") if drop else ("none",):
                worse = planted(v, truth, drop, kind, rng)
                for n in SIZES:
                    s = rng.permutation(len(v))[:n]
                    found = {PLAIN: plain(worse[s], Y[order[1]][s])}
                    found |= {name: base.gate(worse, n, rng) for name, base in bases.items()}
                    for name, (d, e) in found.items():
                        alarm = t.cdf(d / e, n - 2) < ALPHA
                        hits.setdefault((name, n, drop, kind), []).append((alarm, d, e))
    names = ("task", "temperature", "model", "method", "items", "drop", "kind")
    rows = []
    for (name, n, drop, kind), values in hits.items():
        x = np.array(values, dtype=float)
        about = dict(zip(names, (*key, name, n, drop, kind), strict=True))
        rows.append({**about, "gates": len(x), "alarms": int(x[:, 0].sum()), "square": float((x[:, 1] ** 2).mean()),
                     "difference": float(x[:, 1].mean()), "se": float(x[:, 2].mean())})  # fmt: skip
    return rows


def continuous(folder: Path) -> pd.DataFrame:
    """Questions on which each pair of models is told apart, by probability and by 0/1 (80 % power, one-sided 5 %)."""
    rows = pd.read_parquet(folder / "responses.parquet")
    wide = {
        name: rows.pivot_table(index="model", columns="item", values=column, observed=True)
        for name, column in (("probability", "response"), ("right", "correct"))
    }
    factor = (norm.ppf(0.95) + norm.ppf(0.8)) ** 2
    found = []
    values = {name: table.to_numpy(dtype=float) for name, table in wide.items()}
    models = len(values["right"])
    for a in range(models):
        for b in range(a):
            row = {"a": wide["right"].index[a], "b": wide["right"].index[b]}
            for name, x in values.items():
                d = x[a] - x[b]
                row |= {
                    f"{name}_difference": d.mean(),
                    f"{name}_items": factor * d.var(ddof=1) / max(d.mean() ** 2, 1e-12),
                }
            found.append(row)
    return pd.DataFrame(found)


def page(table: pd.DataFrame, pairs: pd.DataFrame, cpu: float, repeats: int) -> str:
    """False alarms and power, in percent of gates, with a 95 % interval over models."""
    m = machine()
    lines = [
        "# Gates",
        "",
        f"Written by `python benchmarks/subsets/gates.py --repeats {repeats}`: {cpu:.0f} CPU s, one process;"
        f" {m['processor']}, {m['cores']} cores, Python {m['python']}; "
        + ", ".join(f"{name} {version}" for name, version in versions().items())
        + ".",
        "",
        f"CRUXEval: {table['model'].nunique()} models, two tasks, two temperatures; {repeats} gates for each model and"
        f" cell, delta 0, one-sided level {ALPHA:.0%}. Banks come from the other half of the models. Alarms in % of gates"
        " [95 % bootstrap over models]. *unsure*: the drop falls on answers of which the model is unsure; *everywhere*: on"
        " all alike.",
    ]
    for drop, kind in dict.fromkeys(zip(table["drop"], table["kind"], strict=True)):
        part = table[(table["drop"] == drop) & (table["kind"] == kind)]
        title = "Null pairs: false alarms" if drop == 0 else f"A drop of {100 * drop:g} points, {kind}: power"
        lines += ["", f"## {title}", "", "| method | " + " | ".join(f"{n} items" for n in SIZES) + " |"]
        lines += ["|---|" + "--:|" * len(SIZES)]
        for method in dict.fromkeys(part["method"]):
            cells_ = [_share(part[(part["method"] == method) & (part["items"] == n)]) for n in SIZES]
            lines += [f"| {method} | " + " | ".join(cells_) + " |"]
    null = table[table["drop"] == 0]
    lines += ["", "## Error of the difference on null pairs", "", "Root mean square of the estimated difference (its"
              " true value is 0), and the mean standard error that the gate states, in points:", "",
              "| method | " + " | ".join(f"{n} items" for n in SIZES) + " |", "|---|" + "--:|" * len(SIZES)]  # fmt: skip
    for method in dict.fromkeys(null["method"]):
        own = [null[(null["method"] == method) & (null["items"] == n)] for n in SIZES]
        text = [f"{100 * np.sqrt(x['square'].mean()):.2f} ({100 * x['se'].mean():.2f})" for x in own]
        lines += [f"| {method} | " + " | ".join(text) + " |"]
    near = pairs[pairs["right_difference"].abs().between(0.01, 0.05)]
    ratio = (near["right_items"] / near["probability_items"]).replace([np.inf], np.nan).dropna()
    same = (np.sign(near["right_difference"]) == np.sign(near["probability_difference"])).mean()
    low, middle, high = ratio.quantile([0.25, 0.5, 0.75])
    lines += [
        "",
        "## Probability of the right option against right or wrong",
        "",
        f"WMDP-bio, {len(near)} pairs of models whose accuracies differ by 1 to 5 points: to find the pair's own"
        f" difference takes {middle:.2f} times as many questions by right or wrong as by the probability of the right"
        f" option (median; quartiles {low:.2f} to {high:.2f}); the two agree on which model is better in"
        f" {100 * same:.0f} % of the pairs. They are different questions: the probability also sees confidence.",
    ]
    return "\n".join(lines) + "\n"


def _share(part: pd.DataFrame) -> str:
    by_model = part.groupby("model")[["alarms", "gates"]].sum().to_numpy(dtype=float)
    rng = np.random.default_rng(0)
    draws = by_model[rng.integers(0, len(by_model), (1000, len(by_model)))].sum(axis=1)
    low, high = np.quantile(draws[:, 0] / draws[:, 1], [0.025, 0.975])
    return f"{100 * by_model[:, 0].sum() / by_model[:, 1].sum():.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def main() -> None:
    here = Path(__file__).resolve()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=here.parents[3] / "shared/data")
    parser.add_argument("--out", type=Path, default=here.parent / "results")
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    began = time.process_time()
    table = gates(given.data / "cruxeval_samples", given.repeats)
    pairs = continuous(given.data / "wmdp_bio_prob")
    given.out.mkdir(parents=True, exist_ok=True)
    for name, content in (("gates", table), ("gates_pairs", pairs)):
        with atomic_file(given.out / f"{name}.parquet") as temporary:
            content.to_parquet(temporary, index=False, compression="zstd")
    text = page(table, pairs, time.process_time() - began, given.repeats)
    (given.out / "gates.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
