"""Gates against truth: draws, unbiased differences, levels, power, published boundaries."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.errors import InputError
from irtbench.irt import simulate
from irtbench.responses import Metric, ResponseMatrix
from irtbench.responses.matrix import item_weights
from irtbench.subsets.gates import GatePlan, gate_items_needed, gate_plan, gate_power, judge
from irtbench.subsets.gates.drawing import inclusion, systematic_sample
from irtbench.subsets.gates.flips import expected_response, prior_weight
from irtbench.subsets.gates.judging import paired_difference
from irtbench.subsets.gates.power import drop_probability
from irtbench.subsets.gates.sequential import boundaries


@pytest.fixture(scope="module")
def world():
    """Two benchmarks, 400 items, of which the base answers seven in ten always alike."""
    s = simulate(n_models=3, n_items=400, n_benchmarks=2, irt="3pl", seed=4)
    firm = np.random.default_rng(1).random(400) < 0.7
    return s, np.where(firm, s.probability[1] > 0.5, s.probability[1])


def answers(p, runs, seed, items, **more):
    y = (np.random.default_rng(seed).random((runs, len(p))) < p).astype(float)
    return ResponseMatrix.of(y, models=[f"run-{k}" for k in range(runs)], items=items, **more)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.001, 100), min_size=3, max_size=40), st.data())
def test_probabilities_of_being_drawn(measure, data):
    size = data.draw(st.integers(1, len(measure)))
    found = inclusion(np.array(measure), size)
    assert found.sum() == pytest.approx(size)
    assert (found > 0).all()
    assert (found <= 1).all()
    below = found < 1 - 1e-9
    ratio = found[below] / np.array(measure)[below]
    if below.any():
        assert ratio == pytest.approx(ratio[0], rel=1e-6)


def test_each_item_is_drawn_as_often_as_planned():
    rng = np.random.default_rng(0)
    probability = inclusion(rng.gamma(1.0, size=50), 20)
    count = np.zeros(50)
    for _ in range(2000):
        chosen = systematic_sample(probability, rng.permutation(50), rng)
        assert len(np.unique(chosen)) == 20
        count[chosen] += 1
    # a share of 2000 draws has an sd of at most 0.0112; four and a half of them
    np.testing.assert_allclose(count / 2000, probability, atol=0.05)


def test_the_estimated_difference_is_unbiased_whatever_flips(world):
    s, p = world
    base = answers(p, 3, 0, s.responses.items)
    variant = answers(drop_probability(np.clip(p, 0.01, 0.99), np.full(400, 1 / 400), 0.1), 1, 5, base.items)
    full = item_weights(base.benchmarks, "macro")
    truth = float(full @ (variant.values[0] - base.values.mean(axis=0)))
    found = [judge(gate_plan(base, 60, average="macro", seed=k), variant).difference for k in range(60)]
    assert truth < -0.05
    # the mean of 60 has its own standard error; four of them
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(60))


def test_on_all_items_it_is_the_difference_of_the_scores(world):
    s, p = world
    base, variant = answers(p, 2, 0, s.responses.items), answers(p, 1, 9, s.responses.items)
    for average in ("micro", "macro"):
        for bank in (None, s.bank):
            plan = gate_plan(base, average=average, bank=bank)
            expected = variant.scores(average).iloc[0] - base.scores(average).mean()
            assert judge(plan, variant).difference == pytest.approx(expected, abs=1e-6)  # float32


def test_with_nothing_but_flips_the_error_is_mcnemars():
    """One answer each, equal weights, no shrinkage: the plain paired standard error, as of compare_runs."""
    from irtbench.variance import compare_runs

    rng = np.random.default_rng(3)
    y = (rng.random(200) < 0.6).astype(float)
    v = np.where(rng.random(200) < 0.1, 1 - y, y)
    expected = np.full(200, 0.5)  # ρ is then the correlation of v and y, 0.8
    d, se = paired_difference(v[None], y[None], expected, np.full(200, 1 / 200), np.zeros(1), 0.0)
    plain = compare_runs(v, y)
    rho = float(((v - 0.5) * (y - 0.5)).sum() / ((y - 0.5) ** 2).sum())
    r = (v - 0.5) - rho * (y - 0.5)
    by_hand = np.sqrt((((r - r.mean()) ** 2).sum() + 1) / 201**2)
    assert se[0] == pytest.approx(by_hand, rel=1e-6)  # ρ is kept from 0 / 0 by 1e-9
    assert d[0] == pytest.approx(r.mean(), abs=1e-7)
    assert se[0] <= plain.se


def test_the_prior_learns_how_firm_the_answers_are():
    rng = np.random.default_rng(0)
    for weight in (0.2, 1.0, 5.0):
        p = rng.beta(weight * 0.6, weight * 0.4, size=3000)
        k = rng.binomial(10, p)
        found = prior_weight(k, np.full(3000, 10), np.full(3000, 0.6))
        assert found == pytest.approx(weight, rel=0.25)  # the grid's next values are 30 % away or more
        shrunk = expected_response(k, np.full(3000, 10), np.full(3000, 0.6))
        assert ((shrunk - p) ** 2).mean() < ((k / 10 - p) ** 2).mean()


def test_false_alarms_keep_their_level_and_chosen_items_have_more_power(world):
    s, p = world
    plan = gate_plan(answers(p, 10, 0, s.responses.items), 100, delta=0.0)
    table = gate_power(plan, [0.0, 0.05], repeats=600, seed=1).set_index(["draw", "drop"])
    for draw in ("flips", "random"):
        # 600 gates at 5 %: the binomial sd is 0.9 %; three of them
        assert table.loc[(draw, 0.0), "alarms"] <= 0.05 + 0.027
        assert table.loc[(draw, 0.05), "difference"] == pytest.approx(-0.05, abs=0.005)
        assert table.loc[(draw, 0.0), "se"] == pytest.approx(table.loc[(draw, 0.0), "sd"], rel=0.15)
    assert table.loc[("flips", 0.05), "alarms"] > table.loc[("random", 0.05), "alarms"] + 0.1
    # Neyman's gain, less what the share drawn evenly takes; a ratio of two such sds has an sd of 0.04
    q = (plan.table["expected"] * (1 - plan.table["expected"])).to_numpy()
    gain = np.sqrt(q).mean() / np.sqrt(q.mean())
    assert 0.9 > table.loc[("flips", 0.0), "sd"] / table.loc[("random", 0.0), "sd"] > gain - 0.16


def test_a_drop_within_delta_is_let_through(world):
    s, p = world
    plan = gate_plan(answers(p, 10, 0, s.responses.items), 120, delta=0.05)
    table = gate_power(plan, [0.02, 0.05, 0.15], repeats=400, seed=2)
    alarms = table[table["draw"] == "flips"].set_index("drop")["alarms"]
    assert alarms[0.02] < 0.02
    assert alarms[0.05] < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert alarms[0.15] > 0.6


def test_items_needed_have_the_power_they_promise(world):
    s, p = world
    plan = gate_plan(answers(p, 10, 0, s.responses.items), 100, delta=0.0)
    needed = gate_items_needed(plan, 0.08)
    assert needed["flips"] < needed["random"]
    found = gate_power(plan, [0.08], sizes=[needed["flips"]], repeats=600, seed=3)
    power = float(found.loc[found["draw"] == "flips", "alarms"].iloc[0])
    # the formula takes two fresh answers of one item; ten of the base's make it a little better, sampling
    # without replacement, too; the pseudo flips a little worse
    assert 0.75 < power < 0.97
    assert gate_items_needed(plan, 0.08, flips=0.02)["flips"] < needed["flips"]


def test_boundaries_are_the_published_ones():
    """Lan & DeMets' O'Brien-Fleming spending, one-sided 0.025, as in Jennison & Turnbull (2000), ch. 7."""
    assert boundaries((1, 2, 3, 4, 5), 0.025) == pytest.approx((4.877, 3.357, 2.680, 2.290, 2.031), abs=2e-3)
    assert boundaries((10,), 0.05) == pytest.approx((1.6449,), abs=1e-4)


def test_looking_several_times_keeps_the_level():
    rng = np.random.default_rng(0)
    looks = (20, 50, 60, 100)
    bounds = boundaries(looks, 0.05)
    steps = rng.standard_normal((200_000, 4)) * np.sqrt(np.diff((0, *looks)))
    z = np.cumsum(steps, axis=1) / np.sqrt(looks)
    # a share of 200 000 has an sd of 0.05 %; four of them
    assert (z > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.002)


def test_looks_stop_early_where_the_drop_is_plain(world):
    s, p = world
    base = answers(p, 5, 0, s.responses.items)
    plan = gate_plan(base, 200, delta=0.02, looks=4)
    assert plan.looks == (50, 100, 150, 200)
    broken = ResponseMatrix.of(np.zeros((1, 400)), models=["broken"], items=base.items)
    first = judge(plan, broken.take(items=list(plan.items[:50])))
    assert (first.outcome, first.items, first.final, first.passed) == ("worse", 50, True, False)
    same = ResponseMatrix.of(base.values[:1], models=["same"], items=base.items)
    part = judge(plan, same.take(items=list(plan.items[:60])))
    assert part.items == 50
    assert not part.final
    assert judge(plan, same).final
    with pytest.raises(InputError, match="first 50 of the plan's items are needed"):
        judge(plan, same.take(items=list(plan.items[:20])))


def test_lower_is_better_and_continuous_responses(world):
    s, _ = world
    rng = np.random.default_rng(0)
    y = rng.beta(2, 2, size=(1, 400))
    wrong = Metric("prob_wrong", higher_is_better=False)
    loss = ResponseMatrix.of(y, items=s.responses.items, metric=wrong)
    plan = gate_plan(loss, 80, delta=0.01)
    assert plan.info["continuous"]
    worse = ResponseMatrix.of(np.clip(y + 0.1, 0, 1), items=s.responses.items, metric=wrong)
    better = ResponseMatrix.of(np.clip(y - 0.1, 0, 1), items=s.responses.items, metric=wrong)
    assert judge(plan, worse).outcome == "worse"
    assert judge(plan, worse).difference < -0.05
    assert judge(plan, better).outcome == "safe"


def test_saved_and_loaded_it_judges_alike(world, tmp_path):
    s, p = world
    base, variant = answers(p, 3, 0, s.responses.items), answers(p, 1, 2, s.responses.items)
    plan = gate_plan(base, 90, looks=[30, 60], bank=s.bank)
    plan.save(tmp_path / "p.json")
    again = GatePlan.load(tmp_path / "p.json")
    assert again.fingerprint == plan.fingerprint
    assert judge(again, variant) == judge(plan, variant)
    content = json.loads((tmp_path / "p.json").read_text())
    content["table"]["base"][0] += 0.1
    (tmp_path / "p.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="edited or damaged"):
        GatePlan.load(tmp_path / "p.json")


def test_the_order_of_answers_changes_nothing(world):
    s, p = world
    base, variant = answers(p, 1, 0, s.responses.items), answers(p, 1, 2, s.responses.items)
    plan = gate_plan(base, 50, bank=s.bank)
    order = np.random.default_rng(0).permutation(400)
    assert judge(plan, variant.take(items=order)) == judge(plan, variant)


def test_what_does_not_fit_is_refused(world):
    s, p = world
    base = answers(p, 1, 0, s.responses.items)
    holed = base.values.copy()
    holed[0, 3] = np.nan
    plan = gate_plan(base, 50)
    for call, text in (
        (lambda: gate_plan(ResponseMatrix.of(holed, items=base.items), 50), "no answer of the base"),
        (lambda: gate_plan(base, 401), "from 2 to 400"),
        (lambda: gate_plan(base, 50, delta=-0.1), "delta must lie"),
        (lambda: gate_plan(base, 50, looks=[1]), "between 2 and 50"),
        (lambda: judge(plan, ResponseMatrix.of(base.values, items=base.items, metric="f1")), "scored by"),
        (lambda: judge(plan, ResponseMatrix.of([[1.0]], items=["odd"])), "'odd'"),
        (lambda: gate_items_needed(plan, 0.0), "above delta"),
        (lambda: gate_power(plan, [0.99]), "not possible"),
    ):
        with pytest.raises(InputError, match=text):
            call()
