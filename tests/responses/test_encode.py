"""Codes of distinct values and numbers out of Arrow columns."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irtbench.responses.encode import Encoder, PairEncoder, numbers, tidy

TEXT = st.one_of(st.none(), st.text("ab ", max_size=2))


@given(st.lists(st.lists(TEXT, max_size=6), min_size=1, max_size=4), st.booleans())
def test_codes_lead_back_to_the_values_in_order_of_appearance(batches, packed):
    encoder = Encoder(text=True)
    back, order = [], []
    for batch in batches:
        column = pa.array(batch, pa.string())
        codes = encoder.encode(column.dictionary_encode() if packed else column)
        back += [None if code < 0 else encoder.texts()[code] for code in codes]
        order += [code for code in codes if code >= 0]
    flat = [value or None for batch in batches for value in batch]
    assert back == flat
    assert list(dict.fromkeys(order)) == list(range(len(encoder)))


def test_dictionaries_with_nulls_doubles_and_unused_values():
    dictionary = pa.array(["x", None, "y", "x", "unused"])
    column = pa.DictionaryArray.from_arrays(pa.array([2, 1, 3, None, 0], pa.int8()), dictionary)
    encoder = Encoder(text=True)
    assert encoder.encode(column).tolist() == [0, -1, 1, -1, 1]
    assert encoder.texts() == ["y", "x"]


def test_values_keep_their_type():
    encoder = Encoder()
    codes = encoder.encode(pa.array([3, None, 4], pa.int16()))
    assert encoder.series(np.array([1, 0])).tolist() == [4, 3]
    assert encoder.series(np.array([1, 0])).dtype == np.int16
    assert np.isnan(encoder.series(codes)[1])


def test_pairs_are_kept_over_batches():
    pairs = PairEncoder()
    assert pairs.encode(np.array([1, 1]), np.array([2, 3])).tolist() == [0, 1]
    assert pairs.encode(np.array([1, 2, 1]), np.array([3, 2, -1])).tolist() == [1, 2, 3]
    left, right = pairs.sides()
    assert list(zip(left, right, strict=True)) == [(1, 2), (1, 3), (2, 2), (1, -1)]


@pytest.mark.parametrize(
    ("column", "values", "bad"),
    [
        (pa.array([1, None], pa.int8()), [1, np.nan], []),
        (pa.array([True, False]), [1, 0], []),
        (pa.array(["0.5", " 1 ", "NA", "n/a", "False", None]), [0.5, 1, np.nan, np.nan, 0, np.nan], []),
        (pa.array(["0.5", "1e-3", None]), [0.5, 0.001, np.nan], []),
        (pa.array(["1", "x", "1"]).dictionary_encode(), [1, np.nan, 1], [1]),
        (pa.array([1.0, 0.0]).dictionary_encode(), [1, 0], []),
        (pa.array([None, None]), [np.nan, np.nan], []),
        (pa.array([[1], None]), [np.nan, np.nan], [0]),
    ],
)
def test_numbers(column, values, bad):
    found, wrong = numbers(column)
    np.testing.assert_array_equal(found, values)
    assert np.flatnonzero(wrong).tolist() == bad


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["1", "2"], [1, 2]),
        (["1", None], [1.0, None]),
        (["True", "false"], [True, False]),
        (["1", "best"], ["1", "best"]),
        ([None, None], [None, None]),
    ],
)
def test_tidy(texts, wanted):
    series = tidy(texts)
    assert series.astype(object).where(series.notna(), None).tolist() == wanted
