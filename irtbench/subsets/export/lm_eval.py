"""A subset as an lm-eval task folder: items matched by id, estimator and interval inside."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irtbench.errors import InputError
from irtbench.files import atomic_folder, write_json
from irtbench.subsets.export.blend_numbers import blend_numbers
from irtbench.subsets.export.card import card
from irtbench.subsets.export.formula import benchmark_method, exported_method, formula
from irtbench.subsets.export.keys import guess_match, item_keys
from irtbench.subsets.export.plain import task_names, write_csv
from irtbench.subsets.subset import Subset

__all__ = ["export_lm_eval"]

_NAME = re.compile(r"[\w.-]+")
_HOW = """
## Run it

```
lm_eval --model … --tasks {name} --include_path THIS_FOLDER --log_samples --output_path LOGS
python score.py LOGS
```

lm-eval prints `full_score`, `full_score_lower` and `full_score_upper` of each task ({tasks}), estimated
{by}.

The tasks must be known to lm-eval by name, of its own or from `--include_path`. Prompts and metric ({metric})
are those of the task itself. Few-shot examples that a task draws at random are drawn in another order than
in a full run.

{note}A run with `--limit` gives no score: all {size} items are needed.
"""

_BY_ITEMS = (
    "from that task's own items by `{own}`; `score.py` (NumPy only) adds the score over all benchmarks from"
    " the logs, by `{method}`"
)
_BY_WHOLE = "by `{method}`; `score.py` (NumPy only) gives the same from the logs"
_NOTE = """`blend` stands in `blend.py`, its numbers in `blend.npz` and `formula.json`. A model beyond the
calibration models' range gets a `note` and `beyond`, the probability of it, in the table of
`score.py`{logged}.

"""


def export_lm_eval(
    subset: Subset,
    folder: str | Path,
    *,
    name: str | None = None,
    tasks: Mapping[str, str] | None = None,
    match: str | None = None,
    keys: Mapping[str, Any] | None = None,
    method: str = "default",
    level: float = 0.9,
) -> Path:
    """Write a folder for lm-eval's ``--include_path`` that asks the subset and estimates the full score.

    The folder holds ``NAME.yaml`` (a group of the base tasks), ``task.py`` (asks only the chosen items),
    ``score.py`` (the estimator, Python and NumPy), ``formula.json`` (its numbers), ``items.csv`` and
    ``README.md``; for ``blend`` also ``blend.py`` and ``blend.npz``. ``blend`` estimates the score over all
    benchmarks; where there are several, each one's own is by ``gp-irt``, or ``weighted`` without a bank.

    Args:
        subset: the subset.
        folder: where to write; a folder that irtbench wrote is replaced.
        name: of the group of tasks; by default ``subset_SIZE_FINGERPRINT``.
        tasks: benchmark → name of the lm-eval task, where they differ.
        match: how a document is matched to an item, see
            :func:`irtbench.subsets.export.keys.item_keys`; by default ``hash`` if the ids allow it.
        keys: item id → its key, where the ids do not say it.
        method: estimator; ``default`` is that of :func:`irtbench.estimate`.
        level: coverage of the intervals.

    Returns:
        The folder.

    Raises:
        InputError: a name that cannot be one, ids that cannot be matched, an estimator that needs a bank.
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    name = name or f"subset_{subset.size}_{subset.fingerprint[:8]}"
    tasks = task_names(subset, tasks)
    for text in (name, *tasks.values()):
        if not _NAME.fullmatch(text):
            raise InputError(f"{text!r} cannot be the name of an lm-eval task: letters, digits and _.- only")
    if name in tasks.values():
        raise InputError(f"the group cannot be called {name!r} like one of its tasks; give it another name")
    match = guess_match(subset) if match is None else match
    key = item_keys(subset, match, keys)
    method = exported_method(subset, method)
    numbers, arrays = blend_numbers(subset, level) if method == "blend" else (None, None)
    own = subset.benchmark["benchmark"].astype(str)
    content = {
        "kind": "Formula",
        "name": name,
        "fingerprint": subset.fingerprint,
        "method": method,
        "level": level,
        "metric": subset.info["metric"],
        "higher_is_better": bool(subset.info["higher_is_better"]),
        "match": match,
        "tasks": tasks,
        "items": [{"id": i, "benchmark": own[i], "key": key[i]} for i in subset.items],
        "blend": numbers,
        **formula(subset, method, level),
    }
    copied = {"task.py": "task.py.txt", "score.py": "score.py"}
    here = Path(__file__).parent
    with atomic_folder(folder) as out:
        (out / f"{name}.yaml").write_text(_yaml(name, tasks, subset, method), encoding="utf-8")
        if arrays is not None:
            copied["blend.py"] = "blend.py"
            np.savez_compressed(out / "blend.npz", **arrays)  # type: ignore[arg-type]
        for written, source in copied.items():
            (out / written).write_text((here / source).read_text(encoding="utf-8"), encoding="utf-8")
        write_json(out / "formula.json", content)
        write_csv(subset, out / "items.csv")
        text = card(subset, name=name, method=method) + _how(subset, name, tasks, method)
        (out / "README.md").write_text(text, encoding="utf-8")
    return Path(folder)


def _how(subset: Subset, name: str, tasks: Mapping[str, str], method: str) -> str:
    several = subset.benchmark["benchmark"].nunique() > 1
    by = (_BY_ITEMS if several else _BY_WHOLE).format(own=benchmark_method(subset, method), method=method)
    return _HOW.format(
        name=name,
        tasks=", ".join(tasks.values()),
        metric=subset.info["metric"],
        size=subset.size,
        by=by,
        note=_NOTE.format(logged="" if several else " and in lm-eval's log") if method == "blend" else "",
    )


def _yaml(name: str, tasks: Mapping[str, str], subset: Subset, method: str) -> str:
    lines = [f"group: {json.dumps(name)}", "task:"]
    for task in tasks.values():
        lines += [f"  - task: {json.dumps(task)}", "    class: !function task.SubsetTask"]
    bank = None if subset.bank is None else subset.bank.fingerprint
    about = {
        "version": 1,
        "fingerprint": subset.fingerprint,
        "item_bank": bank,
        "selection": subset.method,
        "estimator": method,
        "benchmark_estimator": benchmark_method(subset, method),
        "seed": subset.info.get("seed"),
        "irtbench": subset.info.get("versions", {}).get("irtbench"),
    }
    return "\n".join([*lines, f"metadata: {json.dumps(about)}"]) + "\n"
