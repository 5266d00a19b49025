"""A subset on runs with replicates: full scores, estimates and seed variance against direct computations."""

import numpy as np
import pandas as pd
import pytest

from irtbench.compare import subset_study
from irtbench.errors import InputError
from irtbench.report import sorted_estimates, subset_curves
from irtbench.responses import ResponseMatrix
from irtbench.subsets import select
from irtbench.variance import runs_of, seed_variance, variance_report
from irtbench.variance.curve_tables import curve_table


@pytest.fixture(scope="module")
def responses():
    rng = np.random.default_rng(0)
    grid = [(f, s, t) for f in ("a", "b") for s in range(4) for t in range(3)]
    table = pd.DataFrame(
        grid, columns=["family", "seed", "step"], index=["-".join(map(str, g)) for g in grid]
    )
    table["name"] = table["family"] + table["seed"].astype(str)
    logit = -1 + table["step"].to_numpy() + 0.5 * (table["family"] == "b").to_numpy()
    p = 1 / (1 + np.exp(-(logit[:, None] + rng.normal(size=200))))
    return ResponseMatrix.of((rng.random(p.shape) < p) * 1, table)


@pytest.fixture(scope="module")
def study(responses):
    chosen = select(responses, 50, "random", irt=None)
    return subset_study(chosen, responses, method="weighted", draws=20)


def test_full_scores_and_seed_variance_are_the_rooms(study, responses):
    assert study.estimates["full"].to_numpy() == pytest.approx(responses.scores().to_numpy())
    E = [seed_variance(own.values.mean(2))["E"].item() for own in runs_of(responses)]
    assert study.variance.methods.loc["full", "E"] == pytest.approx(
        np.mean(E), rel=1e-5
    )  # float32 on its way
    assert study.calibrated_here


def test_random_items_with_the_same_estimator_are_the_control(study):
    # no bank: the weighted mean of random items is their mean, nothing is left for the estimator
    assert study.variance.parts.loc["estimator", "E"] == pytest.approx(0, abs=1e-9)
    assert study.errors.loc["control", "mae"] == pytest.approx(study.errors.loc["plain", "mae"])
    # a mean of 50 of 200 binary items errs by √(p(1-p)/50 · 0.75), times √(2/π); p(1-p) is 0.16 to 0.25
    error = study.errors.loc["plain", "mae"]
    assert 0.03 < error < 0.055
    low, high = study.errors.loc["plain", ["low", "high"]]
    assert low < error < high


def test_curves_are_the_estimates(study, responses):
    chosen = study.curves[study.curves["role"] == "chosen"].set_index(["family", "seed", "step"])["score"]
    one = responses.models.iloc[7]
    key = (one["family"], str(one["seed"]), str(one["step"]))
    assert chosen[key] == pytest.approx(study.estimates["score"].iloc[7], abs=1e-6)
    assert len(study.curves) == 3 * responses.n_models


def test_pictures_hold_every_model_and_seed(study):
    ax = sorted_estimates(study.estimates, study.size)
    dots = ax.collections[0].get_offsets()
    assert len(dots) == len(study.estimates)
    full = ax.lines[-1].get_ydata()
    assert (np.diff(full) >= 0).all()
    assert full == pytest.approx(100 * np.sort(study.estimates["full"]))
    axes = subset_curves(study.curves, study.size)
    assert [len(ax.lines) for ax in axes] == [2 * (4 + 1)] * 3  # four seeds and their mean


def test_with_a_bank_and_on_the_page(responses, tmp_path):
    from irtbench.report import write_variance_report

    chosen = select(responses.take(models=(responses.models["seed"] < 3).to_numpy()), 40, "random", irt="1pl")
    study = subset_study(chosen, responses, method="gp-irt", draws=5)
    assert not study.calibrated_here
    runs = runs_of(responses)
    table = variance_report(runs, resamples=100)
    write_variance_report(
        tmp_path / "p.html", responses=responses, table=table, curves=curve_table(runs), study=study
    )
    page = (tmp_path / "p.html").read_text()
    assert 'id="subset"' in page
    assert f"miss the full score by {100 * study.errors.loc['chosen', 'mae']:.2f} points" in page
    assert "chosen from these same responses" not in page


def test_missing_items_are_refused(study, responses):
    chosen = select(responses, 50, "random", irt=None)
    with pytest.raises(InputError, match="the full scores need all of them"):
        subset_study(chosen, responses.take(items=slice(0, 150)))


@pytest.mark.filterwarnings("ignore::irtbench.errors.ExtrapolationWarning")  # of the weakest checkpoint
def test_a_regression_stands_beside_random_items_by_its_irt_model(responses):
    chosen = select(responses.take(models=(responses.models["seed"] < 3).to_numpy()), 40)
    study = subset_study(chosen, responses, draws=5)
    assert study.method == "blend"
    # by the IRT model random items tell more than by their mean
    assert study.errors.loc["control", "mae"] < study.errors.loc["plain", "mae"]
