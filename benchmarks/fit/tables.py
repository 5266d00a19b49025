"""The tables: a row for each tool in a cell, as Parquet and Markdown, and the headline ratios in the README."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.fit.cells import CELLS, SIZES
from benchmarks.fit.tools import HERE, PUBLISHED, TOOLS

__all__ = ["headline", "markdown", "summary", "write"]

START, END = "<!-- headline: written by run.py -->", "<!-- end of headline -->"
COVERAGES = ["cover_theta", "cover_b", "cover_log_a", "cover_logit_c"]
NUMBERS = [
    *(
        "cpu_s",
        "prepare_cpu_s",
        "wall_s",
        "peak_mb",
        "p_rmse",
        "log_loss",
        "gap_mnat",
        "theta_rmse",
        "theta_corr",
    ),
    *("b_rmse", "b_corr", "b_rmse_mid", "a_rmse", "a_corr", "a_rmse_mid", "c_rmse", "c_corr", "failed_items"),
    *COVERAGES,
]


def summary(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row for each cell and tool: medians over rounds, then what is only published."""
    order = {name: k for k, name in enumerate([*TOOLS, "cBMM"])}
    rows = []
    for cell in CELLS:
        here = [r for r in records if r["cell"] == cell and r["tool"] in order]
        for tool in sorted({r["tool"] for r in here}, key=order.__getitem__):
            runs = [r for r in here if r["tool"] == tool]
            row = {"cell": cell, "tool": tool, "filed_under": runs[0]["filed_under"], "runs": len(runs)}
            row["note"] = _note(runs)
            for name in NUMBERS:
                values = [r[name] for r in runs if r.get(name) is not None]
                row[name] = float(np.median(values)) if values else np.nan
            row["cpu_s_min"] = min((r["cpu_s"] for r in runs if "cpu_s" in r), default=np.nan)
            row["cpu_s_max"] = max((r["cpu_s"] for r in runs if "cpu_s" in r), default=np.nan)
            rows.append(row)
        for published in (p for p in PUBLISHED if p["cell"] == cell):
            rows.append({**published, "runs": 0, "note": "as published, not rerun"})
    columns = ["cell", "tool", "filed_under", "runs", "note", *NUMBERS, "cpu_s_min", "cpu_s_max"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _note(runs: list[dict[str, Any]]) -> str:
    first = runs[0]
    if "failed" in first:
        return f"failed: {first['failed']}"
    if first["cut"]:
        few, more = first["cut"]
        most = "at most: " if TOOLS[first["tool"]].stops else ""
        return f"{most}cost extrapolated to {first['epochs']} epochs from {few} and {more}; accuracy not available"
    if TOOLS[first["tool"]].complete:
        return "saw the held-out responses"
    return "not converged" if first.get("converged") is False else ""


def headline(table: pd.DataFrame) -> str:
    """How many times irtbench's CPU seconds a peer takes, and how near both come to the truth."""
    lines = [
        "| cell | irtbench | CPU s | P-RMSE | fastest peer, CPU s | P-RMSE | ratio | most accurate peer, CPU s | P-RMSE"
        " | ratio | py-irt hierarchical, ratio |",
        "|---|---|--:|--:|---|--:|--:|---|--:|--:|--:|",
    ]
    for cell in dict.fromkeys(table["cell"]):
        here = table[table["cell"] == cell]
        pyirt = here[(here["tool"] == "py-irt hierarchical") & here["cpu_s"].notna()]
        here = here[here["p_rmse"].notna() & (here["note"] != "saw the held-out responses")]
        own = here["tool"].str.startswith("irtbench")
        peers = here[~own]
        if peers.empty:
            continue
        pair = [peers.loc[peers[name].idxmin()] for name in ("cpu_s", "p_rmse")]
        for ours in here[own & (here["tool"] != "irtbench svi")].itertuples():
            shown = [
                f"{_name(p)} {_cpu(p.cpu_s)} | {p.p_rmse:.4f} | {_times(p.cpu_s / ours.cpu_s)}" for p in pair
            ]
            shown += [f"{_about(p)}{_times(p.cpu_s / ours.cpu_s)}" for p in pyirt.itertuples()] or ["–"]
            lines.append(
                f"| {cell} | {ours.tool} | {_cpu(ours.cpu_s)} | {ours.p_rmse:.4f} | {' | '.join(shown)} |"
            )
    return "\n".join(lines)


def markdown(table: pd.DataFrame, records: list[dict[str, Any]]) -> str:
    """The page of all cells."""
    lines = [
        "# Fits: cost and accuracy, irtbench beside its peers",
        "",
        "Written by `python benchmarks/fit/run.py`; `runs.jsonl` has every run, `fit.parquet` this table."
        " What the columns mean: [README](../README.md). Medians over the runs.",
        "",
        *_machines(records),
    ]
    for cell in dict.fromkeys(table["cell"]):
        n, j = SIZES[cell.split("-")[0]]
        lines += ["", f"## {cell}: {n} models × {j:,} items", ""]
        lines += [
            "| tool | runs | CPU s | prepare | wall s | peak MB | P-RMSE | log-loss (gap) | θ RMSE / corr"
            " | b RMSE / corr (mid) | a RMSE / corr (mid) | c RMSE | failed items | 95 % covers θ, b, log a, logit c | note |",
            "|---|" + "--:|" * 13 + "---|",
        ]
        lines += [_line(row) for row in table[table["cell"] == cell].itertuples()]
        skipped = [(t.name, t.skipped_at(cell)) for t in TOOLS.values() if t.skipped_at(cell)]
        if skipped:
            lines += ["", "Not run: " + "; ".join(f"{name} ({why})" for name, why in skipped) + "."]
    lines += ["", "## How each was called", ""]
    lines += [f"* **{t.name}** {' '.join(t.requires[:1])}: {t.about}" for t in TOOLS.values()]
    lines += [
        "* **cBMM**: not in a registry; the figures of its row were measured before, on another machine."
    ]
    return "\n".join(lines) + "\n"


def _line(row: Any) -> str:
    def pair(name: str) -> str:
        return f"{_number(getattr(row, f'{name}_rmse'), 3)} / {_number(getattr(row, f'{name}_corr'), 4)}"

    mid = {k: f"{pair(k)} ({_number(getattr(row, f'{k}_rmse_mid'), 3)})" for k in ("b", "a")}
    covered = [getattr(row, name) for name in COVERAGES]
    cost, wall = _about(row) + _cpu(row.cpu_s), "–" if _about(row) else _cpu(row.wall_s)
    cells = [
        row.tool, str(row.runs or "–"), cost, _cpu(row.prepare_cpu_s), wall, _number(row.peak_mb, 0),
        _number(row.p_rmse, 4), f"{_number(row.log_loss, 4)} ({_number(row.gap_mnat, 1)})", pair("theta"),
        mid["b"], mid["a"], _number(row.c_rmse, 3), _number(row.failed_items, 0),
        ", ".join(_number(x, 3) for x in covered) if not all(map(pd.isna, covered)) else "–", row.note or "",
    ]  # fmt: skip
    return "| " + " | ".join(cells).replace("– / –", "–").replace("– (–)", "–") + " |"


def _machines(records: list[dict[str, Any]]) -> list[str]:
    kinds = {
        (r["machine"]["processor"], r["machine"]["cores"], r["machine"]["memory_gib"], r["machine"]["system"])
        for r in records
    }
    lines = [
        f"Machine: {p}, {c} cores, {m} GiB, {s}. One core, one thread; others may have shared the machine."
        for p, c, m, s in sorted(kinds)
    ]
    own = sorted({r["filed_under"] for r in records if r["tool"].startswith("irtbench")})
    if len(own) > 1:
        lines.append(f"The rows of irtbench are of {len(own)} versions of its source; run the command again.")
    return lines


def _name(row: Any) -> str:
    return f"{row.tool} (as published)" if "published" in row.note else row.tool


def _about(row: Any) -> str:
    if "extrapolated" not in row.note:
        return ""
    return "≤ " if row.note.startswith("at most") else "≈ "


def _cpu(x: float) -> str:
    if pd.isna(x):
        return "–"
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}" if x >= 0.1 else f"{x:.3f}"


def _times(x: float) -> str:
    return f"{x:,.0f}×" if x >= 10 else f"{x:.1f}×" if x >= 1 else f"{x:.2f}×"


def _number(x: float, digits: int) -> str:
    if pd.isna(x):
        return "–"
    return f"{x:.1e}" if abs(x) >= 1e5 else f"{x:,.{digits}f}"


def write(records: list[dict[str, Any]], out: Path) -> None:
    """Write ``fit.parquet``, ``README.md`` and, for the folder of the repository, the headline above it."""
    if not records:
        return
    table = summary(records)
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "fit.parquet", index=False)
    (out / "README.md").write_text(markdown(table, records), encoding="utf-8")
    if out.resolve() == HERE / "results":
        replace_section(HERE / "README.md", START, END, headline(table))


def replace_section(page: Path, start: str, end: str, text: str) -> None:
    """Put a text between two marks of a page; leave a page without them alone."""
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    if start in old and end in old:
        before, after = old.split(start)[0], old.split(end)[1]
        page.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")
