"""Long tables into matrices: identity of runs and items, repeated samples, tables, refusals."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irtbench.errors import DataWarning, InputError
from irtbench.responses.build import from_long
from irtbench.responses.parquet import read_parquet


def long(text, **columns):
    """Rows 'model item response', split by commas."""
    rows = [entry.split() for entry in text.split(",")]
    table = pd.DataFrame(rows, columns=["model", "item", "response"]).assign(**columns)
    return table.assign(response=pd.to_numeric(table["response"].replace("nan", None)))


def test_cells_stand_where_they_belong_in_order_of_appearance():
    R = from_long(long("m2 b 1, m1 a 0, m2 a 0.5"), metric="prob")
    assert R.model_ids == ["m2", "m1"]
    assert R.item_ids == ["b", "a"]
    np.testing.assert_array_equal(R.values, np.array([[1, 0.5], [np.nan, 0]], dtype=np.float32))
    assert R.metric.name == "prob"


@st.composite
def tables(draw):
    """A random matrix, its long form shuffled, and a batch size."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    cells = st.one_of(st.just(None), st.sampled_from([0.0, 1.0, 0.25]))
    grid = [[draw(cells) for _ in range(shape[1])] for _ in range(shape[0])]
    for i in range(shape[1]):
        grid[0][i] = 1.0  # links every item
    for m in range(shape[0]):
        grid[m][0] = 0.0  # and every model
    rows = [(f"m{m}", f"i{i}", grid[m][i]) for m in range(shape[0]) for i in range(shape[1])]
    table = pd.DataFrame(draw(st.permutations(rows)), columns=["model", "item", "response"])
    return np.array(grid, dtype=np.float32), table, draw(st.integers(1, 7))


