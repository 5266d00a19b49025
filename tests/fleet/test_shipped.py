"""What ships of the fleet: questions of the world, and responses that the shipped models give again."""

import filecmp

import numpy as np
import pandas as pd
import pytest

from benchmarks.fleet.asking import write_questions
from benchmarks.fleet.models import plan
from benchmarks.fleet.ship import FRAMINGS, METRICS, ORDERS
from benchmarks.fleet.world import make_world
from irtbench.catalogue import catalogue_folder, catalogue_names
from irtbench.responses import read
from irtbench.scoring import load_fleet, load_framing, read_questions, score

BENCHMARKS = ["facts", "older", "reversed", "sums", "two_hop", "types"]
NAMES = [f"seedlings/{framing}_{metric}" for framing, metrics in METRICS.items() for metric in metrics]


@pytest.fixture(scope="module")
def responses():
    return {name: read(name) for name in NAMES}


def test_every_file_is_named_by_the_card():
    assert set(NAMES) | {f"seedlings/{f}_acc_orders" for f in FRAMINGS} == set(catalogue_names("responses"))
    card = (catalogue_folder("responses") / "seedlings" / "CARD.md").read_text()
    assert all(f"`{name.split('/')[1]}`" in card for name in catalogue_names("responses"))


def test_sizes_of_what_ships():
    responses = [p.stat().st_size for p in catalogue_folder("responses").rglob("*.parquet")]
    assert sum(responses) <= 15e6
    weights = list((catalogue_folder("weights") / "seedlings").iterdir())
    assert 2 <= len(weights) <= 3
    assert all(sum(p.stat().st_size for p in d.iterdir()) <= 3e6 for d in weights)


def test_questions_are_those_of_the_world(tmp_path):
    write_questions(make_world(), tmp_path)
    folder = catalogue_folder("questions") / "seedlings"
    same, different, missing = filecmp.cmpfiles(
        tmp_path, folder, [f"{name}.jsonl" for name in BENCHMARKS], shallow=False
    )
    assert (len(same), different, missing) == (6, [], [])


def test_rows_are_those_of_the_plan(responses):
    wanted = {(run.arm, run.seed, step) for run in plan() for step in run.checkpoints}
    for R in responses.values():
        rows = R.models[["arm", "seed", "step"]].itertuples(index=False, name=None)
        assert set(rows) == wanted
        assert R.n_models == len(wanted)
        assert R.observed.all()
        assert list(dict.fromkeys(R.benchmarks)) == BENCHMARKS
        assert R.item_ids == responses[NAMES[0]].item_ids
    assert R.n_items >= 1500


def test_scores_spread_and_no_benchmark_is_all_solved(responses):
    R = responses["seedlings/completion_acc"]
    ends = R.take(models=(R.models["arm"] == "population").to_numpy()).scores()
    assert ends.min() < 0.4
    assert ends.max() > 0.8
    last = R.take(models=(R.models["step"] == 2800).to_numpy() & (R.models["arm"] == "seeds").to_numpy())
    by = {name: last.take(benchmark=name).scores().mean() for name in BENCHMARKS}
    assert max(by.values()) < 0.99
    assert min(by.values()) < 0.85


def test_discrete_and_continuous_metrics_agree(responses):
    for framing in FRAMINGS:
        acc, share, margin = (
            responses[f"seedlings/{framing}_{m}"].values for m in ("acc", "prob_options", "margin")
        )
        assert (acc[margin > 0] == 1).all()
        assert (acc[margin < 0] == 0).all()
        assert (acc[share > 0.501] == 1).all()  # more than half: no other option has as much
        assert set(np.unique(acc)) == {0, 1}


def test_orders_hold_each_model_in_every_order():
    for framing in FRAMINGS:
        R = read(f"seedlings/{framing}_acc_orders")
        each = R.models.groupby(["seed", "step"])["shot_order"].apply(sorted)
        assert len(each) == 20
        assert all(own == list(range(ORDERS)) for own in each)
        spread = R.scores().groupby([R.models["seed"], R.models["step"]]).std()
        assert (spread > 0).all()  # an order that changes nothing would be no order


def test_the_shipped_models_give_the_shipped_responses(responses, tmp_path):
    sets = [read_questions(f"seedlings/{name}") for name in ("sums", "two_hop")]
    framings = [load_framing(name) for name in FRAMINGS.values()]
    how = {"shots": 0, "metrics": ["acc", "prob"], "executor": "serial", "device": "cpu"}
    found = score(load_fleet("sprouts"), sets, framings, tmp_path, **how)
    for framing, name in FRAMINGS.items():
        for metric, least in (("acc", 0.995), ("prob", None)):
            new = found.matrices[tmp_path / f"responses_{metric}_{name}.parquet"]
            old = responses[f"seedlings/{framing}_{metric}"].take(models=new.model_ids, items=new.item_ids)
            if least is None:  # half precision: 11 bits; below 6e-5 fewer
                np.testing.assert_allclose(new.values, old.values, rtol=2e-3, atol=1e-6)
            else:  # a tie within rounding may fall either way
                assert (new.values == old.values).mean() >= least
            known = ["family", "seed", "step", "params"]
            own = new.models[known] if metric == "acc" else None
            if own is not None:
                other = old.models[known].assign(family=old.models["arm"])
                pd.testing.assert_frame_equal(own, other, check_dtype=False)
