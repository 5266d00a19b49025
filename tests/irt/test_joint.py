"""The joint posterior of items, abilities and populations, against dense linear algebra and NUTS."""

import warnings

import numpy as np
import pytest
import torch

import irtbench as ib
from irtbench.irt import fitting, nuts
from irtbench.irt.curves import probability
from irtbench.irt.exchange import posterior_draws
from irtbench.irt.joint import joined_posterior
from irtbench.irt.recipes import Population, Priors, Recipe
from irtbench.irt.weighting import _expected_basis

FIXED = Priors(
    difficulty=Population(0.0, 0.0, 1.0, 0.0), log_discrimination=Population(0.0, 0.0, 0.4, 0.0), negative=0.0
)


def before_joining(monkeypatch, responses, recipe, **options):
    """What a fit hands to ``joined_posterior``."""
    given = []

    def spy(problem, found, **known):
        given.append((problem, found))
        return joined_posterior(problem, found, **known)

    monkeypatch.setattr(fitting, "joined_posterior", spy)
    ib.fit(responses, recipe, **options)
    return given[0]


def dense(problem, found):
    """Joint covariance of abilities, items and slope: their whole curvature inverted, on the scale.

    Order: abilities, then each item's parameters, then the 1PL's slope. Blocks of single items are those
    that the fit found.
    """
    theta, items = found.theta.double().numpy(), found.items.double().numpy()
    m, (n, k) = len(theta), items.shape
    one = problem.irt == "1pl"
    b, log_a = items[:, 0], np.full(n, float(found.common[0])) if one else items[:, 1]
    a = np.exp(log_a)
    p = probability(theta, a, b)
    trials = problem.cells.trials.numpy() if problem.cells.trials is not None else None
    if trials is None:
        trials = np.abs(problem.cells.values.numpy())
    weight = trials * p * (1 - p)
    z = a * (theta[:, None] - b)
    size = m + n * k + one
    whole = np.zeros((size, size))
    for i in range(n):
        at = [m + i * k, -1 if one else m + i * k + 1]
        slopes = np.stack([np.full(m, -a[i]), z[:, i]])
        for j, row in enumerate(at):
            whole[:m, row] += weight[:, i] * a[i] * slopes[j]
            whole[row, :m] = whole[:m, row]
        if one:
            whole[-1, -1] += (weight[:, i] * z[:, i] ** 2).sum()
            whole[-1, at[0]] = whole[at[0], -1] = (weight[:, i] * slopes[0] * slopes[1]).sum()
        own = slice(m + i * k, m + (i + 1) * k)
        whole[own, own] = np.linalg.inv(found.items_cov[i].double().numpy())
    whole[range(m), range(m)] = 1 + (weight * a**2).sum(1)
    if one:
        whole[-1, -1] += problem.priors.log_discrimination.spread**-2
    centred = theta - theta.mean()
    scale = np.sqrt((centred**2).mean())
    # the log of the scale of m normal abilities has variance 1 / 2m; along a straight line it would be 1 / m
    along = centred / np.linalg.norm(centred)
    whole[:m, :m] += (2 / scale**2 - 1) * np.outer(along, along)
    cov = np.linalg.inv(whole)
    shift, stretch = np.zeros(size), np.zeros(size)
    shift[:m], stretch[:m] = 1 / m, centred / (m * scale**2)  # of the mean, and of the log of the scale
    to_scale = np.eye(size)
    to_scale[:m] -= shift + centred[:, None] * stretch
    for i in range(n):
        to_scale[m + i * k] -= shift + (b[i] - theta.mean()) * stretch
        if not one:
            to_scale[m + i * k + 1] += stretch
    if one:
        to_scale[-1] += stretch
    return to_scale @ cov @ to_scale.T


