"""Anchors: distinct items, weights of clusters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.irt import simulate
from irtbench.subsets.anchors import anchors, correctness_features, irt_features


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 3), st.integers(0, 5))
def test_exactly_as_many_distinct_anchors_as_asked_for(size, values, seed):
    """Also where most items are identical, so that k-means finds fewer clusters than asked for."""
    rng = np.random.default_rng(seed)
    features = rng.integers(values, size=(60, 2)).astype(float)
    groups = np.repeat([0, 1, 2], 20)
    chosen, weights = anchors(features, groups, np.full(60, 1 / 60), size, rng)
    assert len(np.unique(chosen)) == size
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1)


def test_an_anchor_stands_for_its_cluster():
    features = np.concatenate([np.zeros((30, 1)), np.full((10, 1), 9.0)]) + np.linspace(-1, 1, 40)[:, None]
    full = np.full(40, 1 / 40)
    chosen, weights = anchors(features, np.zeros(40, int), full, 2, np.random.default_rng(0))
    assert chosen[0] < 30 <= chosen[1]
    assert weights.tolist() == pytest.approx([0.75, 0.25])


def test_groups_keep_their_weight():
    full = np.repeat([0.5 / 30, 0.5 / 10], [30, 10])
    groups = np.repeat([0, 1], [30, 10])
    features = np.random.default_rng(1).normal(size=(40, 2))
    chosen, weights = anchors(features, groups, full, 10, np.random.default_rng(0))
    assert weights[groups[chosen] == 0].sum() == pytest.approx(0.5)
    assert (groups[chosen] == 0).sum() == 5


def test_missing_responses_become_the_item_mean():
    features = correctness_features(np.array([[1.0, np.nan, np.nan], [0.0, 1.0, np.nan]]))
    assert features.tolist() == [[1.0, 0.0], [1.0, 1.0], [pytest.approx(2 / 3)] * 2]


def test_irt_features_are_slope_and_intercept():
    s = simulate(n_models=5, n_items=8, seed=0)
    a, b = s.items["discrimination"], s.items["difficulty"]
    assert irt_features(s.bank) == pytest.approx(np.column_stack([a, -a * b]))
    assert irt_features(simulate(n_models=5, n_items=8, irt="3pl", seed=0).bank).shape == (8, 3)
