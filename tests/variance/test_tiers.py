"""Ranks and tiers: known order, and how often equals are told apart."""

import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest

from irtbench.errors import InputError
from irtbench.responses import Metric, ResponseMatrix
from irtbench.variance.decisions import compare_recipes, compare_runs
from irtbench.variance.tiers import leaderboard, pairwise


def board_of(rng, scores, n_items=300, metric=None):
    p = 1 / (1 + np.exp(-(np.asarray(scores)[:, None] + rng.normal(size=n_items))))
    return ResponseMatrix.of((rng.random(p.shape) < p) * 1.0, metric=metric)


@pytest.mark.slow
def test_false_alarms_among_equals():
    # four equal models, 1,000 boards: with Holm a verdict anywhere in at most 5 % (3 binomial standard
    # errors: 0.021); without control in more, since there are six pairs
    rng, alarms = np.random.default_rng(0), {"holm": 0, "none": 0}
    for k in range(1000):
        R = board_of(rng, np.zeros(4), 100)
        pairs = pairwise(R)
        for control in alarms:
            p = pairs["p_adjusted"] if control == "holm" else pairs["p_value"]
            alarms[control] += bool((p <= 0.05).any())
        if k % 50 == 0:
            board = leaderboard(R, comparisons=pairs)
            assert (board["tier"].max() > 1) <= (pairs["p_adjusted"] <= 0.05).any()
    assert alarms["holm"] / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert alarms["none"] / 1000 > 0.08


def test_rank_intervals_hold_together():
    # true ranks known (distinct abilities): all intervals at once in 95 % of 300 boards
    rng, truth = np.random.default_rng(1), np.array([0.6, 0.3, 0.0, -0.3])
    held = 0
    for _ in range(300):
        board = leaderboard(board_of(rng, truth)).sort_index()
        rank = np.arange(1, 5)
        held += bool(((board["rank_low"] <= rank) & (rank <= board["rank_high"])).all())
    assert held / 300 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 300)


def test_clear_orders_have_a_tier_each_and_directions_turn_them():
    rng = np.random.default_rng(2)
    R = board_of(rng, [3, 0, -3])
    board = leaderboard(R)
    assert list(board.index) == R.model_ids
    assert board["tier"].tolist() == [1, 2, 3] == board["rank_low"].tolist() == board["rank_high"].tolist()
    loss = ResponseMatrix(R.values, R.models, R.items, Metric("brier", higher_is_better=False))
    turned = leaderboard(loss)
    assert list(turned.index) == R.model_ids[::-1]
    assert turned["tier"].tolist() == [1, 2, 3]


def test_tiers_and_ranks_agree_with_the_pairs():
    R = board_of(np.random.default_rng(3), np.linspace(1, -1, 9), 200)
    pairs, board = pairwise(R), leaderboard(R)
    found = pairs[pairs["p_adjusted"] <= 0.05]
    better = {(r.a, r.b) if r.difference > 0 else (r.b, r.a) for r in found.itertuples()}
    for name, row in board.iterrows():
        assert row["rank_low"] == 1 + sum(loser == name for _, loser in better)
        assert row["rank_high"] == 9 - sum(winner == name for winner, _ in better)
    leaders = board.groupby("tier").head(1).index
    assert all(pair in better for pair in itertools.pairwise(leaders))
    for tier, part in board.groupby("tier"):
        assert not any((part.index[0], name) in better for name in part.index), tier


def test_pairs_are_the_comparisons_of_two():
    R = board_of(np.random.default_rng(4), [0, 0.5, 1], 60)
    row = pairwise(R).iloc[1]
    single = compare_runs(R.values[0], R.values[2])
    # the p-value of one pair is solved to 1e-10 of its logarithm
    want = (single.estimate, single.p_value, single.low)
    assert (row["difference"], row["p_value"], row["low"]) == pytest.approx(want, rel=1e-9)


def one_by_one(R, **how):
    rows = []
    for i, j in itertools.combinations(range(R.n_models), 2):
        one = compare_runs(R.values[i], R.values[j], higher_is_better=R.metric.higher_is_better, **how)
        limits = (one.estimate, one.low, one.high, one.p_value, one.probability, one.n_items)
        rows.append(limits)
    return np.array(rows)


