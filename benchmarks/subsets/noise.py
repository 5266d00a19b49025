"""Lower variance, not only lower error: seeds and checkpoints scored on 100 items chosen in different ways.

    python benchmarks/subsets/noise.py [--quick]

Seed sd E, signal-to-noise ratio, monotonicity, MDAD and decision accuracy of each subset against the full
benchmark and a random subset of equal size, on the fleet (``seedlings``) and on ``nlu_test_sets``. Items and
estimators are calibrated on models that are not scored, in folds:

* fleet: half of the population and half of the ten seeds calibrate (all checkpoints); the other halves are
  scored, and in one fold also the five runs with other orders of the data, which never calibrate;
* test sets: each recipe of three pre-training runs is scored by the other recipes and the other models.

To ``steady`` the runs of one recipe at one checkpoint are one model: what differs between them is the seed.
Finished sets are kept; ``tables.py`` writes the page.
"""

from __future__ import annotations

import argparse
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import irtbench as ib  # noqa: E402
from benchmarks.paper.nlu_test_sets import LARGE, matrix, sets  # noqa: E402
from irtbench.files import atomic_file  # noqa: E402
from irtbench.subsets.crossfit import cross_fit  # noqa: E402
from irtbench.subsets.population import prepare  # noqa: E402
from irtbench.variance import decision_accuracy, mdad, one_run_each, random_estimates, subset_variance  # noqa: E402

__all__ = ["METHODS", "fleet", "main", "test_set"]

SIZE, PLAIN, DRAWS = 100, 100, 6
# selection, estimator, and the random items with the same estimator that it is held against
METHODS = {
    "irtbench": ("robust", "blend", "random + blend"),
    "robust + mean": ("robust", "weighted", "random + mean"),
    "steady + blend": ("steady", "blend", "random + blend"),
    "steady + mean": ("steady", "weighted", "random + mean"),
    "stratified + mean": ("stratified", "weighted", "random + mean"),
    "stratified + gp-irt": ("stratified", "gp-irt", "random + gp-irt"),
    "stratified + blend": ("stratified", "blend", "random + blend"),
    "random + blend": ("random", "blend", "random + blend"),
    "random + gp-irt": ("random", "gp-irt", "random + gp-irt"),
}
_DRAWN = ("random", "stratified")


@dataclass(frozen=True, eq=False)
class Fold:
    """Models that calibrate, and runs that are scored: positions of (recipes, seeds, steps) among them."""

    calibrate: ib.ResponseMatrix
    scored: ib.ResponseMatrix
    grid: np.ndarray


