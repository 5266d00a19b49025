"""DIF against published and hand-computed tables, scipy's optimiser, and simulated truth."""

import numpy as np
import pandas as pd
import pytest
from known import with_cells
from scipy.optimize import minimize
from scipy.stats import chi2

import irtbench as ib
from irtbench.errors import InputError
from irtbench.irt.diagnostics import dif, groups
from irtbench.irt.diagnostics.logistic import deviances

METHODS = ("mantel-haenszel", "logistic")
# Agresti (1990), p. 231: rabbits cured or not, by penicillin level (rows): (at once: cured, died; late: ...)
RABBITS = [(0, 6, 0, 5), (3, 3, 0, 6), (6, 0, 2, 4), (5, 1, 6, 0), (2, 0, 5, 0)]


def rabbits():
    rows = [
        (level, delay, cured)
        for level, (a, b, c, d) in enumerate(RABBITS)
        for delay, cured, count in (("once", 1, a), ("once", 0, b), ("late", 1, c), ("late", 0, d))
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["level", "delay", "cured"], dtype=object)
    R = ib.ResponseMatrix.of(table[["cured", "cured"]].to_numpy(float))
    return R, table["delay"].to_numpy(), pd.Series(table["level"].to_numpy(float), R.model_ids)


def test_mantel_haenszel_of_the_rabbits():
    R, group, level = rabbits()
    found = dif(R, group, reference="once", matching=level).iloc[0]
    # by hand: Σ AD/T = 18/12 + 24/12 = 3.5, Σ BC/T = 6/12 = 0.5
    assert found["odds_ratio"] == pytest.approx(7)
    assert found["delta"] == pytest.approx(-2.35 * np.log(7))
    # ΣA = 16; ΣE = 0 + 1.5 + 4 + 5.5 + 2 = 13; ΣVar = 27/44 + 32/44 + 11/44 = 70/44 (levels 2, 3, 4)
    assert found["chi2"] == pytest.approx(2.5**2 / (70 / 44))
    assert found["p"] == pytest.approx(0.047, abs=5e-4)  # R's help page of mantelhaen.test: p = 0.047
    swapped = dif(R, group, reference="late", matching=level).iloc[0]
    assert swapped["delta"] == pytest.approx(-found["delta"])
    assert swapped["p"] == pytest.approx(found["p"])


def test_mantel_haenszel_is_its_formulas_stratum_by_stratum():
    s = ib.simulate(90, 8, samples=2, missing=0.2, seed=0)
    R, focal = s.responses, np.arange(90) % 3 == 0
    score = pd.Series(np.arange(90) % 4, R.model_ids, dtype=float)
    found = dif(R, np.where(focal, "y", "x"), matching=score)
    k = np.nan_to_num(R.values) * R.trials
    for i in range(8):
        up = down = pr = mix = qs = excess = var = 0.0
        for level in range(4):
            at = (score == level).to_numpy()
            a, c = (k[at & g, i].sum() for g in (~focal, focal))
            b, d = ((R.trials - k)[at & g, i].sum() for g in (~focal, focal))
            t = a + b + c + d
            r, z, p, q = a * d / t, b * c / t, (a + d) / t, (b + c) / t
            up, down, pr, mix, qs = up + r, down + z, pr + p * r, mix + p * z + q * r, qs + q * z
            excess += a - (a + b) * (a + c) / t
            var += (a + b) * (c + d) * (a + c) * (b + d) / (t * t * (t - 1))
        se = np.sqrt(pr / (2 * up**2) + mix / (2 * up * down) + qs / (2 * down**2))
        row = found.iloc[i]
        # 1e-6: responses are float32
        assert row["odds_ratio"] == pytest.approx(up / down, rel=1e-6)
        assert row["delta_se"] == pytest.approx(2.35 * se, rel=1e-6)
        assert row["chi2"] == pytest.approx(max(abs(excess) - 0.5, 0) ** 2 / var, rel=1e-5, abs=1e-9)
        assert row["n_focal"] == R.observed[focal, i].sum()