COLUMNS = ["difference", "low", "high", "p_value", "probability", "n_items"]


def kinds():
    """Binary, mixed, missing, equal and nearly equal rows."""
    rng = np.random.default_rng(7)
    R = board_of(rng, [0, 0.2, 0.2, 3, -3, 0], 80)
    binary = R.values.copy()
    binary[5] = binary[0]  # the same responses
    shares = rng.random((5, 80))
    shares[4] = shares[3] + 1e-4 * rng.random(80)
    shares[2] = np.round(shares[2])  # a binary row among shares
    missing = binary.copy()
    missing[rng.random(missing.shape) < 0.3] = np.nan
    ragged = shares.copy()
    ragged[rng.random(ragged.shape) < 0.2] = np.nan
    constant = np.tile([[0.5], [0.5], [0.25]], (1, 20))
    return {"binary": binary, "shares": shares, "missing": missing, "ragged": ragged, "constant": constant}


@pytest.mark.parametrize("kind", list(kinds()))
@pytest.mark.parametrize("seed_sd", [None, 0.0, 0.01, 0.3])
def test_all_pairs_at_once_are_those_one_by_one(kind, seed_sd):
    for metric in (None, Metric("brier", higher_is_better=False)):
        R = ResponseMatrix.of(kinds()[kind], metric=metric)
        want = one_by_one(R, seed_sd=seed_sd)
        found = pairwise(R, seed_sd=seed_sd)[COLUMNS].to_numpy(dtype=float)
        # one by one, the logarithm of the p-value is solved to 1e-10, and z is a t with 1e9 df
        assert found == pytest.approx(want, rel=1e-8, abs=2e-9)


def test_all_pairs_at_once_with_clusters():
    for values in (kinds()["binary"], kinds()["shares"]):
        clusters = np.arange(80) // 7
        items = pd.DataFrame({"passage": clusters}, index=[f"i{k}" for k in range(80)])
        R = ResponseMatrix.of(values, items=items)
        for seed_sd in (None, 0.02):
            want = one_by_one(R, clusters=clusters, seed_sd=seed_sd)
            found = pairwise(R, clusters="passage", seed_sd=seed_sd)[COLUMNS].to_numpy(dtype=float)
            assert found == pytest.approx(want, rel=1e-8, abs=2e-9)


def test_four_hundred_models_take_seconds():
    R = board_of(np.random.default_rng(8), np.linspace(-1, 1, 400), 500)
    began = time.process_time()
    table = pairwise(R)
    # 0.2 s here; one by one they took half a minute. The bound leaves room for a slower machine
    assert time.process_time() - began < 3
    assert len(table) == 400 * 399 / 2


def test_recipes_count_their_seeds():
    rng = np.random.default_rng(5)
    R = board_of(rng, np.repeat([0.0, 0.4], 3) + 0.3 * rng.normal(size=6))
    table = pd.DataFrame({"recipe": list("aaabbb")}, index=R.models.index)
    R = ResponseMatrix(R.values, table, R.items.assign(passage=np.arange(300) // 5), R.metric)
    row = pairwise(R, by="recipe", clusters="passage").iloc[0]
    single = compare_recipes(R.values[:3], R.values[3:], clusters=np.arange(300) // 5)
    assert (row["difference"], row["p_value"]) == (single.estimate, single.p_value)
    board = leaderboard(R, by="recipe")
    assert board["seeds"].tolist() == [3, 3]
    assert board.attrs["control"] == "holm"


def test_refusals():
    R = board_of(np.random.default_rng(6), [0, 1], 10)
    with pytest.raises(InputError, match="no column 'recipe'"):
        leaderboard(R, by="recipe")
    steps = pd.DataFrame({"recipe": ["a", "a"], "step": [1, 2]}, index=R.models.index)
    with pytest.raises(InputError, match="several checkpoints"):
        leaderboard(ResponseMatrix(R.values, steps, R.items), by="recipe")
    with pytest.raises(InputError, match="no column 'passage'"):
        pairwise(R, clusters="passage")
    with pytest.raises(InputError, match="at least 2"):
        leaderboard(R.take([0]))
