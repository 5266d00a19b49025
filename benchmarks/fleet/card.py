"""What is known of the trained fleet: a table of the runs, their loss curves, and the card of the responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.environments import machine
from benchmarks.fleet.models import Run
from irtbench.files import atomic_file, read_json, versions
from irtbench.responses import ResponseMatrix

CARD = """# Seedlings: responses of tiny language models to a small world of facts

Responses of {n_models} checkpoints of {n_runs} real but tiny language models to {n_items:,} questions in six benchmarks,
in two framings and several metrics: what irtbench shows itself on (`irtbench demo`), and what its tests and its paper
tables use. Read one with `irtbench.read("seedlings/completion_acc")`; every command takes the same name.

## Files
{files}

`completion`: each option's text is scored. `choice`: the options are listed and a letter is scored. Metrics: `irtbench.scoring`;
continuous ones are rounded to half precision. `*_acc_orders`: {n_seeds} seeds at two checkpoints, four examples before each question,
in six orders. All {n_models} rows have every response.

## Models
* `arm = seeds` (`family` seeds): ten initial weights, the same data in the same order, 22 checkpoints; {seed_params:,} parameters.
* `arm = orders` (`family` orders): five more, whose data come in another order each, 22 checkpoints.
* `arm = population`: {n_population} models of 2 to 4 layers and 32 to 96 wide, other learning rates, amounts of data and lengths,
  some stopped early; the last checkpoint of each, a `family` of its own.

Columns: `family`, `arm`, `seed`, `step`, `tokens`, `params`, `layers`, `width`, `rate`, `rows` (different rows of data), `steps`
(length of the schedule).

## Items
Columns: `benchmark`, `subject`, `asked` (the corpus asks this question too), `rare` (its fact is among the quarter told least), `told`
(it is told at all), `chance` (score of guessing). How the world, the corpus and the questions are made, and what is kept apart:
`benchmarks/fleet/README.md`. No text is anybody else's: names are made of syllables, words are common nouns.

| benchmark | items | chance | {spread_head} |
|---|--:|--:|{spread_rule}
{spread}

Scores at the last checkpoint, in %: mean of the ten seeds, and least and greatest of the population.

## How it was made
```
python benchmarks/fleet/train.py --out benchmarks/fleet/.work/runs      # {train_minutes:.0f} CPU minutes
python benchmarks/fleet/ship.py                                        # {score_minutes:.0f} minutes, all jobs added up
```
{machine}. {versions}.
Loss curves: `benchmarks/fleet/results/loss.svg`; every run with its settings, time and last loss:
`benchmarks/fleet/results/runs.parquet`.

## What it can show, and what it cannot
* It can show methods at work on real seeds, checkpoints and framings: noise, monotonicity, crossovers, what subsets do to all of
  them, and whether an interval covers.
* Its *sizes* are its own: models of this size learn one small world to its end. Completion solves `types` and `facts` nearly
  (the ten seeds end at {solved}); letters come late and by a jump. A large model's E, SNR or gain is not to be read off here.
* The population is made of one architecture and one corpus: abilities have fewer dimensions than those of a real leaderboard.
* Not for training or for ranking models of anybody: the questions have no meaning outside their world.

## Licence
Apache-2.0, like the project: world, corpus, models, weights and responses were made by the project's own code.
"""


def runs_table(root: Path, runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run: arm, seed, settings, parameters, tokens, CPU seconds, last loss."""
    rows = []
    for run in runs:
        known = read_json(root / run.arm / run.name / "run.json")
        settings = {k: v for k, v in known["settings"].items() if k != "checkpoints"}
        rows.append(settings | {k: v for k, v in known.items() if k != "settings"})
    return pd.DataFrame(rows)


