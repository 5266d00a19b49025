"""Tables of the NLU test sets: E by method and set, what selection adds, and the paper's rows beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from benchmarks.environments import machine
from irtbench.files import atomic_file, versions
from irtbench.variance import subset_variance

# method: random items with the same estimator and equal weights, and with the anchors' weights
METHODS = {"anchors": ("mean", "anchors~"), "IRT": ("mean", "IRT~"), "IRT++": ("gp", "IRT++~")}
PARTS = ("size", "estimator", "weights", "items", "selection", "beyond size", "total")
PAPER = {  # Madaan et al. (2024): Table 1 (N, mean, E, CI, τ discrete), Table 2 (SNR where it is known)
    "arc-challenge": ("ARC-C", 1165, 39.71, 0.80, 2.74, 0.88, 45.89),
    "hellaswag": ("HellaSwag", 10042, 70.08, 0.21, 0.93, 0.99, 608.23),
    "copa": ("COPA", 100, 78.80, 2.15, 8.30, 0.56, None),
    "piqa": ("PIQA", 1838, 76.93, 0.41, 1.99, 0.87, None),
    "socialiqa": ("SIQA", 1954, 46.69, 0.55, 2.21, 0.66, None),
}
SUBSETS = {  # Tables 3 and 4: E and τ of full, IRT, IRT++; E √(N/100) of the full one
    "arc-challenge": ((0.80, 1.80, 1.86), (0.88, 0.64, 0.63), 0.80 * 11.65**0.5),
    "hellaswag": ((0.21, 2.06, 2.42), (0.99, 0.84, 0.80), 0.21 * 100.42**0.5),
}


class Summary(NamedTuple):
    """One test set and calibration: ``table`` a row a method, ``left`` E of every role without each run."""

    name: str
    rows: str
    table: pd.DataFrame
    left: dict[str, np.ndarray]


def leave_out(scores: np.ndarray) -> np.ndarray:
    """E (sd over seeds, mean over the rest) of all runs, then without each (1 + recipes × seeds,)."""
    recipes, seeds = scores.shape[-3:-1]
    sd = scores.std(axis=-2, ddof=1).mean(axis=-1).reshape(-1, recipes).mean(axis=0)
    found = [sd.mean()]
    for r in range(recipes):
        for s in range(seeds):
            rest = np.delete(scores[..., r, :, :], s, axis=-2).std(axis=-2, ddof=1).mean()
            found.append((sd.sum() - sd[r] + rest) / recipes)
    return np.array(found)


def half_width(left: np.ndarray, recipes: int = 4, level: float = 0.95, more: float = 0.0) -> float:
    """Half width over runs (jackknife, t with one degree of freedom less a recipe); ``more`` is variance."""
    parts = left[1:].reshape(recipes, -1)
    n = parts.shape[1]
    variance = ((n - 1) / n * ((parts - parts.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)).sum()
    return float(t.ppf((1 + level) / 2, recipes * (n - 1)) * np.sqrt(variance + more))


def contrasts(E: dict[str, Any], method: str) -> dict[str, Any]:
    """The parts that add up to what a method's E has over the full one, from the E of every role."""
    same, weighted = METHODS[method]
    return {
        "size": E["mean"] - E["full"],
        "estimator": E[same] - E["mean"],
        "weights": E[weighted] - E[same],
        "items": E[method] - E[weighted],
        "selection": E[method] - E[same],
        "beyond size": E[method] - E["mean"],
        "total": E[method] - E["full"],
    }


