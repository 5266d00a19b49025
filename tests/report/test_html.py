"""The report: one file, all sections, nothing from outside, numbers that agree with the tables."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from irtbench.report import tables
from irtbench.report.html import render_report, write_report
from irtbench.responses import ResponseMatrix

VOID = {"meta", "br", "img", "input", "link", "hr", "path", "use"}


class Outline(HTMLParser):
    """Collect tags, attributes and whether every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.sections = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "section":
            self.sections.append(dict(attrs)["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(simulation, comparison, summary, fitted, subset):
    return render_report(
        responses=simulation.responses,
        comparison=comparison,
        summary=summary,
        fit=fitted,
        subset=subset,
        config={"command": "irtbench compare r.parquet -o out", "versions": {"irtbench": "0"}},
        notes=("The <data> are simulated.",),
    )


def test_the_page_has_its_sections(page):
    outline = Outline(page)
    assert outline.sections == ["data", "fit", "items", "errors", "intervals", "reproduce"]
    assert outline.open == []
    assert outline.tags.count("svg") == 6


def test_the_page_needs_nothing_from_outside(page):
    outline = Outline(page)
    assert "script" not in outline.tags
    assert "link" not in outline.tags
    assert not [
        v for k, v in outline.attributes if k in ("src", "href", "xlink:href") and not v.startswith("#")
    ]
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_ids_are_unique_and_every_reference_has_one(page):
    attributes = Outline(page).attributes
    ids = [v for k, v in attributes if k == "id"]
    assert len(ids) == len(set(ids))
    used = {v[1:] for k, v in attributes if k == "href"} | set(re.findall(r"url\(#([^)]+)\)", page))
    assert used <= set(ids)


def test_text_is_escaped(page):
    assert "The &lt;data&gt; are simulated." in page


def test_the_control_is_highlighted_in_the_table(page, summary):
    assert page.count('<tr class="control">') == summary["size"].nunique()
    assert '<td class="s">better</td>' in page
    best = summary.loc[summary["mae"].idxmin()]
    assert f"{best['mae']:.4f}" in page


def test_the_page_says_how_to_make_it_again(page, simulation):
    assert simulation.responses.fingerprint in page
    assert "irtbench compare r.parquet -o out" in page


def test_a_report_without_fit_and_subset(simulation, comparison, summary, tmp_path):
    write_report(tmp_path / "r.html", responses=simulation.responses, comparison=comparison, summary=summary)
    page = (tmp_path / "r.html").read_text()
    assert "No IRT model was fitted" in page
    assert "No subset was chosen" in page


def test_item_rest_correlation_is_numpys():
    rng = np.random.default_rng(0)
    values = (rng.random((30, 6)) < 0.5).astype(float)
    values[:, 5] = 1
    values[3, 0] = np.nan
    R = ResponseMatrix.of(values)
    found = tables.item_rest_correlation(R)
    rest = np.delete(values, 1, axis=1)
    expected = np.corrcoef(values[:, 1], np.nanmean(rest, axis=1))[0, 1]
    assert found.iloc[1] == pytest.approx(expected)
    assert np.isnan(found.iloc[5])


def test_items_with_a_wrong_key_come_first(simulation):
    values = simulation.responses.values.copy()
    worst = int(np.argmax(tables.item_rest_correlation(simulation.responses)))
    values[:, worst] = 1 - values[:, worst]
    R = ResponseMatrix.of(values, items=simulation.responses.item_ids)
    found = tables.items_to_look_at(R, None, n=5)
    assert found.index[0] == R.item_ids[worst]
    assert found["why"].iloc[0] == "abler models do worse: wrong key?"
