"""Models beyond the calibration models' range: the reach, its weight, its interval, what is said of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from irtbench.irt import fit, simulate
from irtbench.responses import ResponseMatrix
from irtbench.subsets.adaptive import adaptive_plan, resume, simulate_adaptive, start, summarize_adaptive
from irtbench.subsets.adaptive.answering import Parts, answer, parts
from irtbench.subsets.adaptive.belief import GRID
from irtbench.subsets.adaptive.calibrating import _group_numbers, _needed, group_folds
from irtbench.subsets.adaptive.planning import AdaptivePlan
from irtbench.subsets.adaptive.reach import reaching, reaching_items
from irtbench.subsets.latent import NARROW, posterior


@pytest.fixture(scope="module")
def world():
    return simulate(n_models=60, n_items=160, n_benchmarks=2, benchmark_sd=0.5, seed=11)


@pytest.fixture(scope="module")
def shifted():
    """The weaker half calibrates, the strongest are new; the abler, the less difficulty counts."""
    bank = simulate(n_models=10, n_items=240, n_benchmarks=2, seed=0).bank
    rng = np.random.default_rng(0)
    a, b, *_ = bank.curve_parameters
    theta = np.sort(rng.normal(size=200))[np.r_[0:100, 140:200], None]
    p = 1 / (1 + np.exp(-a * (theta - b * np.clip(1 - 0.5 * theta, 0.2, 1.8))))
    R = ResponseMatrix.of((rng.random(p.shape) < p).astype(float), items=bank.metadata)
    old, new = R.take(models=slice(0, 100)), R.take(models=slice(100, 160))
    fitted = fit(old, irt="2pl", method="laplace", device="cpu").bank
    return adaptive_plan(fitted, old, sizes=[10, 40], batch=5, folds=4, device="cpu", most=40), new


def full_plan(world, **more):
    spread = {"benchmark-1": 0.5, "benchmark-2": 0.5}
    return AdaptivePlan(world.bank, spread=spread, **more)


def belief_of(plan, world, model, n):
    known = np.full(plan.bank.n_items, np.nan)
    asked = np.random.default_rng(model).permutation(plan.bank.n_items)[:n]
    known[asked] = world.responses.values[model, asked]
    return plan.lattice.belief(known)


def test_a_2pl_is_itself_on_the_scale_of_each_benchmark(world):
    plan = full_plan(world)
    found = reaching_items(world.bank, plan.lattice.strata, plan.lattice.spread)
    a, b, *_ = world.bank.curve_parameters
    sd = np.sqrt(1 + 0.5**2)
    np.testing.assert_allclose(found.slope, a * sd, rtol=1e-6)
    np.testing.assert_allclose(found.intercept, -a * b, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.correlation, [[1, 1 / sd**2], [1 / sd**2, 1]])


def test_the_items_uncertainty_is_that_of_their_draws(world):
    bank = fit(world.responses, irt="2pl", method="laplace", device="cpu").bank
    strata = full_plan(world).lattice.strata
    found = reaching_items(bank, strata, np.array([0.5, 0.5]))
    draws = bank.draws(2000, seed=0)
    slope = draws["discrimination"] * np.sqrt(1 + 0.5**2)
    intercept = -draws["discrimination"] * draws["difficulty"]
    for k, part in enumerate((slope, intercept)):
        ratio = np.sqrt(found.cov[:, k, k]) / part.std(axis=0)
        # linear in (log a, b), where the draws are not: right to a part of itself, without a trend
        assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


def test_with_asymptotes_it_is_the_nearest_line():
    bank = simulate(n_models=10, n_items=12, irt="3pl", seed=1).bank
    found = reaching_items(bank, np.zeros(12, dtype=int), np.zeros(1))
    p = bank.probability(GRID)
    sd = np.sqrt(1 + 0.1**2)  # the least spread
    for k in range(12):
        weight = np.sqrt(np.exp(-(GRID**2) / 8) * p[:, k] * (1 - p[:, k]))
        slope, intercept = np.polyfit(GRID, np.log(p[:, k] / (1 - p[:, k])), 1, w=weight)
        assert (found.slope[k] / sd, found.intercept[k]) == pytest.approx((slope, intercept), abs=1e-6)


def test_many_benchmarks_or_few_models_share_one_ability(world):
    plan = full_plan(world)
    few = replace(world.bank, info={**world.bank.info, "calibrated_on": {"n_models": 12}})
    assert reaching_items(few, plan.lattice.strata, plan.lattice.spread).dimensions == 1
    assert reaching_items(world.bank, np.arange(160) % 9, np.full(9, 0.5)).dimensions == 1
    assert plan.latent.dimensions == 2


def test_within_the_population_it_is_the_belief_by_another_way(world):
    """Newton and the curvature against the grid, for the same prior; the items are known exactly."""
    sure = replace(world.bank, cov=np.zeros_like(world.bank.cov), info=world.bank.info)
    plan = AdaptivePlan(sure, spread={"benchmark-1": 0.5, "benchmark-2": 0.5})
    for model in range(0, 60, 7):
        belief = belief_of(plan, world, model, 80)
        asked = np.flatnonzero(~belief.open)
        rest = np.where(belief.open, plan.lattice.full, 0.0)
        found = posterior(plan.latent, asked, belief.values[None, asked], NARROW)
        mean = plan.lattice.full[asked] @ belief.values[asked] + found.probability[0] @ rest
        exact, variance = belief.score
        assert mean == pytest.approx(exact, abs=0.15 * np.sqrt(variance))  # Laplace's error, a part of an sd
        assert np.sqrt(found.variance(rest, plan.latent)[0]) == pytest.approx(np.sqrt(variance), rel=0.1)


def test_the_reach_follows_the_answers_where_the_belief_holds_back(world):
    plan = full_plan(world)
    perfect = np.full(160, np.nan)
    perfect[::8] = 1.0
    mean, sd = reaching(plan.latent, plan.lattice.full, perfect)
    inside, variance = plan.lattice.belief(perfect).score
    assert mean > inside
    assert sd > np.sqrt(variance)
    everything = world.responses.values[3].astype(float)
    mean, sd = reaching(plan.latent, plan.lattice.full, everything)
    assert (mean, sd) == pytest.approx((plan.lattice.full @ everything, 0.0), abs=1e-9)


def test_the_two_estimates_are_mixed_as_two_normals_are():
    found = Parts(0.5, 0.02, 0.62, 0.06, 0.3)
    rng = np.random.default_rng(0)
    far = rng.random(400_000) < 0.3
    draws = np.where(far, rng.normal(0.62, 0.06, far.size), rng.normal(0.5, 0.02, far.size))
    # 400 000 draws: the mean has a standard error of 1e-4, the sd hardly more; four of them
    assert found.score == pytest.approx(draws.mean(), abs=5e-4)
    assert found.half_width(1.0, 1.0) == pytest.approx(draws.std(), abs=5e-4)


def test_without_a_range_or_within_a_wide_one_the_belief_decides(world):
    plan = full_plan(world)
    belief = belief_of(plan, world, 5, 40)
    mean, variance = belief.score
    found = answer(plan, belief)
    assert (found.score, found.sd, found.beyond) == pytest.approx((mean, np.sqrt(variance), 0.0))
    assert found.note == ""
    wide = answer(full_plan(world, span=(0.0, 1.0)), belief)
    assert wide.beyond < 0.1
    assert wide.score == pytest.approx(mean, abs=0.01)
    low = answer(full_plan(world, span=(0.0, mean - 0.3)), belief)
    assert low.beyond > 0.9
    assert "beyond the calibration models' range" in low.note
    assert low.half_width > found.half_width


def test_the_factor_needed_makes_the_interval_touch_the_truth(world):
    plan = full_plan(world, span=(0.2, 0.6))
    found = parts(plan, belief_of(plan, world, 9, 30))
    assert 0 < found.beyond < 1
    for truth in (0.0, 1.0):
        factor = _needed(truth, found, 1.2)
        assert found.half_width(factor, 1.2) == pytest.approx(abs(truth - found.score), rel=1e-9)
    assert _needed(found.score, found, 1.2) == 0.0


def test_families_and_runs_of_one_model_stay_in_one_fold(world):
    def named(names, **columns):
        models = world.responses.models.assign(name=names, **columns)
        return ResponseMatrix(world.responses.values, models.drop(columns="family", errors="ignore"), items)

    items = world.responses.items
    runs = [f"model-{k // 3}" for k in range(60)]
    for R, groups in (
        (named([f"org-{k % 12}/{k}" for k in range(60)]), [k % 12 for k in range(60)]),  # families by name
        (named(runs), runs),  # none known
        (named([f"org-{int(k > 5)}/{name}" for k, name in enumerate(runs)]), runs),  # one has nearly all
    ):
        number = _group_numbers(R, 4, 0)
        assert np.bincount(number).tolist() == [15, 15, 15, 15]
        assert all(len({n for n, g in zip(number, groups, strict=True) if g == one}) == 1 for one in groups)
    fitted = group_folds(named(runs), world.bank, 2, 0, "cpu")
    assert sorted(m for fold in fitted.folds for m in fold.responses.model_ids) == sorted(R.model_ids)
    assert [fold.bank.info["calibrated_on"]["n_models"] for fold in fitted.folds] == [30, 30]


def test_a_test_by_width_goes_on_where_the_model_is_beyond(world):
    asked = world.bank.item_ids[:60]
    right = dict.fromkeys(asked, 1.0)
    near = start(full_plan(world), half_width=0.07).answer(right)
    assert near.finished == "precision"
    far = start(full_plan(world, span=(0.1, 0.4), far={60: 1.3}), half_width=0.07).answer(right)
    assert far.finished is None
    assert far.estimate().half_width > 0.07
    assert len(far.next_items(3)) == 3


def test_saved_and_resumed_it_still_knows_the_range(world, tmp_path):
    plan = full_plan(world, span=(0.1, 0.4), far={10: 1.5, 50: 1.2}, factors={10: 2.0})
    session = start(plan).answer(dict.fromkeys(world.bank.item_ids[:20], 1.0))
    session.save(tmp_path / "s.json")
    again = resume(tmp_path / "s.json", world.bank)
    assert (again.plan.span, again.plan.far) == ((0.1, 0.4), {10: 1.5, 50: 1.2})
    assert again.estimate() == session.estimate()
    content = json.loads((tmp_path / "s.json").read_text())
    older = {k: v for k, v in content.items() if k not in ("span", "far")}
    (tmp_path / "o.json").write_text(json.dumps(older))
    assert resume(tmp_path / "o.json", world.bank).plan.span is None


def test_weak_models_calibrate_and_strong_ones_are_covered(shifted):
    plan, new = shifted
    assert set(plan.far) == {10, 40}
    assert min(plan.far.values()) >= 1.0
    assert plan.span is not None
    assert plan.span[1] < new.scores().median()
    table = simulate_adaptive(plan, new, [40], orders=["score"], batch=5)
    found = summarize_adaptive(table).iloc[0]
    # 60 models and nominal 90 %: the binomial sd is 3.9 %; three of them
    assert found["coverage"] > 0.78
    assert table["beyond"].mean() > 0.5
    alone = simulate_adaptive(replace(plan, span=None), new, [40], orders=["score"], batch=5)
    assert found["coverage"] > summarize_adaptive(alone)["coverage"].iloc[0] + 0.08  # two binomial sds


def test_lower_scores_can_be_the_stronger_ones(world):
    """With a metric of which less is better the trials beyond the range are those of the lowest scores."""
    from irtbench.responses import Metric
    from irtbench.subsets.adaptive.calibrating import _beyond
    from irtbench.subsets.adaptive.simulation import full_score

    loss = Metric("wrong", higher_is_better=False)
    R = ResponseMatrix.of(1 - world.responses.values, items=world.responses.items, metric=loss)
    plan = AdaptivePlan(fit(R, irt="2pl", method="laplace", device="cpu").bank)
    scores = full_score(plan, R)
    ((weak, strong),) = _beyond(plan, R, scores, 60, 0, "cpu")
    assert full_score(plan, strong).max() < weak.span[0]
