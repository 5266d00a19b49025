"""Make the folder of a bank: items, subsets of several sizes, held-out errors, a card."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from irtbench.errors import InputError
from irtbench.files import SCHEMA, atomic_folder, versions, write_json
from irtbench.irt.bank import ItemBank
from irtbench.subsets.adaptive.planning import AdaptivePlan
from irtbench.subsets.banks.shipped import CARD, SUBSETS
from irtbench.subsets.subset import Subset

__all__ = ["held_out_errors", "write_bank"]

_LARGEST = 4_000_000  # bytes of a file in the catalogue


def held_out_errors(comparison: pd.DataFrame, split: str, method: str = "default") -> list[dict[str, Any]]:
    r"""Errors by size of one method, with intervals that know that splits share models.

    .. math:: \bar e ± t_{k-1} \sqrt{(1/k + n_\text{test} / n_\text{calibration})\, s^2}

    over the mean absolute errors e of k splits.

    Args:
        comparison: what :func:`irtbench.compare` returned.
        split: its kind of split.
        method: one of its methods.

    Returns:
        ``split, size, method, mae, mae_lower, mae_upper, coverage, spearman, splits`` of each size; limits
        are None of a single split, and never below 0.

    Raises:
        InputError: the method was not compared.

    References:
        Nadeau & Bengio (2003), https://doi.org/10.1023/A:1024068626366
    """
    from scipy.stats import spearmanr, t

    own = comparison[comparison["method"] == method]
    if not len(own):
        raise InputError(f"method {method!r} was not compared")
    rows = []
    for size, part in own.groupby("size"):
        error = (part["score"] - part["truth"]).abs()
        by_split = error.groupby(part["split"]).mean()
        k = len(by_split)
        test = part.groupby("split")["model"].nunique().mean()
        share = float(test / part["n_calibration"].mean()) if "n_calibration" in part else 1 / 3
        half = None
        if k > 1:
            half = float(t.ppf(0.975, k - 1) * np.sqrt((1 / k + share) * by_split.var(ddof=1)))
        ranks = [
            spearmanr(one["score"], one["truth"])[0]
            for _, one in part.groupby(["split", "seed"])
            if min(np.ptp(one["score"]), np.ptp(one["truth"])) > 0
        ]
        mae = float(by_split.mean())
        covered = (part["lower"] <= part["truth"]) & (part["truth"] <= part["upper"])
        rows.append(
            {
                "split": split,
                "size": int(size),
                "method": method,
                "mae": mae,
                "mae_lower": None if half is None else max(mae - half, 0.0),
                "mae_upper": None if half is None else mae + half,
                "coverage": float(covered.mean()),
                "spearman": float(np.mean(ranks)) if ranks else None,
                "splits": k,
            }
        )
    return rows


def write_bank(
    folder: str | Path,
    bank: ItemBank,
    subsets: Sequence[Subset],
    *,
    name: str,
    licence: str,
    source: str,
    item_ids: str,
    errors: Sequence[dict[str, Any]] = (),
    adaptive: AdaptivePlan | None = None,
    not_for: Sequence[str] = (),
) -> Path:
    """Write the folder of a bank: ``bank.json``, ``items.parquet``, ``subsets/SIZE/``, cards.

    ``card.json`` is the card for programs, ``CARD.md`` the same for people.

    Args:
        folder: where to write; a folder that irtbench wrote is replaced.
        bank: calibrated items.
        subsets: chosen with this bank, of different sizes.
        name: of the bank.
        licence: of the responses that calibrated it.
        source: where they come from, with the revision.
        item_ids: what the ids mean, so that others find the same items.
        errors: rows of :func:`held_out_errors`.
        adaptive: plan of an adaptive test, calibrated; its spread and intervals go into the card.
        not_for: more uses that the card warns of.

    Raises:
        InputError: no licence, source or item-id scheme, subsets of another bank, or a file above 4 MB.
    """
    for what, text in (("licence", licence), ("source", source), ("item_ids", item_ids)):
        if not text.strip():
            raise InputError(f"a bank needs its {what}: who uses it has to know")
    sizes = [subset.size for subset in subsets]
    if len(set(sizes)) < len(sizes):
        raise InputError(f"two subsets have the same size: {sizes}")
    if any(s.bank is None or s.bank.fingerprint != bank.fingerprint for s in subsets):
        raise InputError("a subset was chosen with another bank; choose all with this one")
    on = bank.info.get("calibrated_on", {})
    benchmarks = (
        [] if not len(subsets) else list(dict.fromkeys(subsets[0].benchmark["benchmark"].astype(str)))
    )
    if not benchmarks:
        given = bank.metadata.get("benchmark", pd.Series(["all"]))
        benchmarks = list(dict.fromkeys(given.astype(str)))
    card = {
        "kind": "BankCard",
        "schema": SCHEMA,
        "name": name,
        "benchmarks": benchmarks,
        "items": bank.n_items,
        "models": on.get("n_models"),
        "irt": bank.irt,
        "metric": bank.info.get("metric"),
        "average": subsets[0].info["average"] if subsets else None,
        "subsets": sorted(sizes),
        "licence": licence,
        "source": source,
        "item_ids": item_ids,
        "ability": bank.info.get("ability"),
        "bank": bank.fingerprint,
        "responses": on.get("fingerprint"),
        "errors": list(errors),
        "adaptive": None if adaptive is None else _adaptive(adaptive),
        "not_for": list(not_for),
        "versions": versions(),
    }
    with atomic_folder(folder) as out:
        bank.save(out / "plain")
        for part in ("bank.json", "items.parquet"):
            (out / "plain" / part).rename(out / part)
        (out / "plain").rmdir()
        for subset in subsets:
            subset.save(out / SUBSETS / str(subset.size))
            shutil.rmtree(out / SUBSETS / str(subset.size) / "bank")
        write_json(out / CARD, card)
        (out / "CARD.md").write_text(_text(card), encoding="utf-8")
        large = [path.name for path in out.rglob("*") if path.is_file() and path.stat().st_size > _LARGEST]
        if large:
            raise InputError(f"{large[0]} would be above 4 MB, the most for a file of the catalogue")
    return Path(folder)


def _adaptive(plan: AdaptivePlan) -> dict[str, Any]:
    """What an adaptive test needs besides the bank."""
    factors, far = ({str(n): factor for n, factor in kind.items()} for kind in (plan.factors, plan.far))
    about = {"average": plan.average, "order": plan.order, "level": plan.level, "span": plan.span}
    return {**about, "spread": dict(plan.spread), "factors": factors, "far": far}


def _text(card: dict[str, Any]) -> str:
    lines = [
        f"# {card['name']}",
        "",
        f"Item bank of {', '.join(card['benchmarks'])}: {card['items']} items, {card['irt'].upper()},"
        f" calibrated on {card['models']} models, metric {card['metric']}.",
        "",
        f"* **Source of the responses**: {card['source']}",
        f"* **Their licence**: {card['licence']}. The bank holds statistics of items, no responses.",
        f"* **Item ids**: {card['item_ids']}",
        f"* **Fingerprints**: bank {card['bank']}, responses {card['responses']}",
    ]
    ability = card["ability"] or {}
    if {"min", "max"} <= set(ability):
        lines += [f"* **Abilities of the calibration models**: {ability['min']:.2f} to {ability['max']:.2f}"]
    if card["subsets"]:
        lines += [
            "",
            f"Subsets of {', '.join(map(str, card['subsets']))} items ({card['average']} average):"
            f" `irtbench estimate --bank {card['name']} --size {card['subsets'][-1]} NEW`.",
        ]
    if card["adaptive"]:
        how = f"{card['adaptive']['average']} average, by {card['adaptive']['order']}"
        lines += ["", f"Adaptive test ({how}): `irtbench adapt {card['name']} --state FILE --batch 8`."]
    lines += ["", "## Error on held-out models", ""]
    if card["errors"]:
        lines += [
            "Mean absolute error of the full score, in points, with a 95 % interval over splits; coverage of"
            " the nominal 90 % intervals.",
            "",
            "| split | items | method | MAE | coverage | Spearman | splits |",
            "|---|--:|---|--:|--:|--:|--:|",
            *map(_row, card["errors"]),
        ]
    else:
        lines += ["Not measured."]
    lines += [
        "",
        "## When not to use it",
        "",
        f"* With another metric than {card['metric']}, other prompts or another version of the benchmark.",
        "* Far outside the range of abilities above: the row weak-to-strong shows what then happens.",
        "* On models that were trained on the benchmark, or on the subset more than on the rest.",
        *(f"* {text}" for text in card["not_for"]),
    ]
    made = ", ".join(f"{k} {v}" for k, v in card["versions"].items())
    return "\n".join([*lines, "", f"Made by `irtbench banks --make`; {made}."]) + "\n"


def _row(row: dict[str, Any]) -> str:
    mae = f"{100 * row['mae']:.2f}"
    if row["mae_lower"] is not None:
        mae += f" [{100 * row['mae_lower']:.2f}, {100 * row['mae_upper']:.2f}]"
    rank = "–" if row["spearman"] is None else f"{row['spearman']:.3f}"
    cells = [row["split"], row["size"], row["method"], mae, f"{row['coverage']:.3f}", rank, row["splits"]]
    return "| " + " | ".join(map(str, cells)) + " |"
