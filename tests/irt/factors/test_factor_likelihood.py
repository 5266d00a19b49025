"""The fused likelihood and the start's moments against plain computations."""

import numpy as np
import pytest
import torch
from factor_truth import simulate_between, simulate_factors
from scipy.stats import binom

from irtbench.irt.factors import cells as cells_module
from irtbench.irt.factors.cells import Cells, Structure
from irtbench.irt.factors.likelihood import log_likelihood


def structures():
    rng = np.random.default_rng(0)
    between = simulate_between(9, 4, np.eye(3)).responses
    values = np.where(rng.random(between.shape) < 0.2, np.nan, between.values)
    holed = type(between)(values, between.models, between.items)
    return {
        "complete": (simulate_factors(9, 14, 2).responses, Structure.exploratory(2)),
        "missing": (simulate_factors(9, 14, 3, missing=0.3).responses, Structure.exploratory(3)),
        "counts": (simulate_factors(9, 14, 2, missing=0.3, samples=5).responses, Structure.exploratory(2)),
        "between": (holed, Structure.between(list(holed.benchmarks))),
    }


@pytest.mark.parametrize("name", ["complete", "missing", "counts", "between"])
@pytest.mark.parametrize("chunk", [1, 40, 10**6])
def test_value_and_gradient(name, chunk, monkeypatch):
    monkeypatch.setitem(cells_module._CELLS, "cpu", chunk)
    R, structure = structures()[name]
    cells = Cells.of(R, structure)
    d, k = len(structure.labels), structure.n_slopes + 1
    rng = np.random.default_rng(1)
    theta, items = rng.normal(size=(R.n_models, d)), rng.normal(size=(R.n_items, k))
    t = torch.tensor(theta, dtype=torch.float32, requires_grad=True)
    x = torch.tensor(items[cells.order], dtype=torch.float32, requires_grad=True)
    value = log_likelihood(t, x, cells)
    value.backward()

    theta64 = torch.tensor(theta, requires_grad=True)
    items64 = torch.tensor(items, requires_grad=True)
    own = structure.own
    if own is None:
        z = theta64 @ items64[:, :-1].T + items64[:, -1]
    else:
        z = theta64[:, own] * items64[:, 0] + items64[:, -1]
    n = torch.tensor(R.observed.astype(float) if R.trials is None else R.trials.astype(float))
    right = torch.tensor(np.nan_to_num(R.values).astype(float)) * n
    expected = (
        right * torch.nn.functional.logsigmoid(z) + (n - right) * torch.nn.functional.logsigmoid(-z)
    ).sum()
    expected.backward()
    # float32 sums of some hundred terms
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    np.testing.assert_allclose(t.grad, theta64.grad, atol=1e-4)
    np.testing.assert_allclose(x.grad, items64.grad[cells.order], atol=1e-4)


def test_counts_are_binomial():
    R = simulate_factors(6, 5, 1, samples=4).responses
    theta, items = torch.zeros(6, 1), torch.tensor([[1.0, 0.3]] * 5)
    found = float(log_likelihood(theta, items, Cells.of(R, Structure.exploratory(1))))
    k = (R.values * 4).round()
    p = 1 / (1 + np.exp(-0.3))
    constant = binom.logpmf(k, 4, 0.5).sum() - 4 * k.size * np.log(
        0.5
    )  # the coefficients, which we leave out
    assert found == pytest.approx(binom.logpmf(k, 4, p).sum() - constant, rel=1e-5)


def test_a_complete_matrix_is_held_once():
    R = simulate_factors(20, 30, 2).responses
    assert Cells.of(R, Structure.exploratory(2)).trials.untyped_storage().nbytes() == 4


def test_wild_values_stay_finite():
    R = simulate_factors(5, 6, 2).responses
    theta, items = torch.full((5, 2), 1e4, requires_grad=True), torch.full((6, 3), -1e3, requires_grad=True)
    value = log_likelihood(theta, items, Cells.of(R, Structure.exploratory(2)))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(theta.grad).all()
