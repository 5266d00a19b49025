"""Banks with chosen parameters, and fits that know the truth."""

from dataclasses import replace

import numpy as np
import pandas as pd

from irtbench.irt import IRTFit, simulate


def bank_of(responses, discrimination, difficulty, guessing=0.0):
    """A bank without uncertainty for the items of a response matrix."""
    s = simulate(max(responses.n_models, 2), responses.n_items, seed=0)
    items = s.items.assign(discrimination=discrimination, difficulty=difficulty, guessing=guessing)
    return replace(s, responses=responses, items=items.set_index(responses.items.index)).bank


def truth_of(simulation, sd=0.0):
    """The truth as a fit: true items and true abilities."""
    table = pd.DataFrame({"mean": simulation.abilities["ability"], "sd": sd})
    elbo = pd.DataFrame({"step": [1], "elbo": [0.0]})
    return IRTFit(simulation.bank, table.assign(n_responses=1), elbo, True, "the truth", 0.0)


def with_cells(responses, rows, columns, values):
    """The responses with some cells replaced."""
    from irtbench.responses import ResponseMatrix

    y = np.array(responses.values)
    y[np.ix_(rows, columns)] = values
    return ResponseMatrix.of(y, responses.models, responses.items, metric=responses.metric)
