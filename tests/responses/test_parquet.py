"""The own file format: identity of write and read, refusal of damage, readable by other tools."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from irtbench.errors import InputError
from irtbench.responses.matrix import Metric, ResponseMatrix
from irtbench.responses.parquet import is_ours, read_parquet, write_parquet

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=6)
CELL = st.one_of(st.just(np.nan), st.floats(0, 1, width=32))


def column(draw, length):
    kind = draw(st.sampled_from(["int", "float", "text", "object", "bool", "category", "date", "Int64"]))
    lists = {
        "int": st.integers(-(2**60), 2**60),
        "float": st.floats(allow_infinity=False),
        "text": TEXT,
        "object": st.one_of(st.none(), TEXT),
        "bool": st.booleans(),
        "category": st.sampled_from(["x", "y"]),
        "date": st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2040-01-01")),
        "Int64": st.one_of(st.none(), st.integers(-(2**62), 2**62)),
    }
    values = draw(st.lists(lists[kind], min_size=length, max_size=length))
    dtype = {"object": object, "category": "category", "Int64": "Int64"}.get(kind)
    return pd.Series(values, dtype=dtype).array


def table(draw, length):
    ids = draw(st.lists(TEXT, min_size=length, max_size=length, unique=True))
    names = draw(st.lists(TEXT, max_size=3, unique=True))
    return pd.DataFrame({name: column(draw, length) for name in names}, index=ids)


@st.composite
def matrices(draw):
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    values = draw(hnp.arrays(np.float32, shape, elements=CELL))
    if np.isnan(values).all():
        values[0, 0] = 1
    trials = draw(st.one_of(st.none(), hnp.arrays(np.int32, shape, elements=st.integers(1, 9))))
    models, items = table(draw, shape[0]), table(draw, shape[1])
    if draw(st.booleans()):
        items["benchmark"] = draw(st.lists(TEXT, min_size=shape[1], max_size=shape[1]))
    metric = Metric(draw(TEXT), draw(st.booleans()))
    return ResponseMatrix(values, models, items, metric, trials)


def assert_same(left, right):
    np.testing.assert_array_equal(left.values, right.values)
    if left.trials is None:
        assert right.trials is None
    else:
        np.testing.assert_array_equal(left.trials, right.trials)
    pd.testing.assert_frame_equal(left.models, right.models, check_column_type=False)
    pd.testing.assert_frame_equal(left.items, right.items, check_column_type=False)
    assert left.metric == right.metric
    assert left.fingerprint == right.fingerprint


@given(matrices())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_write_read_write_is_the_identity(tmp_path, R):
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    write_parquet(R, first)
    back = read_parquet(first)
    assert_same(R, back)
    write_parquet(back, second)
    assert_same(R, read_parquet(second))


@pytest.fixture
def R():
    models = pd.DataFrame({"family": ["f", "g", "g"]}, index=["m1", "m2", "m3"])
    values = [[1, 0, np.nan], [0.5, np.nan, 1], [np.nan] * 3]
    return ResponseMatrix.of(values, models, ["a", "b", "c"], benchmark="quiz")


def test_any_tool_reads_a_plain_long_table(R, tmp_path):
    R.save(tmp_path / "r.parquet")
    plain = pd.read_parquet(tmp_path / "r.parquet").astype({"response": float})
    wanted = [("m1", "a", 1.0), ("m1", "b", 0.0), ("m2", "a", 0.5), ("m2", "c", 1.0)]
    assert list(plain[["model", "item", "response"]].itertuples(index=False, name=None)) == wanted
    assert set(plain["benchmark"]) == {"quiz"}
    assert pq.ParquetFile(tmp_path / "r.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_rows_without_any_response_and_several_row_groups_are_kept(tmp_path, R, monkeypatch):
    monkeypatch.setattr("irtbench.responses.parquet._CELLS_PER_GROUP", 3)
    write_parquet(R, tmp_path / "r.parquet")
    assert pq.ParquetFile(tmp_path / "r.parquet").num_row_groups >= 2
    assert_same(R, read_parquet(tmp_path / "r.parquet"))


def test_another_bit_pattern_of_nan_reads_back(tmp_path):
    values = np.array([[1, 0], [1, 1]], dtype=np.float32)
    values[0, 1] = -np.float32(np.nan)
    write_parquet(ResponseMatrix.of(values), tmp_path / "r.parquet")
    np.testing.assert_array_equal(read_parquet(tmp_path / "r.parquet").values, values)


def test_an_edited_file_is_refused(R, tmp_path):
    write_parquet(R, tmp_path / "r.parquet")
    edited = pq.read_table(tmp_path / "r.parquet")
    at = edited.schema.get_field_index("response")
    edited = edited.set_column(at, "response", pa.array([1.0, 1.0, 0.5, 1.0], pa.float32()))
    pq.write_table(edited, tmp_path / "r.parquet")
    with pytest.raises(InputError, match="does not match its fingerprint"):
        read_parquet(tmp_path / "r.parquet")


def test_a_truncated_file_is_refused(R, tmp_path):
    write_parquet(R, tmp_path / "r.parquet")
    content = (tmp_path / "r.parquet").read_bytes()
    (tmp_path / "r.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged"):
        read_parquet(tmp_path / "r.parquet")
    with pytest.raises(InputError, match="cut short"):
        is_ours(tmp_path / "r.parquet")


def test_other_files_and_newer_schemas_are_refused(R, tmp_path):
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "x.parquet")
    assert not is_ours(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="not written by irtbench"):
        read_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="no such file"):
        read_parquet(tmp_path / "absent.parquet")
    write_parquet(R, tmp_path / "r.parquet")
    newer = pq.read_table(tmp_path / "r.parquet")
    newer = newer.replace_schema_metadata({**newer.schema.metadata, b"irtbench.schema": b"99"})
    pq.write_table(newer, tmp_path / "r.parquet")
    with pytest.raises(InputError, match="schema '99'"):
        read_parquet(tmp_path / "r.parquet")


def test_mixed_columns_are_refused_and_leave_nothing_behind(tmp_path):
    models = pd.DataFrame({"step": pd.Series([1, "best"], dtype=object).array}, index=["a", "b"])
    with pytest.raises(InputError, match="'step' of the model table holds values of mixed types"):
        write_parquet(ResponseMatrix.of([[1], [0]], models), tmp_path / "r.parquet")
    with pytest.raises(InputError, match="column 3"):
        write_parquet(ResponseMatrix.of([[1]], pd.DataFrame({3: [1]})), tmp_path / "r.parquet")
    assert list(tmp_path.iterdir()) == []
