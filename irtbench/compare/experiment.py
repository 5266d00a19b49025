"""Compare subset methods: build them on some models, test them on others, many times."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from irtbench.compare.methods import Method, parse_methods
from irtbench.errors import ConvergenceWarning, DataWarning, ExtrapolationWarning, InputError
from irtbench.executor import ExecutorName, run_unfinished
from irtbench.files import atomic_file, fingerprint, versions
from irtbench.responses.checks import refuse_beyond_unit
from irtbench.responses.matrix import Average, ResponseMatrix, item_weights
from irtbench.responses.splits import Split, SplitKind
from irtbench.responses.splits import split as split_models

__all__ = ["Plan", "compare"]

MIN_OBSERVED = 0.99  # share of the full score that a test model must have
FEW_MODELS = 30
COLUMNS = ["method", "size", "seed", "split", "model", "truth", "score", "lower", "upper", "n_calibration"]


@dataclass(frozen=True)
class Plan:
    """What every split is put through."""

    sizes: tuple[int, ...]
    methods: tuple[Method, ...]
    n_seeds: int
    average: Average
    irt: str
    level: float
    seed: int
    device: str


def compare(
    responses: ResponseMatrix,
    sizes: Sequence[int] = (10, 30, 100),
    methods: Iterable[str] | None = None,
    split: SplitKind = "random",
    n_splits: int = 24,
    *,
    n_seeds: int = 2,
    average: Average = "micro",
    irt: str = "2pl",
    level: float = 0.9,
    seed: int = 0,
    device: str = "cpu",
    n_jobs: int | None = None,
    executor: ExecutorName = "processes",
    folder: str | Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Compare subsets with the full benchmark, on models that did not calibrate them.

    Each split calibrates every method on one side of the models and estimates the full scores of the
    other from the subset alone. ``random + mean``, a random subset of the same size with raw accuracy,
    is always among the methods: what a method gains, it gains over that.

    Args:
        responses: (n_models, n_items) responses to the full benchmark.
        sizes: numbers of items.
        methods: ``"selection + estimator"`` names; None for all (``irtbench.compare.METHODS``).
        split: ``random``, ``family`` (organisations kept together), ``date`` or ``weak-to-strong``.
        n_splits: number of splits.
        n_seeds: subsets drawn of each method and size in a split.
        average: full score with items (``micro``) or benchmarks (``macro``) counting the same.
        irt: IRT model of the banks.
        level: coverage of the intervals.
        seed: seed of splits, subsets and fits.
        device: where to fit; ``auto`` and ``cuda`` share several CUDA devices out among the processes.
        n_jobs: parallel processes; None for one a core, or one a CUDA device.
        executor: ``processes``, ``serial`` or ``ray``; see :func:`irtbench.executor.run_jobs`.
        folder: where finished splits are kept, so that a killed run resumes; None keeps nothing.
        progress: show a bar on a terminal.

    Returns:
        DataFrame with columns method, size, seed, split, model, truth, score, lower, upper,
        n_calibration, in the order of splits; see :func:`irtbench.summarize`.

    Raises:
        InputError: unknown names, sizes out of range, too few complete models.

    Warns:
        DataWarning: models too incomplete to test on, or few models.

    Example:
        >>> from irtbench.irt import simulate
        >>> R = simulate(n_models=40, n_items=120, seed=0).responses
        >>> found = compare(R, sizes=[10], methods=["stratified + weighted"], n_splits=2, n_jobs=1)
        >>> found.groupby("method", sort=False).size().to_dict()
        {'random + mean': 40, 'stratified + weighted': 40}
    """
    refuse_beyond_unit(responses)
    plan = Plan(
        _checked_sizes(sizes, responses.n_items),
        tuple(parse_methods(methods)),
        _at_least(1, "n_seeds", n_seeds),
        average,
        irt,
        _checked_level(level),
        seed,
        device,
    )
    testable = _testable(responses, average)
    splits = [
        _only_testable(s, testable)
        for s in split_models(responses, split, n_splits, seed=seed, average=average)
    ]
    digest = fingerprint(
        responses.fingerprint, repr(plan), repr([(s.calibration, s.test) for s in splits]), str(versions())
    )
    files = {} if folder is None else {s.name: Path(folder) / f"{s.name}-{digest}.parquet" for s in splits}

    def load(name: str) -> pd.DataFrame | None:
        return pd.read_parquet(files[name]) if name in files and files[name].is_file() else None

    def save(name: str, part: pd.DataFrame) -> None:
        if name in files:
            with atomic_file(files[name]) as temporary:
                part.to_parquet(temporary, index=False)

    parts = run_unfinished(
        partial(_run, responses, plan),
        {s.name: (k, s) for k, s in enumerate(splits)},
        load,
        save,
        executor=executor,
        workers=n_jobs,
        device=device,
        describe=lambda job: f"split {job[1].name}",
        progress="splits" if progress else None,
    )
    return pd.concat(parts.values(), ignore_index=True)


