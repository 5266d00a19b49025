"""How much of a score's noise comes from sampling the answers? CRUXEval, ten answers a question.

    python benchmarks/paper/cruxeval_samples.py [--data ../shared/data/cruxeval_samples]

For every model, task and temperature: the noise of one answer a question against that of the questions,
what more answers (K of n) take away, components of variance, and the smallest difference of two models
that such data show. Writes Parquet and Markdown beside the paper's rows of its generation tasks.
"""

import argparse
import os
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.paper.markdown import grid, limits, over_models, surroundings
from irtbench.errors import InputError
from irtbench.files import atomic_file
from irtbench.variance import generation_noise, minimum_detectable_effect, variance_components
from irtbench.variance.power import paired_se

SAMPLES = (1, 2, 5, 10)
# Madaan et al. (2024), generation tasks, Table 1 (N, mean, E, CI) and Table 2 (sd and SNR at the end)
PAPER = {"HumanEval": (164, 11.89, 1.11, 3.98, 1.75, 6.79), "GSM8k": (1319, 4.10, 0.41, 0.87, 0.52, 7.88)}


def cells(folder: Path) -> dict[tuple[str, float, str], np.ndarray]:
    """Answers of every task, temperature and model (samples, items); models with fewer than ten left out."""
    rows = pd.read_parquet(folder / "responses.parquet")
    rows["temperature"] = rows["temperature"].round(2)
    found = {}
    for key, part in rows.groupby(["benchmark", "temperature", "model"], observed=True):
        wide = part.pivot_table(index="sample", columns="item", values="response", observed=True)
        if len(wide) == max(SAMPLES):
            task, temperature, model = key
            found[str(task), round(float(temperature), 1), str(model)] = wide.to_numpy(dtype=float)
    if not found:
        raise InputError(f"{folder}: no model has ten answers to a question")
    return found


