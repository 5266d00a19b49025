"""Discrete or continuous metric? The same answers of 64 models to WMDP-bio, right or wrong and as a probability.

    python benchmarks/paper/wmdp_bio_prob.py [--data ../shared/data/wmdp_bio_prob]

For ``acc`` (argmax is right) and ``prob`` (softmax of the right option over the options): mean, error over
items, spread of the models over that error, smallest difference of two models, and how well few items
order the models as all others do, in the same view and in the other. Writes Parquet and Markdown beside
the paper's rows of its choice tasks. The models have no replicates: nothing here is about seeds.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.paper.markdown import grid, limits, surroundings
from irtbench.errors import InputError
from irtbench.files import atomic_file
from irtbench.variance import agreement_of_views, decision_accuracy, minimum_detectable_effect

SIZES = (25, 50, 100, 200, 400)
VIEWS = ("acc", "prob")
# Madaan et al. (2024), choice tasks whose row of Table 2 is known: N, mean, CI (Table 1); SNR discrete, continuous
PAPER = {
    "ARC-C": (1165, 39.71, 2.74, 45.89, 381.64),
    "HellaSwag": (10042, 70.08, 0.93, 608.23, 1921.15),
    "MMLU": (14042, 25.86, 0.72, 52.45, 347.57),
}


def views(folder: Path) -> dict[str, np.ndarray]:
    """Responses (models, items) in both views, in one order."""
    rows = pd.read_parquet(folder / "responses.parquet")
    wide = {
        name: rows.pivot_table(index="model", columns="item", values=column, observed=True).to_numpy(
            dtype=float
        )
        for name, column in (("acc", "correct"), ("prob", "response"))
    }
    if any(np.isnan(x).any() for x in wide.values()):
        raise InputError(f"{folder}: a model has no response to an item; this script wants all of them")
    return wide


def item_noise(y: np.ndarray, times: int = 1) -> dict[str, float]:
    """Mean, error over items, and the models' spread over it, in the unit of the responses.

    Args:
        y: responses (models, items).
        times: how often the items' noise is in the spread of the scores; twice in a resample of the items.
    """
    scores, n = y.mean(axis=1), y.shape[1]
    centred = y - y.mean(axis=0)  # what all models share does not change a comparison
    paired = np.sqrt((centred.var(axis=1, ddof=1) / n).mean() * len(y) / (len(y) - 1))
    true = np.sqrt(max(scores.var(ddof=1) - times * paired**2, 0))
    return {
        "mean": float(scores.mean()),
        "se": float(np.sqrt((y.var(axis=1, ddof=1) / n).mean())),
        "paired_se": float(np.sqrt(2) * paired),
        "sd": float(true),
        "snr": float(true / paired),
    }


def bootstrap(found: dict[str, np.ndarray], resamples: int, seed: int) -> pd.DataFrame:
    """:func:`item_noise` of both views with percentile intervals over items, the same ones in both."""
    rng = np.random.default_rng(seed)
    n = found["acc"].shape[1]
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in VIEWS}
    for k in range(resamples + 1):
        chosen = slice(None) if k == 0 else rng.integers(0, n, n)
        for name in VIEWS:
            rows[name].append(item_noise(found[name][:, chosen], 1 + (k > 0)))
    tables = {name: pd.DataFrame(each) for name, each in rows.items()}
    tables["prob / acc"] = tables["prob"] / tables["acc"]
    parts = {}
    for name, table in tables.items():
        low, high = (table.iloc[1:].quantile(q) for q in (0.025, 0.975))
        parts[name] = pd.DataFrame({"value": table.iloc[0], "low": low, "high": high})
    return pd.concat(parts, names=["view", "measure"])


def agreement(small: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Share of pairs of models ordered alike by each draw (draws, pairs); equal small scores count one half.

    Example:
        >>> agreement(np.array([[1.0, 2.0, 2.0]]), np.array([[1.0, 3.0, 2.0]])).tolist()
        [[1.0, 1.0, 0.5]]
    """
    first, second = np.triu_indices(small.shape[1], 1)
    one, other = (np.sign(x[:, first] - x[:, second]) for x in (small, target))
    return np.where(other == 0, np.nan, (1 + one * other) / 2)


