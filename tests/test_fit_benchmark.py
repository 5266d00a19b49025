"""benchmarks/fit: the simulated design, the measures against hand-computed cases, resuming, the tables."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks.fit.cells import CELLS, SIZES, Cell, curve, load, save, simulate
from benchmarks.fit.envs import ENVS
from benchmarks.fit.launch import Failed, launch
from benchmarks.fit.measures import aligned, coverage, measure
from benchmarks.fit.store import Runs, turns
from benchmarks.fit.tables import headline, markdown, replace_section, summary
from benchmarks.fit.tools import HERE, TOOLS, Tool
from benchmarks.fit.worker import extrapolated, work

SIZE = (300, 400)


def test_simulation_has_the_design_it_says():
    cell = simulate("S1-2pl", size=SIZE)
    assert cell.y.shape == SIZE
    assert not (cell.seen & cell.held).any()
    # 120,000 cells: three standard errors of a share of .1 are .0026
    assert cell.held.mean() == pytest.approx(0.10, abs=0.0026)
    assert (cell.seen | cell.held).all()
    # three standard errors of a mean of 300 or 400, and of an sd (sd / sqrt(2 n))
    assert cell.theta.mean() == pytest.approx(0, abs=0.17)
    assert cell.b.std() == pytest.approx(1.2, abs=0.13)
    assert np.log(cell.a).std() == pytest.approx(0.4, abs=0.05)
    assert (cell.c == 0).all()
    # answers follow the curve: mean squared error of y is the mean of p (1 - p), whose sd here is below .0006
    p = cell.probability
    assert np.mean((cell.y - p) ** 2) == pytest.approx(np.mean(p * (1 - p)), abs=0.002)


def test_thinner_cell_is_the_same_cell_with_fewer_answers():
    whole, thin = simulate("S1-2pl", size=SIZE), simulate("S1-2pl-m20", size=SIZE)
    assert np.array_equal(whole.y, thin.y)
    assert np.array_equal(whole.held, thin.held)
    assert not (thin.seen & ~whole.seen).any()
    assert thin.seen.mean() == pytest.approx(0.72, abs=0.004)  # three standard errors


def test_other_designs():
    one, three = simulate("S1-1pl", size=SIZE), simulate("S1-3pl", size=SIZE)
    assert (one.a == 1).all()
    assert 0.1 <= three.c.min() < 0.12
    assert 0.28 < three.c.max() <= 0.3
    rough = simulate("S2-misspecified", size=(3000, 3000))
    assert rough.irt == "2pl"
    assert rough.theta.mean() == pytest.approx(0, abs=0.055)
    assert rough.theta.std() == pytest.approx(1, abs=0.04)
    assert (rough.a < 0).mean() == pytest.approx(0.05, abs=0.012)
    assert np.log(np.abs(rough.a)).std() == pytest.approx(0.5, abs=0.02)
    # quartiles of 1.2 t(3) are ±0.918; their standard error is 1.2 sqrt(3/16/3000) / .23
    assert np.quantile(rough.b, [0.25, 0.75]) == pytest.approx([-0.918, 0.918], abs=0.13)


def test_cells_are_seeded_and_survive_a_file(tmp_path):
    cell, other = simulate("S1-2pl", seed=3, size=SIZE), simulate("S1-2pl", seed=4, size=SIZE)
    assert np.array_equal(cell.y, simulate("S1-2pl", seed=3, size=SIZE).y)
    assert not np.array_equal(cell.theta, other.theta)
    save(cell, tmp_path / "deep" / "cell.npz")
    again = load(tmp_path / "deep" / "cell.npz")
    assert again.name == cell.name
    assert all(
        np.array_equal(getattr(again, k), getattr(cell, k)) for k in ("y", "seen", "theta", "a", "b", "c")
    )
    values = cell.responses()
    assert np.array_equal(np.isnan(values), ~cell.seen)
    assert not np.isnan(cell.responses(complete=True)).any()


@pytest.mark.parametrize("k", [2.0, -0.5])
def test_alignment_undoes_any_linear_scale(k):
    cell = simulate("S1-2pl", size=SIZE)
    theta, a, b = k * cell.theta + 3, cell.a / k, k * cell.b + 3
    found = aligned(theta, a, b, cell.theta)
    for x, truth in zip(found, (cell.theta, cell.a, cell.b), strict=True):
        assert x == pytest.approx(truth, abs=1e-12)
    got = measure(cell, {"theta": theta, "a": a, "b": b, "c": cell.c})
    assert [got[key] for key in ("p_rmse", "theta_rmse", "a_rmse", "b_rmse", "gap_mnat")] == pytest.approx(
        [0] * 5, abs=1e-9
    )
    assert got["failed_items"] == 0


def test_measures_by_hand():
    theta, a, b, c = np.array([-1.0, 1.0]), np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.zeros(2)
    y = np.array([[0, 0], [1, 1]], dtype=np.int8)
    held = np.array([[True, False], [False, True]])
    cell = Cell("S1-2pl", y, ~held, held, theta, a, b, c)
    p = 1 / (1 + np.exp(-np.array([[-1, -4], [1, 0]])))
    assert cell.probability == pytest.approx(p)
    flat = {"theta": theta, "a": np.zeros(2), "b": b, "c": c}  # P = 1/2 everywhere
    got = measure(cell, flat)
    assert got["log_loss"] == pytest.approx(np.log(2))
    # held out: model 0 fails item 0, P = σ(1) of failing; model 1 passes item 1, P = 1/2
    truth = -(np.log(p[1, 0]) + np.log(0.5)) / 2
    assert got["gap_mnat"] == pytest.approx(1000 * (np.log(2) - truth))
    assert got["p_rmse"] == pytest.approx(np.sqrt(np.mean((p - 0.5) ** 2)))
    assert got["a_rmse"] == pytest.approx(np.sqrt((1 + 4) / 2))
    assert "c_rmse" not in got
    assert "log_loss" not in measure(cell, flat, saw_held_out=True)
    given = measure(cell, {**flat, "probability": p})
    assert given["p_rmse"] == pytest.approx(0)
    broken = {**flat, "a": np.array([1.0, np.nan]), "b": np.array([1e4, 0.0])}
    assert measure(cell, broken)["failed_items"] == 2


def test_coverage_is_counted_on_the_models_scale():
    theta = np.array([1.0, 3.0, 5.0, 7.0])  # mean 4, sd sqrt 5
    sd = 5**0.5
    a, b = np.array([0.5, -1.0]), np.array([4.0, 0.0])
    none = np.zeros((4, 2), dtype=bool)
    cell = Cell("S1-2pl", none.astype(np.int8), ~none, none, theta, a, b, np.array([0.2, 0.1]))
    here = (theta - 4) / sd
    found = {"theta_lower": here - [0.1, 0.1, 0.1, -0.1], "theta_upper": here + 0.2}
    found |= {"a_lower": np.array([0.5 * sd - 0.01, 0]), "a_upper": np.array([0.5 * sd + 0.01, 9])}
    found |= {"b_lower": np.array([0.01, -9]), "b_upper": np.array([1, 9])}  # the first item's b is 0 there
    found |= {"c_lower": np.array([0.1, 0.11]), "c_upper": np.array([0.3, 0.2])}
    # the item with a negative slope counts for c only
    assert coverage(cell, found) == {
        "cover_theta": 0.75,
        "cover_b": 0.0,
        "cover_log_a": 1.0,
        "cover_logit_c": 0.5,
    }


def test_extrapolation_is_the_line_through_two_short_fits():
    # 10 s to begin, 2 s an epoch
    assert extrapolated([(1, 12.0, 0), (4, 18.0, 0)], 2000) == pytest.approx(4010)
    # the same with 5 s and 7 s to compile, at the first call of each length
    twice = [(1, 17.0, 0), (1, 12.0, 0), (4, 25.0, 0), (4, 18.0, 0)]
    assert extrapolated(twice, 2000) == pytest.approx(4015)
    with pytest.raises(ValueError, match="no cost of an epoch"):
        extrapolated([(1, 12.0, 0), (4, 11.0, 0)], 2000)


A, B = (
    Tool("a", "mirt", ("x==1",)),
    Tool("b", "mirt", ("y==1",), epochs=100, cut={"S3": (1, 2)}, skip={"S1-3pl": "no"}),
)


def record(tool, cell="S1-2pl", turn=0, **more):
    cut = tool.cut_at(cell)
    cut = list(cut) if cut else None
    return {
        "tool": tool.name,
        "cell": cell,
        "round": turn,
        "filed_under": tool.version,
        "cut": cut,
        "epochs": tool.epochs,
        "cpu_s": 1.0,
    } | more


def left(runs, cells=("S1-2pl",), rounds=2):
    return [(tool.name, cell, turn) for tool, cell, turn in turns(runs, [A, B], list(cells), rounds, long=20)]


def test_tools_take_turns_and_finished_runs_are_passed_over(tmp_path):
    path = tmp_path / "runs.jsonl"
    assert left(Runs(path)) == [
        ("a", "S1-2pl", 0),
        ("b", "S1-2pl", 0),
        ("a", "S1-2pl", 1),
        ("b", "S1-2pl", 1),
    ]
    Runs(path).add(record(A))
    Runs(path).add(record(B, turn=1))
    assert left(Runs(path)) == [("b", "S1-2pl", 0), ("a", "S1-2pl", 1)]
    assert left(Runs(path), ["S1-3pl"], 1) == [("a", "S1-3pl", 0)]
    newer = dataclasses.replace(A, requires=("x==2",))
    assert Runs(path).of(newer, "S1-2pl", 0) is None
    Runs(path).add(record(newer))
    assert len(path.read_text().splitlines()) == 2  # the run of the older version is gone
    shorter = dataclasses.replace(B, cut={"S1": (1, 2)})
    assert Runs(path).of(shorter, "S1-2pl", 1) is None


@pytest.mark.parametrize("first", [{"cpu_s": 21.0}, {"failed": "no memory"}])
def test_long_and_failed_runs_are_not_repeated(tmp_path, first):
    runs = Runs(tmp_path / "runs.jsonl")
    runs.add(record(A, **first))
    runs.add(record(B, "S3-2pl"))
    assert left(runs) == [("b", "S1-2pl", 0), ("b", "S1-2pl", 1)]
    assert left(runs, ["S3-2pl"]) == [("a", "S3-2pl", 0), ("a", "S3-2pl", 1)]  # b was cut short there
    again = Runs(runs.path, again=True)
    assert (("a", "S1-2pl", 0) in left(again)) == ("failed" in first)


def test_irtbench_is_filed_under_its_source(monkeypatch):
    own = TOOLS["irtbench"]
    assert own.version.startswith("source ")
    assert dataclasses.replace(own).version == own.version
    monkeypatch.setattr("benchmarks.fit.tools._sources", lambda factors: [HERE / "cells.py"])
    assert dataclasses.replace(own).version != own.version
    assert TOOLS["py-irt"].version == "py-irt==0.7.1 torch==2.13.0 priors=vague epochs=2000"


def test_the_plan_is_possible():
    for tool in TOOLS.values():
        assert (HERE / "peers" / f"{tool.peer}.py").is_file()
        assert (tool.epochs is not None) or not tool.cut
        for cell in CELLS:
            cut = tool.cut_at(cell)
            assert cut is None or 0 < cut[0] < cut[1] < tool.epochs
    assert {cell.split("-")[0] for cell in CELLS} < set(SIZES)


def test_tables_say_what_was_not_measured(tmp_path):
    more = {"machine": {"processor": "P", "cores": 2, "memory_gib": 8, "system": "Linux x86_64"}}
    own, mirt, pyirt, girth = (TOOLS[k] for k in ("irtbench", "mirt", "py-irt hierarchical", "girth mml"))
    given = [(own, 0.1, 0.05, 0), (own, 0.5, 0.05, 1), (own, 0.2, 0.05, 2)]
    given += [(mirt, 2.0, 0.07, 0), (pyirt, 1.4, 0.08, 0)]
    runs = [record(tool, "S1-3pl", k, cpu_s=s, p_rmse=p, **more) for tool, s, p, k in given]
    runs += [record(girth, "S1-3pl", failed="ValueError: x", **more), record(girth, cpu_s=245.0, **more)]
    runs += [record(pyirt, "S3-2pl", cpu_s=300.0, **more), record(own, "S3-2pl", p_rmse=0.03, **more)]
    table = summary(runs)
    row = table[(table["cell"] == "S1-3pl") & (table["tool"] == "irtbench")].iloc[0]
    assert (row["cpu_s"], row["cpu_s_min"], row["cpu_s_max"], row["runs"]) == (0.2, 0.1, 0.5, 3)
    lines = headline(table).splitlines()
    # the fastest takes 1.4 / 0.2 = 7 times as long, the most accurate 2.0 / 0.2 = 10 times
    near = "py-irt hierarchical 1.40 | 0.0800 | 7.0× | mirt 2.00 | 0.0700 | 10× | 7.0×"
    assert lines[2] == f"| S1-3pl | irtbench | 0.20 | 0.0500 | {near} |"
    # of a run that was cut only the cost counts, 300 against 1
    near = "cBMM (as published) 31.0 | 0.0316 | 31× | cBMM (as published) 31.0 | 0.0316 | 31× | ≈ 300×"
    assert lines[3] == f"| S3-2pl | irtbench | 1.00 | 0.0300 | {near} |"
    page = markdown(table, runs)
    assert "≈ 300" in page
    assert "≤ 245" in page
    assert "accuracy not available" in page
    assert "failed: ValueError: x" in page
    assert "as published, not rerun" in page
    (tmp_path / "page.md").write_text("before\n[[\nold\n]]\nafter\n")
    replace_section(tmp_path / "page.md", "[[", "]]", "new")
    assert (tmp_path / "page.md").read_text() == "before\n[[\nnew\n]]\nafter\n"


def test_a_worker_measures_irtbench(tmp_path):
    cell = simulate("S1-2pl", size=(30, 20))
    save(cell, tmp_path / "cell.npz")
    job = {"peer": "irtbench", "distribution": "", "options": {"method": "laplace"}, "epochs": [None]}
    job |= {"full_epochs": None, "complete": False, "irt": "2pl", "seed": 0, "core": None}
    job |= {"data": str(tmp_path / "cell.npz"), "estimates": str(tmp_path / "found.npz")}
    cost = work(job)
    json.dumps(cost)
    assert cost["cpu_s"] > 0
    assert cost["wall_s"] > 0
    with np.load(tmp_path / "found.npz") as file:
        found = dict(file)
    assert found["probability"].shape == cell.y.shape
    got = measure(cell, found) | coverage(cell, found)
    # better than no model at all: every item's own share right
    share = np.nanmean(cell.responses(), axis=0)
    assert got["p_rmse"] < np.sqrt(np.mean((share - cell.probability) ** 2))
    assert 0.7 < got["cover_b"] <= 1  # 20 items; the chance of 14 or fewer at .9 is below .3 %
    assert found["a_lower"].shape == found["c_upper"].shape == (20,)


@pytest.mark.peer
@pytest.mark.parametrize("name", [name for name, tool in TOOLS.items() if tool.requires])
def test_each_peer_runs_on_a_small_cell(tmp_path, name):
    tool = TOOLS[name]
    tool = dataclasses.replace(tool, cut={}, epochs=tool.epochs and min(tool.epochs, 300))
    if tool.peer != "mirt" and not (ENVS / tool.environment).is_dir():
        pytest.skip("its environment is not there; benchmarks/fit/run.py installs it")
    cell = simulate("S1-2pl", size=(60, 40))
    cost, found = launch(tool, cell, tmp_path / "cell.npz", seed=0, core=None, limit=300)
    assert cost["version"] == tool.requires[0].split("==")[1]
    got = measure(cell, found, saw_held_out=tool.complete)
    assert got["theta_corr"] > 0.8  # 36 answers a model: reliability about .88, r about .94
    assert curve(*(found[k] for k in ("theta", "a", "b", "c"))).shape == cell.y.shape


@pytest.mark.peer
def test_a_peer_that_fails_says_why(tmp_path):
    tool = dataclasses.replace(TOOLS["mirt"], options={"no_such_option": 1})
    with pytest.raises(Failed, match="no_such_option"):
        launch(tool, simulate("S1-2pl", size=(20, 10)), tmp_path / "cell.npz", seed=0, core=None, limit=100)