def _run(responses: ResponseMatrix, plan: Plan, job: tuple[int, Split], device: str) -> pd.DataFrame:
    """Run one split as a job: on the device of its worker."""
    return run_split(responses, replace(plan, device=device), *job)


def run_split(responses: ResponseMatrix, plan: Plan, number: int, split: Split) -> pd.DataFrame:
    """Build every method on the calibration models of one split and test it on the others."""
    from irtbench.irt import fit
    from irtbench.subsets import Subset, estimate, select
    from irtbench.subsets.crossfit import cross_fit
    from irtbench.subsets.population import prepare
    from irtbench.subsets.strategies import SEEDED

    old, new = responses.take(models=list(split.calibration)), responses.take(models=list(split.test))
    truth = new.scores(plan.average)
    rows = []
    with warnings.catch_warnings():
        # what a user is warned of about one subset is here the subject of the experiment
        for category in (ConvergenceWarning, DataWarning, ExtrapolationWarning):
            warnings.simplefilter("ignore", category)
        bank, folds = None, None
        shared = prepare(old, average=plan.average, seed=plan.seed, device=plan.device)
        if any(m.needs_bank for m in plan.methods):
            bank = fit(old, irt=plan.irt, device=plan.device, seed=plan.seed).bank
            folds = cross_fit(old, bank, seed=plan.seed, device=plan.device)
        for size in plan.sizes:
            subsets: dict[tuple[str, int], Subset] = {}
            for k in range(plan.n_seeds):
                draw = int(np.random.SeedSequence([plan.seed, number, size, k]).generate_state(1)[0])
                for method in plan.methods:
                    own = method.selection, k if method.selection in SEEDED else 0
                    if own not in subsets:
                        subsets[own] = select(
                            old,
                            size,
                            method.selection,
                            bank=bank,
                            irt=plan.irt if bank is not None else None,
                            average=plan.average,
                            seed=draw,
                            fitted=folds,
                            prepared=shared,
                        )
                    subset = subsets[own]
                    seen = new.take(items=subset.items)
                    table = estimate(subset, seen, method.estimator, plan.level, missing="ignore")
                    found = table.assign(
                        method=method.name,
                        size=size,
                        seed=k,
                        split=split.name,
                        truth=truth,
                        n_calibration=old.n_models,
                    )
                    rows.append(found.reset_index(names="model")[COLUMNS])
    return pd.concat(rows, ignore_index=True)


def _testable(responses: ResponseMatrix, average: Average) -> set[str]:
    """Models with nearly all responses: the truth of the others is not known."""
    share = responses.observed @ item_weights(responses.benchmarks, average)
    complete = responses.models.index[share >= MIN_OBSERVED]
    if len(complete) < 4:
        raise InputError(
            f"only {len(complete)} of {responses.n_models} models have {100 * MIN_OBSERVED:g} % of the"
            " responses; a comparison needs at least 4: keep the benchmarks that most models have"
        )
    if len(complete) < responses.n_models:
        left_out = responses.models.index.difference(complete)
        warnings.warn(
            f"{len(left_out)} model(s) lack more than {100 * (1 - MIN_OBSERVED):.0f} % of the responses"
            f" and only calibrate, e.g. {left_out[0]!r}",
            DataWarning,
            stacklevel=3,
        )
    if responses.n_models < FEW_MODELS:
        warnings.warn(
            f"only {responses.n_models} models: item parameters are rough and errors rest on few test models;"
            " trust the design-based intervals ('stratified + weighted') more than the IRT-based ones",
            DataWarning,
            stacklevel=3,
        )
    return set(complete)


def _only_testable(split: Split, testable: set[str]) -> Split:
    test = tuple(m for m in split.test if m in testable)
    if not test:
        raise InputError(
            f"split {split.name}: none of its test models has (nearly) all responses; use fewer splits"
        )
    return Split(split.name, split.calibration, test)


def _checked_sizes(sizes: Sequence[int], n_items: int) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(int(s) for s in sizes))
    if not found:
        raise InputError("no sizes given")
    for size in found:
        if not 1 <= size <= n_items:
            raise InputError(f"size {size} is out of range: the benchmark has {n_items} items")
    return found


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    return level


def _at_least(least: int, name: str, value: int) -> int:
    if value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")
    return value