def summary(found: dict[str, np.ndarray], name: str, rows: str, size: int, recipes: int = 4) -> Summary:
    """E, its parts with intervals, and what else :func:`irtbench.variance.subset_variance` says, by method."""
    n = int(found["n_items"])
    roles = ["full", "mean", "gp", *METHODS, *(weighted for _, weighted in METHODS.values())]
    left = {role: leave_out(found[role]) for role in roles}
    table = {}
    for method, (same, weighted) in METHODS.items():
        own = {"n_items": n, "size": size}
        whole = subset_variance(found["full"], found[method], found[same], found["mean"], **own)
        row = {"n_items": n, "rows": int(found["rows"]), "models": int(found["models"])}
        row |= {"converged": bool(found["converged"]), "gp_error": float(found["b"])}
        row |= {"E_full": whole.methods.loc["full", "E"], "E_random_mean": whole.methods.loc["plain", "E"]}
        row |= {
            "E_random_same": whole.methods.loc["control", "E"],
            "E_chosen": whole.methods.loc["chosen", "E"],
        }
        row |= {"E_independent": whole.independent, "shared_sd": whole.shared_sd}
        for part in ("size", "estimator", "total"):
            values = whole.parts.loc[part, ["E", "low", "high"]]
            row |= dict(zip((part, f"{part}_low", f"{part}_high"), values, strict=True))
        for part in ("weights", "items"):
            each = contrasts(left, method)[part]
            spread = sum(_draw_variance(found[k]) for k in (weighted, _other(part, method)))
            half = half_width(each, recipes, more=spread)
            row |= {part: each[0], f"{part}_low": each[0] - half, f"{part}_high": each[0] + half}
        chosen = whole.parts.loc["choice"]
        row |= {"selection": chosen["E"], "selection_low": chosen["low"], "selection_high": chosen["high"]}
        row |= {"selection_p": chosen["p_value"]}
        for role in ("chosen", "control", "plain", "full"):
            own_row = whole.methods.loc[
                role, ["monotonicity", "snr", "bias", "rmse", "rank_tau", "decision_accuracy"]
            ]
            row |= {f"{key}_{role}": value for key, value in own_row.items()}
        row["effective_items"] = float(found["n_anchors" if method == "anchors" else "n_IRT"])
        table[method] = row
    return Summary(name, rows, pd.DataFrame.from_dict(table, orient="index"), left)


def _other(part: str, method: str) -> str:
    """What the random items with the anchors' weights are compared with."""
    return method if part == "items" else METHODS[method][0]


def _draw_variance(scores: np.ndarray) -> float:
    """Variance of the mean over draws of E; the draws of two roles are taken as independent."""
    E = scores.std(axis=-2, ddof=1).mean(axis=(-2, -1))
    return float(E.var(ddof=1) / len(E))


def pooled(found: Sequence[Summary]) -> pd.DataFrame:
    """Mean over the test sets of every part, by method.

    The interval adds the variance over sets and that over runs (each run left out of all sets at once):
    the same twelve runs took every set, so the sets are not independent.
    """
    rows = {}
    for method in METHODS:
        row: dict[str, Any] = {"sets": len(found)}
        each = [contrasts(s.left, method) for s in found]
        for part in PARTS:
            values = np.array([e[part] for e in each])
            spread = values[:, 0].var(ddof=1) / len(values) if len(values) > 1 else 0.0
            mean, half = values.mean(axis=0), half_width(values.mean(axis=0), more=spread)
            row |= {f"{part}_median": np.median(values[:, 0])}
            row |= {part: mean[0], f"{part}_low": mean[0] - half, f"{part}_high": mean[0] + half}
        E = {role: np.mean([s.left[role][0] for s in found]) for role in found[0].left}
        same, weighted = METHODS[method]
        row |= {"E_full": E["full"], "E_random_mean": E["mean"], "E_random_same": E[same]}
        row |= {"E_random_weights": E[weighted], "E_chosen": E[method]}
        p = pd.concat([s.table.loc[[method], ["selection", "selection_p"]] for s in found])
        row |= {"more": int(((p["selection"] > 0) & (p["selection_p"] < 0.05)).sum())}
        row |= {"less": int(((p["selection"] < 0) & (p["selection_p"] < 0.05)).sum())}
        for key in ("bias", "rmse", "monotonicity", "rank_tau", "decision_accuracy"):
            for role in ("chosen", "control", "plain"):
                row[f"{key}_{role}"] = np.mean([s.table.loc[method, f"{key}_{role}"] for s in found])
        row["effective_items"] = np.mean([s.table.loc[method, "effective_items"] for s in found])
        rows[method] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def write(out: Path, report: pd.DataFrame, found: Sequence[Summary], settings: dict[str, Any]) -> None:
    """Write ``nlu_report``, ``nlu_subsets`` and ``nlu_pooled`` as Parquet, and one Markdown page."""
    tables = {"nlu_report": report}
    means = {}
    if found:
        parts = {(s.name, s.rows): s.table for s in found}
        tables["nlu_subsets"] = pd.concat(parts, names=["benchmark", "calibration", "method"])
        means = {rows: [s for s in found if s.rows == rows] for rows in dict.fromkeys(s.rows for s in found)}
        tables["nlu_pooled"] = pd.concat(
            {rows: pooled(own) for rows, own in means.items()}, names=["calibration", "method"]
        )
    for name, table in tables.items():
        with atomic_file(out / f"{name}.parquet") as path:
            table.to_parquet(path)
    with atomic_file(out / "nlu_test_sets.md") as path:
        path.write_text(_page(report, means, tables, settings), encoding="utf-8")


