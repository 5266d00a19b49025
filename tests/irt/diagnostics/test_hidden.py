"""Held-out cells: what is hidden, the scores by hand, the standard error, and the right IRT model."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import irtbench as ib
from irtbench.errors import InputError
from irtbench.irt.diagnostics import heldout, hidden
from irtbench.irt.recipes import Recipe


@dataclass
class Known:
    p: np.ndarray

    def probability(self):
        return self.p


@settings(deadline=None, max_examples=25)
@given(
    st.integers(2, 12),
    st.integers(2, 12),
    st.floats(0, 0.7),
    st.sampled_from([0.1, 0.3, 0.5]),
    st.integers(0, 99),
)
def test_folds_are_disjoint_and_leave_enough(n_models, n_items, missing, share, seed):
    s = ib.simulate(n_models, n_items, seed=seed)
    values = np.where(np.random.default_rng(seed).random(s.responses.shape) < missing, np.nan, 1.0)
    values[0, 0] = 1.0
    R = ib.ResponseMatrix.of(values)
    try:
        folds = hidden._folds(R, share, int(1 / share), seed)
    except InputError:
        return  # too few responses to hide any
    assert (sum(f.astype(int) for f in folds) <= R.observed).all()
    for axis in (0, 1):
        had = R.observed.sum(axis=axis)
        for fold in folds:
            kept = (R.observed & ~fold).sum(axis=axis)
            assert (kept >= np.minimum(had, 2)).all()


def test_losses_by_hand():
    rng = np.random.default_rng(0)
    k, n = rng.integers(0, 5, (30, 20)), np.full((30, 20), 4)
    p = rng.uniform(0.1, 0.9, (30, 20))
    R = ib.ResponseMatrix.of(k / 4, trials=n)
    seen = []

    def known(train):
        seen.append(train)
        return Known(p)

    table = heldout(R, [("known", known)], share=0.2)
    (train,) = seen
    gone = R.observed & ~train.observed
    assert gone.mean() == pytest.approx(0.2, abs=0.05)  # 600 cells: standard error .016
    assert (train.trials[gone] == 0).all()
    loss = -(k * np.log(p) + (4 - k) * np.log(1 - p))[gone].sum() / (4 * gone.sum())
    assert table.loc["known", "log_loss"] == pytest.approx(loss)
    assert table.loc["known", "brier"] == pytest.approx(((k / 4 - p)[gone] ** 2).mean())
    right, trials = np.where(gone, 0, k), np.where(gone, 0, 4)
    item = (right.sum(axis=0) + 0.5) / (trials.sum(axis=0) + 1)
    model = (right.sum(axis=1) + 0.5) / (trials.sum(axis=1) + 1)
    grand = (right.sum() + 0.5) / (trials.sum() + 1)
    both = np.log(item / (1 - item)) + np.log(model / (1 - model))[:, None] - np.log(grand / (1 - grand))
    for name, q in (("item mean", item + 0 * p), ("item + model", 1 / (1 + np.exp(-both)))):
        loss = -(k * np.log(q) + (4 - k) * np.log(1 - q))[gone].sum() / (4 * gone.sum())
        assert table.loc[name, "log_loss"] == pytest.approx(loss)
    assert table["difference"].iloc[0] == table["se"].iloc[0] == 0
    assert (table["log_loss"].diff().dropna() >= 0).all()
    assert (table["cells"] == gone.sum()).all()


def test_the_truth_is_best_and_folds_add_up():
    s = ib.simulate(60, 60, irt="3pl", seed=1)
    truth, blurred = (
        (name, lambda train, p=p: Known(p))
        for name, p in (("truth", s.probability), ("blurred", 0.25 + 0.5 * s.probability))
    )
    one, five = (heldout(s.responses, [blurred, truth], n_folds=n) for n in (1, 5))
    assert five.index[0] == "truth"
    assert five["cells"].iloc[0] == pytest.approx(
        5 * one["cells"].iloc[0], rel=0.15
    )  # random numbers of cells
    assert five.loc["blurred", "se"] < one.loc["blurred", "se"]


def test_the_standard_error_counts_pairs_of_cells_once():
    """Two cells go together if they share a model or an item; a cell with itself counts once."""
    rng = np.random.default_rng(0)
    model, item, value = rng.integers(0, 6, 40), rng.integers(0, 5, 40), rng.normal(size=40)
    weight = rng.uniform(size=40)
    weight /= weight.sum()
    # no cell twice, as in a matrix
    _, first = np.unique(model * 5 + item, return_index=True)
    model, item, value, weight = (x[first] for x in (model, item, value, weight / weight[first].sum()))
    part = weight * (value - weight @ value)
    together = (model[:, None] == model) | (item[:, None] == item)
    expect = np.sqrt(max(part @ together @ part, part @ part))
    cells = hidden._Cells(model, item, np.ones(len(model)), value[None], value[None])
    assert hidden._standard_error(value, weight, cells) == pytest.approx(expect)


def test_the_standard_error_is_the_spread_over_data():
    """Predictions that are wrong by model: cells of one model go together."""
    found = []
    for seed in range(80):
        s = ib.simulate(40, 60, seed=seed)
        logit = np.log(s.probability / (1 - s.probability))
        shifted = 1 / (1 + np.exp(-logit - np.random.default_rng(seed).normal(0, 0.8, (40, 1))))
        candidates = [
            ("truth", lambda train, p=s.probability: Known(p)),
            ("off", lambda train, p=shifted: Known(p)),
        ]
        table = heldout(s.responses, candidates, share=0.3, seed=seed)
        found.append(table.loc["off", ["difference", "se"]].astype(float))
    difference, se = np.array(found).T
    # the sd of 80 has a standard error of 8 %; the abilities differ between the data sets, too
    assert np.sqrt((se**2).mean()) == pytest.approx(difference.std(), rel=0.25)


@pytest.mark.parametrize("irt", ["1pl", "2pl"])
def test_the_irt_model_of_the_data_wins(irt):
    s = ib.simulate(200, 200, irt=irt, seed=0)
    table = heldout(s.responses, ["1pl", "2pl"], n_folds=2, method="laplace")
    assert table.index[0] == irt
    assert table["difference"].iloc[1] > 2 * table["se"].iloc[1]
    assert table.index[-1] == "item mean"


def test_the_same_seed_hides_the_same_cells():
    s = ib.simulate(30, 20, seed=0)
    first, again, other = (heldout(s.responses, ["1pl"], seed=k, method="laplace") for k in (0, 0, 1))
    assert first.equals(again)
    assert not first["log_loss"].equals(other["log_loss"])


@pytest.mark.filterwarnings(
    "ignore::irtbench.errors.ConvergenceWarning"
)  # without noise no precision is best
def test_recipes_and_continuous_responses_go_in():
    s = ib.simulate(40, 30, seed=0)
    R = ib.ResponseMatrix.of(s.probability, s.responses.models, s.responses.items, metric="prob")
    table = heldout(R, [Recipe("2pl")], method="laplace")
    # the responses are the probabilities: the loss cannot fall below their own entropy
    assert table.loc["2pl", "brier"] < 0.01 < table.loc["item mean", "brier"]


def test_arguments_are_checked():
    s = ib.simulate(30, 20, seed=0)
    known = ("1pl", lambda train: Known(s.probability))
    for bad, words in (
        ({"irt": []}, "must be a list"),
        ({"irt": "2pl"}, "must be a list"),
        ({"irt": ["1pl", known]}, "occurs twice"),
        ({"irt": [("item mean", known[1])]}, "name of a baseline"),
        ({"irt": [("x", lambda train: Known(s.probability[:3]))]}, "of shape"),
        ({"irt": ["1pl"], "share": 1.0}, "share must lie"),
        ({"irt": ["1pl"], "share": 0.3, "n_folds": 4}, "share × n_folds"),
    ):
        with pytest.raises(InputError, match=words):
            heldout(s.responses, **bad, method="laplace")
    with pytest.raises(InputError, match="no cell can be hidden"):
        heldout(s.responses.take(models=[0, 1], items=[0, 1]), ["1pl"], share=0.5)
