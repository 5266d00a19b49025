"""One sentence under each picture of the variance page: what it shows, as a number with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from irtbench.subsets.estimators import PREDICTORS

if TYPE_CHECKING:
    from irtbench.compare import SubsetStudy

__all__ = [
    "crossing_finding",
    "curves_finding",
    "estimates_finding",
    "halves_finding",
    "scatter_finding",
    "strips_finding",
    "subset_curves_finding",
    "variance_verdict",
    "views_finding",
]

CONTROLS = ("the same estimator", "the subset's IRT model")  # of random items; a regression has its own


def variance_verdict(table: pd.DataFrame, *, unit: str = "points", scale: float = 100.0) -> str:
    """Say how far seeds alone move a score, and on how many benchmarks that is more than items explain."""
    E, effect = scale * table["E"].dropna(), table["effect_low"] > 1
    if E.empty:
        return "How far another seed moves a score is not known: no checkpoint counts."
    smallest, largest = E.min(), E.max()
    gap = 1.96 * np.sqrt(2) * E.median()
    return (
        f"Another seed alone moves a score by a standard deviation E of {_n(smallest)} to {_n(largest)}"
        f" {unit} (median {_n(E.median())}): two single runs that differ by less than about {_n(gap)} {unit}"
        " on the median benchmark may differ by their seeds only."
        f" In {_share(int(effect.sum()), len(table))} pairs of recipe and benchmark seeds shift all items"
        " together (design effect above 1 with its whole interval): there, more items do not help, more"
        " seeds do."
    )


def curves_finding(
    table: pd.DataFrame, *, level: float = 0.95, unit: str = "points", scale: float = 100.0
) -> str:
    """Say which benchmark's seeds differ most and least, and which curve is the steadiest."""
    known = table.dropna(subset=["E"])
    if known.empty:
        return "How far the seeds differ is not known: no checkpoint counts."
    rows = [known.loc[[known["E"].idxmax()]], known.loc[[known["E"].idxmin()]]]
    most, least = (f"{_named(row, table)}, E = {_limits(row, 'E', scale, unit, level)}" for row in rows)
    text = f"Seeds differ most on {most}"
    if len(known) > 1:
        text += f", and least on {least}"
    steady = table.dropna(subset=["monotonicity"])
    if len(steady):
        best = steady.loc[[steady["monotonicity"].idxmax()]]
        text += (
            f". The steadiest rise: {_named(best, table)}, τ = {_limits(best, 'monotonicity', 1, '', level)}"
        )
    return text + "."


def strips_finding(table: pd.DataFrame, *, level: float = 0.95) -> str:
    """Say where seeds spread more than the error over items, on one footing."""
    known = table.dropna(subset=["ratio"])
    if known.empty:
        return "The error over items is not known, so seeds cannot be compared with it."
    top = known.loc[[known["ratio"].idxmax()]]
    above, below = int((known["ratio_low"] > 1).sum()), int((known["ratio_high"] < 1).sum())
    return (
        f"One standard deviation over seeds is {known['ratio'].median():.2f} standard errors over items"
        f" (median); most on {_named(top, table)}: {_limits(top, 'ratio', 1, '', level)}. Of"
        f" {len(known)} pairs of recipe and benchmark the whole interval lies above 1 in {above}, below in"
        f" {below}."
    )


def halves_finding(stability: pd.DataFrame, level: float = 0.95) -> str:
    """Say whether items that tell weak models apart also tell strong ones apart, beside random halves."""
    texts = []
    for kind, words in (("capability", "the weaker and the stronger half"), ("random", "random halves")):
        r = stability[stability["kind"] == kind]["pearson"].dropna()
        if len(r):
            low, high = r.quantile([(1 - level) / 2, (1 + level) / 2])
            texts.append(
                f"{_n(r.median())} between {words} ({_n(low)} to {_n(high)} in {_percent(level)} of"
                f" {len(r)} splits)"
            )
    if not texts:
        return "No item varies in both halves of the models."
    return f"The discriminations of the items correlate {', '.join(texts)}."