def _page(
    report: pd.DataFrame, means: dict[str, Any], tables: dict[str, Any], settings: dict[str, Any]
) -> str:
    m, n = machine(), settings["size"]
    lines = [
        "# NLU test sets: seed variance, and what selection adds to it",
        "",
        "Written by `python benchmarks/paper/nlu_test_sets.py`. Percentage points; intervals of 95 %. E: sd over"
        " the three pre-training runs of a recipe (ddof 1), mean over five checkpoints and four recipes."
        f" {settings['draws']} random subsets and {settings['choices']} starts of k-means a set, {n} items each;"
        f" {settings['resamples']} resamples; seed {settings['seed']}.",
        "",
        f"Machine: {m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, Python {m['python']},"
        f" shared with other work (load {settings['load']:.1f}); {settings['cpu']:.0f} CPU s, one process. "
        + ", ".join(f"{k} {v}" for k, v in versions().items()),
    ]
    if means:
        first = next(iter(means))
        lines += _answer(means, tables["nlu_pooled"], n)
        lines += _by_set(means[first], n)
    return "\n".join([*lines, *_report(report), *_paper(report, means)]) + "\n"


def _answer(means: dict[str, Any], tables: pd.DataFrame, n: int) -> list[str]:
    lines = ["", "## Does selection add variance beyond size?", ""]
    lines += [
        f"*size*: random {n} with the mean, less full. *estimator*: random with the same estimator, less random with"
        " the mean. *weights*: the anchors' unequal weights put on random items in random order, less equal weights."
        " *items*: the anchors, less random items with these weights. ***selection*** = weights + items: the anchors"
        " less random items with the same estimator. *beyond size* = estimator + weights + items. Means over the"
        " sets; the interval adds the variance over sets and over runs (each run left out of all sets at once)."
        " *more* / *fewer*: sets where, in these runs, the anchors' E is above / below the random ones' by a rank"
        " test at 5 % (starts of k-means against draws; it says nothing of other runs or calibration models).",
        "",
        f"anchors: k-means on responses, weighted mean. IRT: k-means on a 2PL's parameters, weighted mean. IRT++: the"
        f" same items, gp-IRT. n_eff: items of equal weight that {n} anchors of unequal weight are worth, 1/Σw².",
    ]
    for rows, own in means.items():
        table = own[0].table
        some = "all five checkpoints" if rows == "all" else f"checkpoint `{rows}`"
        failed = sum(not s.table["converged"].iloc[0] for s in own)
        lines += [
            "",
            f"### Calibrated on {some}: {table['rows'].iloc[0]} rows of {table['models'].iloc[0]} models",
            "",
        ]
        lines += [
            f"> few calibration models ({table['models'].iloc[0]}): the 2PL is weakly identified; its `laplace` fit did"
            f" not converge for {failed} of {len(own)} sets, which are kept",
            "",
            "| method | E full | random, mean | random, same estimator | chosen | n_eff | size | estimator | weights"
            " | items | selection | its median | beyond size | more / fewer |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for method, row in tables.loc[rows].iterrows():
            E = " | ".join(_p(row[f"E_{c}"]) for c in ("full", "random_mean", "random_same", "chosen"))
            cells = [_interval(row, part) for part in PARTS[:-1]]
            cells.insert(5, f"{100 * row['selection_median']:+.2f}")
            lines += [
                f"| {method} | {E} | {row['effective_items']:.0f} | {' | '.join(cells)}"
                f" | {row['more']:.0f} / {row['less']:.0f} of {row['sets']:.0f} |"
            ]
        lines += [
            "",
            "| method | bias | RMSE | of random, same estimator | of random, mean | monotonicity | of random, same"
            " estimator | of random, mean | rank τ with full | of random, same estimator | of random, mean |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for method, row in tables.loc[rows].iterrows():
            three = [
                [row[f"{key}_{role}"] for role in ("chosen", "control", "plain")]
                for key in ("rmse", "monotonicity", "rank_tau")
            ]
            cells = [_p(x) for x in three[0]] + [f"{x:.3f}" for x in three[1] + three[2]]
            lines += [f"| {method} | {100 * row['bias_chosen']:+.2f} | " + " | ".join(cells) + " |"]
    return lines


def _by_set(found: Sequence[Summary], n: int) -> list[str]:
    lines = [
        "",
        f"## E by set, full and with {n} items",
        "",
        f"Calibrated on all checkpoints. *independent*: E √(N/{n}), what {n} items had if runs moved every item by"
        " itself. Intervals: jackknife over runs, with the draws. p: rank test of the anchors' E against the random ones',"
        " given these runs.",
        "",
        "| set | N | full | independent | random, mean | anchors | IRT | random, gp-IRT | IRT++ | selection, anchors | p"
        " | selection, IRT | p | selection, IRT++ | p |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for s in found:
        T = s.table
        a = T.loc["anchors"]
        cells = [a["E_full"], a["E_independent"], a["E_random_mean"], a["E_chosen"], T.loc["IRT", "E_chosen"]]
        cells += [T.loc["IRT++", "E_random_same"], T.loc["IRT++", "E_chosen"]]
        tests = " | ".join(
            f"{_interval(T.loc[m], 'selection')} | {_chance(T.loc[m, 'selection_p'])}" for m in METHODS
        )
        lines += [f"| {s.name} | {a['n_items']} | " + " | ".join(map(_p, cells)) + f" | {tests} |"]
    return lines


def _report(report: pd.DataFrame) -> list[str]:
    lines = [
        "",
        "## Variance report",
        "",
        "Means over the four recipes (each by itself in `nlu_report.parquet`). E with a jackknife interval over runs;"
        " CI: half width of the item bootstrap, as in the paper; E/SE: E over CI/1.96; τ: Kendall's τ-b of each run's"
        " scores with its checkpoints, and without `best`, which can come before the 50 % checkpoint; SNR: mean/sd at"
        " `best`, median over recipes (three runs: a rough figure).",
        "",
        "| set | N | mean | E | CI | E/SE | τ | τ without best | SNR |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, own in report.groupby("benchmark"):
        lines += [f"| {name} | {own['n_items'].iloc[0]:.0f} | {' | '.join(_measures(own))} |"]
    return lines


def _measures(own: pd.DataFrame) -> list[str]:
    E = own[["recipes_E", "recipes_E_low", "recipes_E_high"]].iloc[0] * 100
    ratio = own["recipes_E"].iloc[0] / own["item_se"].mean()
    return [
        _p(own["mean"].mean()),
        f"{E.iloc[0]:.2f} [{max(E.iloc[1], 0):.2f}, {E.iloc[2]:.2f}]",
        _p(own["item_half_width"].mean()),
        f"{ratio:.2f}",
        f"{own['monotonicity'].mean():.2f}",
        f"{own['monotonicity_without_best'].mean():.2f}",
        f"{own['snr'].median():.1f}",
    ]


def _paper(report: pd.DataFrame, means: dict[str, Any]) -> list[str]:
    own = {name: rows for name, rows in report.groupby("benchmark") if name in PAPER}
    if not own:
        return []
    lines = [
        "",
        "## Beside the paper's Tables 1 and 2",
        "",
        "Paper: Madaan et al. (2024), ten seeds of a 7B decoder, 21 checkpoints of pre-training. Here: twelve"
        " runs of small encoders, fine-tuned on each task, on half of the items (all of ARC-C); the runs of a recipe differ in batch size and steps too. *CI at mean*: 1.96"
        " √(p(1−p)/N), to be compared with CI; a dash: the paper's value is not known. *E·√N*: E at equal size, in"
        " points × √items, if runs moved items by themselves.",
        "",
        "| set | | N | mean | E | CI | CI at mean | E/SE | E·√N | τ | SNR |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, (label, N, mean, E, ci, tau, snr) in PAPER.items():
        if name not in own:
            continue
        said = "–" if snr is None else f"{snr:.1f}"
        lines += [
            f"| {name} | paper ({label}) | {N} | {mean:.2f} | {E:.2f} | {ci:.2f} | {_analytic(mean, N):.2f}"
            f" | {1.96 * E / ci:.2f} | {E * N**0.5:.0f} | {tau:.2f} | {said} |"
        ]
        n_items, here = own[name]["n_items"].iloc[0], 100 * own[name]["mean"].mean()
        m, E_here = _measures(own[name]), 100 * own[name]["recipes_E"].iloc[0]
        lines += [
            f"| | here | {n_items:.0f} | {m[0]} | {m[1]} | {m[2]} | {_analytic(here, n_items):.2f} | {m[3]}"
            f" | {E_here * n_items**0.5:.0f} | {m[4]} | {m[6]} |"
        ]
    subsets = {s.name: s for s in means.get("all", []) if s.name in SUBSETS}
    if subsets:
        lines += [
            "",
            "## Beside the paper's Tables 3 and 4",
            "",
            "*cut*: E of 100 items from size alone. Paper: E √(N/100), computed here, as it has no random control; it"
            " is an upper bound where runs shift all items together. Here: measured, random items with the mean.",
            "",
            "| set | | E full | cut | IRT | IRT++ | τ full | τ IRT | τ IRT++ |",
            "|---|---|--:|--:|--:|--:|--:|--:|--:|",
        ]
    for name, s in subsets.items():
        (full, irt, plus), taus, cut = SUBSETS[name]
        tau = " | ".join(f"{x:.2f}" for x in taus)
        lines += [f"| {name} | paper | {full:.2f} | {cut:.2f} | {irt:.2f} | {plus:.2f} | {tau} |"]
        a, b = s.table.loc["IRT"], s.table.loc["IRT++"]
        E = " | ".join(_p(x) for x in (a["E_full"], a["E_random_mean"], a["E_chosen"], b["E_chosen"]))
        tau = " | ".join(
            f"{x:.2f}" for x in (a["monotonicity_full"], a["monotonicity_chosen"], b["monotonicity_chosen"])
        )
        lines += [f"| | here | {E} | {tau} |"]
    return lines


def _analytic(mean: float, n: float) -> float:
    return 100 * 1.96 * float(np.sqrt(mean / 100 * (1 - mean / 100) / n))


def _p(value: float) -> str:
    return f"{100 * value:.2f}"


def _chance(p: float) -> str:
    return "<.001" if p < 0.001 else f"{p:.3f}"


def _interval(row: pd.Series, part: str) -> str:
    value, low, high = (100 * row[f"{part}{end}"] + 0.0 for end in ("", "_low", "_high"))
    return "0" if value == low == high == 0 else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
