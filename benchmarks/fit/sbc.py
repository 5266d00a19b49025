"""Simulation-based calibration: is the truth a draw like any other from the posteriors that fits report?

Populations, items and abilities are drawn from the prior of a recipe, responses from them, and the rank of
the truth among posterior draws is uniform if the posterior is right (Talts et al. 2018,
https://arxiv.org/abs/1804.06788). A fit reports on the scale where the abilities of the calibration models
have mean 0 and mean square 1, so every quantity is taken on the truth's own such scale: a function of all
parameters as good as any other, and the draws of NUTS are brought to it one by one. The draws of SVI are on
it on average only, which is one of the things that this measures.

    python benchmarks/fit/sbc.py run svi fixed 50 60 --data-sets 300    # adds to results/sbc.parquet
    python benchmarks/fit/sbc.py report                                 # writes sbc.md and sbc.svg
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

import irtbench as ib
from irtbench.irt import nuts
from irtbench.irt.exchange import posterior_draws
from irtbench.irt.recipes import Population, Priors, Recipe
from irtbench.responses.matrix import ResponseMatrix

RESULTS = Path(__file__).parent / "results"
DRAWS = 99  # ranks 0 … 99: a hundred values, five a bin of the chi-square test
BINS = 20
LEVELS = (0.5, 0.8, 0.95)
CHAINS = {"_CHAINS": 2, "_WARMUP": 100, "_DRAWS": 150}  # of NUTS: 99 of 300 draws are ranked
RECIPES = {
    "fixed": Recipe(
        "2pl",
        priors=Priors(
            difficulty=Population(0.0, 0.0, 1.0, 0.0),
            log_discrimination=Population(0.0, 0.0, 0.4, 0.0),
            negative=0.0,
        ),
    ),
    "learned": Recipe(
        "2pl",
        priors=Priors(
            difficulty=Population(0.0, 0.5, 1.0, 0.3),
            log_discrimination=Population(0.0, 0.3, 0.4, 0.3),
            negative=0.0,
        ),
    ),
}
KEYS = ["method", "populations", "n_models", "n_items"]


def truth(recipe: Recipe, n_models: int, n_items: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Abilities and items of a 2PL from the recipe's prior."""
    found = {"ability": rng.normal(size=n_models)}
    for site in ("difficulty", "log_discrimination"):
        prior = getattr(recipe.priors, site)
        mean = rng.normal(prior.mean, prior.mean_sd)
        found[site] = rng.normal(mean, prior.spread * np.exp(rng.normal(0, prior.spread_sd)), n_items)
    return found


def responses(values: dict[str, np.ndarray], rng: np.random.Generator) -> ResponseMatrix:
    """Responses to the items of the truth."""
    p = expit(np.exp(values["log_discrimination"]) * (values["ability"][:, None] - values["difficulty"]))
    return ResponseMatrix.of((rng.random(p.shape) < p).astype(np.float32))


