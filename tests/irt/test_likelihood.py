"""The likelihood on nodes against one written the slow way, cell by cell."""

import numpy as np
import pytest
import torch
from scipy import stats

from irtbench.irt import simulate
from irtbench.irt.cells import EXACT, Cells
from irtbench.irt.likelihood import log_likelihood, marginal_log_likelihood
from irtbench.irt.nodes import Nodes
from irtbench.irt.parameters import ItemParameters, coefficients, derivatives, powers
from irtbench.responses.matrix import ResponseMatrix

N_MODELS, N_ITEMS = 30, 41
CASES = ["2pl", "3pl", "4pl", "2pl-counts", "3pl-counts", "2pl-beta", "3pl-beta", "2pl-complete"]


def case(name, seed=0):
    irt, _, kind = name.partition("-")
    samples, precision = {"counts": (4, None), "beta": (1, 1.5)}.get(kind, (1, None))
    missing = 0.0 if kind == "complete" else 0.3
    s = simulate(N_MODELS, N_ITEMS, irt=irt, samples=samples, precision=precision, missing=missing, seed=seed)
    cells = Cells.of(s.responses, "beta" if kind == "beta" else "bernoulli")
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(N_ITEMS, generator=generator).mul(0.6).requires_grad_() for _ in range(5)]
    items = ItemParameters(
        draw[0],
        draw[1],
        draw[2] - 1.5 if irt in ("3pl", "4pl") else None,
        draw[3] + 3 if irt == "4pl" else None,
        draw[4] if kind == "beta" else None,
        torch.where(torch.arange(N_ITEMS) % 7 == 0, -1.0, 1.0),
    )
    theta = torch.randn(N_MODELS, generator=generator).mul(0.8).requires_grad_()
    return s.responses, cells, theta, items


def natural(items):
    """(a, b, c, d, φ) in float64."""
    zero = torch.zeros(N_ITEMS, dtype=torch.float64)
    a = items.log_a.double().exp() * items.sign.double()
    c = zero if items.logit_c is None else torch.sigmoid(items.logit_c.double())
    d = zero + 1 if items.logit_d is None else torch.sigmoid(items.logit_d.double())
    phi = None if items.log_phi is None else items.log_phi.double().exp()
    return a, items.b.double(), c, d, phi