@pytest.mark.parametrize(
    ("irt", "samples", "missing"),
    [("2pl", 1, 0.0), ("2pl", 4, 0.0), ("2pl", 1, 0.3), ("1pl", 1, 0.0), ("1pl", 1, 0.3)],
)
def test_against_the_whole_curvature(monkeypatch, irt, samples, missing):
    simulation = ib.simulate(30, 40, irt=irt, samples=samples, missing=missing, seed=1)
    problem, found = before_joining(monkeypatch, simulation.responses, Recipe(irt, priors=FIXED))
    exact, joint = dense(problem, found), joined_posterior(problem, found)
    m, (n, k) = len(found.theta), found.items.shape
    # the scale is that of the abilities' means here, of their posteriors there: 5 % apart; and it is first
    # order in what lies outside the polynomials of ability
    assert np.allclose(joint.theta_sd, np.diag(exact)[:m] ** 0.5, rtol=0.05)
    sds = np.diagonal(joint.items_cov.double().numpy(), axis1=1, axis2=2).ravel() ** 0.5
    apart = np.abs(sds / np.diag(exact)[m : m + n * k] ** 0.5 - 1)
    assert np.quantile(apart, 0.95) < 0.05
    assert apart.max() < 0.1  # the most extreme item is further from first order
    shared = joint.items_shared.double().numpy()
    between = np.einsum("ikr,jlr->ikjl", shared, shared)
    between[range(n), :, range(n)] = joint.items_cov.double().numpy()
    for column in range(k):  # sd of a mean over the items
        at = m + column + k * np.arange(n)
        mean = exact[np.ix_(at, at)].mean() ** 0.5
        assert np.isclose(between[:, column, :, column].mean() ** 0.5, mean, rtol=0.15)
        alone = np.diag(exact)[at].mean() ** 0.5 / n**0.5
        assert column == 0 or mean > 1.25 * alone  # so that the test could fail
    cross = np.einsum("mr,ikr->mik", joint.theta_shared.double().numpy(), shared).reshape(m, -1)
    if not missing:  # else an item goes with those who answered it, which no other item shares
        assert np.corrcoef(cross.ravel(), exact[:m, m : m + n * k].ravel())[0, 1] > 0.9
    if irt == "1pl":
        assert np.isclose(float(joint.common[1]), exact[-1, -1] ** 0.5, rtol=0.15)
        assert np.isclose(float(joint.common_shared.norm()), float(joint.common[1]), rtol=1e-5)


@pytest.mark.parametrize("method", ["laplace", "svi"])
def test_five_easy_items_of_a_thousand_models_add_nothing_to_the_abilities(monkeypatch, method):
    """Their abilities lie close together, each uncertain by more: the polynomials stay where they lie."""
    rng = np.random.default_rng(0)
    p = probability(rng.normal(size=1000), np.full(5, 0.8), np.linspace(-3, 0, 5))
    responses = ib.ResponseMatrix.of((rng.random(p.shape) < p).astype(np.float32))
    problem, found = before_joining(monkeypatch, responses, Recipe("2pl", priors=FIXED), method=method)
    joint = joined_posterior(problem, found, held=found.items_cov if method == "svi" else None)
    # a thousand models know an item to a variance of some .02, an item knows an ability to an information
    # of .1: 2e-4 of its precision each. Beyond the means polynomials of degree 7 reach 1e6, and sds grew
    # by half
    assert torch.allclose(joint.theta_sd, found.theta_sd, rtol=0.03)


@pytest.fixture(scope="module")
def fits():
    responses = ib.simulate(40, 50, seed=1).responses
    return {irt: ib.fit(responses, irt, method="laplace") for irt in ("1pl", "2pl")}


