"""The page about the fleet: each table beside the paper's, then what agrees, what does not, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.paper.madaan import FRAMINGS_PEARSON, TABLE_1, TABLE_2, TABLES_3_4
from benchmarks.paper.markdown import grid, limits, surroundings
from irtbench.files import atomic_file
from irtbench.responses import ResponseMatrix

FRAMINGS = ("completion", "choice")


def write_page(
    path: Path, found: dict[str, Any], R: dict[str, ResponseMatrix], settings: dict[str, Any]
) -> None:
    """Write the page from the tables."""
    lines = [*_head(R["completion_acc"]), *_summary(found)]
    for part in (_noise, _continuous, _framings, _items, _subsets, _orders):
        lines += ["", *part(found)]
    lines += ["", "## How it was made", "", *surroundings("seedlings.py", settings), ""]
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def _head(R: ResponseMatrix) -> list[str]:
    rows = R.models["arm"].value_counts()
    steps = R.models.loc[R.models["arm"] == "seeds", "step"].nunique()
    return [
        "# The paper's tables on our own fleet",
        "",
        "```",
        "make paper                                   # python benchmarks/paper/seedlings.py; writes this page",
        "```",
        f"Ten seeds of one recipe ({steps} checkpoints each, same data in the same order), five more with other orders of"
        f" the data, and {rows['population']} other models: Llama architecture, up to 0.4 million parameters, trained on a"
        f" small world of facts ([how](../fleet/README.md)); {R.n_items:,} questions in six benchmarks, in both"
        " framings. Beside it stands the paper's own table: Madaan et al. (2024), [Quantifying Variance in Evaluation"
        " Benchmarks](https://arxiv.org/abs/2406.10229), as transcribed in our notes; a dash is a value that they do"
        " not know. Points (0–100), 95 % intervals. The paper's questions on public data:"
        " [public_data.md](public_data.md).",
    ]


def _summary(found: dict[str, Any]) -> list[str]:
    """What agrees with the paper, what does not, and why; each from the tables below."""
    return [
        "",
        "## What agrees, what does not, and why",
        "",
        *(f"* {text}" for text in (_says_sizes(found), _says_continuous(found), _says_framings(found))),
        *(f"* {text}" for text in (_says_items(found), _says_subsets(found), _says_orders(found))),
        "* **Why they may differ**: these models have 0.4 million parameters and not 7 billion, and learn one small world"
        " to its end: the best benchmarks end near 100 % (the paper's at 1.5 to 79 %), where a discrete score has little"
        " left to vary, and mean over sd counts the score of guessing as signal, which a probability does not have. An"
        " answer is one word. The letters are learnt late, by a jump that some seeds make earlier than others. The items"
        " of a benchmark are alike, so that a seed moves them together. What is the same is the design: seeds that"
        " differ in nothing but their initial weights, many checkpoints, the same questions.",
    ]


def _acc(found: dict[str, Any], framing: str, metric: str = "acc") -> pd.DataFrame:
    return found["noise"].loc[(framing, metric)].drop(index="all")


def _says_sizes(found: dict[str, Any]) -> str:
    texts = []
    for framing in FRAMINGS:
        own = _acc(found, framing)
        below = int((own["E"] < own["item_half_width"]).sum())
        top = own["ratio"].idxmax()
        texts.append(
            f"in {framing} E is below the item interval on {below} of {len(own)} benchmarks and"
            f" {own['ratio'].median():.2f} standard errors over items on the median one (most on {top}:"
            f" {own.loc[top, 'ratio']:.2f})"
        )
    paper = TABLE_1["E"] / (TABLE_1["ci"] / 1.96)
    return (
        f"**Seed noise beside item noise** (Table 1): {'; '.join(texts)}. In the paper E is below the interval on"
        f" {int((TABLE_1['E'] < TABLE_1['ci']).sum())} of {len(TABLE_1)}, {paper.median():.2f} standard errors on the"
        f" median, {paper.max():.2f} at most ({paper.idxmax()})."
    )


def _says_continuous(found: dict[str, Any]) -> str:
    texts = []
    for framing in FRAMINGS:
        disc, cont = (_acc(found, framing, m) for m in ("acc", "prob"))
        more = int((cont["snr"] > disc["snr"]).sum())
        ratio = (cont["snr"] / disc["snr"]).median()
        tau = int((cont["monotonicity"] > disc["monotonicity"]).sum())
        texts.append(
            f"in {framing} the probability of the right answer has the larger SNR on {more} of {len(disc)} benchmarks"
            f" (median {ratio:.2f} times; over all checkpoints {_median_ratio(found['snr'], framing):.2f} times) and the"
            f" higher monotonicity on {tau}"
        )
    return (
        f"**Continuous against discrete** (Table 2): {'; '.join(texts)}. In the paper the continuous SNR is larger on"
        f" all ten, by {(TABLE_2['snr_continuous'] / TABLE_2['snr']).median():.1f} times on the median of the five that"
        " are known."
    )


def _median_ratio(snr: pd.DataFrame, framing: str) -> float:
    own = snr[snr["framing"] == framing]
    wide = own.pivot_table(index=["benchmark", "step"], columns="metric", values="snr")
    return float((wide["prob"] / wide["acc"]).median())


def _says_framings(found: dict[str, Any]) -> str:
    a, b = (_acc(found, framing) for framing in FRAMINGS)
    r = found["agreement"].loc["all"]
    return (
        f"**Framings** (Fig. 2): completion is the more monotone on {int((a['monotonicity'] > b['monotonicity']).sum())}"
        f" of {len(a)} benchmarks (median τ {a['monotonicity'].median():.2f} against {b['monotonicity'].median():.2f};"
        f" paper: MMLU .95 against .09), and the seeds differ less in it on {int((a['E'] < b['E']).sum())} (median E"
        f" {100 * a['E'].median():.2f} against {100 * b['E'].median():.2f} points; paper .22 against .57). Over"
        f" {int(r['n_models'])} models the two correlate {limits(r[['pearson', 'low', 'high']])} (paper"
        f" {FRAMINGS_PEARSON})."
    )


def _says_items(found: dict[str, Any]) -> str:
    r = found["stability"].groupby("kind")["pearson"].median()
    half = found["pruning"][found["pruning"]["share"] == 0.5].set_index("measure", append=True)
    half = (
        half.droplevel(1)
        .reset_index()
        .pivot_table(index="benchmark", columns="measure", values=["pruned", "random"])
    )
    drift, random = (100 * half[k, "drift_size"].median() for k in ("pruned", "random"))
    tau, tau_random = (half[k, "monotonicity"].median() for k in ("pruned", "random"))
    return (
        f"**Items** (Fig. 3): discriminations correlate {r['random']:.2f} between random halves of the models and"
        f" {r['capability']:.2f} between the weaker and the stronger half (medians over benchmarks and splits; paper:"
        f" poorly for the latter, no figure). Pruning the less discriminating half of the items moves the score by"
        f" {drift:.2f} points (as many at random: {random:.2f}) for a monotonicity of {tau:.3f} ({tau_random:.3f}):"
        " the paper finds modest gains and drift; the random control is ours."
    )


def _says_subsets(found: dict[str, Any]) -> str:
    T = found["subsets"]
    texts = []
    for method in ("IRT", "IRT++"):
        own = T.xs(method, level="method")
        more, less = int((own["selection_low"] > 0).sum()), int((own["selection_high"] < 0).sum())
        texts.append(
            f"{method} adds to random items with the same estimator {100 * own['selection'].median():+.2f} points on the"
            f" median (interval above 0 on {more}, below on {less} of {len(own)})"
        )
    own = T.xs("IRT", level="method")
    return (
        f"**Subsets** (Tables 3 and 4): on the median benchmark E is {100 * own['E_full'].median():.2f} of all items,"
        f" {100 * own['E_chosen'].median():.2f} of the IRT anchors and {100 * own['E_random_mean'].median():.2f} of as many"
        f" random items with a plain mean; {'; '.join(texts)}. So the rise of E from all items to a subset is that of its"
        " size first: the control that the paper lacks."
    )


def _says_orders(found: dict[str, Any]) -> str:
    a = found["arms"].pivot_table(index=["framing", "benchmark"], columns="arm", values="E")
    o = found["orders"]
    last = o[o["step"] == o["step"].max()]
    ratio = last.groupby("framing")[["sd_orders", "sd_seeds"]].median() * 100
    texts = [
        f"{f}: {ratio.loc[f, 'sd_orders']:.2f} against {ratio.loc[f, 'sd_seeds']:.2f} over seeds"
        for f in FRAMINGS
    ]
    return (
        f"**Beyond the paper**: with another order of the data for each seed E is {(a['orders'] / a['seeds']).median():.2f}"
        " times that of seeds alone (median over benchmarks and framings; five runs against ten). The order of four"
        f" examples moves the score of one model by an sd of ({'; '.join(texts)}) points on the median benchmark."
    )


def _noise(found: dict[str, Any]) -> list[str]:
    lines = ["## Table 1: mean, E, interval, monotonicity", ""]
    for framing in FRAMINGS:
        own = found["noise"].loc[(framing, "acc")]
        cont = found["noise"].loc[(framing, "prob")]
        table = pd.DataFrame(
            {
                "N": own["n_items"].astype(int),
                "mean": _each(own, ("mean", "low", "high"), 1, 100),
                "E": _each(own, ("E", "E_low", "E_high"), 2, 100),
                "CI": _plain(own["item_half_width"], 100),
                "E/SE": _each(own, ("ratio", "ratio_low", "ratio_high"), 2),
                "τ discrete": _each(own, ("monotonicity", "monotonicity_low", "monotonicity_high"), 2),
                "τ continuous": _plain(cont["monotonicity"]),
            }
        )
        lines += [f"Ours, **{framing}**:", "", *grid(table.rename_axis("benchmark")), ""]
    lines += [
        "*mean*: of ten seeds at the last checkpoint. *E*: sd over seeds (ddof 1), mean over checkpoints. *CI*: half"
        " width of the 95 % interval over items, mean over runs. *E/SE*: E over CI/1.96, both on one footing. *τ*:"
        " Kendall's τ-b with the checkpoints, mean over seeds; continuous: probability of the right answer.",
        "",
        "The paper's:",
        "",
    ]
    paper = TABLE_1.copy()
    ratio = paper["E"] / (paper["ci"] / 1.96)
    shown = pd.DataFrame({"N": paper["size"], "mean": _plain(paper["mean"]), "E": _plain(paper["E"])})
    shown = shown.assign(
        CI=_plain(paper["ci"]),
        ratio=_plain(ratio),
        tau=_plain(paper["tau"]),
        cont=_plain(paper["tau_continuous"]),
    )
    return [
        *lines,
        *grid(shown.rename(columns={"ratio": "E/SE", "tau": "τ discrete", "cont": "τ continuous"})),
    ]


def _continuous(found: dict[str, Any]) -> list[str]:
    lines = ["## Table 2: discrete and continuous at the last checkpoint", ""]
    for framing in FRAMINGS:
        table = pd.DataFrame(index=found["noise"].loc[(framing, "acc")].index)
        disc = found["noise"].loc[(framing, "acc")]
        table["mean"], table["SNR discrete"] = _plain(disc["mean"], 100), _each(disc, *_SNR)
        for metric in ("prob", "prob_options"):
            table[f"SNR {metric}"] = _each(found["noise"].loc[(framing, metric)], *_SNR)
        table["above chance: discrete"] = _plain(disc["snr_chance"], 1, 1)
        options = found["noise"].loc[(framing, "prob_options")]
        table["above chance: prob_options"] = _plain(options["snr_chance"], 1, 1)
        lines += [f"Ours, **{framing}**:", "", *grid(table.rename_axis("benchmark")), ""]
    lines += [
        "*SNR*: mean over sd of the ten seeds; *above chance*: of the mean less the score of guessing, which a benchmark"
        " at chance cannot fake. *prob*: probability of the right answer; *prob_options*: its share among the options.",
        "",
        "The last checkpoint is where scores near 100 % have nowhere to vary to. Over all checkpoints, the ratio of the"
        " continuous SNR to the discrete one (median; share of checkpoints where it is above 1):",
        "",
        *grid(_over_checkpoints(found["snr"])),
        "",
        "The paper's, five of its ten rows:",
        "",
    ]
    names = {"mean": "mean", "std": "sd", "snr": "SNR discrete", "snr_continuous": "SNR continuous"}
    paper = {new: _plain(TABLE_2[old]) for old, new in names.items()}
    return [*lines, *grid(pd.DataFrame(paper, index=TABLE_2.index))]


def _over_checkpoints(snr: pd.DataFrame) -> pd.DataFrame:
    wide = snr.pivot_table(index=["framing", "benchmark", "step"], columns="metric", values="snr", sort=False)
    shown = {}
    for metric in ("prob", "prob_options"):
        ratio = (wide[metric] / wide["acc"]).groupby(["framing", "benchmark"], sort=False)
        shown[metric] = [
            f"{m:.2f} ({s:.0%})"
            for m, s in zip(ratio.median(), ratio.agg(lambda x: (x > 1).mean()), strict=True)
        ]
    return pd.DataFrame(shown, index=ratio.median().index)


_SNR = (("snr", "snr_low", "snr_high"), 1)


def _framings(found: dict[str, Any]) -> list[str]:
    crossings = found["crossings"].set_index("benchmark")
    r = found["agreement"]
    ahead = {"ahead at the end": crossings["winner"]}
    ahead["overtakes at step"] = pd.Series(
        _each(crossings, ("crossover", "low", "high"), 0), index=crossings.index
    )
    ahead["Pearson r over models"] = pd.Series(_each(r, ("pearson", "low", "high")), index=r.index)
    table = pd.DataFrame(ahead).reindex(r.index)
    return [
        "## Figure 2: framings",
        "",
        "![Both framings over checkpoints, a panel a benchmark](results/seedlings/framings.svg)",
        "",
        "*Thin lines are seeds. Completion leaves chance early and rises steadily; letters stay near chance for longer.*",
        "",
        *grid(table.fillna("–")),
        "",
        "*overtakes*: the framing that is ahead at the end is so from this step on; a dash: from the start. *r*: over the"
        f" {int(found['agreement']['n_models'].iloc[0])} models at their last checkpoint (paper, MMLU, about 70 models:"
        f" {FRAMINGS_PEARSON}).",
    ]


def _items(found: dict[str, Any]) -> list[str]:
    r = found["stability"].groupby(["benchmark", "kind"], sort=False)["pearson"]
    low, mid, high = (r.quantile(q).unstack("kind") for q in (0.025, 0.5, 0.975))  # noqa: PD010
    table = pd.DataFrame(
        {
            f"{kind} halves": [limits(x) for x in zip(mid[kind], low[kind], high[kind], strict=True)]
            for kind in ("random", "capability")
        },
        index=mid.index,
    )
    sweep = found["pruning"].reset_index()
    sweep = sweep[sweep["share"].isin([0.5])].set_index(["benchmark", "measure"])
    rows = {}
    for name in mid.index:
        rows[name] = {
            f"{label}": f"{scale * sweep.loc[(name, m), 'pruned']:.{d}f} ({scale * sweep.loc[(name, m), 'random']:.{d}f},"
            f" {sweep.loc[(name, m), 'as_good']:.2f})"
            for label, m, scale, d in (
                ("SE", "se", 100, 2),
                ("E", "E", 100, 2),
                ("τ", "monotonicity", 1, 3),
                ("drift", "drift_size", 100, 2),
            )
        }
    return [
        "## Figure 3: item analysis and pruning",
        "",
        "![Discrimination over difficulty, two halves of the models](results/seedlings/items.svg)",
        "",
        "Correlation of the items' discriminations between two halves of the models (median, 95 % of the splits):",
        "",
        *grid(table.rename_axis("benchmark")),
        "",
        "Half of the items pruned, those that discriminate least in the population; looked at on the ten seeds. In"
        " brackets: as many pruned at random, and the share of random prunings that are as good or better.",
        "",
        *grid(pd.DataFrame.from_dict(rows, orient="index").rename_axis("benchmark")),
    ]


def _subsets(found: dict[str, Any]) -> list[str]:
    T = found["subsets"]
    rows = {}
    for (name, method), own in T.iterrows():
        if method == "anchors":
            continue
        rows[name, method] = {
            "N": int(own["n_items"]),
            "E full": _number(own["E_full"]),
            "E random, mean": _number(own["E_random_mean"]),
            "E random, same estimator": _number(own["E_random_same"]),
            "E chosen": _number(own["E_chosen"]),
            "selection adds": limits(own[["selection", "selection_low", "selection_high"]], 2, 100),
            "τ full": f"{own['monotonicity_full']:.3f}",
            "τ random": f"{own['monotonicity_plain']:.3f}",
            "τ chosen": f"{own['monotonicity_chosen']:.3f}",
            "bias": f"{100 * own['bias_chosen']:+.2f}",
            "RMSE": f"{100 * own['rmse_chosen']:.2f} ({100 * own['rmse_plain']:.2f})",
        }
    size = int(T["size"].iloc[0]) if "size" in T and (T["size"] > 1).all() else 100
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["benchmark", "method"])
    paper = pd.DataFrame(
        {
            "E full": _plain(TABLES_3_4["E"]),
            "E from size alone": _plain(
                TABLES_3_4["E"] * np.sqrt(TABLE_1["size"].reindex(TABLES_3_4.index) / 100)
            ),
            "E IRT": _plain(TABLES_3_4["E_irt"]),
            "E IRT++": _plain(TABLES_3_4["E_irt_plus"]),
            "τ full": _plain(TABLES_3_4["tau"]),
            "τ IRT": _plain(TABLES_3_4["tau_irt"]),
            "τ IRT++": _plain(TABLES_3_4["tau_irt_plus"]),
        },
        index=TABLES_3_4.index,
    )
    return [
        f"## Tables 3 and 4: {size} items by IRT, and the control",
        "",
        f"2PL and anchors calibrated on the population ({int(T['rows'].iloc[0])} models), looked at on the ten seeds and all"
        " their checkpoints. IRT: k-means on the item parameters, weighted mean. IRT++: the same items, gp-IRT. Random: as"
        " many items at random, with a plain mean or with the same estimator.",
        "",
        *grid(table),
        "",
        "*selection adds*: E chosen less E of random items with the same estimator, jackknife over seeds. *RMSE*: of the"
        " estimates of the full scores, in brackets that of random items with a plain mean.",
        "",
        "The paper's (tinyBenchmarks' 100 items; no random control, so E √(N/100) stands for it, which is an upper bound"
        " where seeds shift all items together):",
        "",
        *grid(paper),
    ]


def _orders(found: dict[str, Any]) -> list[str]:
    wide = found["arms"].pivot_table(
        index=["framing", "benchmark"], columns="arm", values=["E", "sd_last"], sort=False
    )
    o = found["orders"].set_index(["framing", "benchmark", "step"])
    table = pd.DataFrame(
        {
            "E, same order (10)": _plain(wide["E", "seeds"], 100),
            "E, own order (5)": _plain(wide["E", "orders"], 100),
        },
        index=wide.index,
    )
    shown = pd.DataFrame(
        {
            "mean": _plain(o["mean"], 100, 1),
            "sd over seeds": _plain(o["sd_seeds"], 100),
            "sd over orders": _plain(o["sd_orders"], 100),
        },
        index=o.index,
    )
    return [
        "## Beyond the paper: order of the data, order of the examples",
        "",
        "Seeds that read the same data in the same order, and seeds that read them in an order each:",
        "",
        *grid(table),
        "",
        "Four examples before each question, in six orders (the models never read as long a text in training, so scores"
        " are lower); *sd over seeds* is that of the mean over orders, what the orders alone make of it taken off:",
        "",
        *grid(shown),
    ]


def _each(
    table: pd.DataFrame, columns: tuple[str, str, str], digits: int = 2, scale: float = 1.0
) -> list[str]:
    return [limits(row, digits, scale) for row in table[list(columns)].to_numpy(dtype=float)]


def _plain(values: pd.Series, scale: float = 1.0, digits: int = 2) -> list[str]:
    write: Callable[[float], str] = lambda x: "–" if np.isnan(x) else f"{scale * x:.{digits}f}"  # noqa: E731
    return [write(float(x)) for x in values]


def _number(value: float) -> str:
    return f"{100 * value:.2f}"
