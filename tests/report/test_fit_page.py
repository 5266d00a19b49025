"""The page about a fit: its sections, its pictures, and numbers that agree with the tables."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from irtbench.irt import diagnostics, fit
from irtbench.report import fit_plots
from irtbench.report.fit_page import render_fit_report, write_fit_report
from irtbench.report.wording import fit_verdict
from irtbench.responses import ResponseMatrix


@pytest.fixture(scope="module")
def diagnosis(simulation, fitted):
    return diagnostics.diagnose(fitted, simulation.responses)


@pytest.fixture(scope="module")
def page(simulation, fitted, diagnosis):
    return render_fit_report(
        responses=simulation.responses,
        fit=fitted,
        diagnosis=diagnosis,
        config={"command": "irtbench fit r.parquet -o out", "versions": {"irtbench": "0"}},
        notes=("The <data> are simulated.",),
    )


def test_the_page_has_its_sections_and_pictures(page):
    assert re.findall(r'<section id="(\w+)"', page) == [
        "data",
        "fit",
        "items",
        "pairs",
        "models",
        "reproduce",
    ]
    assert page.count("<section") == page.count("</section>")
    assert page.count("<svg") == 6
    assert not re.search(r"https?:|@import|url\((?!#)|<script|<link", page)
    assert "The &lt;data&gt; are simulated." in page
    assert "irtbench fit r.parquet -o out" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_numbers_are_the_tables(page, diagnosis):
    odd = diagnosis.models["lz_star"].idxmin()
    assert odd in page
    assert f"{diagnosis.models.loc[odd, 'lz_star']:.3f}".replace("-", "−") in page
    assert f"{diagnosis.reliability['marginal']:.3f} for models" in page
    worst = diagnosis.items[["infit_z", "outfit_z"]].max(axis=1).idxmax()
    assert f"{diagnosis.items.loc[worst, 'outfit']:.2f}" in page


def test_the_verdict_counts(diagnosis):
    items = diagnosis.items.assign(infit_z=0.0, outfit_z=0.0, negative=False)
    items.iloc[:3, items.columns.get_loc("outfit_z")] = 3.5
    items.iloc[0, items.columns.get_loc("negative")] = True
    models = diagnosis.models.assign(lz_star=np.r_[-4.0, -3.5, np.zeros(len(diagnosis.models) - 2)])
    pairs = pd.DataFrame({"q3": [0.95, 0.5, -0.99]})
    said = fit_verdict(
        diagnostics.Diagnosis(items, pairs, models, diagnosis.benchmarks, diagnosis.reliability),
        converged=False,
    )
    assert said.startswith("The fit has not converged.")
    for words in ("z > 3): 3 of 30;", "discrimination): 1;", "(Q3 > 0.9): 1;", "(lz* < −3): 2 of 24."):
        assert words in said


def test_continuous_responses_have_a_page(simulation, tmp_path):
    R = ResponseMatrix.of(simulation.probability, items=simulation.responses.item_ids, metric="prob")
    found = fit(R, method="laplace")
    write_fit_report(tmp_path / "r.html", responses=R, fit=found, diagnosis=diagnostics.diagnose(found, R))
    assert "Better at a benchmark" not in (tmp_path / "r.html").read_text()


def test_a_small_matrix_has_a_page():
    R = ResponseMatrix.of([[1, 0, 1], [0, 0, 1], [1, 1, 1]])
    found = fit(R, method="laplace")
    page = render_fit_report(responses=R, fit=found, diagnosis=diagnostics.diagnose(found, R))
    assert "No pair of items was answered by enough models" in page


def test_curves_are_the_items_curves(fitted):
    ax = fit_plots.item_characteristic_curves(fitted.bank, fitted.bank.item_ids[:3], fitted.abilities["mean"])
    *curves, ticks = ax.get_lines()
    for line, item in zip(curves, fitted.bank.item_ids[:3], strict=True):
        np.testing.assert_allclose(
            line.get_ydata(), fitted.bank.take([item]).probability(line.get_xdata())[:, 0]
        )
    assert len(ticks.get_xdata()) == len(fitted.abilities)
    assert len(fit_plots.item_characteristic_curves(fitted.bank).get_lines()) == 5


def test_information_and_error_have_axes_of_their_own(fitted):
    table = diagnostics.test_information(fitted)
    ax = fit_plots.precision_of_ability(table)
    left, right = ax.figure.axes
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), table["information"])
    np.testing.assert_allclose(right.get_lines()[0].get_ydata(), table["sem"])


def test_misfitting_items_are_never_thinned_out(monkeypatch):
    n = 1000
    items = pd.DataFrame({"infit": 1.0, "outfit": 1.0, "infit_z": 0.0, "outfit_z": 0.0}, index=range(n))
    items.loc[[10, 20], ["outfit", "outfit_z"]] = [9.0, 5.0]
    items.loc[30, ["infit", "infit_z"]] = [0.1, -5.0]
    monkeypatch.setattr(fit_plots, "_MOST", 100)
    rest, smooth, noisy = fit_plots.infit_outfit(items).collections
    assert len(rest.get_offsets()) == 100
    assert smooth.get_offsets().tolist() == [[0.25, 1.0]]  # what lies beyond is drawn on the edge
    assert noisy.get_offsets().tolist() == [[1.0, 4.0], [1.0, 4.0]]


def test_pairs_are_bars(diagnosis):
    ax = fit_plots.q3_pairs(diagnosis.pairs, top=4, ax=Figure().add_subplot())
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], diagnosis.pairs["q3"].head(4))
    assert fit_plots._short("a" * 40) == "…" + "a" * 27
