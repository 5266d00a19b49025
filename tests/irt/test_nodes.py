"""Nodes of ability: interpolation, its derivative, and how the error falls."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irtbench.irt.nodes import Nodes


@given(low=st.floats(-8, 0), width=st.floats(0.5, 12), n=st.integers(24, 64), at=st.floats(0, 1))
def test_polynomials_are_exact(low, width, n, at):
    nodes = Nodes(low, low + width, n)
    theta = torch.tensor([low + at * width], dtype=torch.float64)
    for power in (0, 1, 5):
        found = nodes.basis(theta) @ (nodes.t / 4) ** power
        assert float(found) == pytest.approx(float((theta / 4) ** power), abs=1e-7)


def test_derivative():
    nodes = Nodes(-3.0, 3.0, 40)
    x = torch.linspace(-2.9, 2.9, 50, dtype=torch.float64)
    values = torch.sin(nodes.t)[None]
    found = nodes.basis(x) @ nodes.differentiate(values)[0]
    torch.testing.assert_close(found, x.cos(), atol=1e-8, rtol=0)


@pytest.mark.parametrize("a", [0.5, 1.5, 3.0])
def test_enough_nodes_for_the_steepest_item(a):
    nodes = Nodes.around(torch.tensor([-3.0, 3.0]), torch.tensor([0.2, 0.2]), a)
    x = torch.linspace(-3, 3, 400, dtype=torch.float64)
    found = nodes.basis(x) @ torch.nn.functional.logsigmoid(a * nodes.t)
    # log P of one response: far below what one response tells
    assert float((found - torch.nn.functional.logsigmoid(a * x)).abs().max()) < 0.01


def test_abilities_beyond_the_ends_are_taken_to_the_ends():
    nodes = Nodes(-1.0, 1.0, 24)
    beyond, end = nodes.basis(torch.tensor([5.0])), nodes.basis(torch.tensor([1.0]))
    np.testing.assert_allclose(beyond, end)