def decisions(found: dict[str, np.ndarray], draws: int, resamples: int, seed: int) -> pd.DataFrame:
    """How often few random items order two models as all the other items do, by view; no item is in both."""
    n_models, n = found["acc"].shape
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_models, np.full(n_models, 1 / n_models), size=resamples)
    first, second = np.triu_indices(n_models, 1)
    weight = (counts[:, first] * counts[:, second]).astype(float)
    rows = []
    for size in SIZES:
        few: dict[str, list[np.ndarray]] = {name: [] for name in VIEWS}
        rest: dict[str, list[np.ndarray]] = {name: [] for name in VIEWS}
        for _ in range(draws):
            order = rng.permutation(n)
            for name in VIEWS:
                few[name].append(found[name][:, order[:size]].mean(axis=1))
                rest[name].append(found[name][:, order[size:]].mean(axis=1))
        each = {}
        for target in VIEWS:
            for name in VIEWS:
                alike = agreement(np.stack(few[name]), np.stack(rest[target]))
                each[name, target] = (np.nan_to_num(alike).sum(axis=0), (~np.isnan(alike)).sum(axis=0))
        for target in VIEWS:
            values = {name: _share(each[name, target], weight) for name in VIEWS}
            values["prob - acc"] = values["prob"] - values["acc"]
            for name, draw in values.items():
                low, high = np.quantile(draw[1:], [0.025, 0.975])
                rows.append((size, target, name, draw[0], low, high))
    return pd.DataFrame(rows, columns=["items", "target", "by", "agreement", "low", "high"])