@given(tables(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_order_batching_and_encoding_gives_the_same_cells(case, category):
    grid, table, size = case
    table["response"] = table["response"].astype(float)
    if category:  # categories in another order than the rows, and one that no row has
        for name in ("model", "item"):
            table[name] = pd.Categorical(table[name], [*sorted(set(table[name]), reverse=True), "unused"])
    R = from_long(iter(pa.Table.from_pandas(table).to_batches(max_chunksize=size)))
    ordered = R.take([f"m{m}" for m in range(len(grid))], [f"i{i}" for i in range(grid.shape[1])])
    assert R.shape == grid.shape
    assert R.model_ids == list(dict.fromkeys(table["model"]))
    np.testing.assert_array_equal(ordered.values, grid)


def test_item_ids_shared_by_benchmarks_are_told_apart():
    R = from_long(long("m 0 1, m 1 0, m 0 0", benchmark=["x", "x", "y"]))
    assert R.item_ids == ["x/0", "x/1", "y/0"]
    assert R.benchmarks.tolist() == ["x", "x", "y"]
    assert R.values.tolist() == [[1, 0, 0]]


def test_item_ids_of_one_benchmark_stay_as_they_are():
    R = from_long(long("m 0 1, m 1 0", benchmark=["x", "y"]))
    assert R.item_ids == ["0", "1"]


def test_seeds_and_steps_become_runs():
    table = long(
        "m a 1, m a 0, m a 1, n a 0", seed=[0, 0, 1, 0], step=[10, 20, 10, 10], tokens=[1e6, 2e6, 1e6, 1e6]
    )
    R = from_long(table)
    assert R.model_ids == ["m@seed=0@step=10", "m@seed=0@step=20", "m@seed=1@step=10", "n@seed=0@step=10"]
    assert R.models["name"].tolist() == ["m", "m", "m", "n"]
    assert R.models["seed"].tolist() == [0, 0, 1, 0]
    assert R.models["step"].tolist() == [10, 20, 10, 10]
    assert R.models["tokens"].tolist() == [1e6, 2e6, 1e6, 1e6]
    assert R.values[:, 0].tolist() == [1, 0, 1, 0]


def test_only_parts_that_vary_within_a_model_are_in_the_id():
    R = from_long(long("m a 1, m a 0, n a 0", seed=[0, 0, 3], checkpoint=["1", "best", "best"]))
    assert R.model_ids == ["m@step=1", "m@step=best", "n@step=best"]
    assert R.models["seed"].tolist() == [0, 0, 3]
    assert R.models["step"].tolist() == ["1", "best", "best"]
    assert from_long(long("m a 1, n a 0", seed=[1, 2])).model_ids == ["m", "n"]


def test_a_missing_step_leaves_its_part_out():
    R = from_long(long("m a 1, m a 0", step=[5, None]))
    assert R.model_ids == ["m@step=5", "m"]
    np.testing.assert_array_equal(R.models["step"], [5, np.nan])


def test_samples_become_their_mean_and_trials():
    R = from_long(long("m a 1, m a 0, m a 1, m b 0", sample=[0, 1, 2, 0]))
    np.testing.assert_allclose(R.values, [[2 / 3, 0]], rtol=1e-6)
    assert R.trials.tolist() == [[3, 1]]
    assert R.kind == "binomial"
    with pytest.raises(InputError, match=r"'m' has the same sample to item 'a' twice \(rows 1 and 3; 1 such"):
        from_long(long("m a 1, m a 0, m a 1", sample=[0, 1, 0]))


def test_a_missing_sample_is_not_counted():
    R = from_long(long("m a 1, m a nan, m a 0, m b 1", sample=[0, 1, 2, 0]))
    assert R.values.tolist() == [[0.5, 1]]
    assert R.trials.tolist() == [[2, 1]]


def test_trials_are_kept_and_checked():
    R = from_long(long("m a 0.5, m b 1", trials=[4, 2]))
    assert R.trials.tolist() == [[4, 2]]
    with pytest.raises(InputError, match=r"trials that are not a whole number from 1 \(0\) in row 2"):
        from_long(long("m a 0.5, m b 1", trials=[4, 0]))
    with pytest.raises(InputError, match="both 'sample' and 'trials'"):
        from_long(long("m a 1", trials=[4], sample=[0]))


def test_further_columns_find_their_table():
    table = long(
        "m a 1, m b 0, n a 0, n b 0",
        lab=["x", "x", "y", "y"],
        params=[1, 1, 2, 2],
        topic=["t", "u", "t", "u"],
        subject=["s", "s", "s", "s"],
        cost=[0.1, 0.2, 0.3, 0.4],
        note=[None, None, "n", None],
    )
    with pytest.warns(DataWarning, match="'cost', 'note' left out: they vary") as caught:
        R = from_long(table)
    assert len(caught) == 1
    assert R.models.to_dict("list") == {"lab": ["x", "y"], "params": [1, 2]}
    assert R.items.to_dict("list") == {"topic": ["t", "u"], "subject": ["s", "s"]}
    assert R.models["params"].dtype == np.int64


def test_a_column_is_dropped_wherever_its_second_value_comes():
    table = long("m a 1, m b 0, m c 0, n a 0, n b 1, n c 1", lab=["x", "x", "x", "y", "y", "z"])
    for size in range(1, 7):
        batches = iter(pa.Table.from_pandas(table).to_batches(max_chunksize=size))
        with pytest.warns(DataWarning, match="'lab'"):
            assert "lab" not in from_long(batches).models


def test_values_that_arrow_cannot_compare_are_dropped():
    table = long("m a 1, m b 0").assign(choices=[["x"], ["y"]])
    with pytest.warns(DataWarning, match="'choices'"):
        from_long(table)


def test_ids_of_other_types_become_plain_text():
    table = pd.DataFrame({"model": [7.0, 8.5, 7.0], "item": [1, 1, 2], "response": [True, False, True]})
    R = from_long(table)
    assert R.model_ids == ["7", "8.5"]
    assert R.item_ids == ["1", "2"]
    mixed = pd.DataFrame(
        {"model": ["a", 7, "a"], "item": ["x", "x", 3], "response": [1, "0", True]}, dtype=object
    )
    R = from_long(mixed)
    assert (R.model_ids, R.item_ids) == (["a", "7"], ["x", "3"])
    np.testing.assert_array_equal(R.values, np.array([[1, 1], [0, np.nan]], dtype=np.float32))


def test_models_and_items_in_the_index_are_found():
    table = long("m a 1, m b 0").set_index(["model", "item"])
    assert from_long(table).shape == (1, 2)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ([1, 0, 1.5], r"the table: a response outside \[0, 1\] \(1.5\) in row 3; rescale"),
        ([1, -1, 0], r"outside \[0, 1\] \(-1\) in row 2"),
        ([0, np.inf, 0], r"outside \[0, 1\] \(inf\) in row 2"),
        (["1", "yes", "0"], r"not a number \('yes'\) in row 2"),
        ([[1], [0], [1]], r"not a number \(\[1\]\) in row 1"),
    ],
)
def test_responses_that_are_none_are_refused_with_their_row(response, message):
    table = pd.DataFrame({"model": ["m"] * 3, "item": ["a", "b", "c"], "response": response})
    with pytest.raises(InputError, match=message):
        from_long(table)


def test_the_row_is_counted_over_batches():
    table = long(", ".join(f"m i{k} 1" for k in range(9)) + ", m x 7")
    with pytest.raises(InputError, match=r"\(7\) in row 10"):
        from_long(iter(pa.Table.from_pandas(table).to_batches(max_chunksize=4)))


