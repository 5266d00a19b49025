"""benchmarks/fleet: training goes on where it stopped, bit for bit; the plan, and the TOML that names it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.fleet.corpus import rows, vocabulary
from benchmarks.fleet.models import BATCH, Run, make_model, parameters, plan, schedule
from benchmarks.fleet.train import chosen, fleet_file, row_order, train
from benchmarks.fleet.world import make_world
from irtbench.catalogue import catalogue_folder
from irtbench.errors import InputError
from irtbench.responses import read
from irtbench.scoring import load_framing, read_questions, score
from irtbench.scoring.engine.language_models import load_language_model
from irtbench.scoring.fleet.reading import load_fleet

CPU = torch.device("cpu")
RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "fleet" / "results"
TINY = Run("seeds", 3, layers=1, width=16, heads=1, rows=4 * BATCH, steps=8, stop=6, checkpoints=(0, 3, 6))


@pytest.fixture(scope="module")
def corpus():
    return rows(make_world(), TINY.rows)


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(TINY, folder, corpus, CPU)
    return folder


def weights(folder):
    return {k: v.numpy() for k, v in load_file(folder / "model.safetensors").items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("stops", [(3,), (2, 5), (1, 2, 3, 4, 5)])
def test_a_run_that_was_stopped_ends_with_the_same_bits(whole, corpus, tmp_path, stops):
    for until in (*stops, None):
        train(TINY, tmp_path / "run", corpus, CPU, until=until)
    for step in TINY.checkpoints:
        assert same(weights(tmp_path / "run" / f"step{step}"), weights(whole / f"step{step}"))
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "run" / "loss.parquet"), pd.read_parquet(whole / "loss.parquet")
    )


def test_a_checkpoint_without_its_state_is_made_again(whole, corpus, tmp_path):
    # cut short between the two: the folder is there, the state still that of the checkpoint before
    train(TINY, tmp_path / "run", corpus, CPU, until=2)
    (tmp_path / "run" / "step3").mkdir()
    (tmp_path / "run" / "step3" / "kept").touch()
    train(TINY, tmp_path / "run", corpus, CPU)
    assert (tmp_path / "run" / "step3" / "kept").exists()
    assert same(weights(tmp_path / "run" / "step6"), weights(whole / "step6"))


def test_seeds_differ_only_in_their_start(whole, corpus, tmp_path):
    train(replace(TINY, seed=4), tmp_path / "run", corpus, CPU, until=0)
    assert not same(weights(tmp_path / "run" / "step0"), weights(whole / "step0"))
    assert np.array_equal(row_order(TINY), row_order(replace(TINY, seed=4)))


def test_order_of_the_rows():
    n = TINY.rows
    assert row_order(TINY).tolist() == [
        *range(n),
        *range(n // 2),
    ]  # six steps of a quarter, again from the start
    mixed = row_order(replace(TINY, order=1))
    assert sorted(mixed[:n]) == list(range(n))
    assert mixed.tolist() != row_order(TINY).tolist()
    assert mixed.tolist() == row_order(replace(TINY, order=1, seed=9)).tolist()


def test_a_checkpoint_is_a_language_model(whole):
    lm = load_language_model(whole / "step6", device="cpu")
    assert lm.start == (1,)
    assert lm.layout == "tree"
    assert lm.parameters == json.loads((whole / "run.json").read_text())["parameters"]


def test_it_learns(corpus, tmp_path):
    run = replace(TINY, width=32, heads=2, steps=40, stop=40, rate=1e-2, checkpoints=(40,))
    train(run, tmp_path, corpus, CPU)
    loss = pd.read_parquet(tmp_path / "loss.parquet")["loss"]
    assert len(loss) == 40
    assert loss[0] == pytest.approx(np.log(len(vocabulary(make_world()))), abs=0.5)  # nothing is known yet
    assert loss[-5:].mean() < loss[0] - 1  # nats; the unigram frequencies alone give that


def test_another_run_in_the_folder_is_refused(whole, corpus):
    with pytest.raises(InputError, match="other settings"):
        train(replace(TINY, rate=1e-3), whole, corpus, CPU)


def test_the_plan():
    runs = plan()
    arms = {arm: [r for r in runs if r.arm == arm] for arm in ("seeds", "orders", "population")}
    assert len(arms["seeds"]) == 10
    assert len(arms["orders"]) >= 5
    assert len(arms["population"]) >= 60
    assert len({(r.arm, r.seed) for r in runs}) == len(runs)
    for arm in ("seeds", "orders"):
        assert all(len(r.checkpoints) >= 20 and r.checkpoints[-1] == r.stop for r in arms[arm])
    assert len({replace(r, seed=0) for r in arms["seeds"]}) == 1  # nothing but the seed differs
    assert len({r.order for r in arms["orders"]}) == len(arms["orders"])
    settings = {(r.layers, r.width, r.rate, r.rows, r.steps, r.stop) for r in arms["population"]}
    assert len(settings) >= 60
    assert all(r.width % r.heads == 0 and r.width // r.heads % 2 == 0 for r in runs)
    assert all(r.rows <= r.steps * BATCH and r.stop <= r.steps for r in runs)


def test_checkpoints_are_denser_early():
    gaps = np.diff(schedule(2000))
    assert (np.diff(gaps) >= -1).all()  # rounding
    assert gaps[0] * 5 < gaps[-1]


def test_runs_are_chosen():
    assert [r.seed for r in chosen(["seeds"], ["seed=3,4"])] == [3, 4]
    with pytest.raises(InputError, match="write seed="):
        chosen(None, ["seed"])
    with pytest.raises(InputError, match="no run"):
        chosen(["orders"], ["seed=3"])


def test_the_shipped_fleet_names_the_plan(tmp_path):
    text = (catalogue_folder("fleets") / "seedlings.toml").read_text()
    assert text == fleet_file()
    root = tmp_path / "benchmarks" / "fleet" / ".work" / "runs"
    wanted = {}
    for run in plan():
        for step in run.checkpoints:
            folder = root / run.arm / run.name / f"step{step}"
            folder.mkdir(parents=True)
            (folder / "config.json").write_text("{}")
            wanted[str(folder)] = (run.arm, run.seed, step)
    (tmp_path / "models" / "fleets").mkdir(parents=True)
    (tmp_path / "models" / "fleets" / "seedlings.toml").write_text(text)
    fleet = load_fleet(tmp_path / "models" / "fleets" / "seedlings.toml")
    assert {m.id: (m.family, m.seed, m.step) for m in fleet} == wanted
    assert len(fleet) == len(wanted)


@pytest.mark.parametrize("run", [TINY, plan()[0], plan()[12], plan()[40]], ids=lambda r: f"{r.arm}-{r.seed}")
def test_number_of_parameters(run):
    assert parameters(run, 345) == sum(p.numel() for p in make_model(run, 345).parameters())


def test_the_start_of_a_recorded_seed_is_reproduced(tmp_path):
    run = next(r for r in plan() if r.arm == "seeds" and r.seed == 0)
    first = run.checkpoints[1]
    world = make_world()
    train(run, tmp_path, rows(world, first * BATCH), CPU, until=first)
    losses = torch.load(tmp_path / "state.pt", weights_only=True)["losses"]
    recorded = pd.read_parquet(RESULTS / "losses.parquet").query("arm == 'seeds' and seed == 0 and over == 1")
    assert len(recorded) == first
    # other processors and versions sum in another order; training makes the difference grow
    assert losses == pytest.approx(recorded["loss"].to_list(), abs=2e-3)
    shipped = read("seedlings/completion_prob")
    questions = [read_questions("seedlings/sums")]
    for step in (0, first):
        found = score(
            tmp_path / f"step{step}",
            questions,
            [load_framing("completion")],
            tmp_path / f"scored{step}",
            shots=0,
            metrics=["prob"],
            executor="serial",
            device="cpu",
        )
        (matrix,) = found.matrices.values()
        expected = shipped.take(models=[f"seeds-0-step{step}"], items=matrix.item_ids).values
        # half precision keeps 11 bits (0.0005); the rest is the growth of the difference above
        np.testing.assert_allclose(matrix.values, expected, rtol=0.01)
