"""Plain exports: ``--samples`` lists of lm-eval, JSON and CSV of the items, the bank for catsim."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irtbench.errors import InputError
from irtbench.files import atomic_file, write_json
from irtbench.irt.bank import ItemBank
from irtbench.subsets.export.keys import item_keys
from irtbench.subsets.subset import Subset

__all__ = ["sample_lists", "task_names", "write_catsim", "write_csv", "write_json_items"]


def task_names(subset: Subset, tasks: Mapping[str, str] | None = None) -> dict[str, str]:
    """The lm-eval task of each benchmark that has chosen items: its own name unless ``tasks`` says otherwise.

    Raises:
        InputError: ``tasks`` names a benchmark that is not in the subset, or a task twice.
    """
    names = list(dict.fromkeys(subset.benchmark.loc[subset.items, "benchmark"].astype(str)))
    unknown = sorted(set(tasks or {}) - set(subset.benchmark["benchmark"].astype(str)))
    if unknown:
        raise InputError(f"no benchmark {unknown[0]!r} in the subset; it has {', '.join(names)}")
    found = {name: (tasks or {}).get(name, name) for name in names}
    if len(set(found.values())) < len(found):
        raise InputError("two benchmarks have the same task; give each its own")
    return found


def sample_lists(
    subset: Subset, *, tasks: Mapping[str, str] | None = None, keys: Mapping[str, Any] | None = None
) -> dict[str, list[int]]:
    """Rows of each task's split for lm-eval's ``--samples``, ascending.

    Ascending, because lm-eval labels its logs by the given order but runs the data set's.

    Args:
        subset: the subset.
        tasks: benchmark → name of the lm-eval task, where they differ.
        keys: item id → row from 0; else the bank's ``doc_id`` or the number that ends the id.

    Example:
        >>> from irtbench.irt import simulate
        >>> from irtbench.subsets import select
        >>> sample_lists(select(simulate(n_models=20, n_items=9, seed=0).responses, 3, "stratified"))
        {'benchmark-1': [4, 5, 7]}
    """
    position = item_keys(subset, "position", keys)
    own = subset.benchmark["benchmark"].astype(str)
    return {
        task: sorted(int(position[item]) for item in subset.items if own[item] == benchmark)
        for benchmark, task in task_names(subset, tasks).items()
    }


def write_json_items(subset: Subset, path: str | Path) -> None:
    """Write the items, their benchmarks and weights, and what the subset is, as JSON."""
    table = subset.table
    rows = [
        {"item": item, **_plain(row)} for item, row in zip(table.index, table.to_dict("records"), strict=True)
    ]
    about = {k: subset.info.get(k) for k in ("method", "seed", "average", "metric", "higher_is_better")}
    content = {"size": subset.size, "of": len(subset.benchmark), "fingerprint": subset.fingerprint, **about}
    write_json(path, {**content, "items": rows})


def write_csv(subset: Subset, path: str | Path) -> None:
    """Write the items, their benchmarks and weights (and parameters, if there is a bank), as CSV."""
    with atomic_file(path) as temporary:
        subset.table.to_csv(temporary, index_label="item")


def write_catsim(bank: ItemBank, path: str | Path) -> None:
    """Write discrimination, difficulty, guessing and upper asymptote of each item, as catsim takes them.

    ``.npy``: the array (n_items, 4), in the bank's order. ``.csv``: the same with the item ids in front.
    The values are those of the bank's response curves, at the posterior medians.

    Raises:
        InputError: another ending, or items with negative discrimination, which catsim refuses.

    References:
        De Rizzo Meneghetti & Aquino Junior (2017), catsim, https://arxiv.org/abs/1707.03012
    """
    path = Path(path)
    columns = np.column_stack(bank.curve_parameters)
    if (columns[:, 0] <= 0).any():
        worst = bank.item_ids[int(np.argmin(columns[:, 0]))]
        raise InputError(
            f"{int((columns[:, 0] <= 0).sum())} item(s) have a negative discrimination, such as {worst!r}:"
            " catsim takes none; leave them out with bank.take(...)"
        )
    if path.suffix not in (".npy", ".csv"):
        raise InputError(f"{path}: a bank for catsim ends in .npy or .csv")
    with atomic_file(path) as temporary:
        if path.suffix == ".npy":
            with temporary.open("wb") as file:
                np.save(file, columns)
        else:
            import pandas as pd

            table = pd.DataFrame(columns, columns=["a", "b", "c", "d"])
            table.set_axis(bank.item_ids, axis=0).to_csv(temporary, index_label="item")


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """NaN as null, NumPy's numbers as Python's."""
    found = {}
    for name, value in row.items():
        value = value.item() if isinstance(value, np.generic) else value
        found[str(name)] = None if value != value else value
    return found
