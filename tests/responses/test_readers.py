"""Files of each text and table format: what is read, what is refused and how it is said."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from irtbench.errors import InputError
from irtbench.responses.matrix import Metric
from irtbench.responses.readers.long import read_long
from irtbench.responses.readers.pyirt import read_pyirt
from irtbench.responses.readers.wide import read_wide

LONG = "model,item,response,seed,lab\n007,a,1,0,x\n007,b,,0,x\nm,a,True,1,y\nm,b,0.5,1,y\n"
WIDE = "model,a,b,c\n007,1,,0.5\nm,0,1,True\n"
CELLS = np.array([[1, np.nan], [1, 0.5]], dtype=np.float32)


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz", "r.tsv", "r.txt", "bom.csv"])
def test_long_text_is_read_whatever_its_clothes(tmp_path, name):
    text = LONG.replace(",", "\t") if "tsv" in name else LONG.replace(",", ";") if "txt" in name else LONG
    R = read_long(write(tmp_path / name, "\ufeff" + text if "bom" in name else text), metric="prob")
    assert R.model_ids == ["007", "m"]  # not the number 7
    assert R.item_ids == ["a", "b"]
    np.testing.assert_array_equal(R.values, CELLS)
    assert R.models["seed"].tolist() == [0, 1]
    assert R.models["lab"].tolist() == ["x", "y"]
    assert R.metric == Metric("prob")


def test_long_text_may_quote_line_breaks(tmp_path):
    R = read_long(write(tmp_path / "r.csv", 'model,item,response\nm,"one\ntwo",1\nm,b,0\n'))
    assert R.item_ids == ["one\ntwo", "b"]


def test_long_parquet_equals_long_text(tmp_path):
    pd.read_csv(write(tmp_path / "r.csv", LONG), dtype={"model": str}).to_parquet(tmp_path / "r.parquet")
    text, packed = read_long(tmp_path / "r.csv"), read_long(tmp_path / "r.parquet")
    np.testing.assert_array_equal(text.values, packed.values)
    assert text.fingerprint == packed.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("model,item,response\n", "has no rows"),
        ("model,item,item,response\nm,a,b,1\n", "column 'item' occurs more than once"),
        ("model,item,response\nm,a,1\nm,b\n", r"cannot be read .*Expected 3 columns, got 2"),
        ("model,item,response\nm,a,1\nm,b,good\n", r"not a number \('good'\) in row 2"),
        ("model,item,score\nm,a,1\n", "perhaps columns={.response.: .score.} is meant"),
    ],
)
def test_long_text_that_makes_no_matrix_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_long(write(tmp_path / "r.csv", text))


def test_long_files_that_are_cut_short_are_refused(tmp_path):
    rows = "".join(f"m,item {k},{k * k % 7 % 2}\n" for k in range(50_000))
    packed = gzip.compress(f"model,item,response\n{rows}".encode())
    for kept in (30, len(packed) // 2, len(packed) - 5):  # in the first line, in the middle, in the last
        (tmp_path / "r.csv.gz").write_bytes(packed[:kept])
        for reader in (read_long, read_wide):
            with pytest.raises(InputError, match=r"cut short|is it whole|long as the first"):
                reader(tmp_path / "r.csv.gz")
    (tmp_path / "latin.csv").write_bytes("modèle,item,response\n".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_long(tmp_path / "latin.csv")
    with pytest.raises(InputError, match="no such file"):
        read_long(tmp_path / "absent.csv")


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz", "r.tsv"])
def test_wide_text(tmp_path, name):
    R = read_wide(write(tmp_path / name, WIDE.replace(",", "\t") if "tsv" in name else WIDE))
    assert R.model_ids == ["007", "m"]
    assert R.item_ids == ["a", "b", "c"]
    np.testing.assert_array_equal(R.values, np.array([[1, np.nan, 0.5], [0, 1, 1]], dtype=np.float32))


@pytest.mark.parametrize("index", [True, False])
def test_wide_parquet_by_index_or_first_column(tmp_path, index):
    table = pd.DataFrame({"a": [1, 0], "b": [None, 1.0]}, index=pd.Index(["x", "y"], name="model"))
    (table if index else table.reset_index()).to_parquet(tmp_path / "r.parquet")
    R = read_wide(tmp_path / "r.parquet")
    assert (R.model_ids, R.item_ids) == (["x", "y"], ["a", "b"])
    np.testing.assert_array_equal(R.values, np.array([[1, np.nan], [0, 1]], dtype=np.float32))


def test_wide_columns_about_the_model_are_no_items(tmp_path):
    text = "name,seed,checkpoint,family,a,b\nm,0,10,f,1,0\nm,1,10,f,0,0\nn,0,10,g,1,1\n"
    R = read_wide(write(tmp_path / "r.csv", text))
    assert R.model_ids == ["m@seed=0", "m@seed=1", "n@seed=0"]
    assert R.item_ids == ["a", "b"]
    assert R.models["step"].tolist() == [10, 10, 10]
    assert R.models["family"].tolist() == ["f", "f", "g"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("model\nm\n", "one column only"),
        ("model,a,b\n", "has no rows"),
        ("model,seed,family\nm,1,f\n", "no item columns"),
        ("model,a,a\nm,1,0\n", "'a' occurs more than once"),
        ("model,a\nm,1\nm,0\n", "model 'm' has more than one row"),
        ("model,a\nm,1\n,0\n", "row 2 has no model id"),
        ("model,a,b\nm,1,0\nn,1,2\n", r"response 2 of model 'n' to item 'b' \(row 2, column 3\)"),
        ("model,a,b\nm,1,0\nn,ok,1\n", r"response ok of model 'n' to item 'a' \(row 2, column 2\)"),
        ("model,a,b\nm,1,0,1\nn,1,1\n", "cannot be read"),
    ],
)
def test_wide_text_that_makes_no_matrix_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_wide(write(tmp_path / "r.csv", text))


def lines(*objects):
    return "\n".join(json.dumps(o) for o in objects) + "\n\n"


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_pyirt_lines(tmp_path, name):
    first = {"subject_id": "m", "responses": {"a": 1, "b": False}}
    text = lines(
        first,
        {"subject_id": 7, "responses": {"b": 0.5, "c": None, "d": 1}},
        {"subject_id": "o", "responses": {"c": 0, "a": 1}},
    )
    R = read_pyirt(write(tmp_path / name, text))
    nan = np.nan
    assert (R.model_ids, R.item_ids) == (["m", "7", "o"], ["a", "b", "c", "d"])
    wanted = [[1, 0, nan, nan], [nan, 0.5, nan, 1], [1, nan, 0, nan]]
    np.testing.assert_array_equal(R.values, np.array(wanted, dtype=np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"subject_id": "m", "resp', "line 1: is not valid JSON"),
        ('{"subject_id": "m"}', "line 1: expected an object with"),
        ('{"responses": {"a": 1}}', "line 1: has no 'subject_id'"),
        (lines(*[{"subject_id": "m", "responses": {"a": 1}}] * 2), "line 2: model 'm' has a line already"),
        (lines({"subject_id": "m", "responses": {"a": 2}}), "line 1: response 2 to item 'a' is not a number"),
        (lines({"subject_id": "m", "responses": {"a": "1"}}), "response '1' to item 'a'"),
        ("", "holds no responses"),
    ],
)
def test_pyirt_lines_that_make_no_matrix_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_pyirt(write(tmp_path / "r.jsonl", text))
