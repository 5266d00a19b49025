"""Groups of models linked by common items."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import bmat, csr_matrix
from scipy.sparse.csgraph import connected_components

from irtbench.errors import InputError
from irtbench.responses.assemble import assemble, components, few
from irtbench.responses.matrix import Metric


@given(hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_components_are_those_of_the_graph(observed):
    edges = csr_matrix(observed.astype(int))
    _, labels = connected_components(bmat([[None, edges], [edges.T, None]]), directed=False)
    wanted = pd.factorize(labels[: len(observed)])[0]
    assert components(observed).tolist() == wanted.tolist()


def test_assemble_drops_the_trials_with_the_cells():
    values = np.array([[0.5, np.nan], [np.nan, np.nan]])
    tables = pd.DataFrame(index=["m", "n"]), pd.DataFrame(index=["a", "b"])
    with pytest.warns(UserWarning, match="without any response"):
        R = assemble(values, *tables, Metric(), np.array([[2, 0], [0, 0]]), "x")
    assert (R.model_ids, R.item_ids, R.trials.tolist()) == (["m"], ["a"], [[2]])
    with pytest.raises(InputError, match="x: every response is missing"):
        assemble(np.full((2, 2), np.nan), *tables, Metric(), None, "x")


def test_few_names_the_first():
    assert few(["a", "b"]) == "a, b"
    assert few(range(5), 2) == "0, 1, … (5)"
