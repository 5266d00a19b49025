"""Rotations against brute force, perfect simple structure, and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.irt.factors.rotation import oblimin, principal_axes, procrustes, tidy, varimax


def random_rotation(d, rng):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def varimax_criterion(slopes):
    return float((slopes**2).var(axis=0).sum())


def same_columns(a, b, atol):
    """Whether two matrices have the same columns but for their order and signs."""
    match = np.abs(a.T @ b) / np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    order = match.argmax(axis=1)
    sign = np.sign((a * b[:, order]).sum(axis=0))
    return sorted(order) == list(range(a.shape[1])) and np.allclose(a, b[:, order] * sign, atol=atol)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000))
def test_varimax_is_the_best_angle(seed):
    slopes = np.random.default_rng(seed).normal(size=(12, 2)) ** 3
    angle = np.linspace(0, np.pi / 2, 2001)  # the criterion repeats after a quarter turn
    turns = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    best = max(varimax_criterion(slopes @ turn) for turn in turns)
    rotation = varimax(slopes)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(2), atol=1e-10)
    # a grid of .0008 rad misses the peak by less than its curvature times .0004²
    assert varimax_criterion(slopes @ rotation) > best * (1 - 1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_varimax_undoes_any_rotation_of_a_simple_structure(seed, d):
    rng = np.random.default_rng(seed)
    slopes = np.kron(np.eye(d), np.ones((8, 1))) * rng.uniform(0.5, 2, (8 * d, 1))
    turned = slopes @ random_rotation(d, rng)
    start = turned @ principal_axes(turned)
    assert same_columns(slopes, start @ varimax(start), atol=1e-4)  # the iteration's own stopping rule


@pytest.mark.parametrize("seed", range(5))
def test_oblimin_finds_correlated_dimensions(seed):
    rng = np.random.default_rng(seed)
    slopes = np.kron(np.eye(3), np.ones((8, 1))) * rng.uniform(0.5, 2, (24, 1))
    correlation = np.array([[1, 0.4, 0.2], [0.4, 1, -0.1], [0.2, -0.1, 1]])
    # z = slopes @ φ with Cov(φ) = correlation, told by uncorrelated θ: φ = L θ
    turned = slopes @ np.linalg.cholesky(correlation) @ random_rotation(3, rng)
    rotation = oblimin(turned)
    np.testing.assert_allclose((rotation**2).sum(axis=0), 1)
    found = turned @ np.linalg.inv(rotation).T
    assert same_columns(slopes, found, atol=1e-3)  # a perfect simple structure has criterion 0
    order = np.abs(slopes.T @ found).argmax(axis=1)
    np.testing.assert_allclose(
        np.abs((rotation.T @ rotation)[np.ix_(order, order)]), np.abs(correlation), atol=1e-3
    )


def test_principal_axes_explain_the_most_first():
    slopes = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([0.5, 2.0, 1.0])
    turned = slopes @ principal_axes(slopes)
    second = turned.T @ turned
    np.testing.assert_allclose(second, np.diag(second.diagonal()), atol=1e-10)
    assert (np.diff(second.diagonal()) < 0).all()
    np.testing.assert_allclose(np.sqrt(second.diagonal()), np.linalg.svd(slopes)[1])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_procrustes_beats_every_other_rotation(seed):
    rng = np.random.default_rng(seed)
    slopes, target = rng.normal(size=(2, 10, 3))
    best = ((slopes @ procrustes(slopes, target) - target) ** 2).sum()
    for _ in range(20):
        assert best <= ((slopes @ random_rotation(3, rng) - target) ** 2).sum()


def test_tidy_orders_and_signs():
    slopes = np.array([[0.1, -2.0], [0.2, -1.0], [0.1, 0.5]])
    turned = slopes @ tidy(slopes, np.array([0.1, 5.0]))
    np.testing.assert_array_equal(turned, np.array([[2.0, 0.1], [1.0, 0.2], [-0.5, 0.1]]))
