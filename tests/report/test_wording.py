"""The sentences follow the numbers."""

import numpy as np
import pandas as pd
import pytest

from irtbench.compare import CONTROL
from irtbench.report.wording import against_control, by_size, tally, verdict


def table(**differences):
    """A summary at one size: method → (difference, half width)."""
    rows = [(CONTROL, 20, 0.05, 0.0, 0.0, 0.0)]
    rows += [(m.replace("_", " + "), 20, 0.05 + d, d, d - h, d + h) for m, (d, h) in differences.items()]
    return pd.DataFrame(
        rows, columns=["method", "size", "mae", "mae_diff", "mae_diff_lower", "mae_diff_upper"]
    )


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        (-0.02, -0.01, "better than the random subset"),
        (0.01, 0.02, "worse than the random subset"),
        (-0.01, 0.01, "no different from the random subset"),
        (-0.01, 0.0, "no different from the random subset"),
        (np.nan, np.nan, "not to be told from the random subset by one split"),
    ],
)
def test_words_follow_the_interval(lower, upper, words):
    assert against_control({"method": "a + b", "mae_diff_lower": lower, "mae_diff_upper": upper}) == words


def test_verdict_is_plain_when_nothing_beats_random():
    summary = table(a_x=(-0.01, 0.02), b_x=(0.03, 0.01))
    assert verdict(summary).startswith("No method beats a random subset of the same size")
    assert "0 are better" in tally(summary)
    assert "1 no different and 1 worse" in tally(summary)


def test_verdict_names_the_best_and_its_interval():
    said = verdict(table(a_x=(-0.02, 0.01), b_x=(-0.03, 0.01)))
    assert "“b + x” beats a random subset" in said
    assert "0.0200 against 0.0500 (difference −0.0300, 95 % interval −0.0400 to −0.0200)" in said


def test_verdict_says_at_which_sizes_nothing_wins():
    small = table(a_x=(-0.02, 0.01))
    large = table(a_x=(0.0, 0.01)).assign(size=80)
    assert verdict(pd.concat([small, large])).endswith("No method does at 80 items.")


def test_verdict_without_a_method():
    assert "nothing to compare" in verdict(table())


def test_sentences_separate_the_estimator_from_the_choice(summary):
    first, second = by_size(summary)
    assert first.startswith("10 items: ")
    assert second.startswith("40 items: ")
    summary = table(anchor_x=(-0.03, 0.01), random_x=(-0.02, 0.01))
    said = by_size(summary)[0]
    assert said.endswith("On random items the same estimator already has 0.0300 (difference −0.0200).")