def test_repeated_cells_are_refused():
    with pytest.raises(
        InputError, match=r"model 'm' has a response to item 'b' twice \(rows 2 and 4; 1 such"
    ):
        from_long(long("m a 1, m b 0, n a 1, m b 0"))


def test_missing_columns_are_named_with_what_may_be_meant():
    table = pd.DataFrame({"model_name": ["m"], "item": ["a"], "score": [1]})
    with pytest.raises(InputError) as caught:
        from_long(table)
    text = str(caught.value)
    assert "no column 'model', 'response' (found: model_name, item, score)" in text
    meant = {"model": "model_name", "response": "score"}
    assert f"columns={meant!r}" in text
    assert from_long(table, columns=meant).values.tolist() == [[1]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"answer": "item"}, "'answer' is not a column of irtbench"),
        ({"response": "score"}, "no column 'score'"),
    ],
)
def test_renaming_is_checked(columns, message):
    with pytest.raises(InputError, match=message):
        from_long(long("m a 1"), columns=columns)


def test_empty_tables_and_ids_are_refused():
    with pytest.raises(InputError, match="has no rows"):
        from_long(long("m a 1").iloc[:0])
    with pytest.raises(InputError, match="has no rows"):
        from_long(iter([]))
    with pytest.raises(InputError, match="no model id in row 2"):
        from_long(pd.DataFrame({"model": ["m", None], "item": ["a", "b"], "response": [1, 0]}))
    with pytest.raises(InputError, match="no benchmark id in row 1"):
        from_long(long("m a 1").assign(benchmark=[""]))
    with pytest.raises(InputError, match="every response is missing"):
        from_long(long("m a nan"))
    with pytest.raises(InputError, match="'item' occurs"):
        from_long(pd.concat([long("m a 1"), long("m a 1")[["item"]]], axis=1))


def test_models_and_items_without_responses_are_dropped_with_a_warning():
    with pytest.warns(DataWarning) as caught:
        R = from_long(long("m a 1, m b nan, n a nan, o a 0"))
    assert sorted(str(w.message) for w in caught) == [
        "the table: 1 item(s) without any response left out: b",
        "the table: 1 model(s) without any response left out: n",
    ]
    assert (R.model_ids, R.item_ids) == (["m", "o"], ["a"])


def test_models_without_common_items_are_refused():
    with pytest.raises(InputError, match=r"2 groups without a common item \(one of each: 'm', 'o'\)"):
        from_long(long("m a 1, n a 0, n b 1, o c 1"))
    assert from_long(long("m a 1, n a 0, n b 1, o b 1")).n_models == 3  # a chain is enough


@pytest.fixture(scope="module")
def five_million(tmp_path_factory):
    """500 models × 10,000 items in random order, ids as plain text."""
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("long") / "long.parquet"
    rng = np.random.default_rng(0)
    cell = rng.permutation(5_000_000)
    model, item = cell // 10_000, cell % 10_000
    names = {
        "model": (model, [f"organisation/model-{k}" for k in range(500)]),
        "item": (item, [f"item-{k:05d}" for k in range(10_000)]),
        "benchmark": (item % 10, [f"benchmark-{k}" for k in range(10)]),
    }
    columns = {
        name: pa.DictionaryArray.from_arrays(codes.astype(np.int32), texts).dictionary_decode()
        for name, (codes, texts) in names.items()
    }
    response = (rng.random(5_000_000) < 0.5).astype(np.int8)
    pq.write_table(pa.table({**columns, "response": response}), path)
    expected = np.empty(5_000_000, dtype=np.int8)
    expected[cell] = response
    return path, expected.reshape(500, 10_000)


MEASURE = """
import re, sys, time
from pathlib import Path
from irtbench.responses.readers.long import read_long
start = time.perf_counter()
R = read_long(Path(sys.argv[1]))
seconds, status = time.perf_counter() - start, Path("/proc/self/status")
peak = re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0
print(seconds, int(peak) / 1024)
R.save(sys.argv[2])
"""


def test_five_million_rows_read_in_one_pass(five_million, tmp_path):
    path, expected = five_million
    command = [sys.executable, "-W", "error", "-c", MEASURE, path, tmp_path / "own.parquet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = map(float, done.stdout.split())
    print(f"5,000,000 rows: {seconds:.2f} s, peak memory of the process {peak:.0f} MiB")
    models = [f"organisation/model-{k}" for k in range(500)]
    ordered = read_parquet(tmp_path / "own.parquet").take(models, [f"item-{k:05d}" for k in range(10_000)])
    np.testing.assert_array_equal(ordered.values, expected)
    assert seconds < 15  # 0.8 s on an idle core; reading rows as Python objects took 30 s beside it
    assert peak < 700  # MiB; 370 measured, rows as Python objects took 875
