"""The belief against brute force: three-dimensional quadrature, and every answer tried."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.irt import simulate
from irtbench.irt.abilities import ability_posterior
from irtbench.responses.matrix import item_weights
from irtbench.subsets.adaptive.belief import GRID, Lattice
from irtbench.subsets.adaptive.choosing import by_information, by_score, expected_reduction
from irtbench.subsets.adaptive.planning import AdaptivePlan, benchmark_spread

SETTINGS = settings(max_examples=15, deadline=None)


def lattice(spread=(0.4, 0.9), n_items=14, seed=0, average="macro"):
    s = simulate(n_models=12, n_items=n_items, n_benchmarks=len(spread), irt="3pl", seed=seed)
    strata = np.unique(s.responses.benchmarks.astype(str), return_inverse=True)[1]
    return s, Lattice.of(s.bank, item_weights(s.responses.benchmarks, average), strata, spread)


def some(s, model, asked):
    values = np.full(s.responses.n_items, np.nan)
    values[asked] = s.responses.values[model, asked]
    return values


def brute_force(board, values):
    """Joint posterior of (θ, t1, t2) on the grid, by the formulas of the module's docstring."""
    asked = ~np.isnan(values)
    like = []
    for b in (0, 1):
        own = asked & (board.strata == b)
        like.append(np.prod(np.where(values[own] == 1, board.p[:, own], 1 - board.p[:, own]), axis=1))
    normal = [np.exp(-((GRID[:, None] - GRID) ** 2) / (2 * s**2)) for s in board.spread]
    normal = [k / k.sum(axis=1, keepdims=True) for k in normal]
    joint = np.einsum("i,ij,ik->ijk", np.exp(-(GRID**2) / 2), normal[0] * like[0], normal[1] * like[1])
    return joint / joint.sum()


@pytest.mark.parametrize("asked", [[], [0, 3], [0, 1, 2, 7, 9, 12]])
def test_score_and_covariances_are_those_of_the_joint_posterior(asked):
    s, board = lattice()
    values = some(s, 4, asked)
    belief = board.belief(values)
    joint = brute_force(board, values)
    left = np.isnan(values)
    f = board.full
    own = [np.where(left & (board.strata == b), f, 0) @ board.p.T for b in (0, 1)]
    rest = own[0][:, None] + own[1][None, :]
    both = joint.sum(axis=0)
    mean = float((both * rest).sum())
    sides = [both.sum(axis=1), both.sum(axis=0)]
    p_mean = np.array([sides[board.strata[i]] @ board.p[:, i] for i in range(len(f))])
    noise = np.array([sides[board.strata[i]] @ (board.p[:, i] * (1 - board.p[:, i])) for i in range(len(f))])
    variance = float((both * (rest - mean) ** 2).sum() + (f[left] ** 2) @ noise[left])
    score = float(f[~left] @ values[~left]) + mean
    assert belief.score == pytest.approx((score, variance), abs=1e-10)
    np.testing.assert_allclose(belief.means, p_mean, atol=1e-10)
    np.testing.assert_allclose(belief.noise, noise, atol=1e-10)
    curves = [board.p[:, i][:, None] if board.strata[i] == 0 else board.p[:, i][None, :] for i in range(14)]
    cov = [float((both * rest * c).sum() - mean * m) for c, m in zip(curves, p_mean, strict=True)]
    np.testing.assert_allclose(belief.covariance(None, belief.rest), cov, atol=1e-10)
    j = 11
    cov = [float((both * curves[j] * c).sum() - p_mean[j] * m) for c, m in zip(curves, p_mean, strict=True)]
    np.testing.assert_allclose(belief.covariance(int(board.strata[j]), board.p[:, j]), cov, atol=1e-10)


@SETTINGS
@given(st.integers(0, 10**6), st.integers(0, 8), st.sampled_from([(0.0, 0.0), (0.3, 1.2), (0.5,)]))
def test_the_expected_reduction_is_what_the_two_answers_bring_on_average(seed, n_asked, spread):
    s, board = lattice(spread, seed=seed % 50)
    asked = np.random.default_rng(seed).permutation(14)[:n_asked]
    belief = board.belief(some(s, seed % 12, asked))
    claimed = expected_reduction(belief)
    for j in range(14):
        if j in asked:
            assert claimed[j] == 0
            continue
        p = belief.means[j]
        after = p * belief.answer(j, 1.0).score[1] + (1 - p) * belief.answer(j, 0.0).score[1]
        assert belief.score[1] - after == pytest.approx(claimed[j], abs=1e-12)