def one(values: np.ndarray) -> dict[str, float]:
    """Noise of one model's answers (samples, items), in the unit of the responses."""
    kept = ~np.isnan(values).any(axis=0)
    y = values[:, kept]
    k, n = y.shape
    noise = generation_noise(y.mean(axis=0), np.full(n, k)).iloc[0]
    parts = variance_components(y, ("sample", "item"), resamples=2)
    halves = y.reshape(2, k // 2, n).mean(axis=(1, 2))
    p = float(y.mean())
    row = {"items": n, "samples": k, "mean": p, "item_variance": noise["item_variance"]}
    row |= {"answer_variance": noise["answer_variance"], "se_one": noise["se_one"], "se_all": noise["se_all"]}
    row |= {"generation_sd": float(np.sqrt(noise["answer_variance"] / n))}
    row |= {"measured_sd": float(y.mean(axis=1).std(ddof=1))}
    row |= {"measured_sd_5": float(abs(halves[0] - halves[1]) / np.sqrt(2))}
    row |= {"generation_sd_5": row["generation_sd"] / np.sqrt(5)}
    row |= {"share_answer": noise["answer_variance"] / (noise["answer_variance"] + noise["item_variance"])}
    row |= {f"share_{name}": parts["share"].iloc[j] for j, name in enumerate(("run", "item", "rest"))}
    row |= {"binomial_se": float(np.sqrt(p * (1 - p) / n))}
    for some in SAMPLES:
        row[f"se_{some}"] = float(np.sqrt((noise["item_variance"] + noise["answer_variance"] / some) / n))
        row[f"pass_{some}"] = pass_at(y.sum(axis=0), k, some)
    return row


def pass_at(right: np.ndarray, n: int, k: int) -> float:
    r"""Share of items of which at least one of k answers is right, :math:`1 - \binom{n-c}{k} / \binom nk`.

    Chen et al. (2021), https://arxiv.org/abs/2107.03374

    Example:
        >>> pass_at(np.array([0, 1, 2]), 2, 1), pass_at(np.array([0, 1, 2]), 2, 2)
        (0.5, 0.6666666666666666)
    """
    from scipy.special import comb

    return float(np.mean(1 - comb(n - right, k) / comb(n, k)))


def pairs(group: dict[str, np.ndarray]) -> pd.DataFrame:
    """Smallest difference of every pair of models that is found 80 % of the time, by answers a question."""
    noise = {name: y.var(axis=0, ddof=1).mean() for name, y in group.items()}
    rows = []
    for a, b in combinations(group, 2):
        x, y = group[a], group[b]
        d = x.mean(axis=0) - y.mean(axis=0)
        spread = d.var(ddof=1) - noise[a] / len(x) - noise[b] / len(y)
        row: dict[str, Any] = {"a": a, "b": b, "difference": d.mean()}
        for k in SAMPLES:
            how = {"noise": (noise[a], noise[b]), "samples": (k, k)}
            row[f"mde_{k}"] = minimum_detectable_effect(paired_se(d.size, max(spread, 0.0), **how))
        row["mde_all"] = minimum_detectable_effect(paired_se(d.size, max(spread, 0.0)))
        rows.append(row)
    return pd.DataFrame(rows)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write ``cruxeval_models``, ``cruxeval_pairs`` and the page."""
    here = Path(__file__).resolve()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=here.parents[3] / "shared/data/cruxeval_samples")
    parser.add_argument("--out", type=Path, default=here.parent / "results")
    given = parser.parse_args(arguments)
    if not (given.data / "responses.parquet").is_file():
        raise InputError(f"{given.data}: no responses.parquet; give the folder with --data")
    load, began = os.getloadavg()[0], time.process_time()
    found = cells(given.data)
    models = pd.DataFrame({key: one(y) for key, y in found.items()}).T
    models.index.names = ["task", "temperature", "model"]
    groups = {key[:2]: {k[2]: y for k, y in found.items() if k[:2] == key[:2]} for key in found}
    both = pd.concat({key: pairs(group) for key, group in groups.items()}, names=["task", "temperature"])
    both = both.reset_index(["task", "temperature"])
    given.out.mkdir(parents=True, exist_ok=True)
    for name, table in (("models", models.reset_index()), ("pairs", both)):
        with atomic_file(given.out / f"cruxeval_{name}.parquet") as path:
            table.to_parquet(path, index=False)
    settings = {"bootstrap over models, resamples": 2000, "seed": 0}
    settings |= {"load": load, "cpu": time.process_time() - began}
    with atomic_file(given.out / "cruxeval_samples.md") as path:
        path.write_text(page(models, both, settings), encoding="utf-8")
    print(f"{settings['cpu']:.0f} CPU s -> {given.out}")


def page(models: pd.DataFrame, both: pd.DataFrame, settings: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["# CRUXEval: the noise of sampled answers", ""]
    lines += [
        "Percentage points. Means over models; 95 % intervals, bootstrap over models (of the same items). One run:"
        " one answer to each of 800 questions. The data hold the answers of a model in random order, so a run is"
        " any one answer a question; a shift that one run's answers had in common cannot be seen.",
        "",
        *surroundings("cruxeval_samples.py", settings),
        "",
        "## Noise of one run",
        "",
        "*generation sd*: √(E[σ²]/N), from the spread of the ten answers; *measured*: sd over the ten runs' scores"
        " (root mean square over models), which must agree. *SE*: standard error of one run over answers and"
        " questions; *questions*: what is left with endless answers. *share*: of the variance of one response.",
        "",
    ]
    rows, by_k, pass_k, mde = {}, {}, {}, {}
    for key, part in models.groupby(level=["task", "temperature"], sort=False):
        rms = over_models(part["measured_sd"].to_numpy() ** 2)
        rows[key] = {
            "models": len(part),
            "mean": limits(over_models(part["mean"]), scale=100),
            "generation sd": limits(over_models(part["generation_sd"]), scale=100),
            "measured": limits(np.sqrt(rms), scale=100),
            "SE": limits(over_models(part["se_one"]), scale=100),
            "questions": limits(over_models(part["se_all"]), scale=100),
            "share answers": limits(over_models(part["share_answer"]), 1, 100),
            "share run": limits(over_models(part["share_run"]), 2, 100),
        }
        by_k[key] = {f"K = {k}": limits(over_models(part[f"se_{k}"]), scale=100) for k in SAMPLES}
        by_k[key] |= {"K = ∞": limits(over_models(part["se_all"]), scale=100)}
        five = np.sqrt(over_models(part["measured_sd_5"].to_numpy() ** 2))
        by_k[key] |= {"generation sd, K = 5": limits(over_models(part["generation_sd_5"]), scale=100)}
        by_k[key] |= {"measured": limits(five, scale=100)}
        pass_k[key] = {f"pass@{k}": limits(over_models(part[f"pass_{k}"]), 1, 100) for k in SAMPLES}
        own = both[(both["task"] == key[0]) & (both["temperature"] == key[1])]
        mde[key] = {"pairs": len(own)}
        for k in (*SAMPLES, "all"):
            q = own[f"mde_{k}"].quantile([0.5, 0.1, 0.9]) * 100
            mde[key] |= {f"K = {'∞' if k == 'all' else k}": f"{q[0.5]:.2f} ({q[0.1]:.2f} to {q[0.9]:.2f})"}
        known = (own["difference"].abs() < own["mde_1"]).mean()
        mde[key] |= {"closer than the first": f"{100 * known:.0f} %"}
    names = ["task", "T"]
    tables = [pd.DataFrame(x).T.rename_axis(names) for x in (rows, by_k, pass_k, mde)]
    lines += grid(tables[0])
    lines += ["", "## K of n answers", "", "SE of the mean of K answers a question:", "", *grid(tables[1])]
    lines += ["", "At least one of K answers is right:", "", *grid(tables[2])]
    lines += [
        "",
        "## Smallest difference that is found",
        "",
        "Of two models on the same questions, 80 % power at 5 %; median over pairs (10 % to 90 % of the pairs)."
        " *closer*: pairs of models whose own difference is below the smallest for K = 1.",
        "",
        *grid(tables[3]),
        "",
        *_temperatures(models),
        *_paper(models),
    ]
    return "\n".join(lines) + "\n"


def _temperatures(models: pd.DataFrame) -> list[str]:
    lines = ["## Temperature", "", "T = 0.8 less T = 0.2, the same models, paired:", ""]
    rows = {}
    for task, part in models.groupby(level="task", sort=False):
        wide = part.droplevel("task").unstack("temperature")  # noqa: PD010
        rows[task] = {
            name: limits(over_models((wide[column, 0.8] - wide[column, 0.2]).to_numpy()), scale=100)
            for name, column in (("mean", "mean"), ("generation sd", "generation_sd"), ("SE", "se_one"))
        }
    return [*lines, *grid(pd.DataFrame(rows).T.rename_axis("task")), ""]


def _paper(models: pd.DataFrame) -> list[str]:
    """The paper's generation tasks, and what generation noise alone would make of their E."""
    shares = {
        t: over_models((part["answer_variance"] / (part["mean"] * (1 - part["mean"]))).to_numpy())
        for t, part in models.groupby(level="temperature")
    }
    rows, times = {}, []
    for name, (n, mean, E, ci, std, ratio) in PAPER.items():
        p = mean / 100
        se = 100 * np.sqrt(p * (1 - p) / n)
        rows[name] = {"N": n, "mean": f"{mean:.2f}", "E": f"{E:.2f}", "sd at the end": f"{std:.2f}"}
        rows[name] |= {"SNR": f"{ratio:.2f}", "CI": f"{ci:.2f}", "1.96 √(p(1−p)/N)": f"{1.96 * se:.2f}"}
        for t, share in shares.items():
            rows[name][f"generation sd, T = {t}"] = limits(np.sqrt(share), scale=se)
            times.append(np.sqrt(share[0]) * se / E)
    means = 100 * models.groupby(level=["task", "temperature"])["mean"].mean()
    lines = [
        "## Beside the paper's Tables 1 and 2",
        "",
        "Madaan et al. (2024), its two generation tasks with a known row in both tables. *generation sd*: √(s p(1−p)/N)"
        " at the paper's p and N, were s, the share of p(1−p) that is sampling of answers, what it is here"
        f" ({'; '.join(f'T = {t}: {limits(s, 2)}' for t, s in shares.items())}).",
        "",
        *grid(pd.DataFrame(rows).T.rename_axis("paper")),
        "",
        "* *Agrees*: the paper's CI is near 1.96 √(p(1−p)/N), as that of one 0/1 answer a question must be; it is"
        " smaller, as it is a mean over training, where p was lower.",
        f"* *May explain*: were the paper's answers sampled as here, generation noise alone would be {min(times):.2f} to"
        f" {max(times):.2f} times its E. The paper does not say how it decodes: with greedy decoding there is none,"
        " and its E is of seeds.",
        "* *Cannot be compared*: E, monotonicity and SNR need seeds and checkpoints; these are finished models, each"
        " trained once. The paper has no repeated answers.",
        f"* *Why s may differ*: it depends on task, model and p; these are models at {means.min():.0f} to"
        f" {means.max():.0f} % right on average, the paper's is a base model at 4 to 12 %.",
    ]
    return lines


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