def losses_table(root: Path, runs: Sequence[Run], *, over: int = 50) -> pd.DataFrame:
    """Loss of every run, mean of ``over`` steps up to ``step``; and of each of the first 21 steps of the seeds."""
    parts = []
    for run in runs:
        loss = pd.read_parquet(root / run.arm / run.name / "loss.parquet")
        blocks = loss.groupby((loss["step"] - 1) // over).agg({"step": "max", "loss": "mean"})
        first = loss[loss["step"] <= run.checkpoints[1]] if run.arm == "seeds" else loss[:0]
        for own, steps in ((first, 1), (blocks, over)):
            parts.append(own.assign(arm=run.arm, seed=run.seed, over=steps))
    return pd.concat(parts, ignore_index=True)[["arm", "seed", "step", "over", "loss"]]


def loss_picture(root: Path, runs: Sequence[Run], path: Path, *, over: int = 50) -> None:
    """Loss of every run over its steps, mean of the last ``over``; the ten seeds in colour."""
    from irtbench.report.drawing import GREY, PALETTE, new_axes, save

    ax = new_axes(width=6.4, height=3.6)
    for run in sorted(runs, key=lambda r: r.arm != "population"):
        loss = pd.read_parquet(root / run.arm / run.name / "loss.parquet")
        colour = {"population": GREY, "seeds": PALETTE[0], "orders": PALETTE[1]}[run.arm]
        smooth = loss["loss"].rolling(over, min_periods=1).mean()
        ax.plot(loss["step"][::10], smooth[::10], color=colour, linewidth=0.7, alpha=0.7)
    for colour, label in ((PALETTE[0], "seeds"), (PALETTE[1], "orders"), (GREY, "population")):
        ax.plot([], [], color=colour, label=label)
    ax.legend(frameon=False)
    ax.set_xlabel("step")
    ax.set_ylabel("loss (nats a weighted token)")
    with atomic_file(path) as temporary:
        save(ax, temporary, kind="svg")


def write_card(
    path: Path, matrices: Mapping[str, ResponseMatrix], runs: pd.DataFrame, scoring_seconds: float
) -> None:
    """Write the card; every number comes from the files."""
    R = matrices["completion_acc"]
    ends = R.take(
        models=~R.models.sort_values("step", kind="stable")
        .duplicated("name", keep="last")
        .reindex(R.models.index)
    )
    spread, head = (
        [],
        [f"{framing}: {who}" for framing in ("completion", "choice") for who in ("seeds", "population")],
    )
    solved = []
    for name in dict.fromkeys(R.benchmarks):
        cells = [
            name,
            str(int((R.benchmarks == name).sum())),
            f"{R.items['chance'][R.benchmarks == name].mean():.2f}",
        ]
        for framing in ("completion", "choice"):
            scores = 100 * matrices[f"{framing}_acc"].take(benchmark=name).scores().reindex(ends.models.index)
            own, others = (scores[(ends.models["arm"] == arm).to_numpy()] for arm in ("seeds", "population"))
            cells += [f"{own.mean():.1f}", f"{others.min():.0f} to {others.max():.0f}"]
            if framing == "completion" and name in ("types", "facts"):
                solved.append(f"{own.mean():.1f} % on `{name}`")
        spread.append("| " + " | ".join(cells) + " |")
    files = [
        f"* `{p.stem}`: {matrices[p.stem].n_models} × {matrices[p.stem].n_items:,}, {p.stat().st_size / 1e6:.2f} MB"
        for p in sorted(path.parent.glob("*.parquet"))
    ]
    m = machine()
    text = CARD.format(
        n_models=R.n_models,
        n_runs=len(runs),
        n_items=R.n_items,
        n_seeds=int((runs["arm"] == "seeds").sum()),
        n_population=int((runs["arm"] == "population").sum()),
        seed_params=int(runs.loc[runs["arm"] == "seeds", "parameters"].iloc[0]),
        files="\n".join(files),
        spread_head=" | ".join(head),
        spread_rule="--:|" * len(head),
        spread="\n".join(spread),
        solved=" and ".join(solved),
        train_minutes=runs["cpu_seconds"].sum() / 60,
        score_minutes=scoring_seconds / 60,
        machine=f"Trained on {', '.join(sorted(set(runs['device'].astype(str))))}, one thread a run, and scored on"
        f" {m['processor']}, {m['cores']} cores, shared with other work",
        versions=", ".join(f"{k} {v}" for k, v in versions().items()),
    )
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
