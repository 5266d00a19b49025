"""The exported blend against :func:`irtbench.estimate`: the same score, interval and note, in plain NumPy."""

import csv
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import irtbench as ib
from irtbench.irt import simulate
from irtbench.responses import ResponseMatrix
from irtbench.subsets import select
from irtbench.subsets.estimation import default_estimator
from irtbench.subsets.export import card, export_lm_eval, score
from irtbench.subsets.export.formula import exported_method

# Newton's method stops at steps below 1e-5, where irtbench waits for the slowest model of a batch and the
# exported code for its own: modes 1e-10 apart, but curvatures taken up to 1e-5 before them, and a variance is
# off by a like share: below 1e-7 of a score of sd 0.05. Ten times that
SAME = 1e-6
PRINTED = 1.5e-6  # and half of the last of six digits
COLUMNS = ["score", "lower", "upper", "beyond"]

pytestmark = pytest.mark.filterwarnings("ignore::irtbench.errors.ExtrapolationWarning")


def matrix(values, like):
    return ResponseMatrix.of(values, items=like.items, metric="acc")


def odd_models(n_items, continuous, rng):
    """Like none that calibrated: all right, all wrong, nearly so, by chance, and right on the wrong items."""
    found = [np.ones((1, n_items)), np.zeros((1, n_items)), rng.integers(0, 2, (4, n_items))]
    found += [rng.random((3, n_items)) < share for share in (0.03, 0.97)]
    return np.vstack([*found, *([rng.random((4, n_items))] if continuous else [])]).astype(float)


def case(benchmarks, continuous, average, size, seed):
    s = simulate(n_models=46, n_items=120, n_benchmarks=benchmarks, seed=seed)
    rng = np.random.default_rng(seed)
    values = s.responses.values.astype(float)
    if continuous:
        values = 0.7 * values + 0.3 * rng.random(values.shape)
    values[:3, :7] = np.nan  # of the calibration models
    old = matrix(values[:36], s.responses)
    new = matrix(np.vstack([values[36:], odd_models(120, continuous, rng)]), s.responses)
    subset = select(old, size, irt=None, average=average, folds=3, seed=seed)
    far = 3 * subset.residuals["far"]  # so that the interval by the wrong factor is another one
    subset = replace(subset, residuals=subset.residuals.assign(far=far))
    return subset, new.take(items=subset.items)


CASES = {
    "one": (1, False, "micro", 40, 0),
    "three": (3, False, "macro", 15, 1),  # fewer items than tell a model beyond the range for sure
    "continuous": (2, True, "micro", 30, 2),
}


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    subset, new = case(*CASES[request.param])
    folder = tmp_path_factory.mktemp("blend") / "t"
    export_lm_eval(subset, folder, match="position", level=0.8)
    return subset, new, folder


def run(folder, *arguments):
    code = [sys.executable, "-I", folder / "score.py", *map(str, arguments)]
    return subprocess.run(code, capture_output=True, text=True)


def write(path, new, order):
    lines = ["model,item,response"]
    for model, values in zip(new.model_ids, new.values, strict=True):
        lines += [f"{model},{new.item_ids[k]},{float(values[k])!r}" for k in order]
    path.write_text("\n".join(lines) + "\n")


def test_it_estimates_as_irtbench_does(made):
    subset, new, folder = made
    ours = ib.estimate(subset, new, level=0.8)
    plain = score.load(folder)
    order = np.random.default_rng(0).permutation(new.n_items)
    found = [score.estimate(plain, {new.item_ids[k]: row[k] for k in order}) for row in new.values]
    theirs = np.array([[row[name] for name in COLUMNS] for row in found])
    np.testing.assert_allclose(theirs, ours[COLUMNS], rtol=0, atol=SAME)
    assert [row["note"] for row in found] == list(ours["note"])
    assert {row["estimator"] for row in found} == {"blend"}
    # the cases are worth it: models within the range and beyond it, intervals by both factors
    assert ours["beyond"].min() < 0.1 < 0.5 < ours["beyond"].max()
    assert plain["blend"]["far"] > 1.1 * plain["blend"]["near"]


def test_certain_calibration_models_and_estimates_that_disagree(made, tmp_path):
    """What these cases hardly show by themselves: probabilities that are cut, a regression far off."""
    subset, new, _ = made
    known = subset.predictor
    off = replace(known.alike, score=known.alike.score + np.array([0.4, 0.0]))
    subset = replace(subset, predictor=replace(known, alike=off, old=known.old.round()))
    export_lm_eval(subset, tmp_path / "t", match="position")
    ours, plain = ib.estimate(subset, new), score.load(tmp_path / "t")
    found = [score.estimate(plain, dict(zip(new.item_ids, row, strict=True))) for row in new.values]
    theirs = np.array([[row[name] for name in COLUMNS] for row in found])
    np.testing.assert_allclose(theirs, ours[COLUMNS], rtol=0, atol=SAME)
    assert [row["note"] for row in found] == list(ours["note"])
    assert ours["note"].str.contains("disagree").any()


