"""estimate: matching by id, refusals, warnings, coverage."""

import time
import warnings
from functools import cache

import numpy as np
import pytest

import irtbench as ib
from irtbench.errors import DataWarning, ExtrapolationWarning, InputError
from irtbench.irt import simulate
from irtbench.responses.matrix import Metric, ResponseMatrix
from irtbench.subsets import ESTIMATORS, estimate, select
from irtbench.subsets.crossfit import cross_fit


@pytest.fixture(scope="module")
def case():
    s = simulate(n_models=40, n_items=120, n_benchmarks=2, seed=2)
    old, new = s.responses.take(models=slice(0, 30)), s.responses.take(models=slice(30, 40))
    return select(old, 24, bank=s.bank, folds=3), new


@pytest.mark.parametrize("method", [m for m in ESTIMATORS if m != "difference"])
def test_the_order_of_items_changes_nothing(case, method):
    subset, new = case
    order = np.random.default_rng(0).permutation(subset.size)
    shuffled = new.take(items=[subset.items[k] for k in order])
    expected = estimate(subset, new.take(items=subset.items), method)
    assert np.array_equal(estimate(subset, shuffled, method), expected)


def test_columns_and_order_of_models(case):
    subset, new = case
    table = estimate(subset, new.take(items=subset.items))
    assert list(table) == ["score", "lower", "upper", "beyond", "note"]
    assert list(estimate(subset, new.take(items=subset.items), "weighted")) == ["score", "lower", "upper"]
    blended = estimate(subset, new.take(items=subset.items), "blend")
    assert list(blended) == ["score", "lower", "upper", "beyond", "note"]
    assert list(table.index) == new.model_ids
    one = estimate(subset, new.take(models=[new.model_ids[3]], items=subset.items))
    assert one.iloc[0].to_numpy() == pytest.approx(table.iloc[3].to_numpy())


def test_a_wider_level_gives_wider_limits(case):
    subset, new = case
    seen = new.take(items=subset.items)
    narrow, wide = (estimate(subset, seen, level=level) for level in (0.5, 0.9))
    assert (wide["upper"] - wide["lower"] > narrow["upper"] - narrow["lower"]).all()


def test_items_that_do_not_match(case):
    subset, new = case
    seen = new.take(items=subset.items)
    with pytest.raises(InputError, match=r"not in the subset.*extra='ignore'"):
        estimate(subset, new)
    assert np.array_equal(estimate(subset, new, extra="ignore"), estimate(subset, seen))
    strange = ResponseMatrix(seen.values, seen.models, seen.items.rename(index={subset.items[0]: "odd"}))
    with pytest.raises(InputError, match=r"item 'odd' not in the benchmark"):
        estimate(subset, strange)
    with pytest.raises(InputError, match=rf"{subset.items[0]}.*missing='ignore'"):
        estimate(subset, seen.take(items=subset.items[1:]))
    with pytest.raises(InputError, match="must be 'raise' or 'ignore'"):
        estimate(subset, seen, missing="drop")


def test_missing_cells(case):
    subset, new = case
    seen = new.take(items=subset.items)
    values = np.array(seen.values)
    values[2, 5] = np.nan
    holed = ResponseMatrix(values, seen.models, seen.items)
    with pytest.raises(InputError, match=rf"{seen.model_ids[2]}.*{subset.items[5]}"):
        estimate(subset, holed)
    table, whole = estimate(subset, holed, missing="ignore"), estimate(subset, seen)
    others = np.arange(10) != 2
    assert table[others].to_numpy() == pytest.approx(whole[others].to_numpy())
    assert table.iloc[2].notna().all()
    values[2] = np.nan
    with pytest.raises(InputError, match="leave it out"):
        estimate(subset, ResponseMatrix(values, seen.models, seen.items), missing="ignore")


