"""Items in two halves of the models, one run a model, and crossings: against direct computations."""

import numpy as np
import pandas as pd
import pytest

from irtbench.errors import InputError
from irtbench.responses import ResponseMatrix
from irtbench.variance import compare_views, crossings, item_statistics, one_run_each, statistics_by_half


def test_halves_are_the_statistics_of_each_half():
    rng = np.random.default_rng(0)
    R = ResponseMatrix.of((rng.logistic(size=(25, 30)) < rng.normal(size=(25, 1))) * 1)
    order = R.scores().sort_values(kind="stable").index
    found = statistics_by_half(R)
    assert found.attrs["models"] == 12  # the thirteenth is in neither
    for name, own in (("weaker", order[:12]), ("stronger", order[13:])):
        want = item_statistics(R.take(models=sorted(own, key=list(R.model_ids).index)))
        assert found.loc[name, "difficulty"].to_numpy() == pytest.approx(want["difficulty"].to_numpy())
        assert found.loc[name, "item_rest"].to_numpy() == pytest.approx(
            want["item_rest"].to_numpy(), nan_ok=True
        )
    assert found.loc["weaker", "difficulty"].mean() > found.loc["stronger", "difficulty"].mean()
    with pytest.raises(InputError, match="at least 12, there are 11"):
        statistics_by_half(R.take(models=slice(0, 11)))


def test_one_run_each_takes_the_last_checkpoint_of_every_seed():
    grid = [("a", 0, 9), ("a", 0, 10), ("a", 1, 9), ("b", 0, "best"), ("b", 0, 50)]
    table = pd.DataFrame(grid, columns=["family", "seed", "step"], index=list("vwxyz"), dtype=object)
    table["step"] = table["step"].astype(str)  # 10 after 9, and text after numbers
    R = ResponseMatrix.of(np.eye(5), table)
    assert one_run_each(R).model_ids == ["w", "x", "y"]
    assert one_run_each(R.take(models=["v"])).model_ids == ["v"]
    plain = ResponseMatrix.of(np.eye(3))
    assert one_run_each(plain) is plain


def views(up=True):
    """Two benchmarks; in x A overtakes at 25, in y B is ahead all the way."""
    table = pd.DataFrame({"family": "f", "seed": [0] * 4 + [1] * 4, "step": [10, 20, 30, 40] * 2})
    table.index = [f"m{k}" for k in range(8)]
    a = {"x": [0.1, 0.2, 0.6, 0.9], "y": [0.1, 0.1, 0.1, 0.1]}
    b = {"x": [0.3, 0.4, 0.4, 0.4], "y": [0.5, 0.6, 0.7, 0.8]}
    made = {}
    for name, scores in (("A", a), ("B", b)):
        values = np.array([[scores["x"][k % 4], scores["y"][k % 4]] for k in range(8)])
        values = values if up else 1 - values
        metric = "prob" if up else "brier"
        made[name] = ResponseMatrix.of(values, table, ["i", "j"], benchmark=["x", "y"], metric=metric)
    return made


@pytest.mark.parametrize("up", [True, False])
def test_crossings_by_benchmark(up):
    found = crossings(views(up), resamples=50).set_index("benchmark")
    assert found.loc["x", "winner"] == "A"
    assert found.loc["x", "crossover"] == pytest.approx(25, abs=1e-4)  # -0.2 at 20, +0.2 at 30; float32
    assert found.loc["y", "winner"] == "B"
    assert np.isnan(found.loc["y", "crossover"])


def test_compare_views_puts_the_crossing_first():
    found = compare_views(views(), resamples=50)
    assert found.crossing["benchmark"] == "x"
    assert found.order == ("x", "y")
    assert found.agreement is None  # two seeds at the end: two runs
    with pytest.raises(InputError, match="two views"):
        compare_views({"A": views()["A"]})


def test_views_on_different_scales_do_not_cross():
    two = views()
    R = two["B"]
    two["B"] = ResponseMatrix.of(3 * (1 - R.values), R.models, R.items, metric="nll")
    assert compare_views(two, resamples=50).crossing is None
    with pytest.raises(InputError, match="not on one scale"):
        crossings(two)
