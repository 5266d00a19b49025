"""Changes of scale and axes leave what a fit says; MacKay's approximation against Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from irtbench.irt.factors.posterior import Posterior


def spread(n, k, scale, rng):
    root = rng.normal(size=(n, k, k)) * scale
    return root @ root.transpose(0, 2, 1) + scale**2 * np.eye(k)


def make(seed, *, between=False, n_models=7, n_items=12, d=3, scale=0.2):
    rng = np.random.default_rng(seed)
    k = 2 if between else d + 1
    own = np.arange(n_items) % d if between else None
    return Posterior(
        rng.normal(0.5, 2, (n_models, d)),
        spread(n_models, d, scale, rng),
        rng.normal(size=(n_items, k)),
        spread(n_items, k, scale, rng),
        np.eye(d),
        own,
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.booleans())
def test_a_change_of_axes_changes_no_probability(seed, between):
    p = make(seed, between=between)
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.3, 3, 3)
    matrix = np.diag(scale) if between else np.linalg.qr(rng.normal(size=(3, 3)))[0] * scale
    moved = p.moved(matrix, rng.normal(size=3))
    np.testing.assert_allclose(moved.probability(), p.probability(), atol=1e-9)
    back = moved.standardised()
    np.testing.assert_allclose(back.probability(), p.probability(), atol=1e-9)
    np.testing.assert_allclose(back.ability.mean(axis=0), 0, atol=1e-9)
    second = (back.ability[:, :, None] * back.ability[:, None, :] + back.ability_cov).mean(axis=0)
    np.testing.assert_allclose(second, back.correlation, atol=1e-8)
    np.testing.assert_allclose(second.diagonal(), 1, atol=1e-8)


@pytest.mark.parametrize("rotation", ["none", "varimax", "oblimin"])
def test_axes_do_not_depend_on_where_the_fit_ended(rotation):
    p = make(3, n_items=60).standardised()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    here, there = p.rotated(rotation), p.moved(turn).rotated(rotation)
    np.testing.assert_allclose(there.items, here.items, atol=1e-5)  # the rotations' own stopping rules
    np.testing.assert_allclose(there.ability_cov, here.ability_cov, atol=1e-5)
    np.testing.assert_allclose(here.probability(), p.probability(), atol=1e-9)
    assert (here.slopes.sum(axis=0) >= 0).all()
    assert np.allclose(here.correlation, np.eye(3)) == (rotation != "oblimin")


@pytest.mark.parametrize("between", [False, True])
def test_probability_is_the_posterior_mean(between):
    p = make(0, between=between, n_models=4, n_items=6, d=2, scale=0.25)
    rng = np.random.default_rng(1)
    n = 40_000
    theta = np.stack(
        [rng.multivariate_normal(m, c, n) for m, c in zip(p.ability, p.ability_cov, strict=True)], 1
    )
    x = np.stack([rng.multivariate_normal(m, c, n) for m, c in zip(p.items, p.items_cov, strict=True)], 1)
    if between:
        z = theta[:, :, p.own] * x[:, None, :, 0] + x[:, None, :, 1]
    else:
        z = np.einsum("nmd,nid->nmi", theta, x[..., :-1]) + x[:, None, :, -1]
    # .0025 Monte Carlo; the rest is MacKay's approximation and that a product of normals is not one
    np.testing.assert_allclose(p.probability(), expit(z).mean(axis=0), atol=0.025)
    # and it is nearer than the probability at the posterior means
    plug_in = expit(p.ability @ p.slopes.T + p.items[:, -1])
    assert np.abs(p.probability() - expit(z).mean(0)).mean() < 0.3 * np.abs(plug_in - expit(z).mean(0)).mean()


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        make(0).ability[0] = 0
