"""Sessions: asked, answered, stopped, saved and resumed; simulated tests against random order."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.errors import DataWarning, InputError
from irtbench.irt import simulate
from irtbench.subsets.adaptive import (
    adaptive_plan,
    resume,
    simulate_adaptive,
    start,
    summarize_adaptive,
)
from irtbench.subsets.adaptive.planning import ORDERS, AdaptivePlan


@pytest.fixture(scope="module")
def world():
    return simulate(n_models=60, n_items=120, n_benchmarks=2, benchmark_sd=0.6, seed=7)


def reply(world, model, asked):
    return dict(zip(asked, world.responses.take(models=[model], items=asked).values[0], strict=True))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 59), st.integers(1, 9), st.sampled_from(ORDERS), st.integers(1, 40))
def test_a_session_asks_each_item_once_and_ends_at_its_budget(world, model, batch, order, budget):
    session = start(AdaptivePlan(world.bank, order=order), budget=budget)
    asked = []
    while items := session.next_items(batch):
        assert items == session.next_items(batch)  # asking changes nothing
        asked += items
        session = session.answer(reply(world, model, items))
    assert session.finished == "budget"
    assert len(asked) == len(set(asked)) == budget == session.estimate().items
    found = session.estimate()
    assert 0 <= found.lower <= found.score <= found.upper <= 1


def test_precision_stops_it_and_nothing_is_left_after_all_items(world):
    plan = AdaptivePlan(world.bank, spread={"benchmark-1": 0.5, "benchmark-2": 0.5})
    session = start(plan, half_width=0.06)
    while items := session.next_items(8):
        before = session
        session = session.answer(reply(world, 1, items))
    assert session.finished == "precision"
    assert session.estimate().half_width <= 0.06
    assert not before.answers or before.estimate().half_width > 0.06
    session = start(plan).answer(reply(world, 1, world.bank.item_ids))
    assert (session.finished, session.next_items(3)) == ("all", [])
    assert session.estimate().score == pytest.approx(world.responses.scores().iloc[1], abs=1e-6)  # float32


def test_saved_and_resumed_it_goes_on_alike(world, tmp_path):
    plan = AdaptivePlan(
        world.bank, average="macro", spread={"benchmark-1": 0.3}, factors={10: 2.5}, level=0.8
    )
    session = start(plan, budget=50, half_width=0.01)
    session = session.answer(reply(world, 0, session.next_items(12)))
    session.save(tmp_path / "s.json")
    again = resume(tmp_path / "s.json", world.bank)
    assert again.next_items(7) == session.next_items(7)
    assert again.estimate() == session.estimate()
    assert (again.budget, again.half_width, dict(again.answers)) == (50, 0.01, dict(session.answers))
    with pytest.raises(InputError, match="another bank"):
        resume(tmp_path / "s.json", world.bank.take(world.bank.item_ids[:50]))
    (tmp_path / "x.json").write_text(json.dumps({"kind": "Subset", "schema": 1}))
    with pytest.raises(InputError, match="not an adaptive session"):
        resume(tmp_path / "x.json", world.bank)


def test_surprise_is_standard_normal_for_such_models_and_large_for_others(world):
    plan = AdaptivePlan(world.bank, spread={"benchmark-1": 0.6, "benchmark-2": 0.6})
    found = []
    for model in range(0, 60, 2):
        session = start(plan, budget=20)
        while items := session.next_items(5):
            session = session.answer(reply(world, model, items))
        found.append(session.surprise)
    # 30 values: their mean has an sd of 0.18, their sd one of 0.13; three to four of them
    assert abs(np.mean(found)) < 0.65
    assert np.std(found) == pytest.approx(1.0, abs=0.45)
    b = world.bank.curve_parameters[1]
    hard = [world.bank.item_ids[k] for k in np.argsort(-b)[:12]]
    easy = [world.bank.item_ids[k] for k in np.argsort(b)[:12]]
    odd = start(plan).answer(dict.fromkeys(easy, 0.0)).answer(dict.fromkeys(hard, 1.0))
    assert odd.surprise > 2.5
    assert start(plan).surprise == 0.0


def test_bad_answers_and_arguments_are_refused(world):
    session = start(AdaptivePlan(world.bank)).answer({world.bank.item_ids[0]: 1})
    for answers, text in (
        ({"odd": 1}, "'odd' is not in the bank"),
        ({world.bank.item_ids[0]: 0}, "answered already"),
        ({world.bank.item_ids[1]: 2}, r"must lie in \[0, 1\]"),
        ({world.bank.item_ids[1]: float("nan")}, r"must lie in \[0, 1\]"),
    ):
        with pytest.raises(InputError, match=text):
            session.answer(answers)
    for call in (
        lambda: session.next_items(0),
        lambda: start(session.plan, budget=0),
        lambda: start(session.plan, half_width=0),
        lambda: AdaptivePlan(world.bank, order="best"),
        lambda: AdaptivePlan(world.bank, level=1),
        lambda: simulate_adaptive(session.plan, world.responses, [500]),
        lambda: simulate_adaptive(session.plan, world.responses, [5], orders=["best"]),
        lambda: adaptive_plan(world.bank, world.responses.take(items=world.bank.item_ids[:9])),
    ):
        with pytest.raises(InputError):
            call()
    with pytest.warns(DataWarning, match="few calibration models"):
        assert not adaptive_plan(world.bank, world.responses.take(models=slice(0, 4))).factors


def test_where_the_irt_model_is_true_intervals_cover_and_choosing_beats_chance(world):
    spread = {"benchmark-1": 0.6, "benchmark-2": 0.6}
    plan = AdaptivePlan(world.bank, spread=spread)
    table = simulate_adaptive(plan, world.responses, [10, 30], mean=True)
    found = summarize_adaptive(table).set_index(["order", "items"])
    # 60 models and nominal 90 %: the binomial sd is 3.9 %; three of them
    assert (found.loc[["score", "information", "random"], "coverage"] > 0.78).all()
    for n in (10, 30):
        assert found.loc[("score", n), "mae"] < found.loc[("random", n), "mae"]
        assert found.loc[("score", n), "width"] < 0.95 * found.loc[("random", n), "width"]
        assert found.loc[("random", n), "mae"] < found.loc[("random + mean", n), "mae"]
    assert (found.xs(30, level="items")["mae"] < found.xs(10, level="items")["mae"]).all()


def test_a_simulated_test_is_the_session_that_it_stands_for(world):
    plan = AdaptivePlan(world.bank, spread={"benchmark-1": 0.6, "benchmark-2": 0.6})
    table = simulate_adaptive(plan, world.responses.take(models=[5]), [12, 20], orders=["score"], batch=4)
    session = start(plan, budget=20)
    kept = {}
    while items := session.next_items(4):
        session = session.answer(reply(world, 5, items))
        kept[len(session.answers)] = session.estimate()
    for row in table.itertuples():
        assert (row.score, row.lower, row.upper) == pytest.approx(
            (kept[row.items].score, kept[row.items].lower, kept[row.items].upper), abs=1e-9
        )


def test_missing_cells_are_not_asked(world):
    from irtbench.responses import ResponseMatrix

    values = world.responses.values[:4].copy()
    values[:, ::3] = np.nan
    holed = ResponseMatrix(values, world.responses.models.iloc[:4], world.responses.items)
    table = simulate_adaptive(AdaptivePlan(world.bank), holed, [20, 80])
    assert table["score"].notna().all()
    last = table[table["items"] == 80].set_index("model")
    assert ((last["score"] - last["truth"]).abs() < 0.15).all()


def test_intervals_are_calibrated_on_models_left_out():
    s = simulate(n_models=40, n_items=80, n_benchmarks=2, benchmark_sd=0.8, seed=3)
    old, new = s.responses.take(models=slice(0, 30)), s.responses.take(models=slice(30, 40))
    from irtbench.irt import fit

    bank = fit(old, irt="2pl", method="laplace", device="cpu").bank
    plan = adaptive_plan(bank, old, sizes=[10, 30], folds=3, device="cpu", most=30)
    assert set(plan.factors) == {10, 30}
    assert max(plan.spread.values()) > 0.2
    found = summarize_adaptive(simulate_adaptive(plan, new, [10, 30], orders=["score"]))
    assert (found["coverage"] >= 0.6).all()  # 10 models: nine of ten are expected, six or more all but surely