@pytest.mark.parametrize("irt", ["1pl", "2pl"])
def test_what_is_shared_is_a_part_of_each_item(fits, irt):
    bank = fits[irt].bank
    left = bank.cov - bank.shared @ bank.shared.transpose(0, 2, 1)
    # float32 in the fit, so variances of a few hundredths are known to some 1e-8
    assert np.linalg.eigvalsh(left).min() > -1e-6
    assert (fits[irt].shared ** 2).sum(1).max() < fits[irt].abilities["sd"].max() ** 2
    draws = bank.draws(40_000, seed=0)
    x = np.stack([np.log(draws["discrimination"]), draws["difficulty"]], axis=2)
    x = x - x.mean(0)
    found = np.einsum("sik,sil->ikl", x, x) / len(x)
    # the sd of a variance of 40,000 draws is .7 %; five of these for a hundred of them
    scale = np.sqrt(np.einsum("ijj->ij", bank.cov[:, :2, :2]))
    away = (found - bank.cov[:, :2, :2]) / (scale[:, :, None] * scale[:, None])
    assert np.abs(away).max() < 0.035


def test_items_draw_together(fits):
    bank = fits["2pl"].bank
    for column, x in ((0, "discrimination"), (1, "difficulty")):
        draws = bank.draws(20_000, seed=0)[x]
        mean = (np.log(draws) if column == 0 else draws).mean(1)
        alone = np.sqrt(bank.cov[:, column, column].sum()) / bank.n_items
        exact = np.sqrt(
            alone**2
            + (bank.shared[:, column].mean(0) ** 2).sum()
            - (bank.shared[:, column] ** 2).sum() / bank.n_items**2
        )
        assert np.isclose(mean.std(), exact, rtol=0.025)  # five standard errors of 20,000 draws
        assert mean.std() > (1.2, 1.04)[column] * alone


def test_one_discrimination_is_one_in_every_draw(fits):
    drawn = fits["1pl"].bank.draws(100)["discrimination"]
    assert np.allclose(drawn, drawn[:, :1], rtol=1e-3)  # float32: what is left of its variance
    assert drawn.std(0).min() > 0.01


def test_abilities_move_with_the_items(fits):
    """A score depends on θ - b, which the joint draws keep together."""
    fit = fits["2pl"]
    together = posterior_draws(fit, 4000, seed=0)
    apart = together | {"ability": together["ability"][::-1]}

    def scores(draws):
        p = [
            probability(t, a, b)
            for t, a, b in zip(draws["ability"], draws["discrimination"], draws["difficulty"], strict=True)
        ]
        return np.stack([x.mean(1) for x in p])

    joint, independent = scores(together).std(0), scores(apart).std(0)
    assert np.median(joint / independent) < 1  # what they share cancels; at the ends of the scale
    assert (joint / independent).max() < 1.08  # slopes that move together do not
    moved = np.corrcoef(together["ability"].T, together["difficulty"].mean(1))[-1, :-1]
    exact = fit.shared @ fit.bank.shared[:, 1].mean(0)
    exact /= together["ability"].std(0) * together["difficulty"].mean(1).std()
    assert np.allclose(moved, exact, atol=4 / 4000**0.5)


def test_saved_with_the_fit(fits, tmp_path):
    for irt, fit in fits.items():
        fit.save(tmp_path / irt)
        again, bank = ib.load(tmp_path / irt), ib.ItemBank.load(tmp_path / irt)
        assert again.fingerprint == fit.fingerprint
        assert np.array_equal(again.shared, fit.shared)
        assert list(again.abilities) == ["mean", "sd", "n_responses"]
        assert np.array_equal(bank.shared, fit.bank.shared)
        assert np.array_equal(bank.take(bank.item_ids[3:5]).shared, fit.bank.shared[3:5])
    bare = ib.ItemBank(bank.metadata, bank.loc, bank.cov, bank.sign, bank.info)
    assert bare.n_shared == 0
    assert bare.fingerprint != bank.fingerprint
    bare.save(tmp_path / "bare")
    assert ib.load(tmp_path / "bare").fingerprint == bare.fingerprint
    with pytest.raises(ib.InputError, match="shared has shape"):
        ib.ItemBank(bank.metadata, bank.loc, bank.cov, bank.sign, bank.info, bank.shared[1:])


