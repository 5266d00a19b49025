"""Q3 against numpy, copies on top, blocks, and what independence looks like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known import truth_of, with_cells

import irtbench as ib
from irtbench.errors import InputError
from irtbench.irt.diagnostics import dependence, local_dependence, residual_correlations


@settings(deadline=None, max_examples=8)
@given(st.sampled_from([0.0, 0.2]), st.integers(1, 3), st.integers(0, 99), st.sampled_from([4, 7, 1024]))
def test_q3_is_numpys_correlation_of_residuals(missing, samples, seed, width):
    s = ib.simulate(60, 11, missing=missing, samples=samples, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dependence, "_WIDTH", width)  # several blocks
        found = residual_correlations(truth_of(s), s.responses).to_numpy()
        top = local_dependence(truth_of(s), s.responses, top=20)
    R = s.responses
    residual = R.values - s.bank.probability(s.abilities["ability"])
    share = np.nansum(R.values, axis=0)
    rare = np.minimum(share, R.observed.sum(axis=0) - share) < 5 - 1e-6
    expect = np.full((11, 11), np.nan)
    for i in range(11):
        for j in range(11):
            seen = R.observed[:, i] & R.observed[:, j]
            if i != j and not rare[[i, j]].any():
                expect[i, j] = np.corrcoef(residual[seen, i], residual[seen, j])[0, 1]
    np.testing.assert_allclose(found, expect, atol=2e-6)  # float32 sums over 60 models
    upper = expect[np.triu_indices(11, 1)]
    upper = upper[~np.isnan(upper)]
    order = np.argsort(-np.abs(upper))[:20]
    np.testing.assert_allclose(np.abs(top["q3"]), np.abs(upper[order]), atol=2e-6)
    np.testing.assert_allclose(top["q3"] - top["q3_star"], upper.mean(), atol=2e-6)
    at = [(R.item_ids.index(a), R.item_ids.index(b)) for a, b in top[["item_1", "item_2"]].to_numpy()]
    assert all(i < j for i, j in at)
    np.testing.assert_allclose([expect[i, j] for i, j in at], top["q3"], atol=2e-6)
    assert top["n"].tolist() == [(R.observed[:, i] & R.observed[:, j]).sum() for i, j in at]


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_copies_come_out_on_top(missing):
    s = ib.simulate(150, 300, missing=missing, seed=1)
    common = np.flatnonzero(s.responses.scores().to_numpy() > 0)
    R = with_cells(s.responses, common, [200, 250], s.responses.values[np.ix_(common, [10, 20])])
    found = local_dependence(ib.fit(R, method="laplace"), R, top=5)
    ids = R.item_ids
    assert {tuple(p) for p in found[["item_1", "item_2"]].to_numpy()[:2]} == {
        (ids[10], ids[200]),
        (ids[20], ids[250]),
    }
    assert (found["q3"][:2] > 0.999).all()
    assert found["q3"].abs().iloc[2] < 0.6  # 44,850 independent pairs of 150 models


def test_independent_items_have_the_spread_of_chance():
    s = ib.simulate(200, 150, seed=0)
    q3 = residual_correlations(ib.fit(s.responses, method="laplace"), s.responses).to_numpy()
    upper = q3[np.triu_indices(150, 1)]
    upper = upper[~np.isnan(upper)]
    # about 10,000 pairs: the standard error of their mean is below .001, of their sd .0005
    assert abs(upper.mean() + 1 / 149) < 0.005
    assert abs(upper.std() - 200**-0.5) < 0.005


def test_a_passage_shared_by_items_shows():
    s = ib.simulate(200, 100, seed=3)
    rng = np.random.default_rng(0)
    a, b = s.items["discrimination"].to_numpy()[:6], s.items["difficulty"].to_numpy()[:6]
    theta = s.abilities["ability"].to_numpy()[:, None] + rng.normal(0, 1.5, (200, 1))
    y = rng.random((200, 6)) < 1 / (1 + np.exp(-a * (theta - b)))
    R = with_cells(s.responses, range(200), range(6), y)
    top = local_dependence(ib.fit(R, method="laplace"), R, top=8)
    inside = top[["item_1", "item_2"]].isin(R.item_ids[:6]).all(axis=1)
    assert inside.sum() >= 6  # of 15 pairs inside; 4,935 other pairs


def test_items_answered_alike_have_no_q3():
    s = ib.simulate(60, 12, seed=0)
    R = with_cells(s.responses, range(60), [0, 1], np.ones((60, 2)))
    R = with_cells(R, range(60), [2], np.arange(60)[:, None] < 4)
    q3 = residual_correlations(s.bank, R)
    assert q3.iloc[:3].isna().all(axis=None)
    assert q3.iloc[3:, 3:].notna().sum(axis=None) > 0
    continuous = ib.ResponseMatrix.of(s.probability * 0.01, s.responses.models, s.responses.items)
    assert residual_correlations(truth_of(s), continuous).notna().sum(axis=None) == 12 * 11


def test_pairs_with_few_models_are_left_out():
    s = ib.simulate(40, 6, seed=0)
    R = with_cells(s.responses, range(20), [0], np.nan)
    R = with_cells(R, range(20, 40), [1], np.nan)
    found = local_dependence(s.bank, R, top=50, min_models=5)
    pairs = {tuple(p) for p in found[["item_1", "item_2"]].to_numpy()}
    assert (R.item_ids[0], R.item_ids[1]) not in pairs
    assert np.isfinite(found["q3"]).all()
    assert len(local_dependence(s.bank, R, top=50, min_models=41)) == 0


def test_arguments_are_checked():
    s = ib.simulate(40, 6, seed=0)
    with pytest.raises(InputError, match="top must be at least 1"):
        local_dependence(s.bank, s.responses, top=0)
    with pytest.raises(InputError, match="only one"):
        local_dependence(s.bank, s.responses.take(items=[0]))
