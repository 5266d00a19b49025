"""Plots: what the artists hold, not how the picture looks."""

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from irtbench.compare import CONTROL
from irtbench.errors import InputError
from irtbench.report import drawing, plots


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_size_error_draws_each_method_and_the_controls_band(summary, comparison):
    ax = plots.size_error(summary, comparison)
    found = lines(ax)
    assert set(found) == set(summary["method"])
    for method, line in found.items():
        expected = summary[summary["method"] == method].sort_values("size")
        np.testing.assert_allclose(line.get_xdata(), expected["size"])
        np.testing.assert_allclose(line.get_ydata(), expected["mae"])
    control = comparison[comparison["method"] == CONTROL]
    error = (control["score"] - control["truth"]).abs()
    by_split = error.groupby([control["size"], control["seed"], control["split"]]).mean()
    (band,) = ax.collections
    drawn = band.get_paths()[0].vertices
    for size in (10, 40):
        y = drawn[drawn[:, 0] == size, 1]
        np.testing.assert_allclose([y.min(), y.max()], by_split[size].quantile([0.1, 0.9]))
    assert found[CONTROL].get_linewidth() > max(v.get_linewidth() for k, v in found.items() if k != CONTROL)


def test_size_error_labels_each_line_apart(summary):
    ax = plots.size_error(summary)
    heights = sorted(text.xyann[1] for text in ax.texts)
    assert {t.get_text() for t in ax.texts} == set(summary["method"])
    assert np.diff(heights).min() > 0.05


def test_labels_that_do_not_collide_stay_where_they_are():
    np.testing.assert_allclose(drawing._apart(np.array([0.9, 0.1, 0.5]), 0.05), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(drawing._apart(np.array([0.5, 0.5]), 0.1), [0.45, 0.55])


def test_estimate_against_truth_takes_each_model_once(comparison):
    ax = plots.estimate_against_truth(comparison, CONTROL, 10)
    rows = comparison[(comparison["method"] == CONTROL) & (comparison["size"] == 10)]
    dots = ax.collections[-1].get_offsets()
    assert len(dots) == rows["model"].nunique()
    np.testing.assert_allclose(sorted(dots[:, 0]), sorted(rows.groupby("model")["truth"].first()))


def test_estimate_against_truth_names_what_is_not_there(comparison):
    with pytest.raises(InputError, match="no rows of method 'magic' at size 10"):
        plots.estimate_against_truth(comparison, "magic", 10)


def test_coverage_has_a_dot_for_each_method_and_size(summary):
    ax = plots.coverage(summary, 0.9)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["10 items", "40 items"]
    methods = [t.get_text() for t in ax.get_yticklabels()]
    assert methods[0] == CONTROL
    for dots, (_, rows) in zip(ax.collections, summary.groupby("size"), strict=True):
        expected = rows.set_index("method")["coverage"].reindex(methods)
        np.testing.assert_allclose(dots.get_offsets()[:, 0], expected)
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), 0.9)


def test_elbo_trace_cuts_the_steep_beginning():
    step = np.arange(400)
    ax = plots.elbo_trace(pd.DataFrame({"step": step, "elbo": -1000 - 9000 * np.exp(-step / 5)}))
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), step)
    assert -1100 < ax.get_ylim()[0] < ax.get_ylim()[1] < -990


def test_chosen_items_are_larger_with_more_weight(fitted, subset):
    ax = plots.discrimination_difficulty(fitted.bank.items, subset.table["weight"])
    everything, chosen = ax.collections
    assert len(everything.get_offsets()) == fitted.bank.n_items
    np.testing.assert_allclose(chosen.get_offsets()[:, 0], fitted.bank.items.loc[subset.items, "difficulty"])
    order = np.argsort(subset.weights, kind="stable")
    assert np.all(np.diff(chosen.get_sizes()[order]) >= 0)


def test_plots_draw_into_axes_that_are_given(summary):
    ax = Figure().add_subplot()
    assert plots.size_error(summary, ax=ax) is ax
    assert plots.coverage(summary, 0.9, ax=Figure().add_subplot()) is not ax


def test_plots_leave_pyplot_alone(summary, comparison, tmp_path):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    drawing.save(plots.size_error(summary, comparison), tmp_path / "x.png")
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def test_files_are_the_same_every_time(summary, comparison, tmp_path):
    for kind in ("svg", "png"):
        for k in range(2):
            drawing.save(plots.size_error(summary, comparison), tmp_path / f"{k}.{kind}")
        assert (tmp_path / f"0.{kind}").read_bytes() == (tmp_path / f"1.{kind}").read_bytes()


def test_svg_for_a_page_needs_nothing_from_outside(summary):
    text = drawing.svg(plots.size_error(summary), "size")
    assert text.startswith("<svg")
    assert "http" not in text
    assert drawing.INK not in text
    assert "currentColor" in text
    assert 'id="size-' in text
    assert 'id="figure' not in text