def test_other_refusals(case):
    subset, new = case
    seen = new.take(items=subset.items)
    for metric in ("prob", Metric("acc", higher_is_better=False)):
        other = ResponseMatrix.of(seen.values, seen.models, seen.items, metric=metric)
        with pytest.raises(InputError, match="chosen on metric 'acc'"):
            estimate(subset, other)
    with pytest.raises(InputError, match="method must be"):
        estimate(subset, seen, "best")
    with pytest.raises(InputError, match="level must lie"):
        estimate(subset, seen, level=90)


def test_few_calibration_models_are_said_to_be_few():
    s = simulate(n_models=11, n_items=60, seed=0)
    seven = select(s.responses.take(models=slice(0, 7)), 15, "stratified", bank=s.bank, folds=2)
    new = s.responses.take(models=slice(7, 11), items=seven.items)
    with pytest.warns(DataWarning, match=r"few calibration models \(7\).*their spread"):
        estimate(seven, new, "p-irt")
    three = select(s.responses.take(models=slice(0, 3)), 15, "stratified", bank=s.bank)
    assert three.residuals.empty
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        with pytest.warns(DataWarning, match=r"few calibration models \(3\).*own sd"):
            estimate(three, s.responses.take(models=slice(7, 11), items=three.items), "gp-irt")


def test_a_model_outside_the_calibration_range_is_named():
    s = simulate(n_models=60, n_items=200, seed=1)
    order = s.abilities["ability"].argsort().to_numpy()
    weak, strong = s.responses.take(models=order[:30]), s.responses.take(models=order[-3:])
    subset = select(weak, 60, bank=s.bank, folds=2)
    with pytest.warns(ExtrapolationWarning, match=f"'{strong.model_ids[2]}'.*weighted"):
        estimate(subset, strong.take(items=subset.items), "p-irt")
    estimate(
        subset, strong.take(items=subset.items), "weighted"
    )  # no warning: the design holds for any model


@cache
def boards():
    """Boards with 60 calibration models and 100 new ones; every other one has three abilities a model."""
    found = []
    for seed in range(8):
        s = simulate(160, 150, n_benchmarks=3, benchmark_sd=0.4 * (seed % 2), seed=seed)
        old, new = s.responses.take(models=slice(0, 60)), s.responses.take(models=slice(60, 160))
        bank = ib.fit(old, method="laplace", device="cpu").bank
        found.append((old, new, bank, cross_fit(old, bank, folds=5)))
    return found


@pytest.mark.parametrize("method", ["stratified", "random", "anchor-irt"])
def test_coverage_on_simulated_boards(method):
    """Nominal 90 %, also where a one-dimensional IRT model is only nearly right."""
    hits = {name: [] for name in ESTIMATORS if name != "difference" or method != "anchor-irt"}
    for seed, (old, new, bank, folds) in enumerate(boards()):
        subset = select(old, 30, method, bank=bank, seed=seed, fitted=folds)
        for name in hits:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExtrapolationWarning)
                table = estimate(subset, new.take(items=subset.items), name)
            truth = new.scores()
            hits[name] += list((table["lower"] <= truth + 1e-9) & (truth <= table["upper"] + 1e-9))
    for name, found in hits.items():
        # two standard errors: 800 models, and 8 conformal quantiles of 60 models each (0.011 and 0.014)
        assert np.mean(found) == pytest.approx(0.9, abs=0.04), name


def test_five_milliseconds_a_model():
    s = simulate(n_models=230, n_items=2000, seed=0)
    folds = cross_fit(s.responses.take(models=slice(0, 30)), s.bank, folds=2)
    subset = select(s.responses.take(models=slice(0, 30)), 100, bank=s.bank, fitted=folds)
    new = s.responses.take(models=slice(30, 230), items=subset.items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        for method in ("gp-irt", "blend"):
            estimate(subset, new, method)
            start = time.process_time()
            ib.estimate(subset, new, method)
            assert time.process_time() - start < 0.005 * 200
