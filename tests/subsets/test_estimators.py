"""Estimators: their limits, and p-IRT and gp-IRT against the formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irtbench.irt import simulate
from irtbench.irt.abilities import ability_posterior
from irtbench.irt.curves import probability
from irtbench.responses.matrix import item_weights
from irtbench.subsets.estimators import (
    BANK_ESTIMATORS,
    MODEL_FREE,
    Board,
    Curves,
    coefficients,
    estimate_scores,
    mixing,
)
from irtbench.subsets.sampling import design_weights

LINEAR = (*MODEL_FREE, *BANK_ESTIMATORS)


@pytest.fixture(scope="module")
def sim():
    return simulate(n_models=12, n_items=60, n_benchmarks=2, seed=3)


def board_of(sim, chosen, average="micro", error=0.05):
    strata = (sim.responses.benchmarks == "benchmark-2").astype(int)
    full = item_weights(sim.responses.benchmarks, average)
    chosen = np.asarray(chosen)
    weights = design_weights(chosen, strata, full)
    return Board(
        full, chosen, weights, strata, strata, np.full(2, error), np.array([0.2, 0.1]), average == "macro"
    )


def run(sim, board, method, hide=None):
    responses = sim.responses.take(items=board.chosen)
    values = np.array(responses.values)
    if hide is not None:
        values[hide] = np.nan
        responses = type(responses)(values, responses.models, responses.items)
    posterior = ability_posterior(sim.bank, responses)
    return estimate_scores(method, board, values, Curves.of(sim.bank), posterior)


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("average", ["micro", "macro"])
def test_all_items_seen_gives_the_full_score(sim, method, average):
    score, sd = run(sim, board_of(sim, np.arange(60), average), method)
    assert score == pytest.approx(sim.responses.scores(average).to_numpy(), abs=1e-6)
    assert sd == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_mean_is_the_raw_score_of_the_subset(sim, average):
    chosen = [0, 3, 11, 40]
    expected = sim.responses.take(items=chosen).scores(average)
    assert run(sim, board_of(sim, chosen, average), "mean")[0] == pytest.approx(expected.to_numpy(), abs=1e-6)


def test_gp_irt_is_p_irt_without_model_error(sim):
    board = board_of(sim, np.arange(0, 60, 5), error=0.0)
    assert run(sim, board, "gp-irt")[0] == pytest.approx(run(sim, board, "p-irt")[0])


def test_gp_irt_is_the_weighted_mean_with_large_model_error(sim):
    board = board_of(sim, np.arange(0, 60, 5), error=1e6)
    assert run(sim, board, "gp-irt")[0] == pytest.approx(run(sim, board, "weighted")[0])


@given(st.floats(1e-3, 1), st.floats(0, 0.25), st.integers(1, 1000))
def test_mixing_grows_with_the_items_to_one(error, variance, n):
    few, more, many = mixing(np.full(3, error), np.full(3, variance), np.array([n, n + 1, 10**9]))
    assert few <= more <= many
    assert many == pytest.approx(1, abs=1e-3)


def by_hand(sim, board, model):
    """Both estimators from the formulas of the paper, by sums over a plain grid of abilities."""
    theta = np.linspace(-6, 6, 2001)
    a, b = sim.items["discrimination"].to_numpy(), sim.items["difficulty"].to_numpy()
    p = probability(theta, a, b)
    y = sim.responses.values[model].astype(float)
    seen = board.chosen
    log = np.log(p[:, seen]) @ y[seen] + np.log1p(-p[:, seen]) @ (1 - y[seen]) - theta**2 / 2
    weight = np.exp(log - log.max())
    expected = weight @ p / weight.sum()
    p_irt = gp_irt = 0.0
    for g in (0, 1):
        own = np.flatnonzero(board.groups == g)
        in_s = np.isin(own, seen)
        n, total = in_s.sum(), len(own)
        anchor = y[own[in_s]].mean()
        part = n / total * anchor + (1 - n / total) * expected[own[~in_s]].mean()
        lam = board.error[g] ** 2 / (board.error[g] ** 2 + board.variance[g] / (4 * n))
        p_irt += part * total / 60
        gp_irt += (lam * anchor + (1 - lam) * part) * total / 60
    return p_irt, gp_irt


def test_p_irt_and_gp_irt_follow_the_formulas(sim):
    board = board_of(sim, [0, 3, 11, 20, 31, 40, 58])
    p_irt, gp_irt = run(sim, board, "p-irt")[0], run(sim, board, "gp-irt")[0]
    for model in range(12):
        expected = by_hand(sim, board, model)
        # 1e-3: linear interpolation of the expected curve, 0.1 apart
        assert (p_irt[model], gp_irt[model]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("method", LINEAR)
def test_a_missing_cell_equals_a_smaller_subset(sim, method):
    with_hole = run(sim, board_of(sim, [0, 3, 11, 20, 31]), method, hide=(slice(None), 1))
    without = board_of(sim, [0, 3, 11, 20, 31])
    smaller = Board(
        without.full,
        np.delete(without.chosen, 1),
        np.delete(without.weights, 1) / np.delete(without.weights, 1).sum(),
        without.groups,
        without.strata,
        without.error,
        without.variance,
    )
    assert with_hole[0] == pytest.approx(run(sim, smaller, method)[0])
    assert with_hole[1] == pytest.approx(run(sim, smaller, method)[1])


@pytest.mark.parametrize("method", LINEAR)
def test_coefficients_sum_to_one(sim, method):
    """A model with the same chance on every item gets that chance."""
    c, d = coefficients(method, board_of(sim, [0, 3, 11, 40]), np.array([True, True, False, True]))
    assert c.sum() + d.sum() == pytest.approx(1)


def test_a_group_without_items_is_left_to_the_curves(sim):
    c, d = coefficients("gp-irt", board_of(sim, [0, 1, 2]), np.ones(3, bool))
    assert d[30:] == pytest.approx(1 / 60)
    assert c.sum() + d.sum() == pytest.approx(1)