def plain(theta, items, responses):
    """Sum over the observed cells, one distribution each."""
    a, b, c, d, phi = natural(items)
    p = c + (d - c) * torch.sigmoid(a * (theta.double()[:, None] - b))
    y = torch.from_numpy(responses.values.astype(float)).nan_to_num(0.5)
    seen = torch.from_numpy(responses.observed)
    if phi is not None:
        one, two, inside = p * phi, (1 - p) * phi, y.clamp(EXACT, 1 - EXACT)
        # the density by y's logit: what a constant of the data adds is left out of the sums
        beta = torch.distributions.Beta(one, two).log_prob(inside) + inside.log() + torch.log1p(-inside)
        # the incomplete beta function near an end is ε times the density there, over α or β
        cell = beta - torch.where(y < EXACT, one.log(), torch.where(y > 1 - EXACT, two.log(), 0.0))
        return cell[seen].sum()
    n = torch.from_numpy((responses.observed if responses.trials is None else responses.trials).astype(float))
    k = y * n
    return (k * p.log() + (n - k) * torch.log1p(-p))[seen].sum()


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_the_plain_formula(name, monkeypatch):
    # several chunks made on the way, the last one short
    monkeypatch.setattr("irtbench.irt.cells._CELLS", {"cpu": N_MODELS * 7})
    monkeypatch.setattr("irtbench.irt.cells._FLOATS", 0)
    responses, cells, theta, items = case(name)
    given = (items.b, items.log_a, items.logit_c, items.logit_d, items.log_phi)
    unknown = [theta, *(x for x in given if x is not None)]
    ours = log_likelihood(theta, items, cells, Nodes(-4.0, 4.0, 96))
    by_hand = plain(theta, items, responses)
    # float32 sums of some 900 cells
    assert float(ours.detach()) == pytest.approx(float(by_hand.detach()), rel=2e-6, abs=2e-3)
    for x, y in zip(torch.autograd.grad(ours, unknown), torch.autograd.grad(by_hand, unknown), strict=True):
        torch.testing.assert_close(x, y.float(), rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("name", ["2pl", "3pl", "4pl-counts", "4pl-beta"])
def test_derivatives_are_those_of_the_likelihood(name):
    _, cells, theta, items = case(name)
    nodes = Nodes(-4.0, 4.0, 64)
    line = powers(theta.detach()) if items.plain else None
    statistics = cells.to_nodes(nodes.basis(theta.detach()).float(), line)
    found, fisher = derivatives(nodes.t, items, statistics)
    value = sum((f * eta).sum() for f, eta in zip(statistics, coefficients(nodes.t, items), strict=True))
    given = (items.b, items.log_a, items.logit_c, items.logit_d, items.log_phi)
    expected = torch.autograd.grad(value, [x for x in given if x is not None])
    torch.testing.assert_close(found, torch.stack(expected, 1), rtol=2e-3, atol=2e-3)
    assert (torch.linalg.eigvalsh(fisher.double()) > -1e-3).all()


def test_fisher_information_is_the_variance_of_the_gradient():
    # 4,000 data sets at the same truth: a variance is known to √(2/4000) = 2 %, five of those allowed
    truth = simulate(25, 3, irt="3pl", seed=4)
    theta = torch.from_numpy(truth.abilities["ability"].to_numpy(copy=True)).float()
    log_a, b, logit_c = (torch.from_numpy(x.copy()).float() for x in truth.bank.loc[:, :3].T)
    items = ItemParameters(b, log_a, logit_c)
    nodes = Nodes(-4.0, 4.0, 64)
    rng = np.random.default_rng(0)
    gradients = []
    for _ in range(4000):
        y = (rng.random(truth.probability.shape) < truth.probability).astype(float)
        statistics = Cells.of(ResponseMatrix.of(y), "bernoulli").to_nodes(nodes.basis(theta).float())
        gradient, fisher = derivatives(nodes.t, items, statistics)
        gradients.append(gradient.numpy())
    variance = np.var(gradients, axis=0)
    np.testing.assert_allclose(np.diagonal(fisher.numpy(), axis1=1, axis2=2), variance, rtol=0.11)


@pytest.mark.parametrize("name", ["2pl", "3pl", "2pl-beta"])
def test_marginal_is_the_integral_over_ability(name):
    responses, _, _, items = case(name)
    family = "beta" if items.log_phi is not None else "bernoulli"
    one = responses.take(models=[0])
    fine = np.linspace(-7, 7, 1001)
    joint = [float(plain(torch.tensor([t]), items, one).detach()) for t in fine]
    expected = np.log((np.exp(joint) * stats.norm.pdf(fine)).sum() / stats.norm.pdf(fine).sum())
    grid = torch.linspace(-7, 7, 121)
    found = float(marginal_log_likelihood(grid, items, Cells.of(one, family)).detach())
    # the trapezoid rule on a smooth density that vanishes at the ends; float32
    assert found == pytest.approx(expected, abs=1e-4)


def test_missing_cells_count_for_nothing():
    full = simulate(10, 20, seed=1).responses
    values = full.values.copy()
    values[:, 5] = np.nan
    nodes = Nodes(-2.0, 2.0, 24)
    theta, log_a, b = torch.linspace(-1, 1, 10), torch.zeros(20), torch.zeros(20)
    gappy = Cells.of(ResponseMatrix.of(values), "bernoulli")
    rest = Cells.of(full.take(items=np.arange(20) != 5), "bernoulli")
    gap = log_likelihood(theta, ItemParameters(b, log_a), gappy, nodes)
    without = log_likelihood(theta, ItemParameters(b[1:], log_a[1:]), rest, nodes)
    torch.testing.assert_close(gap, without)


@pytest.mark.parametrize("family", ["bernoulli", "beta"])
def test_wild_parameters_stay_finite(family):
    s = simulate(10, 3, irt="3pl", precision=None if family == "bernoulli" else 0.5, seed=0)
    wild = torch.tensor([-40.0, 0.0, 40.0])
    phi = wild if family == "beta" else None
    items = ItemParameters(wild, torch.full((3,), 30.0), wild, wild.flip(0), phi)
    cells = Cells.of(s.responses, family)
    theta = torch.linspace(-5, 5, 10)
    assert torch.isfinite(log_likelihood(theta, items, cells, Nodes(-5.5, 5.5, 48)))
    assert torch.isfinite(marginal_log_likelihood(theta, items, cells))
