"""The page about variance: its sections, its pictures, and sentences that say what the numbers say."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from test_html import Outline

from irtbench.report import findings
from irtbench.report.drawing import new_panels, svg
from irtbench.report.variance_page import render_variance_report
from irtbench.report.variance_plots import item_halves, seed_curves, seed_strips
from irtbench.report.view_plots import view_crossover, view_scatter, views_side_by_side
from irtbench.responses import ResponseMatrix
from irtbench.variance import (
    compare_views,
    curve_table,
    runs_of,
    split_stability,
    statistics_by_half,
    variance_report,
)


def simulated(offset, slope, seed=0, n_items=60, metric=None):
    """Two recipes of three seeds and five checkpoints, two benchmarks of 30 items."""
    rng = np.random.default_rng(seed)
    grid = [(f, s, 100 * t) for f in ("a", "b") for s in range(3) for t in range(1, 6)]
    table = pd.DataFrame(
        grid, columns=["family", "seed", "step"], index=["-".join(map(str, g)) for g in grid]
    )
    logit = offset + slope * table["step"].to_numpy() / 100 + 0.3 * (table["family"] == "b").to_numpy()
    p = 1 / (1 + np.exp(-(logit[:, None] + rng.normal(size=n_items))))
    values = p if metric == "prob" else (rng.random(p.shape) < p) * 1
    benchmark = ["x", "y"] * (n_items // 2)
    return ResponseMatrix.of(values, table, benchmark=benchmark, metric=metric)


@pytest.fixture(scope="module")
def matrices():
    return {"choice": simulated(-3, 1.0), "completion": simulated(-0.5, 0.2, seed=1)}


@pytest.fixture(scope="module")
def content(matrices):
    R = matrices["choice"]
    runs = runs_of(R)
    rng = np.random.default_rng(0)
    models = ResponseMatrix.of((rng.logistic(size=(24, 40)) < rng.normal(size=(24, 1))) * 1)
    return {
        "responses": R,
        "table": variance_report(runs, resamples=200),
        "curves": curve_table(runs),
        "views": {"completion": compare_views(matrices, resamples=100)},
        "halves": statistics_by_half(models),
        "stability": split_stability(models, n_splits=5),
        "config": {"command": "irtbench variance r.parquet -o out"},
    }


@pytest.fixture(scope="module")
def page(content):
    return render_variance_report(**content)


def test_sections_and_pictures(page):
    outline = Outline(page)
    assert outline.open == []
    assert outline.sections == ["data", "noise", "signal", "views", "items", "reproduce"]
    assert outline.tags.count("svg") == 6  # curves, strips, sides, crossover, scatter, items
    assert "script" not in outline.tags
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_every_picture_says_what_it_shows(page):
    labels = [value for name, value in Outline(page).attributes if name == "aria-label"]
    assert len(labels) == 6
    assert all(len(label) > 60 for label in labels)
    assert len(set(labels)) == 6


def test_sections_without_data_are_left_out(content):
    part = {k: v for k, v in content.items() if k not in ("views", "halves", "stability")}
    outline = Outline(render_variance_report(**part))
    assert outline.sections == ["data", "noise", "signal", "reproduce"]
    links = [v for k, v in outline.attributes if k == "href" and v in ("#items", "#views", "#subset")]
    assert links == []


def test_findings_hold_the_numbers_of_the_tables(page, content):
    table = content["table"]
    top = table["E"].idxmax()
    row = table.loc[top]
    assert f"{top[1]} ({top[0]}), E = {100 * row['E']:.2f} points" in page
    assert f"{100 * row['E_low']:.2f} to" in page
    crossing = content["views"]["completion"].crossing
    assert f"overtakes completion for good at {crossing['crossover']:,.0f}" in page
    held = content["views"]["completion"].agreement.loc["pearson", "correlation"]
    assert f"correlate {held:.2f}".replace("-", "−") in page


def test_a_loss_is_drawn_in_its_own_unit(content):
    R = content["responses"]
    loss = ResponseMatrix.of(5 - 4 * R.values, R.models, R.items, metric="nll")
    runs = runs_of(loss)
    table = variance_report(runs, resamples=100)
    page = render_variance_report(responses=loss, table=table, curves=curve_table(runs))
    assert "E = " in page
    assert not re.search(r"\bpoints\b", page.split('id="noise"')[1].split("</section>")[0])


def test_nothing_that_counts_is_said_not_drawn(content):
    # every checkpoint at chance: no E, no error over items
    R = content["responses"]
    runs = runs_of(R)
    table = variance_report(runs, resamples=100, chance=0.999, exclude_chance=True)
    assert table["E"].isna().all()
    page = render_variance_report(responses=R, table=table, curves=curve_table(runs))
    assert page.count("not known") == 5  # verdict; curves and strips, under the picture and in its alt text
    assert "nan" not in page.split('id="noise"')[1].split('id="signal"')[0].lower()


def test_one_checkpoint_and_missing_runs_are_drawn(content):
    R = content["responses"]
    keep = (R.models["step"] == 500).to_numpy()
    one = runs_of(R.take(models=keep))
    curves = curve_table(one)
    axes = seed_curves(curves)
    for ax in axes:
        dots = [container.lines[0] for container in ax.containers]
        assert [len(line.get_xdata()) for line in dots] == [3, 3]
        x = np.concatenate([line.get_xdata() for line in dots])
        assert len(set(x)) == 6  # side by side, none above another
    ragged = R.take(models=(R.models.index != "a-0-500"))
    curves = curve_table(runs_of(ragged))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = seed_curves(curves)
        ax = seed_strips(curves, variance_report(runs_of(ragged), resamples=100))
    lengths = sorted(len(line.get_xdata()) for line in axes[0].lines)
    assert lengths == [4, 5, 5, 5, 5, 5]
    drawn = [line for line in ax.lines if line.get_marker() == "|"]
    assert sum(len(line.get_xdata()) for line in drawn) == 2 * 5  # two benchmarks, five runs at the end


def test_strips_are_deviations_from_the_recipe(content):
    ax = seed_strips(content["curves"], content["table"])
    for line in ax.lines:
        if line.get_marker() == "|":
            assert np.mean(line.get_xdata()) == pytest.approx(0, abs=1e-9)
    low, high = ax.get_xlim()
    bars = [patch.get_width() / 2 for patch in ax.patches]
    assert max(bars) < high
    assert -max(bars) > low


def test_curves_keep_their_intervals_over_items(content):
    curves = content["curves"]
    row = curves.iloc[0]
    values = content["responses"].take(benchmark="x").values[0]
    assert row["score"] == pytest.approx(values.mean())
    assert row["high"] - row["score"] == pytest.approx(1.959964 * values.std(ddof=1) / np.sqrt(30), rel=1e-6)


def test_crossover_is_marked_where_it_is(content):
    view = content["views"]["completion"]
    ax = view_crossover(view.curves, view.crossing)
    dashed = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [view.crossing["crossover"]]
    none = {**view.crossing, "crossover": np.nan}
    ax = view_crossover(view.curves, none)
    assert not [line for line in ax.lines if line.get_linestyle() == "--"]
    assert "no crossover" in findings.crossing_finding(none, ("choice", "completion"))


def test_views_on_two_scales_have_an_axis_each(matrices):
    R = matrices["completion"]
    loss = ResponseMatrix.of(4 - 3 * R.values, R.models, R.items, metric="nll")
    found = compare_views({"acc": matrices["choice"], "nll": loss}, resamples=50)
    assert not found.one_scale
    axes = views_side_by_side(found.curves, found.order, one_scale=False, unit="score", scale=1.0)
    right = [ax for ax in axes[0].figure.axes if ax not in axes]
    assert len(right) == 2
    drawn = np.concatenate([line.get_ydata() for line in right[0].lines])
    assert 1 <= drawn.min() < drawn.max() <= 4
    assert max(line.get_ydata().max() for line in axes[0].lines) <= 1
    assert [ax.get_ylabel() for ax in (axes[0], *right)] == ["acc (score)", "", "nll (score)"]


def test_halves_are_drawn_whole_and_thinned():
    index = pd.MultiIndex.from_product([["weaker", "stronger"], range(100)], names=["half", "item"])
    table = pd.DataFrame({"difficulty": 0.5, "item_rest": 0.2, "n_models": 30}, index=index)
    table.loc[("weaker", 3), "item_rest"] = np.nan
    first, second = item_halves(table)
    assert [len(ax.collections[0].get_offsets()) for ax in (first, second)] == [99, 100]
    assert np.ptp(second.collections[0].get_offsets()[:, 0]) < 1 / 30  # less than a model
    assert len(item_halves(table, most=50)[1].collections[0].get_offsets()) == 50


def test_scatter_draws_every_model():
    scores = pd.DataFrame({"acc": [0.1, 0.5, 0.9], "prob": [0.2, 0.4, 0.8]})
    ax = view_scatter(scores)
    assert ax.collections[0].get_offsets().tolist() == [[10, 20], [50, 40], [90, 80]]


def test_alt_text_is_escaped_and_spare_panels_hidden():
    axes = new_panels(4)
    assert len(axes) == 4
    assert sum(ax.get_visible() for ax in axes[0].figure.axes) == 4
    text = svg(axes[0], "p", 'a "b" < c')
    assert 'role="img" aria-label="a &quot;b&quot; &lt; c"' in text


def test_the_choice_finding_follows_its_interval():
    from types import SimpleNamespace

    methods = pd.DataFrame(
        {"E": [1.0] * 3, "E_low": [0.5] * 3, "E_high": [2.0] * 3}, index=["full", "chosen", "control"]
    )

    def says(low, high):
        parts = pd.DataFrame({"E": [(low + high) / 2], "low": [low], "high": [high]}, index=["choice"])
        study = SimpleNamespace(method="blend", variance=SimpleNamespace(methods=methods, parts=parts))
        return findings.subset_curves_finding(study)

    assert "adds noise" in says(0.01, 0.02)
    assert "removes noise" in says(-0.02, -0.01)
    assert "holds 0" in says(-0.01, 0.02)
    assert "three seeds" in says(np.nan, np.nan)
