"""Many fits at once: the same as one by one, resumed, and a bootstrap that knows its sampling errors."""

import numpy as np
import pytest

import irtbench as ib
from irtbench.irt import FitJob, Recipe, bootstrap_jobs, fit_many, many
from irtbench.responses.matrix import ResponseMatrix


@pytest.fixture(scope="module")
def board():
    return ib.simulate(n_models=40, n_items=30, seed=0).responses


@pytest.fixture(scope="module")
def jobs(board):
    return [
        FitJob("2PL / all", board, method="laplace"),
        FitJob("1pl", board, Recipe("1pl"), "laplace"),
        FitJob("twice", board, "1pl", "laplace", rows=(0, *range(12), 0, 5)),
    ]


def fingerprints(fits):
    return {name: found.fingerprint for name, found in fits.items()}


def test_fits_are_those_of_fit(board, jobs):
    fits = fit_many(jobs, executor="serial", device="cpu")
    assert list(fits) == ["2PL / all", "1pl", "twice"]
    assert fits["2PL / all"].fingerprint == ib.fit(board, "2pl", method="laplace", device="cpu").fingerprint
    assert fits["1pl"].bank.irt == "1pl"
    # copies of a model have its responses, so its ability
    ability = fits["twice"].abilities["mean"]
    assert len(ability) == 15
    assert np.ptp(ability[ability.index.str.startswith(board.model_ids[0])]) < 1e-6


def test_processes_change_nothing(jobs):
    one, other = (fit_many(jobs, executor=name, workers=2) for name in ("serial", "processes"))
    assert fingerprints(one) == fingerprints(other)
    assert list(one) == list(other)