def quantities(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is ranked: by model (…, n_models), by item (…, n_items), or of all (…, 1).

    ``score`` is the expected score over all items, which no choice of scale touches.
    """
    theta, b, log_a = (values[k] for k in ("ability", "difficulty", "log_discrimination"))
    p = expit(np.exp(log_a)[..., None, :] * (theta[..., :, None] - b[..., None, :]))
    shift, scale = theta.mean(-1, keepdims=True), theta.std(-1, keepdims=True)
    b, log_a = (b - shift) / scale, log_a + np.log(scale)
    theta = (theta - shift) / scale
    return {
        "ability": theta,
        "difference": theta - np.roll(theta, 1, axis=-1),
        "difficulty": b,
        "log discrimination": log_a,
        "mean difficulty": b.mean(-1, keepdims=True),
        "mean log discrimination": log_a.mean(-1, keepdims=True),
        "score": p.mean(-1),
    }


def reported(fit: ib.IRTFit, seed: int) -> dict[str, np.ndarray]:
    """Quantities of posterior draws as they are reported: on the scale that the fit gives them."""
    draws = posterior_draws(fit, DRAWS, seed)
    theta, b, a = draws["ability"], draws["difficulty"], draws["discrimination"]
    found = quantities({"ability": theta, "difficulty": b, "log_discrimination": np.log(a)})
    return found | {
        "ability": theta,
        "difference": theta - np.roll(theta, 1, axis=-1),
        "difficulty": b,
        "log discrimination": np.log(a),
        "mean difficulty": b.mean(-1, keepdims=True),
        "mean log discrimination": np.log(a).mean(-1, keepdims=True),
    }


def one(method: str, populations: str, n_models: int, n_items: int, number: int) -> pd.DataFrame:
    """Ranks of the first model's and item's quantities in one data set, and coverages over all of them."""
    rng = np.random.default_rng([number, n_models, n_items, populations == "learned"])
    recipe = RECIPES[populations]
    values = truth(recipe, n_models, n_items, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ib.ConvergenceWarning)
        fit = ib.fit(responses(values, rng), recipe, method=method, seed=number)
    true, drawn = quantities(values), reported(fit, number)
    rows = []
    for name, value in true.items():
        rank = (drawn[name] < value).sum(0)
        u = (rank + rng.random(rank.shape)) / (DRAWS + 1)
        z = (value - drawn[name].mean(0)) / drawn[name].std(0, ddof=1)
        row = {"quantity": name, "rank": int(rank[0]), "u": u[0], "z": z[0], "mean_z2": (z**2).mean()}
        row |= {f"cover_{level}": (np.abs(u - 0.5) < level / 2).mean() for level in LEVELS}
        rows.append(row)
    keys = {"method": method, "populations": populations, "n_models": n_models, "n_items": n_items}
    return pd.DataFrame(rows).assign(**keys, data_set=number, converged=fit.converged, seconds=fit.seconds)


def table(ranks: pd.DataFrame) -> pd.DataFrame:
    """Uniformity of the ranks and coverage, by setting and quantity.

    The tests use one rank a data set, which are independent; p is adjusted by Holm over the quantities of a
    setting and the two tests. Coverage is over all models or items, its standard error over data sets.
    """
    rows = []
    for key, own in ranks.groupby([*KEYS, "quantity"], sort=False):
        counts = np.bincount(own["rank"] * BINS // (DRAWS + 1), minlength=BINS)
        row = dict(zip([*KEYS, "quantity"], key, strict=True)) | {"data_sets": len(own)}
        row["p_chi2"] = stats.chisquare(counts).pvalue if len(own) >= 5 * BINS else np.nan
        row["p_ks"] = stats.kstest(own["u"], "uniform").pvalue
        for level in LEVELS:
            cover = own[f"cover_{level}"]
            row[f"cover_{level}"], row[f"se_{level}"] = cover.mean(), cover.std() / np.sqrt(len(own))
        row["sd_of_z"] = np.sqrt(own["mean_z2"].mean())
        rows.append(row)
    found = pd.DataFrame(rows)
    found["p"] = np.nan
    for _, own in found.groupby(KEYS):
        found.loc[own.index, "p"] = holm(own[["p_chi2", "p_ks"]].to_numpy())
    return found


def holm(p: np.ndarray) -> np.ndarray:
    """Smallest p of each row, adjusted by Holm over all that are given (Holm 1979)."""
    flat = p.ravel()
    given = np.flatnonzero(~np.isnan(flat))
    order = given[np.argsort(flat[given])]
    adjusted = np.full(flat.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(flat[order] * np.arange(len(order), 0, -1)), 1)
    return np.nanmin(adjusted.reshape(p.shape), axis=1)


def band(
    n: int, z: np.ndarray, level: float = 0.95, n_simulations: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    """Simultaneous band of the ECDF of n uniform values at z.

    References:
        Säilynoja, Bürkner & Vehtari (2022), Graphical test for discrete uniformity,
        https://arxiv.org/abs/2103.10522
    """
    u = np.sort(np.random.default_rng(0).random((n_simulations, n)), axis=1)
    counts = np.stack([np.searchsorted(row, z, side="right") for row in u])
    tail = np.minimum(stats.binom.cdf(counts, n, z), stats.binom.sf(counts - 1, n, z))
    gamma = np.quantile(2 * tail.min(axis=1), 1 - level)
    return stats.binom.ppf(gamma / 2, n, z) / n, stats.binom.ppf(1 - gamma / 2, n, z) / n


def picture(ranks: pd.DataFrame, path: Path) -> None:
    """ECDF of the ranks less uniform, by setting and quantity, with simultaneous 95 % bands."""
    from matplotlib.figure import Figure

    settings = list(ranks.groupby(KEYS, sort=False))
    names = list(dict.fromkeys(ranks["quantity"]))
    figure = Figure(figsize=(2.2 * len(names), 1.9 * len(settings)), layout="constrained")
    axes = figure.subplots(len(settings), len(names), sharex=True, sharey="row", squeeze=False)
    z = np.linspace(0.01, 0.99, 99)
    for line, (key, own) in zip(axes, settings, strict=True):
        low, high = band(own["data_set"].nunique(), z)
        for ax, name in zip(line, names, strict=True):
            u = np.sort(own.loc[own["quantity"] == name, "u"])
            ax.fill_between(z, low - z, high - z, color="0.88", lw=0)
            ax.plot(z, np.searchsorted(u, z, side="right") / len(u) - z, color="C0", lw=1.2)
            ax.axhline(0, color="0.5", lw=0.5)
            if line is axes[0]:
                ax.set_title(name, fontsize=8)
            ax.tick_params(labelsize=6)
        line[0].set_ylabel(f"{key[0]}, {key[1]}\n{key[2]} × {key[3]}", fontsize=7)
    figure.supxlabel("rank of the truth / draws", fontsize=8)
    figure.savefig(path)


def report(ranks: pd.DataFrame) -> str:
    """The tables as Markdown."""
    text = [
        "# Simulation-based calibration",
        "",
        "Made by `benchmarks/fit/sbc.py`. `p`: Holm-adjusted over the quantities of a setting, of the chi-square"
        " (20 bins) and Kolmogorov-Smirnov tests of uniform ranks, one rank a data set. Coverage is over all"
        " models or items (± standard error over data sets). `sd of z`: of (truth - mean) / sd, 1 if right;"
        " above 1 the posterior is too narrow.",
    ]
    for key, own in table(ranks).groupby(KEYS, sort=False):
        seconds = ranks.set_index(KEYS).loc[key, "seconds"].median()
        text += [
            "",
            f"## {key[0]}, {key[1]} populations, {key[2]} × {key[3]}: {own['data_sets'].iloc[0]} data sets",
            "",
        ]
        text += [f"Median wall time of a fit {seconds:.2f} s.", ""]
        text += ["| quantity | p | 50 % | 80 % | 95 % | sd of z |", "|---|---|---|---|---|---|"]
        for row in own.to_dict("records"):
            cover = " | ".join(f"{100 * row[f'cover_{k}']:.1f} ± {100 * row[f'se_{k}']:.1f}" for k in LEVELS)
            text.append(f"| {row['quantity']} | {row['p']:.2g} | {cover} | {row['sd_of_z']:.3f} |")
    return "\n".join(text) + "\n"


def main() -> None:
    """Run data sets of one setting, or write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("method", choices=["svi", "laplace", "nuts"])
    run.add_argument("populations", choices=list(RECIPES))
    run.add_argument("n_models", type=int)
    run.add_argument("n_items", type=int)
    run.add_argument("--data-sets", type=int, default=300)
    run.add_argument("--first", type=int, default=0)
    run.add_argument("--out", type=Path, default=RESULTS / "sbc.parquet")
    made = commands.add_parser("report")
    made.add_argument("--out", type=Path, default=RESULTS / "sbc.parquet")
    given = parser.parse_args()
    if given.command == "run":
        for name, value in CHAINS.items():
            setattr(nuts, name, value)
        for number in range(given.first, given.first + given.data_sets):
            found = one(given.method, given.populations, given.n_models, given.n_items, number)
            if given.out.exists():
                found = pd.concat([pd.read_parquet(given.out), found])
            given.out.parent.mkdir(parents=True, exist_ok=True)
            found.drop_duplicates([*KEYS, "data_set", "quantity"], keep="last").to_parquet(
                given.out, index=False
            )
        return
    ranks = pd.read_parquet(given.out)
    given.out.with_suffix(".md").write_text(report(ranks), encoding="utf-8")
    picture(ranks, given.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