def views_finding(table: pd.DataFrame, level: float = 0.95) -> str:
    """Say which view has the larger signal-to-noise ratio, and on how many benchmarks.

    Args:
        table: from :func:`irtbench.variance.views_by_benchmark`, of two views.
        level: of its intervals.
    """
    a, b = dict.fromkeys(table["view"])
    wide = table.set_index(["benchmark", "family", "view"])
    pairs = wide["snr"].unstack("view").replace(np.inf, np.nan).dropna()  # noqa: PD010
    if pairs.empty:
        return "The signal-to-noise ratio of these views is not known."
    better, worse = (a, b) if (pairs[a] > pairs[b]).sum() >= len(pairs) / 2 else (b, a)
    wins = int((pairs[better] > pairs[worse]).sum())
    place = (pairs[better] / pairs[worse]).sort_values().index[len(pairs) // 2]
    one, other = (_limits(wide.loc[[(*place, view)]], "snr", 1, "", level) for view in (better, worse))
    where = place[0] if len(set(table["family"])) == 1 else f"{place[0]} ({place[1]})"
    return (
        f"The signal-to-noise ratio over seeds is larger in {better} than in {worse} for"
        f" {_share(wins, len(pairs))} pairs of recipe and benchmark; on the median one, {where}, {one}"
        f" against {other}."
    )


def crossing_finding(row: Mapping[str, Any], views: tuple[str, str], level: float = 0.95) -> str:
    """Say where the winner overtakes for good, or that it is ahead from the first checkpoint on."""
    other = next(view for view in views if view != row["winner"])
    where = f"{row['benchmark']} ({row['family']})"
    if np.isnan(row["crossover"]):
        return f"On {where}, {row['winner']} is ahead of {other} at every checkpoint: there is no crossover."
    seen = f"{_percent(row['probability'])} of the resampled seeds show a crossing"
    return (
        f"On {where}, {row['winner']} overtakes {other} for good at {_step(row['crossover'])}"
        f" ({_percent(level)} interval over {int(row['n_seeds'])} seeds {_step(row['low'])} to"
        f" {_step(row['high'])}; {seen})."
    )


def scatter_finding(agreement: pd.DataFrame, views: tuple[str, str], level: float = 0.95) -> str:
    """Say how the two views' scores correlate over models.

    Args:
        agreement: from :func:`irtbench.variance.agreement_of_views`.
        views: their names.
        level: of its intervals.
    """
    r, rho = (agreement.loc[[name]] for name in ("pearson", "spearman"))
    return (
        f"Over {int(agreement['n_models'].iloc[0])} runs, {views[0]} and {views[1]} correlate"
        f" {_limits(r, 'correlation', 1, '', level, ends=('low', 'high'))} (Pearson) and"
        f" {_limits(rho, 'correlation', 1, '', level, ends=('low', 'high'))} (ranks)."
    )


def estimates_finding(study: SubsetStudy) -> str:
    """Say how far the estimates lie from the full scores, beside random items; how many intervals hold."""
    from scipy.stats import beta

    rows = study.estimates
    held = int(((rows["full"] >= rows["lower"]) & (rows["full"] <= rows["upper"])).sum())
    n = len(rows)
    low, high = beta.ppf([0.025, 0.975], [max(held, 1e-9), held + 1], [n - held + 1, max(n - held, 1e-9)])
    error = study.errors * 100
    texts = {
        role: _limits(error.loc[[role]], "mae", 1, "points", 0.95, ends=("low", "high"))
        for role in error.index
    }
    way = CONTROLS[study.method in PREDICTORS]
    same = "" if study.method == "mean" else f" and with their plain mean {texts['plain']}"
    text = (
        f"The estimates ({study.method}) miss the full score by {texts['chosen']} on average; with"
        f" {study.size} random items {way} misses it by {texts['control']}{same}."
        f" {held} of {n} intervals of {_percent(study.level)} hold it ({_percent(held / n)}; were the runs"
        f" independent, 95 % interval {_percent(low)} to {_percent(high)})."
    )
    if study.calibrated_here:
        text += (
            " The subset was chosen from these same responses: its errors and intervals look better than"
            " they are."
        )
    return text


def subset_curves_finding(study: SubsetStudy) -> str:
    """Say what the subset's seed variance owes to its size, and what to the choice of its items."""
    methods, parts = study.variance.methods, study.variance.parts * 100
    E = {role: _limits(100 * methods.loc[[role]], "E", 1, "", 0.95) for role in ("full", "chosen", "control")}
    choice = parts.loc["choice"]
    known = not np.isnan(choice["low"])
    says = "the interval holds 0, so more than size and estimator make is not shown"
    if known and choice["low"] > 0:
        says = "the choice of the items adds noise"
    elif known and choice["high"] < 0:
        says = "the choice of the items removes noise"
    limits = f" (95 % interval {_s(choice['low'])} to {_s(choice['high'])})" if known else ""
    return (
        f"E over seeds, in points: {E['full']} from all items, {E['chosen']} from the subset,"
        f" {E['control']} from random items with {CONTROLS[study.method in PREDICTORS]}. The choice of the"
        " items makes"
        f" {_s(choice['E'])}{limits}{': ' + says if known else ', its interval needs three seeds'}."
    )


def _named(row: pd.DataFrame, table: pd.DataFrame) -> str:
    family, benchmark = row.index[0]
    return str(benchmark) if len(set(table.index.get_level_values(0))) == 1 else f"{benchmark} ({family})"


def _limits(
    row: pd.DataFrame,
    column: str,
    scale: float,
    unit: str,
    level: float,
    *,
    ends: tuple[str, str] | None = None,
) -> str:
    """``1.2 points (95 % interval 0.9 to 1.8)``."""
    ends = ends or (f"{column}_low", f"{column}_high")
    value, low, high = (scale * float(row[c].iloc[0]) for c in (column, *ends))
    text = f"{_n(value)} {unit}".strip()
    return text if np.isnan(low) else f"{text} ({100 * level:g} % interval {_n(low)} to {_n(high)})"


def _n(value: float) -> str:
    """Three figures at most, a real minus sign."""
    if np.isnan(value):
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}".replace("-", "−")


def _s(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _step(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.3g} %"


def _share(k: int, n: int) -> str:
    return f"all {n}" if k == n else f"{k} of {n}"
