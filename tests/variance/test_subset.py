"""Subsets against the full benchmark: independent noise, a shared shift, and methods that add or remove."""

import math

import numpy as np
import pytest
from shared import needs_shared

from irtbench.errors import InputError
from irtbench.variance.agreement import agreement_by_gap, mdad
from irtbench.variance.ordering import decision_accuracy
from irtbench.variance.pruning import rank_tau
from irtbench.variance.resampling import seed_counts
from irtbench.variance.runs import curves, runs_of
from irtbench.variance.seeds import seed_variance
from irtbench.variance.subset import random_estimates, subset_variance

N, SIZE = 2000, 100


def runs(seed=0, n_seeds=10, n_steps=8, shift=0.0, n_items=N):
    """0/1 responses (n_seeds, n_steps, n_items); ``shift`` is the sd of a run's own shift of all items."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.3, 0.7, n_items) + shift * rng.normal(size=(n_seeds, n_steps, 1))
    return (rng.random((n_seeds, n_steps, n_items)) < p).astype(float)


def found(y, chosen=None, size=SIZE, n_draws=100, control=None, seed=0):
    plain = random_estimates(y, size, n_draws, seed=seed)
    chosen = plain[0] if chosen is None else chosen
    control = plain if control is None else control
    return subset_variance(y.mean(-1), chosen, control, plain, n_items=y.shape[-1], size=size)


def test_independent_noise_grows_with_the_root_of_the_size():
    # E on random n-subsets = E √(N/n). 100 draws × 8 checkpoints of 10 seeds: the full E is known to
    # 1/√(2·9·8) = 8 %, so three standard errors are 25 %; no shared part
    for size in (50, 100, 500):
        result = found(runs(), size=size)
        plain = result.methods.loc["plain", "E"]
        assert plain == pytest.approx(result.independent, rel=0.25)
        assert result.parts.loc["size", "E"] == pytest.approx(plain - result.methods.loc["full", "E"])
    assert result.shared_sd < 0.6 * result.methods.loc["full", "E"]


def test_independent_noise_over_many_benchmarks():
    # the same, averaged over 20 benchmarks: to 3 · 8 % / √20 = 5.5 %
    ratio = [(r := found(runs(k), n_draws=30)).methods.loc["plain", "E"] / r.independent for k in range(20)]
    assert np.mean(ratio) == pytest.approx(1, abs=0.055)


def test_a_shared_shift_grows_less():
    shift = 0.02
    results = [found(runs(k, shift=shift), n_draws=30) for k in range(10)]
    for result in results:
        assert result.methods.loc["plain", "E"] < 0.8 * result.independent
    # the shift and the own noise √(mean p(1-p)/N) are told apart; 10 × 8 checkpoints of 10 seeds: 3 %
    assert np.mean([r.shared_sd**2 for r in results]) ** 0.5 == pytest.approx(shift, rel=0.1)
    own = math.sqrt((0.25 - 0.16 / 12) / N)
    assert np.mean([r.own_sd**2 for r in results]) ** 0.5 == pytest.approx(own, rel=0.1)


def test_parts_add_up_and_e_is_the_rooms():
    y = runs(1, shift=0.01)
    weights = np.random.default_rng(2).exponential(size=SIZE)

    def weighted(part, chosen):
        return part @ weights / weights.sum()

    control = random_estimates(y, SIZE, 100, estimate=weighted)
    result = found(y, chosen=control[3], control=control)
    parts = result.parts["E"]
    assert parts["total"] == pytest.approx(parts[["size", "estimator", "choice"]].sum())
    assert result.methods.loc["full", "E"] == pytest.approx(seed_variance(y.mean(-1))["E"].item())
    assert result.methods.loc["chosen", "E"] == pytest.approx(seed_variance(control[3])["E"].item())
    # unequal weights lose items: the effective size is (Σw)²/Σw², so the estimator alone adds this much
    effective = weights.sum() ** 2 / (weights**2).sum()
    expected = result.methods.loc["plain", "E"] * (math.sqrt(SIZE / effective) - 1)
    assert parts["estimator"] == pytest.approx(expected, rel=0.35)
    assert result.parts.loc["estimator", "low"] > 0


def noisy_and_calm(seed):
    """Half of the items are drawn anew by every run, half are always the same."""
    y = runs(seed, n_seeds=6, n_steps=5, n_items=1000)
    y[..., 500:] = y[0, 0, 500:]
    return y


@pytest.mark.parametrize(("first", "sign"), [(0, 1), (500, -1)])
def test_what_the_choice_adds_or_removes_is_found(first, sign):
    y = noisy_and_calm(3)
    result = found(y, chosen=y[..., first : first + SIZE].mean(-1))
    choice = result.parts.loc["choice"]
    assert sign * choice["E"] > 0
    assert choice["p_value"] <= 0.02
    assert sign * (choice["low"] if sign > 0 else choice["high"]) > 0


@pytest.mark.slow
def test_false_alarms_of_the_choice():
    # chosen items that are just another random draw: rank test and interval in 1,000 simulated comparisons,
    # tolerance 3 binomial standard errors (0.021)
    alarms = {"rank": 0, "interval": 0}
    for k in range(1000):
        y = runs(k, n_seeds=4, n_steps=3, shift=0.02, n_items=200)
        chosen = y[..., np.random.default_rng([k, 1]).permutation(200)[:40]].mean(-1)
        choice = found(y, chosen, size=40, n_draws=39, seed=k).parts.loc["choice"]
        alarms["rank"] += choice["p_value"] <= 0.05
        alarms["interval"] += not choice["low"] <= 0 <= choice["high"]
    for name, count in alarms.items():
        assert count / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000), name


def test_measures_of_a_perfect_estimate():
    y = np.stack([runs(k, n_seeds=4, n_steps=3, n_items=300) for k in range(3)])
    y[1] = np.maximum(y[1], runs(9, n_seeds=4, n_steps=3, n_items=300))  # a better recipe
    full = y.mean(-1)
    plain = random_estimates(y, 50, 20)
    table = subset_variance(full, full, plain, plain, n_items=300, size=50).methods
    same = ["E", "ratio", "monotonicity", "snr", "bias", "rmse", "rank_tau", "decision_accuracy"]
    np.testing.assert_allclose(table.loc["chosen", same].astype(float), table.loc["full", same].astype(float))
    assert table.loc["full", "rank_tau"] == pytest.approx(1)
    assert table.loc["full", "rmse"] == 0
    assert table.loc["plain", "rank_tau"] < 1
    assert table.loc["plain", "se"] == pytest.approx(plain.std(axis=0, ddof=1).mean())
    loss = subset_variance(
        1 - full, 1 - full, 1 - plain, 1 - plain, n_items=300, size=50, higher_is_better=False
    )
    columns = ["E", "monotonicity", "rank_tau", "decision_accuracy"]
    np.testing.assert_allclose(loss.methods[columns].astype(float), table[columns].astype(float), rtol=1e-9)


def test_missing_runs_are_left_out():
    y = runs(4, n_seeds=5, n_steps=4, n_items=300)
    gap = np.concatenate([y, np.full((1, 4, 300), np.nan)])
    whole, holed = found(y, size=50), None
    plain = random_estimates(gap, 50, 100)
    full = np.concatenate([y.mean(-1), np.full((1, 4), np.nan)])
    holed = subset_variance(full, plain[0], plain, plain, n_items=300, size=50)
    np.testing.assert_allclose(holed.parts["E"], whole.parts["E"], atol=1e-12)


def test_two_seeds_have_no_interval():
    result = found(runs(5, n_seeds=2, n_steps=3, n_items=300), size=50)
    assert result.parts["low"].isna().all()
    assert result.parts["E"].notna().all()


def test_agreement_by_gap_by_hand():
    rng = np.random.default_rng(6)
    full = rng.integers(0, 200, 12) / 1000
    estimate = full + 0.03 * rng.normal(size=(5, 12))
    table = agreement_by_gap(full, estimate, bin_width=0.02).set_index("gap")
    rows = {}
    for j in range(12):
        for k in range(j):
            gap = abs(full[j] - full[k])
            if gap > 0:
                right = np.sign(full[j] - full[k]) == np.sign(estimate[:, j] - estimate[:, k])
                rows.setdefault(round(gap * 1000) // 20, []).append(right.mean())
    assert table["agreement"].round(12).tolist() == [round(np.mean(rows[b]), 12) for b in sorted(rows)]
    assert table["n_pairs"].tolist() == [len(rows[b]) for b in sorted(rows)]


def test_mdad_of_normal_errors():
    # errors of sd s = 0.02: a pair is right with Φ(g / s√2), 0.8 at g = 0.8416 · s√2 = 0.0238. The bin that
    # holds it is 0.02 to 0.025, whose pairs are right in about 77 %, so the next one is found
    rng = np.random.default_rng(7)
    full = np.sort(rng.random(300))
    estimate = full + 0.02 * rng.normal(size=(40, 300))
    table = mdad(full, estimate)
    assert table["mdad"].item() == pytest.approx(0.025)
    assert table["low"].item() <= 0.025 <= table["high"].item()
    assert mdad(full, full, resamples=0)["mdad"].item() == 0
    assert np.isnan(mdad(full, -full, resamples=0)["mdad"].item())


def test_mdad_may_have_to_stay():
    full = np.array([0.0, 0.01, 0.1, 0.3])
    estimate = np.array([0.0, 0.01, -0.1, 0.3])  # the smallest gap is right, the next ones are wrong
    assert mdad(full, estimate, bin_width=0.01, resamples=0)["mdad"].item() == pytest.approx(0.01)
    assert mdad(full, estimate, bin_width=0.01, stays=True, resamples=0)["mdad"].item() == pytest.approx(0.2)


def test_refusals():
    y = runs(8, n_seeds=3, n_steps=2, n_items=50)
    full, draws = y.mean(-1), random_estimates(y, 10, 4)
    with pytest.raises(InputError, match="size must"):
        subset_variance(full, draws[0], draws, draws, n_items=50, size=50)
    with pytest.raises(InputError, match="two or more seeds"):
        subset_variance(full[:1], draws[0], draws, draws, n_items=50, size=10)
    with pytest.raises(InputError, match="control: estimates"):
        subset_variance(full, draws[0], draws[:, :2], draws, n_items=50, size=10)
    with pytest.raises(InputError, match="size must"):
        random_estimates(y, 51)
    with pytest.raises(InputError, match="bin_width"):
        mdad([0.1, 0.2], [0.1, 0.2], bin_width=0)
    with pytest.raises(InputError, match="one of each model"):
        agreement_by_gap([0.1, 0.2], [0.1, 0.2, 0.3])


@needs_shared
def test_real_replicates():
    from nlu import nlu

    R = nlu("arc-easy")
    families = runs_of(R, min_seeds=3)
    assert len(families) == 4
    y = np.stack([family.values for family in families])
    full = np.stack([curves(family)[..., 0] for family in families])
    plain = random_estimates(y, 100, 100)
    result = subset_variance(full, plain[0], plain, plain, n_items=R.n_items, size=100)
    # a real benchmark has both: more than the full E, no more than independent items would have
    assert 1 < result.methods.loc["plain", "ratio"] <= math.sqrt(R.n_items / 100)
    assert result.parts.loc["choice", "p_value"] > 0.01


def test_measures_of_draws_are_those_of_each_draw():
    # decisions, ranks: all draws at once against one at a time, with a run missing and with ties
    rng = np.random.default_rng(9)
    y = rng.integers(0, 2, (4, 3, 5, 60)).astype(float)
    y[2, 1] = np.nan
    full = y.mean(axis=-1)
    draws = random_estimates(y, 10, 30)
    table = subset_variance(full, draws[0], draws, draws, n_items=60, size=10).methods
    last, recipes = draws[..., -1], np.nanmean(full[..., -1], axis=1)
    one = [decision_accuracy(draw, recipes, resamples=2)["accuracy"].item() for draw in last]
    assert table.loc["plain", "decision_accuracy"] == pytest.approx(np.mean(one), abs=1e-12)
    tau = [rank_tau(draw.reshape(-1), full.reshape(-1)) for draw in draws]
    assert table.loc["plain", "rank_tau"] == pytest.approx(np.mean(tau), abs=1e-12)
    alone = mdad(full[..., -1].reshape(-1), last.reshape(30, -1))
    assert table.loc["plain", ["mdad", "mdad_low", "mdad_high"]].tolist() == alone.iloc[0, :3].tolist()


def test_mdad_of_resamples_is_that_of_repeated_models():
    # a resample with counts c holds model i c_i times: written out, it must give the same bin
    rng = np.random.default_rng(10)
    full, estimate = np.round(rng.random(12), 2), rng.random((3, 12))
    for stays in (False, True):
        table = mdad(full, estimate, bin_width=0.1, target=0.6, stays=stays, resamples=40, level=0.9, seed=3)
        counts = seed_counts(np.random.default_rng(3), 12, 40)
        written = []
        for c in counts:
            rows = np.repeat(np.arange(12), c)
            again = mdad(full[rows], estimate[:, rows], bin_width=0.1, target=0.6, stays=stays, resamples=0)
            written.append(again["mdad"].item())
        written = np.nan_to_num(np.array(written), nan=np.inf)
        low, high = np.quantile(written, [0.05, 0.95], method="inverted_cdf")
        assert (table["low"].item(), table["high"].item()) == pytest.approx((low, high))


def test_interval_of_mdad_holds_the_true_one():
    # 60 models, one estimate with errors of sd 0.02: pairs are right with Φ(g / 0.0283), 0.8 at 0.0238, so
    # of bins of 0.02 the second (0.02 to 0.04, right in 85 %) is the first that reaches 0.8
    held = 0
    for k in range(200):
        rng = np.random.default_rng(k)
        full = rng.random(60)
        table = mdad(full, full + 0.02 * rng.normal(size=60), bin_width=0.02, resamples=100)
        held += bool(table["low"].item() <= 0.02 + 1e-9 and table["high"].item() >= 0.02 - 1e-9)
    # nominal 0.95; three binomial standard errors of 200 are 0.046. Coverage of a whole bin can only be more
    assert held / 200 >= 0.95 - 0.046


def test_mdad_without_a_bin_has_no_upper_bound():
    full = np.linspace(0, 1, 8)
    table = mdad(full, -full, bin_width=0.1)
    assert np.isnan(table["mdad"].item())
    assert table["high"].item() == np.inf


def test_one_draw_in_which_the_seeds_tie_does_not_make_the_ratio():
    rng = np.random.default_rng(0)
    full = 0.5 + 0.02 * rng.normal(size=(2, 5, 3))
    draws = full + 0.01 * rng.normal(size=(400, 2, 5, 3))
    draws[0, 0, :, -1] = 0.1 + 0.2 + 1e-17 * np.arange(5)  # equal but for rounding
    table = subset_variance(full, draws, draws, draws, n_items=300, size=50).methods
    sd = np.sqrt((draws[..., -1].std(axis=2, ddof=1) ** 2).mean(axis=0))
    by_hand = (draws[..., -1].mean(axis=(0, 2)) / sd).mean()
    assert table.loc["chosen", "snr"] == pytest.approx(by_hand, rel=1e-9)
    # seeds of sd 0.02 and items of 0.01: 0.5 / sqrt(0.02² + 0.01²) = 22; five seeds tell it within a half
    assert 12 < by_hand < 45