def test_linked_items_keep_their_directions():
    simulation = ib.simulate(60, 40, seed=2)
    ids = simulation.responses.item_ids
    old = ib.fit(simulation.responses.take(items=ids[:25]), method="laplace").bank
    new = ib.fit(simulation.responses.take(items=ids[10:]), method="laplace", bank=old)
    shared = new.bank.shared
    assert np.array_equal(shared[:15, :, -old.n_shared :], old.shared[10:])
    assert not shared[:15, :, : -old.n_shared].any()
    assert not shared[15:, :, -old.n_shared :].any()
    assert shared[15:, :2].any()
    assert np.array_equal(new.bank.cov[:15], old.cov[10:])


# sds of the means over items of log a and b, of NUTS (2 chains of 300 draws: themselves known to some 5 %)
# on ib.simulate(…, seed=1); the slow test below makes them again
NUTS = {(100, 100, "2pl"): (0.0346, 0.0375), (60, 40, "1pl"): (0.0623, 0.0497)}


def sds_of_means(fit):
    draws = posterior_draws(fit, 4000, seed=0)
    return np.log(np.abs(draws["discrimination"])).mean(1).std(), draws["difficulty"].mean(1).std()


@pytest.mark.parametrize("cell", NUTS, ids=lambda c: "x".join(map(str, c)))
def test_means_over_items_are_as_uncertain_as_nuts_says(cell):
    n_models, n_items, irt = cell
    fit = ib.fit(ib.simulate(n_models, n_items, irt=irt, seed=1).responses, irt)
    assert np.allclose(sds_of_means(fit), NUTS[cell], rtol=0.2)
    bank = fit.bank
    assert bank.cov[:, 0, 0].mean() ** 0.5 / n_items**0.5 < 0.8 * NUTS[cell][0]  # what independence would say


@pytest.mark.slow
@pytest.mark.parametrize("cell", NUTS, ids=lambda c: "x".join(map(str, c)))
def test_nuts_says_so(monkeypatch, cell):
    for name, value in (("_CHAINS", 2), ("_WARMUP", 120), ("_DRAWS", 300)):
        monkeypatch.setattr(nuts, name, value)
    n_models, n_items, irt = cell
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ib.ConvergenceWarning)  # so few draws do not bring R-hat to 1.01
        fit = ib.fit(ib.simulate(n_models, n_items, irt=irt, seed=1).responses, irt, method="nuts")
    assert np.allclose(sds_of_means(fit), NUTS[cell], rtol=0.15)
    draws = fit.bank.draws(4000, seed=0)  # what a new model meets: normal, with the same means
    own = np.log(draws["discrimination"]).mean(1).std(), draws["difficulty"].mean(1).std()
    assert np.allclose(own, NUTS[cell], rtol=0.25)


def test_expected_basis_integrates_over_the_abilities(monkeypatch):
    problem, found = before_joining(monkeypatch, ib.simulate(12, 15, seed=1).responses, "2pl")
    nodes = found.nodes(problem)
    mean, square = (_expected_basis(nodes, found).double() @ nodes.t**k for k in (1, 2))
    theta, sd = found.theta.double(), found.theta_sd.double()
    # moments of a normal; float32 sums over some thirty nodes
    assert torch.allclose(mean, theta, atol=1e-4)
    assert torch.allclose(square, theta**2 + sd**2, atol=1e-3)


def test_mean_discrimination_is_not_too_high():
    """An item's own responses, which moved the abilities, are no evidence for its slope."""
    away = []
    for seed in range(8):
        simulation = ib.simulate(50, 60, seed=seed)
        theta = simulation.abilities["ability"].to_numpy()
        truth = np.log(simulation.items["discrimination"]).mean() + np.log(theta.std())
        away.append(ib.fit(simulation.responses).bank.loc[:, 0].mean() - truth)
    # nothing but noise: a data set's sd is about .06, so 2.5 standard errors of eight; at the posterior
    # means of the abilities, without their spread, the mean was .137
    assert abs(np.mean(away)) < 2.5 * 0.06 / 8**0.5
