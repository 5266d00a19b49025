"""The response function and its information."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from irtbench.irt.curves import information, probability

discriminations = st.floats(0.05, 4)
difficulties = st.floats(-4, 4)
guesses = st.floats(0, 0.5)
uppers = st.floats(0.6, 1)


@given(discriminations, difficulties, guesses, uppers)
def test_rises_from_guessing_to_upper_asymptote(a, b, c, d):
    theta = np.linspace(-8, 8, 101)
    p = probability(theta, [a], [b], [c], [d])[:, 0]
    assert (np.diff(p) >= 0).all()
    assert (p >= c - 1e-12).all()
    assert (p <= d + 1e-12).all()
    limits = probability([-1e4, 1e4], [a], [b], [c], [d])[:, 0]
    np.testing.assert_allclose(limits, [c, d], atol=1e-9)


@given(discriminations, difficulties, guesses, uppers)
def test_information_is_squared_slope_over_variance(a, b, c, d):
    theta = np.linspace(-3, 3, 13)
    h = 1e-5
    slope = (probability(theta + h, [a], [b], [c], [d]) - probability(theta - h, [a], [b], [c], [d])) / (
        2 * h
    )
    p = probability(theta, [a], [b], [c], [d])
    # 1e-5: rounding of a central difference with h = 1e-5, relative to P(1 - P) >= 1e-6 here
    np.testing.assert_allclose(
        information(theta, [a], [b], [c], [d]), slope**2 / (p * (1 - p)), rtol=1e-4, atol=1e-5
    )


@given(discriminations, difficulties, st.floats(-2, 2), st.floats(0.3, 3))
def test_probability_depends_on_location_and_scale_together(a, b, shift, scale):
    theta = np.linspace(-3, 3, 7)
    moved = probability((theta - shift) / scale, [a * scale], [(b - shift) / scale])
    np.testing.assert_allclose(moved, probability(theta, [a], [b]), atol=1e-10)