def _share(parts: tuple[np.ndarray, np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Share of pairs, of all models and of resampled ones (1 + resamples,)."""
    right, seen = parts
    return np.concatenate([[right.sum() / seen.sum()], (weight @ right) / (weight @ seen)])


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write ``wmdp_noise``, ``wmdp_decisions`` and the page."""
    here = Path(__file__).resolve()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=here.parents[3] / "shared/data/wmdp_bio_prob")
    parser.add_argument("--out", type=Path, default=here.parent / "results")
    parser.add_argument("--draws", type=int, default=200, help="random subsets of each size")
    parser.add_argument("--resamples", type=int, default=1000, help="of items, and of models")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if not (given.data / "responses.parquet").is_file():
        raise InputError(f"{given.data}: no responses.parquet; give the folder with --data")
    load, began = os.getloadavg()[0], time.process_time()
    found = views(given.data)
    noise = bootstrap(found, given.resamples, given.seed)
    decided = decisions(found, given.draws, given.resamples, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, table in (("noise", noise.reset_index()), ("decisions", decided)):
        with atomic_file(given.out / f"wmdp_{name}.parquet") as path:
            table.to_parquet(path, index=False)
    settings = {"random subsets": given.draws, "resamples": given.resamples, "seed": given.seed}
    settings |= {"load": load, "cpu": time.process_time() - began}
    with atomic_file(given.out / "wmdp_bio_prob.md") as path:
        path.write_text(page(found, noise, decided, settings), encoding="utf-8")
    print(f"{settings['cpu']:.0f} CPU s -> {given.out}")


def page(
    found: dict[str, np.ndarray], noise: pd.DataFrame, decided: pd.DataFrame, settings: dict[str, Any]
) -> str:
    """The results as Markdown."""
    n_models, n = found["acc"].shape
    rows = {}
    for name in (*VIEWS, "prob / acc"):
        part = noise.loc[name]
        scale, digits = (1, 3) if "/" in name else (100, 2)
        rows[name] = {
            words: limits(part.loc[measure], digits, 1 if measure == "snr" else scale)
            for words, measure in (
                ("mean", "mean"),
                ("SE over items", "se"),
                ("paired SE of two models", "paired_se"),
                ("sd of the models", "sd"),
                ("SNR", "snr"),
            )
        }
        se = part.loc["paired_se", "value"]
        mde = minimum_detectable_effect(se) if "/" not in name else np.nan
        rows[name]["smallest difference found"] = "–" if np.isnan(mde) else f"{100 * mde:.2f}"
        rows[name]["in sd of the models"] = "–" if np.isnan(mde) else f"{mde / part.loc['sd', 'value']:.2f}"
    scores = [found[name].mean(axis=1) for name in VIEWS]
    r = agreement_of_views(*scores).loc["pearson", ["correlation", "low", "high"]]
    same = decision_accuracy(*scores).iloc[0][["accuracy", "low", "high"]]
    tables = {}
    for target, part in decided.groupby("target", sort=False):
        wide = {
            f"{size} items": {
                by: limits(row[["agreement", "low", "high"]].iloc[0], 1, 100)
                for by, row in own.groupby("by", sort=False)
            }
            for size, own in part.groupby("items", sort=False)
        }
        tables[target] = pd.DataFrame(wide).rename_axis(f"ordered by {target} of the rest; by")
    return (
        "\n".join(
            [
                "# WMDP-bio: right or wrong against the probability of the right option",
                "",
                f"{n_models} finished models, {n} questions, the same answers in both views. Percentage points; 95 %"
                " intervals: over items in the first table (the same resamples in both views), over models in the others."
                " The models have no replicates: E, E/SE and monotonicity, which need seeds and checkpoints, are unknown"
                " here; what follows is the noise of items.",
                "",
                *surroundings("wmdp_bio_prob.py", settings),
                "",
                "## Noise of items",
                "",
                "*paired SE*: of the difference of two models on the same questions (root mean square over pairs). *sd of the models*: without this noise. *SNR*: it"
                " over the noise of one model in a comparison; it has no unit and does not move"
                " with the mean. *smallest difference found*: 80 % power at 5 %.",
                "",
                *grid(pd.DataFrame(rows).T.rename_axis("view")),
                "",
                f"Over models, the two views correlate {limits(r, 3)}; they order {limits(same, 1, 100)} % of the pairs alike.",
                "",
                "## Do few items decide as the rest does?",
                "",
                "Share of the pairs of models that random items order as all other questions do, in the same view and in the"
                " other; no question is on both sides.",
                "",
                *grid(tables["acc"]),
                "",
                *grid(tables["prob"]),
                "",
                *_paper(found, noise, decided),
            ]
        )
        + "\n"
    )


def _paper(found: dict[str, np.ndarray], noise: pd.DataFrame, decided: pd.DataFrame) -> list[str]:
    rows = {}
    for name, (n, mean, ci, discrete, continuous) in PAPER.items():
        p = mean / 100
        rows[f"paper, {name}"] = {
            "N": n,
            "mean": f"{mean:.2f}",
            "CI": f"{ci:.2f}",
            "1.96 √(p(1−p)/N)": f"{196 * np.sqrt(p * (1 - p) / n):.2f}",
            "SNR discrete": f"{discrete:.1f}",
            "SNR continuous": f"{continuous:.1f}",
            "ratio": f"{continuous / discrete:.1f}",
        }
    p, size = found["acc"].mean(axis=1), found["acc"].shape[1]
    snr = [limits(noise.loc[(view, "snr")], 2) for view in (*VIEWS, "prob / acc")]
    rows["here, WMDP-bio (SNR of items)"] = {
        "N": size,
        "mean": f"{100 * p.mean():.2f}",
        "CI": f"{196 * noise.loc[('acc', 'se'), 'value']:.2f}",
        "1.96 √(p(1−p)/N)": f"{196 * np.sqrt((p * (1 - p)).mean() / size):.2f}",
        "SNR discrete": snr[0],
        "SNR continuous": snr[1],
        "ratio": snr[2],
    }
    ratio = noise.loc[("prob / acc", "snr")]
    gain = decided[(decided["by"] == "prob - acc") & (decided["items"] == 100)].set_index("target")
    own, other = (limits(gain.loc[t, ["agreement", "low", "high"]], 1, 100) for t in ("prob", "acc"))
    smaller = noise.loc[("prob / acc", "se")]
    agrees = (
        "agrees in direction" if ratio["low"] > 1 else "does not agree" if ratio["high"] < 1 else "is open"
    )
    return [
        "## Beside the paper's Tables 1 and 2",
        "",
        "Madaan et al. (2024): mean / sd over ten seeds. Its other rows of Table 2 are not known to us.",
        "",
        *grid(pd.DataFrame(rows).T.rename_axis("")),
        "",
        "* *Agrees*: CI is 1.96 √(p(1−p)/N) in both, as 0/1 answers must have it.",
        f"* *Continuous beats discrete*: {agrees}. The paper's SNR rises 3.2 to 8.3 times, here it is"
        f" {limits(ratio, 2)} times; the error over items is {limits(smaller, 2)} times that of acc, in points.",
        f"* *Decisions*: 100 items by prob order models as the rest does in prob {own} points more often than 100 items"
        f" by acc do; as the rest does in acc, {other} points.",
        "* *prob is not acc with less noise*: the two views order models differently even on all questions, and more"
        " questions do not mend that.",
        "* *Why not the same*: the paper's SNR is mean over sd of seeds of one small base model, and grows with the mean;"
        " here it is the spread of strong, finished models over the noise of items. Seed noise of prob is unknown here.",
    ]


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