def test_the_table_names_estimator_and_note(made, tmp_path):
    subset, new, folder = made
    write(tmp_path / "new.csv", new, range(new.n_items))
    found = run(folder, tmp_path / "new.csv")
    assert found.returncode == 0, found.stderr
    rows = {(row["model"], row["benchmark"]): row for row in csv.DictReader(found.stdout.splitlines())}
    ours = ib.estimate(subset, new, level=0.8)
    for model, expected in ours.iterrows():
        row = rows[model, "all"]
        assert [float(row[name]) for name in COLUMNS] == pytest.approx(list(expected[COLUMNS]), abs=PRINTED)
        assert (row["estimator"], row["note"]) == ("blend", expected["note"])
    assert found.stderr.splitlines() == [f"{m}: {note}" for m, note in ours["note"].items() if note]
    names = set(subset.benchmark["benchmark"])
    own = {key: row for key, row in rows.items() if key[1] != "all"}
    assert len(own) == (len(names) * len(ours) if len(names) > 1 else 0)
    export_lm_eval(subset, tmp_path / "w", match="position", level=0.8, method="weighted")
    for row in csv.DictReader(run(tmp_path / "w", tmp_path / "new.csv").stdout.splitlines()):
        if row["benchmark"] != "all":  # a benchmark's own score is what it is without the blend
            assert own[row["model"], row["benchmark"]] == row
            assert (row["estimator"], row["beyond"], row["note"]) == ("weighted", "", "")


def test_it_needs_nothing_but_numpy_and_no_pickle(made):
    _, new, folder = made
    code = (
        "import importlib.util as u, sys\n"
        f"spec = u.spec_from_file_location('score', {str(folder / 'score.py')!r})\n"
        "score = u.module_from_spec(spec)\nspec.loader.exec_module(score)\n"
        f"print(score.estimate(score.load(), dict.fromkeys({new.item_ids!r}, 0.5))['estimator'])\n"
        "print([m for m in ('irtbench', 'pandas', 'scipy', 'torch') if m in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["blend", "[]"]
    with np.load(folder / "blend.npz", allow_pickle=False) as file:
        assert all(array.dtype.kind in "fi" for array in dict(file).values())


def test_missing_and_unknown_items_are_refused(made):
    _, new, folder = made
    plain, given = score.load(folder), dict.fromkeys(new.item_ids, 1.0)
    for broken, text in (
        ({k: v for k, v in given.items() if k != new.item_ids[0]}, "no response to"),
        (given | {"strange": 1.0}, "not an item of this subset: 'strange'"),
        (given | {new.item_ids[0]: float("nan")}, "is not in"),
    ):
        with pytest.raises(ValueError, match=text):
            score.estimate(plain, broken)


def test_the_text_says_what_the_scores_are_by(made):
    subset, _, folder = made
    several = subset.benchmark["benchmark"].nunique() > 1
    text = (folder / "README.md").read_text()
    assert text.startswith(card(subset))
    assert ("a benchmark's own score by `weighted`" in text) == several
    assert ("in lm-eval's log" in text) == (not several)
    low, high = subset.predictor.score_range
    assert f"({low:.2f} to {high:.2f})" in text
    (yaml,) = folder.glob("*.yaml")
    assert f'"benchmark_estimator": "{"weighted" if several else "blend"}"' in yaml.read_text()


def test_with_a_bank_a_benchmark_is_by_gp_irt(tmp_path):
    s = simulate(n_models=30, n_items=60, n_benchmarks=2, seed=3)
    subset = select(s.responses, 12, bank=s.bank, folds=2)
    export_lm_eval(subset, tmp_path / "t", match="position")
    export_lm_eval(subset, tmp_path / "g", match="position", method="gp-irt")
    ours, theirs = score.load(tmp_path / "t"), score.load(tmp_path / "g")
    assert ours["whole"]["estimator"] == "blend"
    assert ours["benchmarks"] == theirs["benchmarks"]
    assert {part["estimator"] for part in ours["benchmarks"].values()} == {"gp-irt"}


def test_a_subset_without_a_predictor_goes_out_as_estimate_takes_it(made, tmp_path):
    subset, *_ = made
    assert exported_method(subset) == default_estimator(subset) == "blend"
    bare = replace(subset, predictor=None)
    assert exported_method(bare) == default_estimator(bare) == "weighted"
    export_lm_eval(bare, tmp_path / "t", match="position")
    assert score.load(tmp_path / "t")["whole"]["estimator"] == "weighted"
    assert not (tmp_path / "t" / "blend.npz").exists()
    with pytest.raises(ib.InputError, match="needs a predictor"):
        export_lm_eval(bare, tmp_path / "u", match="position", method="blend")
    with pytest.raises(ib.InputError, match="'reaching'"):
        export_lm_eval(subset, tmp_path / "u", match="position", method="reaching")