def test_deviances_are_those_of_an_optimiser():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(80), rng.normal(size=(80, 2))])
    n = rng.integers(0, 4, (80, 5)).astype(float)
    k = rng.binomial(n.astype(int), 1 / (1 + np.exp(-x @ rng.normal(size=(3, 5)))))
    found, beta = deviances(x, k, n)
    for i in range(5):

        def deviance(b, i=i):
            z = x @ b
            return 2 * np.sum(n[:, i] * np.logaddexp(0, z) - k[:, i] * z)

        best = minimize(deviance, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
        assert found[i] == pytest.approx(best.fun, abs=1e-5)  # both stop within 1e-6
        np.testing.assert_allclose(beta[:, i], best.x, atol=1e-3)


def test_separated_groups_have_a_finite_test():
    x = np.column_stack([np.ones(40), np.repeat([0.0, 1.0], 20)])
    k = np.repeat([0.0, 1.0], 20)[:, None]
    found, _ = deviances(x, k, np.ones((40, 1)))
    assert 0 <= found[0] < 1e-3  # its limit is 0


def test_likelihood_ratios_are_nested():
    s = ib.simulate(200, 30, seed=0)
    found = dif(s.responses, np.where(np.arange(200) % 2, "a", "b"), "logistic")
    parts = chi2.isf(found["p_uniform"], 1) + chi2.isf(found["p_nonuniform"], 1)
    np.testing.assert_allclose(parts, found["chi2"], atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_no_dif_is_found_where_there_is_none(method, apart):
    """Also if one group is better by one standard deviation."""
    s = ib.simulate(300, 1000, seed=4)
    theta = s.abilities["ability"].to_numpy()
    rng = np.random.default_rng(0)
    group = np.where(apart * theta + rng.normal(0, 1, 300) > 0, "strong", "weak")
    found = dif(s.responses, group, method)
    # 1,000 items of the same models: standard error .007; Mantel-Haenszel's 1/2 makes it conservative
    low, high = (0.02, 0.055) if method == "mantel-haenszel" else (0.03, 0.075)
    assert low < (found["p"] < 0.05).mean() < high
    assert (found["p_adjusted"] < 0.05).sum() <= 1
    assert (found["ets" if method == "mantel-haenszel" else "effect"] == "C").mean() < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_an_item_that_is_harder_for_one_group_is_found(method):
    s = ib.simulate(400, 200, seed=1)
    focal = np.arange(400) % 2 == 0
    a, b = (s.items[c].to_numpy()[:10] for c in ("discrimination", "difficulty"))
    theta = s.abilities["ability"].to_numpy()[focal, None]
    shift = np.where(np.arange(10) < 5, 1.2, -1.2)  # five harder, five easier for the focal group
    y = np.random.default_rng(0).random((200, 10)) < 1 / (1 + np.exp(-a * (theta - b) + a * shift))
    R = with_cells(s.responses, np.flatnonzero(focal), range(10), y)
    found = dif(R, np.where(focal, "new", "established"), method)
    hit = found["p_adjusted"] < 0.05
    assert hit.iloc[:10].sum() >= 7  # logit shifts of about 1.2 at 400 models
    assert hit.iloc[10:].sum() <= 3
    direction = found["delta" if method == "mantel-haenszel" else "group"].iloc[:10]
    assert (np.sign(direction) == -np.sign(shift))[hit.iloc[:10]].all()
    assert found.attrs["groups"] == {"reference": "established", "focal": "new"}


def test_delta_estimates_the_shift_of_a_rasch_item():
    s = ib.simulate(3000, 40, irt="1pl", seed=2)
    focal = np.arange(3000) % 2 == 0
    theta, b = s.abilities["ability"].to_numpy()[focal], s.items["difficulty"].to_numpy()[0]
    y = np.random.default_rng(0).random(1500) < 1 / (1 + np.exp(-(theta - b - 0.8)))
    R = with_cells(s.responses, np.flatnonzero(focal), [0], y[:, None])
    found = dif(R, np.where(focal, "b", "a")).iloc[0]
    # Δ = -2.35 · .8 under the Rasch model; matching on the observed score costs a little
    assert found["delta"] == pytest.approx(-2.35 * 0.8, abs=2.5 * found["delta_se"])
    assert found["delta_se"] == pytest.approx(0.2, abs=0.05)
    assert found["ets"] == "C"


@pytest.mark.parametrize(
    ("delta", "se", "p", "label"),
    [
        (-0.9, 0.1, 1e-9, "A"),  # small, however significant
        (2.0, 1.2, 0.1, "A"),  # not significant
        (-1.2, 0.3, 1e-4, "B"),
        (1.6, 0.5, 1e-3, "B"),  # large, but not significantly above 1: (1.6 - 1) / .5 < 1.645
        (-1.6, 0.3, 1e-6, "C"),  # (1.6 - 1) / .3 > 1.645
        (np.inf, np.nan, 1e-6, "C"),
        (np.nan, np.nan, np.nan, None),
    ],
)
def test_ets_classes_are_zwicks_rules(delta, se, p, label):
    assert groups._ets_class(np.array([delta]), np.array([se]), np.array([p]))[0] == label


def test_effect_classes_are_jodoin_and_gierls():
    growth, p = np.array([0.03, 0.04, 0.08, 0.08, np.nan]), np.array([1e-9, 1e-9, 1e-9, 0.06, np.nan])
    assert groups._effect_class(growth, p).tolist() == ["A", "B", "C", "A", None]


def test_growth_is_nagelkerkes():
    s = ib.simulate(200, 6, seed=0)
    group = np.where(np.arange(200) % 2, "a", "b")
    found = dif(s.responses, group, "logistic").iloc[0]
    y, score = s.responses.values[:, 0].astype(float), s.responses.scores().to_numpy()
    g = (np.arange(200) % 2 == 0).astype(float)  # "b" is focal

    def share(*columns):
        x = np.column_stack([np.ones(200), *columns])
        fit = minimize(lambda b: np.sum(np.logaddexp(0, x @ b) - y * (x @ b)), np.zeros(x.shape[1]))
        null = 200 * (np.log(y.mean()) * y.mean() + np.log(1 - y.mean()) * (1 - y.mean()))
        return (1 - np.exp(2 * (null + fit.fun) / 200)) / (1 - np.exp(2 * null / 200)), fit.x

    base, both = share(score)[0], share(score, g, score * g)[0]
    assert found["r2"] == pytest.approx(both - base, abs=1e-5)  # the optimiser stops at 1e-5
    assert found["group"] == pytest.approx(share(score, g)[1][2], abs=1e-3)


def test_crossing_curves_are_non_uniform():
    s = ib.simulate(600, 60, irt="1pl", seed=3)
    focal = np.arange(600) % 2 == 0
    theta = s.abilities["ability"].to_numpy()
    slope = np.where(focal, 0.1, 2.5)
    y = np.random.default_rng(0).random(600) < 1 / (1 + np.exp(-slope * theta))
    R = with_cells(s.responses, range(600), [0], y[:, None])
    found = dif(R, np.where(focal, "b", "a"), "logistic", matching=pd.Series(theta, R.model_ids)).iloc[0]
    assert found["p_nonuniform"] < 1e-6
    assert found["p_uniform"] > 1e-3  # the random half of 600 models is not quite balanced
    assert found["effect"] == "C"


def test_items_without_spread_say_nothing():
    s = ib.simulate(60, 10, seed=0)
    R = with_cells(s.responses, range(60), [2], np.ones((60, 1)))
    R = with_cells(R, range(0, 60, 2), [4], np.nan)
    group = np.where(np.arange(60) % 2, "a", "b")
    for method, label in zip(METHODS, ("ets", "effect"), strict=True):
        found = dif(R, group, method)
        assert found[["p", "p_adjusted"]].iloc[[2, 4]].isna().all(axis=None)
        assert found[label].iloc[[2, 4]].isna().all()
        assert found["p_adjusted"].drop(R.items.index[[2, 4]]).notna().all()


def test_groups_come_from_a_column_or_a_series():
    s = ib.simulate(60, 10, seed=0)
    models = s.responses.models.assign(open=np.where(np.arange(60) % 2, "yes", "no"))
    R = ib.ResponseMatrix.of(s.responses.values, models, s.responses.items)
    by_column = dif(R, "open")
    assert by_column.equals(dif(R, models["open"].sample(frac=1, random_state=0)))
    assert by_column.equals(dif(R, list(models["open"])))


def test_arguments_are_checked():
    s = ib.simulate(60, 10, seed=0)
    R, group = s.responses, np.where(np.arange(60) % 2, "a", "b")
    continuous = ib.ResponseMatrix.of(s.probability)
    for call, words in (
        (lambda: dif(R, "open"), "no column 'open'"),
        (lambda: dif(R, ["a"] * 60), "two groups, got 1"),
        (lambda: dif(R, ["a"] * 55 + ["b"] * 5), "needs 10 models"),
        (lambda: dif(R, group[:5]), "5 groups for 60 models"),
        (lambda: dif(R, [None, *group[1:]]), "has no group"),
        (lambda: dif(R, group, reference="c"), "reference must be one of"),
        (lambda: dif(R, group, "t-test"), "method must be"),
        (lambda: dif(R, group, strata=0), "strata must be"),
        (lambda: dif(R, group, matching=pd.Series([1.0], ["x"])), "finite score for every model"),
        (lambda: dif(continuous, group), "method='logistic'"),
    ):
        with pytest.raises(InputError, match=words):
            call()
    assert dif(continuous, group, "logistic")["p"].min() > 0.01  # curves of both groups are the same