def test_a_stopped_run_resumes(jobs, tmp_path, monkeypatch):
    real, ran = many.fit, []

    def stop_at_the_third(responses, irt, **settings):
        ran.append(responses.n_models)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return real(responses, irt, **settings)

    monkeypatch.setattr(many, "fit", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        fit_many(jobs, folder=tmp_path, executor="serial")
    assert len(list(tmp_path.iterdir())) == 2
    resumed = fit_many(jobs, folder=tmp_path, executor="serial")
    assert ran == [40, 40, 15, 15]
    assert fingerprints(resumed) == fingerprints(fit_many(jobs, executor="serial"))
    assert fingerprints(fit_many(jobs, folder=tmp_path)) == fingerprints(resumed)  # all there: no workers


def test_other_jobs_never_take_a_saved_fit(board, jobs):
    job = jobs[0]
    other = [
        FitJob(job.name, board, "1pl", "laplace"),
        FitJob(job.name, board, method="svi"),
        FitJob(job.name, board, method="laplace", seed=1),
        FitJob(job.name, board, method="laplace", rows=(0, 1, 2)),
        FitJob(job.name, board.take(items=slice(0, 20)), method="laplace"),
    ]
    assert len({one.fingerprint for one in [job, *other]}) == 6
    assert FitJob("another name", board, Recipe("2pl"), "laplace").fingerprint == job.fingerprint


def test_a_refused_fit_names_itself(board):
    with pytest.raises(ib.InputError, match=r"^fit 'bad': method must be"):
        fit_many([FitJob("bad", board, method="magic")], executor="serial")
    with pytest.raises(ib.InputError, match="two fits are called 'a'"):
        fit_many([FitJob("a", board), FitJob("a", board)])
    with pytest.raises(ib.InputError, match="empty"):
        fit_many([])


def spread_of_scores(drawn):
    """Sd over the draws of each item's share of right responses."""
    return np.std([job.data.values.mean(axis=0) for job in drawn], axis=0, ddof=1)


def test_spread_is_the_sampling_error_of_models(board):
    p = board.values.mean(axis=0, dtype=float)
    expected = np.sqrt(p * (1 - p) / board.n_models)  # of a mean of independent models
    ratio = spread_of_scores(bootstrap_jobs(board, 400, seed=1)) / expected
    # each sd of 400 draws has a relative error of 1/sqrt(800) = 3.5 %: 4 of them for 30 items
    assert np.abs(ratio - 1).max() < 0.14


def test_spread_by_family_is_that_of_families():
    rng = np.random.default_rng(0)
    per_family = rng.random((8, 5)).round()  # all five models of a family answer alike
    R = ResponseMatrix.of(per_family.repeat(5, axis=0), [f"f{k // 5}/m{k}" for k in range(40)])
    p = per_family.mean(axis=0)
    expected = np.sqrt(p * (1 - p) / 8)
    by_family, by_model = (spread_of_scores(bootstrap_jobs(R, 400, by=by)) for by in ("family", "model"))
    seen = expected > 0
    assert np.abs(by_family[seen] / expected[seen] - 1).max() < 0.14  # as above
    # drawn one by one, the 40 models look independent: an sd too small by sqrt(5)
    assert np.abs(by_model[seen] / expected[seen] - 5**-0.5).max() < 0.14 * 5**-0.5


def test_runs_of_a_model_are_drawn_together(board):
    named = board.models.assign(name=[f"m{k // 2}" for k in range(40)])
    R = ResponseMatrix(board.values, named, board.items)
    for job in bootstrap_jobs(R, 5):
        rows = np.array(job.rows)
        assert len(rows) == 40
        np.testing.assert_array_equal(rows[1::2], rows[::2] + 1)


def test_draws_are_reproducible_and_start_alike(board):
    assert [job.rows for job in bootstrap_jobs(board, 3)] == [job.rows for job in bootstrap_jobs(board, 5)][
        :3
    ]
    assert bootstrap_jobs(board, 1)[0].rows != bootstrap_jobs(board, 1, seed=1)[0].rows


def test_copies_keep_their_table_and_trials():
    R = ib.simulate(n_models=6, n_items=4, samples=3, seed=0).responses
    copied = FitJob("x", R, rows=(2, 2, 0, 2)).data
    first = R.model_ids[2]
    assert copied.model_ids == [first, f"{first}#2", R.model_ids[0], f"{first}#3"]
    np.testing.assert_array_equal(copied.trials, R.trials[[2, 2, 0, 2]])
    assert list(copied.models["family"]) == list(R.models["family"].iloc[[2, 2, 0, 2]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"n": 0}, "at least 1"), ({"by": "item"}, "'model' or 'family'")],
)
def test_bad_bootstraps(board, arguments, message):
    with pytest.raises(ib.InputError, match=message):
        bootstrap_jobs(board, **arguments)


def test_one_family_cannot_be_drawn_from():
    R = ResponseMatrix.of([[0, 1], [1, 1]], ["a/1", "a/2"])
    with pytest.raises(ib.InputError, match="at least 2"):
        bootstrap_jobs(R, by="family")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::irtbench.ConvergenceWarning")  # of 1 fit in 60, which moves no sd
def test_bootstrap_tells_how_difficulties_vary_with_the_models():
    """Against the spread over fresh samples of models on the same items."""
    n_models, n_items = 200, 20
    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(0, 0.3, n_items)), np.linspace(-1.5, 1.5, n_items)

    def board(seed):
        fresh = np.random.default_rng([1, seed])
        p = 1 / (1 + np.exp(-a * (fresh.normal(size=(n_models, 1)) - b)))
        return ResponseMatrix.of((fresh.random(p.shape) < p).astype(float))

    def spread(jobs):
        fits = fit_many(jobs, executor="serial", device="cpu").values()
        return np.std([found.bank.items["difficulty"] for found in fits], axis=0, ddof=1)

    truth = spread([FitJob(str(k), board(k), method="laplace") for k in range(60)])
    found = np.mean([spread(bootstrap_jobs(board(k), 20, method="laplace")) for k in range(3)], axis=0)
    # over four other sets of boards the mean ratio was 1.01 to 1.08: each sd of 60 fits has an error of 9 %,
    # which the 20 items share in part, and a resample holds fewer distinct models than a fresh sample
    assert 0.9 < np.mean(found / truth) < 1.2