def test_the_order_of_answers_changes_nothing():
    s, board = lattice()
    one, other = board.belief(np.full(14, np.nan)), board.belief(some(s, 2, [5, 1, 9]))
    for j in (9, 5, 1):
        one = one.answer(j, float(s.responses.values[2, j]))
    assert one.score == pytest.approx(other.score, abs=1e-12)
    np.testing.assert_allclose(one.own, other.own, atol=1e-12)


def test_without_spread_it_is_the_banks_own_ability():
    s, board = lattice((0.0, 0.0), n_items=60)
    belief = board.belief(s.responses.values[3].astype(float))
    known = ability_posterior(s.bank, s.responses.take(models=[3]))
    for weight in (belief.general, *belief.own):
        assert float(weight @ GRID) == pytest.approx(known.mean[0], abs=1e-3)  # both grids 0.05-0.1 apart
        sd = float(np.sqrt(weight @ (GRID - weight @ GRID) ** 2))
        assert sd == pytest.approx(known.sd[0], rel=1e-2)


def test_when_all_is_asked_nothing_is_uncertain():
    s, board = lattice()
    mean, variance = board.belief(s.responses.values[1].astype(float)).score
    assert mean == pytest.approx(float(board.full @ s.responses.values[1]), abs=1e-7)
    assert variance < 1e-15


def test_a_batch_of_one_is_the_best_item_and_no_batch_holds_an_item_twice():
    s, board = lattice()
    belief = board.belief(some(s, 0, [2, 8]))
    free = np.ones(14, dtype=bool)
    assert by_score(belief, s.bank, 1, free).tolist() == [int(np.argmax(expected_reduction(belief)))]
    for choose in (by_score, by_information):
        found = choose(belief, s.bank, 20, free)
        assert sorted(found) == [k for k in range(14) if k not in (2, 8)]
        free[found[0]] = False
        assert found[0] not in choose(belief, s.bank, 20, free)
        free[:] = True


def test_a_batch_does_not_ask_the_same_twice():
    """Items 0-4 are one steep item five times; 5-9 are flat ones of another benchmark."""
    s = simulate(n_models=5, n_items=10, n_benchmarks=2, seed=0)
    steep, flat = 1 / (1 + np.exp(-6 * GRID)), 1 / (1 + np.exp(-0.8 * GRID))
    p = np.clip(np.column_stack([steep] * 5 + [flat] * 5), 1e-6, 1 - 1e-6)
    board = Lattice(p, np.full(10, 0.1), np.repeat([0, 1], 5), np.array([1.0, 1.0]))
    belief = board.belief(np.full(10, np.nan))
    alone = np.argsort(-expected_reduction(belief))[:5]
    assert set(alone) == {0, 1, 2, 3, 4}
    together = by_score(belief, s.bank, 5, np.ones(10, dtype=bool))
    assert 2 <= (together < 5).sum() <= 4
    # what matters: the variance left after the batch, over all answers to it

    def left(items):
        total = 0.0
        for code in range(2 ** len(items)):
            now, probability = belief, 1.0
            for k, item in enumerate(items):
                y = (code >> k) & 1
                probability *= now.means[item] if y else 1 - now.means[item]
                now = now.answer(int(item), float(y))
            total += probability * now.score[1]
        return total

    assert left(together) < 0.97 * left(alone)


@pytest.mark.parametrize("truth", [0.0, 0.8])
def test_the_spread_of_abilities_is_found(truth):
    s = simulate(n_models=150, n_items=180, n_benchmarks=3, benchmark_sd=truth, seed=5)
    found = benchmark_spread(s.bank, s.responses)
    assert set(found) == set(s.responses.benchmarks)
    # the sd of a standard deviation from 150 models is truth / sqrt(2 · 150) = 0.05, and the grid 0.2 wide
    assert np.mean(list(found.values())) == pytest.approx(truth, abs=0.2)
    assert list(benchmark_spread(simulate(5, 9, seed=0).bank, simulate(5, 9, seed=0).responses).values()) == [
        0
    ]


def test_the_plan_interpolates_its_factors():
    s, _ = lattice()
    plan = AdaptivePlan(s.bank, factors={10: 2.0, 100: 3.0})
    assert [plan.factor(n) for n in (1, 10, 100, 500)] == [2.0, 2.0, 3.0, 3.0]
    assert 2.0 < plan.factor(30) < 3.0
    assert AdaptivePlan(s.bank).factor(5) == pytest.approx(1.6449, abs=1e-4)  # the 95 % quantile