def _scores(fold: Fold, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Estimates (draws, n_scored) of every method; ``full`` (1, n_scored)."""
    C, S = fold.calibrate, fold.scored
    values = S.values.astype(float)
    found = {
        "full": values.mean(axis=1)[None],
        "random + mean": random_estimates(values, SIZE, PLAIN, seed=seed),
    }
    shared, bank = prepare(C), ib.fit(C, device="cpu").bank
    folds = cross_fit(C, bank, device="cpu")
    subsets: dict[tuple[str, int], ib.Subset] = {}
    for name, (selection, estimator, _) in METHODS.items():
        each = []
        for k in range(draws if selection in _DRAWN else 1):
            if (selection, k) not in subsets:
                own = {"bank": bank, "fitted": folds} if selection in _DRAWN else {}
                subsets[selection, k] = ib.select(
                    C, SIZE, selection, irt=None, seed=seed + k, device="cpu", prepared=shared, **own
                )
            subset = subsets[selection, k]
            each.append(ib.estimate(subset, S.take(items=subset.items), estimator)["score"].to_numpy())
        found[name] = np.stack(each)
    return found


def fleet(framing: str) -> tuple[list[Fold], list[np.ndarray]]:
    """Two folds, and of each the rows among the scored ones that are distinct models."""
    R = ib.read(f"seedlings/{framing}_acc")
    about = R.models
    arm, seed = about["arm"].to_numpy(), about["seed"].to_numpy()
    people = np.array(one_run_each(R.take(models=arm == "population")).model_ids, dtype=object)
    people = np.random.default_rng(0).permutation(people)
    seeds = sorted(set(seed[arm == "seeds"]))
    ids, folds, distinct = np.array(R.model_ids, dtype=object), [], []
    for f in range(2):
        mine = people[f::2]
        own = ids[(arm == "seeds") & np.isin(seed, seeds[f::2])]
        recipes = [ids[(arm == "seeds") & np.isin(seed, seeds[1 - f :: 2])]]
        recipes += [ids[arm == "orders"]] if f == 0 else []
        rest = people[1 - f :: 2]
        calibrate = _by_checkpoint(R.take(models=[*mine, *own]))
        folds.append(Fold(calibrate, *_runs(R, recipes, list(rest))))
        distinct.append(np.arange(len(rest)))
    return folds, distinct


def test_set(data: Path, name: str) -> tuple[list[Fold], list[np.ndarray]]:
    """A fold for each recipe with replicates."""
    R = matrix(data, name)
    family = R.models["family"].to_numpy()
    runs = R.models.groupby("family")["seed"].nunique()
    folds = []
    for recipe in runs.index[runs >= 3]:
        others = _by_checkpoint(R.take(models=family != recipe))
        folds.append(Fold(others, *_runs(R, [np.array(R.model_ids, dtype=object)[family == recipe]], [])))
    return folds, []


def _by_checkpoint(R: ib.ResponseMatrix) -> ib.ResponseMatrix:
    """The runs of a recipe at one checkpoint as one model with several seeds."""
    about = R.models
    recipe = about["family"].astype(str)
    lone = recipe.groupby(recipe).transform("size") == 1
    name = recipe.where(lone, recipe + "@" + about["step"].astype(str))
    return ib.ResponseMatrix.of(R.values, about.assign(name=name), R.items, metric=R.metric)


def _runs(
    R: ib.ResponseMatrix, recipes: list[np.ndarray], first: list[str]
) -> tuple[ib.ResponseMatrix, np.ndarray]:
    """The rows to score, ``first`` first, and the positions of the runs (recipes, seeds, steps)."""
    from irtbench.variance.runs import step_order

    grid, ids = [], list(first)
    for members in recipes:
        about = R.models.loc[list(members)]
        steps = sorted(about["step"].unique(), key=step_order)
        rows = about.reset_index().set_index(["seed", "step"])[about.index.name]
        one = [[rows[s, t] for t in steps] for s in sorted(about["seed"].unique())]
        grid.append(np.arange(len(ids), len(ids) + len(members)).reshape(len(one), len(steps)))
        ids += [m for row in one for m in row]
    return R.take(models=ids), np.stack(grid)


def measured(folds: list[Fold], distinct: list[np.ndarray], draws: int, seed: int = 0) -> pd.DataFrame:
    """All measures of every method, a row each; the folds' recipes side by side."""
    with warnings.catch_warnings():
        for category in (ib.DataWarning, ib.ExtrapolationWarning, ib.ConvergenceWarning):
            warnings.simplefilter("ignore", category)
        scores = [_scores(fold, draws, seed) for fold in folds]
    grids = {
        name: np.concatenate([x[name][:, fold.grid] for x, fold in zip(scores, folds, strict=True)], axis=1)
        for name in scores[0]
    }
    rows = {}
    for name in ("full", "random + mean", *METHODS):
        control = METHODS[name][2] if name in METHODS else "random + mean"
        found = subset_variance(
            grids["full"][0],
            grids[name],
            grids[control],
            grids["random + mean"],
            n_items=folds[0].scored.n_items,
            size=SIZE,
        )
        row = found.methods.loc["full" if name == "full" else "chosen"].to_dict()
        row = {k: v for k, v in row.items() if not k.startswith("mdad")}  # its own below, with wider bins
        choice = found.parts.loc["choice"]
        row |= {"choice": choice["E"], "choice_low": choice["low"], "choice_high": choice["high"]}
        last = grids["full"][0][..., -1].reshape(-1)
        row |= _gap(last, grids[name][..., -1].reshape(-1, len(last)))
        if distinct:
            row |= _decisions(
                [x[name][:, d] for x, d in zip(scores, distinct, strict=True)],
                [x["full"][0, d] for x, d in zip(scores, distinct, strict=True)],
            )
        if name == "full":
            row["mdad"] = np.nan
        rows[name] = row
    return pd.DataFrame(rows).T.rename_axis("method").reset_index()


def _gap(full: np.ndarray, estimates: np.ndarray) -> dict[str, float]:
    """Gap from which on pairs are ordered alike, in bins of a point: narrower ones hold few pairs."""
    found = mdad(full, estimates, bin_width=0.01, stays=True, resamples=0)
    return {"mdad": float(found["mdad"].iloc[0])}


def _decisions(estimates: list[np.ndarray], full: list[np.ndarray]) -> dict[str, float]:
    """Share of pairs of held-out models in the right order, MDAD and MAE; mean over folds and draws."""
    right = [
        decision_accuracy(y, truth, resamples=2)["accuracy"].item()
        for x, truth in zip(estimates, full, strict=True)
        for y in x
    ]
    error = [np.abs(x - truth).mean() for x, truth in zip(estimates, full, strict=True)]
    return {
        "decision_accuracy": float(np.mean(right)),
        "mdad": float(np.mean([_gap(y, x)["mdad"] for x, y in zip(estimates, full, strict=True)])),
        "mae": float(np.mean(error)),
    }


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--set", nargs="*", help="seedlings_completion, seedlings_choice or test sets; all by default"
    )
    parser.add_argument("--draws", type=int, default=DRAWS, help="random subsets with each estimator")
    parser.add_argument("--quick", action="store_true", help="two draws, another folder")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/subsets/.splits"))
    given = parser.parse_args()
    work = (given.work / "quick" if given.quick else given.work) / "noise"
    nlu = given.data / "nlu_test_sets"
    known = ["seedlings_completion", "seedlings_choice"]
    if nlu.is_dir():
        sizes = sets(nlu)
        known += list(sizes.index[sizes >= LARGE])
    for name in given.set or known:
        path = work / f"{name}.parquet"
        if path.is_file():
            continue
        began = time.process_time()
        own = name.startswith("seedlings_")
        folds, distinct = fleet(name.removeprefix("seedlings_")) if own else test_set(nlu, name)
        found = measured(folds, distinct, 2 if given.quick else given.draws)
        found = found.assign(set=name, n_items=folds[0].scored.n_items, fleet=own)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            found.to_parquet(temporary, index=False)
        print(f"{name}: {time.process_time() - began:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
