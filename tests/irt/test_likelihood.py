"""The fused likelihood against one written the slow way."""

import numpy as np
import pytest
import torch

from irtbench.irt import simulate
from irtbench.irt.likelihood import Counts, ItemParameters, log_likelihood, marginal_log_likelihood
from irtbench.responses.matrix import ResponseMatrix


def plain(theta, log_a, b, logit_c, counts):
    z = log_a.exp() * (theta[:, None] - b)
    c = torch.zeros_like(b) if logit_c is None else torch.sigmoid(logit_c)
    p = c + (1 - c) * torch.sigmoid(z)
    return (counts.right * p.log() + (counts.trials - counts.right) * torch.log1p(-p)).sum()


def case(irt, samples=1, seed=0):
    s = simulate(30, 41, irt=irt, samples=samples, missing=0.3, seed=seed)
    counts = Counts.of(s.responses)
    counts = Counts(counts.right.double(), counts.trials.double())
    generator = torch.Generator().manual_seed(seed)
    theta, log_a, b, logit_c = (
        # mild values: 1 - P loses digits near P = 1 in the plain formula
        torch.randn(n, generator=generator, dtype=torch.float64).mul(0.6).requires_grad_()
        for n in (30, 41, 41, 41)
    )
    return theta, log_a, b, logit_c if irt == "3pl" else None, counts


@pytest.mark.parametrize("irt", ["2pl", "3pl"])
@pytest.mark.parametrize("samples", [1, 4])
def test_value_and_gradient_equal_the_plain_formula(irt, samples, monkeypatch):
    monkeypatch.setattr(
        "irtbench.irt.likelihood._CELLS", {"cpu": 30 * 7}
    )  # several chunks, the last one short
    theta, log_a, b, logit_c, counts = case(irt, samples)
    parameters = [x for x in (theta, log_a, b, logit_c) if x is not None]
    ours = log_likelihood(theta, ItemParameters(log_a, b, logit_c), counts)
    by_hand = plain(theta, log_a, b, logit_c, counts)
    torch.testing.assert_close(ours, by_hand, rtol=1e-10, atol=1e-9)
    for x, y in zip(
        torch.autograd.grad(ours, parameters), torch.autograd.grad(by_hand, parameters), strict=True
    ):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("irt", ["2pl", "3pl"])
def test_marginal_is_the_integral_over_ability(irt):
    _, log_a, b, logit_c, counts = case(irt)
    log_a, b, logit_c = (None if x is None else x.detach() for x in (log_a, b, logit_c))
    items = ItemParameters(0.3 * log_a, b, logit_c)
    coarse = marginal_log_likelihood(torch.linspace(-7, 7, 61, dtype=torch.float64), items, counts)
    fine = marginal_log_likelihood(torch.linspace(-7, 7, 4001, dtype=torch.float64), items, counts)
    # the trapezoid rule on a smooth density that vanishes at the ends converges faster than any power
    torch.testing.assert_close(coarse, fine, rtol=0, atol=1e-6)
    grid = np.linspace(-7, 7, 4001)
    one = Counts(counts.right[:1], counts.trials[:1])
    joint = [float(plain(torch.tensor([t]), items.log_a, items.b, items.logit_c, one)) for t in grid]
    density = np.exp(-(grid**2) / 2) / np.exp(-(grid**2) / 2).sum()
    expected = np.log((np.exp(joint) * density).sum())
    assert float(marginal_log_likelihood(torch.tensor(grid), items, one)) == pytest.approx(expected, abs=1e-9)


def test_missing_cells_count_for_nothing():
    full = simulate(10, 20, seed=1).responses
    values = full.values.copy()
    values[:, 5] = np.nan
    theta, log_a, b = torch.linspace(-1, 1, 10), torch.zeros(20), torch.zeros(20)
    gap = log_likelihood(theta, ItemParameters(log_a, b), Counts.of(ResponseMatrix.of(values)))
    rest = full.take(items=np.arange(20) != 5)
    without = log_likelihood(theta, ItemParameters(log_a[1:], b[1:]), Counts.of(rest))
    torch.testing.assert_close(gap, without)


def test_wild_parameters_stay_finite():
    counts = Counts.of(simulate(10, 3, irt="3pl", seed=0).responses)
    items = ItemParameters(
        torch.full((3,), 30.0), torch.tensor([-50.0, 0.0, 50.0]), torch.tensor([-40.0, 0.0, 40.0])
    )
    theta = torch.linspace(-5, 5, 10)
    assert torch.isfinite(log_likelihood(theta, items, counts))
    assert torch.isfinite(marginal_log_likelihood(theta, items, counts))
