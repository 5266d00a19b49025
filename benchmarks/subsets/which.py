"""The page "which method when": every sentence is written from the committed tables, with its figure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.subsets.markdown import difference
from benchmarks.subsets.protocol import ALL, CONTROL, DEFAULT, OURS
from benchmarks.subsets.summary import mean_of, paired

__all__ = ["which_page"]

GUARANTEED = "stratified + difference"
SHIFTED = ("weak-to-strong", "seeds", "date")
FEW = ("swebench_agent", "mmlu_pro", "cruxeval_samples")  # boards of 24 to 35 models


def which_page(
    boards: dict[str, pd.DataFrame], curves: dict[str, pd.DataFrame], noise: pd.DataFrame | None
) -> str:
    """The page.

    Args:
        boards: errors by split of each board.
        curves: the same by number of calibration models.
        noise: seed noise by set and method, or None.
    """
    full = {name: rows[rows["benchmark"] == ALL] for name, rows in boards.items()}
    lines = ["# Which method when", ""]
    lines += [
        "Written by `python benchmarks/subsets/tables.py` from the tables beside it, every figure with it: errors are"
        f" mean absolute errors in points, brackets are 95 % intervals, the default is `{' + '.join(OURS[DEFAULT])}`,"
        " a plain stratified mean is the control. Details: [methods](methods.md), [other boards](boards.md), [learning"
        " curve](curve.md), [noise](noise.md).",
        "",
    ]
    openllm = full["openllm_v2"]
    lines += [*_table(full), ""]
    parts = {
        "You have responses of many models": _many(full),
        "The new model may be stronger than all of them": _stronger(full),
        "You need an interval that holds": _intervals(full),
        "You need a ranking": _ranking(openllm),
        "You have few models": _few_models(full, curves),
        "You have few items": _few_items(openllm),
        "You need each benchmark's score": _single(boards),
        "You can have probabilities instead of right and wrong": _continuous(full),
        "You follow one model through training, or compare seeds": [] if noise is None else _seeds(noise),
        "What never to do": _never(openllm),
        "What it costs": _cost(openllm),
    }
    for title, sentences in parts.items():
        if sentences:
            lines += [f"## {title}", "", *(f"* {s}" for s in sentences), ""]
    return "\n".join(lines)


def _mae(rows: pd.DataFrame, kind: str, method: str, size: int) -> float:
    own = rows[(rows["kind"] == kind) & (rows["method"] == method) & (rows["size"] == size)]
    return float(own["mae"].mean())


def _sizes(rows: pd.DataFrame) -> list[int]:
    return sorted(rows["size"].unique())


def _versus(d: pd.Series) -> str:
    """A difference in words."""
    if pd.isna(d["low"]):
        return f"{difference(d)} points, with no interval from one split"
    if d["high"] < 0:
        return f"lower by {-d['difference']:.2f} points [{-d['high']:.2f}, {-d['low']:.2f}]"
    if d["low"] > 0:
        return f"higher by {d['difference']:.2f} points [{d['low']:.2f}, {d['high']:.2f}]"
    return f"not clearly different ({difference(d)} points)"


def _best_other(rows: pd.DataFrame, kind: str, size: int) -> tuple[str, float]:
    """The best method that is not a part of the default, and its error."""
    mean = mean_of(rows[(rows["kind"] == kind) & (rows["size"] == size)])["mae"].droplevel([0, 1, 3])
    mean = mean.drop([m for m in mean.index if m == DEFAULT or m.startswith("robust +")])
    return str(mean.idxmin()), float(mean.min())


def _many(full: dict[str, pd.DataFrame]) -> list[str]:
    rows, found = full["openllm_v2"], []
    words = {"random": "models like those that calibrated", "family": "models of other organisations"}
    for kind, what in words.items():
        if kind not in set(rows["kind"]):
            continue
        errors = ", ".join(f"{_mae(rows, kind, DEFAULT, n):.2f}" for n in _sizes(rows))
        sizes = ", ".join(map(str, _sizes(rows)))
        d = paired(rows).loc[(kind, ALL, DEFAULT, 100)]
        other, error = _best_other(rows, kind, 100)
        n = rows["n_calibration"][rows["kind"] == kind].mean()
        found.append(
            f"For {what}, openllm_v2: with {n:.0f} calibration models the default errs by {errors} points at {sizes}"
            f" items; at 100 items the error is {_versus(d)} against the control's"
            f" {_mae(rows, kind, CONTROL, 100):.2f}, and the best method of others, `{other}`, errs by {error:.2f}."
        )
    return [*found, _ratios(full, ("random", "family"))]


def _stronger(full: dict[str, pd.DataFrame]) -> list[str]:
    rows, kind, found = full["openllm_v2"], "weak-to-strong", []
    if kind in set(rows["kind"]):
        d = paired(rows).loc[(kind, ALL, DEFAULT, 100)]
        found.append(
            f"{_advice(d)}: calibrated on the weaker half and tested on the strongest 30 %, it errs by"
            f" {_mae(rows, kind, DEFAULT, 30):.2f} points at 30 items and {_mae(rows, kind, DEFAULT, 100):.2f} at 100,"
            f" {_versus(d)} against the control; a regression alone is off by"
            f" {_mae(rows, kind, 'robust + regression', 100):.2f}, and lasso + ridge by"
            f" {_mae(rows, kind, 'lasso + ridge', 100):.2f}."
        )
    won, lost, total = [], [], 0
    for name, table in full.items():
        d = paired(table).xs(ALL, level="benchmark").xs(DEFAULT, level="method")
        for own in SHIFTED:
            if own in d.index.unique(0):
                cells = d.loc[own]
                total += len(cells)
                won += [n for n in cells.index if cells.loc[n, "high"] < 0]
                lost += [f"{name}, {own}, {n} items" for n in cells.index if cells.loc[n, "low"] > 0]
    said = f"; it is clearly worse on {', '.join(lost)}" if lost else ", and clearly worse in none"
    found.append(_ratios(full, SHIFTED))
    found.append(
        f"Over all boards with such a shift (`weak-to-strong`, `date`, `seeds`) the default is clearly better than the"
        f" control in {len(won)} of {total} cells of board and size{said}."
    )
    return found


def _advice(d: pd.Series) -> str:
    """What a difference to the control says about the default."""
    if d["high"] < 0:
        return "Keep the default"
    return "Do not use the default" if d["low"] > 0 else "The default does no clear harm"


def _ratios(full: dict[str, pd.DataFrame], kinds: tuple[str, ...]) -> str:
    """Error of our methods relative to the control, geometric mean over boards, kinds and sizes."""
    ratios: dict[str, list[float]] = {}
    for rows in full.values():
        mean = mean_of(rows[rows["kind"].isin(kinds) & rows["method"].isin(OURS)])["mae"].droplevel(
            "benchmark"
        )
        for (kind, method, n), error in mean.items():
            ratios.setdefault(str(method), []).append(float(np.log(error / mean[kind, CONTROL, n])))
    each = sorted((float(np.exp(np.mean(x))), m) for m, x in ratios.items() if m != CONTROL)
    cells = max(map(len, ratios.values()), default=0)
    said = ", ".join(f"`{m}` {r:.2f}" for r, m in each)
    return f"Error relative to the control's, geometric mean over {cells} cells of board, splits and size: {said}."


def _intervals(full: dict[str, pd.DataFrame]) -> list[str]:
    found = []
    for method, what in ((DEFAULT, "The default's"), (GUARANTEED, f"The guaranteed mode's (`{GUARANTEED}`)")):
        cells = pd.concat(rows.assign(board=name) for name, rows in full.items())
        cells = (
            cells[cells["method"] == method].groupby(["board", "kind", "size"])["coverage"].mean().dropna()
        )
        if cells.empty:
            continue
        shifted = cells.index.get_level_values("kind").isin(SHIFTED)
        name, kind, n = cells.idxmin()
        found.append(
            f"{what} nominal 90 % intervals cover {100 * cells[~shifted].mean():.1f} % on random and organisation splits"
            f" and {100 * cells[shifted].mean():.1f} % under a shift (means over boards and sizes); 87 % or more in"
            f" {int((cells >= 0.87).sum())} of {len(cells)} cells, least {100 * cells.min():.0f} % ({name}, {kind},"
            f" {n} items)."
        )
    rows = full["openllm_v2"]
    width = rows[rows["size"] == 100].groupby(["kind", "method"])["width"].mean()
    kinds = [k for k in ("random", "weak-to-strong") if (k, GUARANTEED) in width.index]
    said = "; ".join(f"{k} {width[k, DEFAULT]:.1f} against {width[k, GUARANTEED]:.1f} points" for k in kinds)
    found.append(
        f"The price of the guarantee is width: at 100 items of openllm_v2 the default's intervals measure {said}."
    )
    return found


def _ranking(rows: pd.DataFrame) -> list[str]:
    found = []
    for kind in rows["kind"].unique():
        rho = mean_of(rows[(rows["kind"] == kind) & (rows["size"] == 100)])["spearman"].droplevel([0, 1, 3])
        found.append(
            f"{kind}: at 100 items Spearman's ρ with the full ranking is {rho[DEFAULT]:.3f} of the default,"
            f" {rho[CONTROL]:.3f} of the control; the largest is {rho.max():.3f} of `{rho.idxmax()}`."
        )
    return found


def _few_models(full: dict[str, pd.DataFrame], curves: dict[str, pd.DataFrame]) -> list[str]:
    found = []
    for board, rows in curves.items():
        for size in _sizes(rows):
            part = rows[rows["size"] == size]
            table = part.assign(size=part["n_calibration"])
            d = paired(table).xs(ALL, level="benchmark").droplevel(0)
            counts = sorted(part["n_calibration"].unique())
            won = [n for n in counts if d.loc[(DEFAULT, n), "high"] < 0]
            first = next((n for n in counts if all(m in won for m in counts if m >= n)), None)
            mean = table.groupby(["method", "size"])["mae"].mean()
            irt = [n for n in counts if mean[DEFAULT, n] < mean["stratified + gp-irt", n]]
            said = (
                f"from {first} calibration models on"
                if first is not None
                else "with no number of calibration models"
            )
            found.append(
                f"{board}, {size} items: the default is clearly better than the control {said}, and better than"
                f" `stratified + gp-irt` with {_listed(irt)} models; it errs by"
                f" {', '.join(f'{mean[DEFAULT, n]:.2f}' for n in counts)} with {_listed(counts)} models, the control by"
                f" {mean[CONTROL].mean():.2f}."
            )
    for name in FEW:
        if name not in full:
            continue
        rows = full[name]
        d = paired(rows).xs(ALL, level="benchmark")
        for kind in rows["kind"].unique():
            worth = [n for n in _sizes(rows) if d.loc[(kind, DEFAULT, n), "high"] < 0]
            n_old = rows.loc[rows["kind"] == kind, "n_calibration"].mean()
            other, error = _best_other(rows, kind, 100)
            verdict = (
                f"worth it at {_listed(worth)} items" if worth else "not worth it by what these data can show"
            )
            found.append(
                f"{name}, {kind} ({n_old:.0f} calibration models): the default is {verdict}; at 100 items it errs by"
                f" {_mae(rows, kind, DEFAULT, 100):.2f}, the control by {_mae(rows, kind, CONTROL, 100):.2f},"
                f" `{other}`, the best other, by {error:.2f}."
            )
    return found


def _few_items(rows: pd.DataFrame) -> list[str]:
    found = []
    for kind in rows["kind"].unique():
        other, error = _best_other(rows, kind, 10)
        found.append(
            f"10 items, {kind}: the default errs by {_mae(rows, kind, DEFAULT, 10):.2f} points, the control by"
            f" {_mae(rows, kind, CONTROL, 10):.2f}, `{other}`, the best other, by {error:.2f}."
        )
    return found


def _single(boards: dict[str, pd.DataFrame], size: int = 100) -> list[str]:
    found = []
    for name, rows in boards.items():
        part = rows[(rows["benchmark"] != ALL) & (rows["size"] == size) & (rows["kind"] == "random")]
        if part.empty:
            continue
        mean = part.groupby(["benchmark", "method"])["mae"].mean().unstack()  # noqa: PD010
        known = mean.dropna(subset=[DEFAULT, CONTROL])
        better = int((known[DEFAULT] < known[CONTROL]).sum())
        found.append(
            f"{name}: from the same {size} items the default's error of single benchmarks is"
            f" {known[DEFAULT].median():.1f} points on the median benchmark, the control's"
            f" {known[CONTROL].median():.1f}; the default's is smaller on {better} of {len(known)}."
        )
    return found


def _continuous(full: dict[str, pd.DataFrame]) -> list[str]:
    names = ("wmdp_bio_prob", "wmdp_bio_binary")
    if not set(names) <= set(full):
        return []
    prob, acc = (
        mean_of(full[n])["spearman"].xs("random", level="kind").xs(ALL, level="benchmark") for n in names
    )
    error = [mean_of(full[n])["mae"].xs("random", level="kind").xs(ALL, level="benchmark") for n in names]
    sizes = sorted({n for m, n in prob.index if m == DEFAULT})
    each = [", ".join(f"{x[DEFAULT, n]:.3f}" for n in sizes) for x in (prob, acc)]
    points = [", ".join(f"{x[DEFAULT, n]:.2f}" for n in sizes) for x in error]
    return [
        f"wmdp_bio, the same answers of 64 models: the default errs by {points[0]} points of mean probability and by"
        f" {points[1]} points of accuracy at {_listed(sizes)} items; ρ with the view's own full ranking is {each[0]} and"
        f" {each[1]}."
    ]


def _seeds(noise: pd.DataFrame) -> list[str]:
    found = []
    for name, part in noise[noise["fleet"].astype(bool)].groupby("set", sort=False):
        t = part.set_index("method")
        others = t.drop(["full"])
        found.append(
            f"{name}: the seeds differ by E = {100 * t.loc['full', 'E']:.2f} points on all items, {100 * t.loc['random + mean', 'E']:.2f}"
            f" on 100 random ones, {100 * t.loc[DEFAULT, 'E']:.2f} by the default and {100 * t.loc['steady + mean', 'E']:.2f}"
            f" on steady items with a mean; SNR {t.loc['full', 'snr']:.0f}, {t.loc['random + mean', 'snr']:.0f},"
            f" {t.loc[DEFAULT, 'snr']:.0f} and {t.loc['steady + mean', 'snr']:.0f}; the most monotone subset is"
            f" `{others['monotonicity'].astype(float).idxmax()}` ({others['monotonicity'].max():.2f}, all items"
            f" {t.loc['full', 'monotonicity']:.2f}), the most pairs of models are right by"
            f" `{others['decision_accuracy'].astype(float).idxmax()}` ({100 * others['decision_accuracy'].max():.1f} %,"
            f" the default {100 * t.loc[DEFAULT, 'decision_accuracy']:.1f} %, random + mean"
            f" {100 * t.loc['random + mean', 'decision_accuracy']:.1f} %)."
        )
    others = noise[~noise["fleet"].astype(bool)]
    if len(others):
        wide = {
            c: others.pivot_table(index="set", columns="method", values=c)
            for c in ("ratio", "snr", "decision_accuracy")
        }
        n = len(wide["ratio"])
        said = "; ".join(
            f"`{m}` E {wide['ratio'][m].median():.2f} times that of all items, SNR larger than random items' on"
            f" {int((wide['snr'][m] > wide['snr']['random + mean']).sum())}, decision accuracy"
            f" {100 * wide['decision_accuracy'][m].median():.1f} %"
            for m in ("random + mean", DEFAULT, "steady + mean", "steady + blend", "stratified + gp-irt")
        )
        found.append(f"nlu_test_sets, median of {n} sets, 100 items: {said}.")
    return found


def _never(rows: pd.DataFrame) -> list[str]:
    found = []
    mean = mean_of(rows)["mae"].xs(ALL, level="benchmark")
    for kind, method, what in (
        ("random", "robust + mean", "Do not report the raw accuracy of a chosen subset"),
        ("random", "correctness anchors + mean", "Nor a mean weighted by clusters of items"),
        ("random", "IRT anchors + gp-IRT", "Do not estimate an ability without a prior from few items"),
        ("weak-to-strong", "lasso + ridge", "Do not trust a regression beyond the models it was fitted to"),
    ):
        if (kind, method, 30) in mean.index:
            found.append(
                f"{what}: `{method}` errs by {mean[kind, method, 30]:.2f} points at 30 items and"
                f" {mean[kind, method, 100]:.2f} at 100 ({kind} splits), the default by {mean[kind, DEFAULT, 30]:.2f} and"
                f" {mean[kind, DEFAULT, 100]:.2f}."
            )
    return found


def _table(full: dict[str, pd.DataFrame]) -> list[str]:
    """At a glance: the method with the smallest error at 30 and 100 items, by board and kind of splits."""
    lines = [
        "The smallest error on each board, of irtbench's own methods (default and control: at 30, 100 items):",
        "",
    ]
    lines += [
        "| board | splits | models | 30 items | 100 items | default | control |",
        "|---|---|--:|---|---|--:|--:|",
    ]
    for name, rows in full.items():
        for kind in rows["kind"].unique():
            best, own, control = [], [], []
            for n in (30, 100):
                mean = mean_of(rows[(rows["kind"] == kind) & (rows["size"] == n)])["mae"].droplevel([0, 1, 3])
                mean = mean[[m for m in OURS if m in mean.index]]
                best.append(f"`{mean.idxmin()}` {mean.min():.2f}")
                own.append(f"{mean[DEFAULT]:.2f}")
                control.append(f"{mean[CONTROL]:.2f}")
            n_old = rows.loc[rows["kind"] == kind, "n_calibration"].mean()
            cells = [name, kind, f"{n_old:.0f}", *best, ", ".join(own), ", ".join(control)]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cost(rows: pd.DataFrame) -> list[str]:
    cost = rows[rows["size"] == 100].groupby("method")[["build_s", "estimate_ms"]].mean()
    said = "; ".join(
        f"`{m}` {cost.loc[m, 'build_s']:.1f} CPU s and {cost.loc[m, 'estimate_ms']:.2f} ms a model"
        for m in (DEFAULT, "stratified + gp-irt", "lasso + ridge", "IRT anchors + gp-IRT")
        if m in cost.index
    )
    n = np.mean(rows["n_calibration"])
    return [f"100 of 2,191 items, {n:.0f} calibration models on average, to build and to estimate: {said}."]


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) if numbers else "no"
