"""irtbench beside mirt on a real leaderboard: results/metabench.md.

    python benchmarks/fit/metabench.py [--data ../shared/data] [--tools "irtbench" ...]

The Open LLM Leaderboard responses that metabench published, 6,349 models × 1,075 items in seven
blocks, each with the parameters of a maximum-likelihood fit by R mirt. A tenth of the responses is
held out of the fits, of each block by itself and of all at once; **R mirt saw them**, so its
log-loss is one on its own training data. Continues where it was.
"""

import argparse
import sys
import warnings
from pathlib import Path

sys.path.pop(0)  # this folder, whose coverage.py would hide a package
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

import irtbench as ib
from benchmarks.environments import last_core, machine
from benchmarks.fit.cells import SEED, Cell, curve
from benchmarks.fit.launch import launch
from benchmarks.fit.store import Runs
from benchmarks.fit.tools import HERE, TOOLS

BOARD = "openllm_v1_metabench"


def log_loss(p: np.ndarray, y: np.ndarray) -> float:
    """Mean -log P(what was answered), probabilities kept 1e-7 from 0 and 1."""
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log1p(-p))))


def reference(folder: Path, models: list[str], items: list[str]) -> np.ndarray:
    """mirt's probabilities (n_models, n_items): g + (u - g) σ(a θ + d), θ of the item's block; NaN without one."""
    item = pd.read_parquet(folder / "items.parquet").astype({"item": str, "block": str})
    item = item.set_index("item").loc[items]
    theta = pd.read_parquet(folder / "mirt_theta.parquet").astype({"model": str, "block": str})
    theta = theta.set_index(["model", "block"])["mirt_theta"].unstack().reindex(models)  # noqa: PD010
    of_item = theta[item["block"]].to_numpy(dtype=float)
    a, d, g, u = (item[f"mirt_{k}"].to_numpy() for k in "adgu")
    return g + (u - g) / (1 + np.exp(-np.clip(of_item * a + d, -500, 500)))


def as_cell(responses: ib.ResponseMatrix, held: np.ndarray, irt: str) -> Cell:
    """The responses in the form that the workers read; the truth, unknown here, is zeros."""
    models, items = np.zeros(responses.n_models), np.zeros(responses.n_items)
    y = np.nan_to_num(responses.values).astype(np.int8)
    return Cell(f"metabench-{irt}", y, responses.observed & ~held, held, models, items, items, items)


def fit_all(folder: Path, runs: Runs, given: argparse.Namespace) -> None:
    """Run what is missing: each block, then everything at once (irtbench only)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ib.DataWarning)
        R = ib.read(folder / "responses.parquet")
    block = pd.read_parquet(folder / "items.parquet").astype({"item": str, "block": str})
    block = block.set_index("item")["block"].reindex(R.item_ids).to_numpy()
    mirt = reference(folder, R.model_ids, R.item_ids)
    itemtype = pd.read_csv(folder / "mirt_fits.csv").set_index("block")["itemtype"].str.lower()
    held = R.observed & (np.random.default_rng(SEED).random(R.shape) < 0.1) & np.isfinite(mirt)
    share = np.nanmean(np.where(held, np.nan, R.values), axis=0)
    for name in [*sorted(set(block)), "all"]:
        columns = np.flatnonzero((block == name) | (name == "all"))
        rows = np.flatnonzero(R.observed[:, columns].any(axis=1))
        here, scored = R.take(models=rows, items=columns), held[np.ix_(rows, columns)]
        y = here.values[scored]
        about = {"n_models": here.n_models, "n_items": here.n_items, "responses": int(here.observed.sum())}
        about |= {"held_out": len(y), "mirt_log_loss": log_loss(mirt[np.ix_(rows, columns)][scored], y)}
        about |= {"share_log_loss": log_loss(np.broadcast_to(share[columns], scored.shape)[scored], y)}
        held_out, all_seen = (scored, "2pl", name), (scored & False, itemtype.get(name), f"{name}, saw them")
        for tool in (TOOLS[t] for t in given.tools):
            for hidden, irt, cell in (held_out, all_seen):
                peers_do_not = tool.requires and (name == "all" or cell != name)
                if irt is None or peers_do_not or runs.of(tool, cell, 0):
                    continue
                record = about | {"tool": tool.name, "cell": cell, "block": name, "irt": irt, "round": 0}
                record |= {"filed_under": tool.version, "cut": None, "machine": machine()}
                data = given.work.resolve() / f"metabench-{name}-{irt}.npz"
                asked = as_cell(here, hidden, irt)
                cost, found = launch(tool, asked, data, seed=0, core=given.core, limit=given.limit)
                data.unlink(missing_ok=True)
                p = found.get("probability")
                p = curve(*(found[k] for k in ("theta", "a", "b", "c"))) if p is None else p
                record |= cost | {"log_loss": log_loss(p[scored], y)}
                runs.add(record | {k: found[k].item() for k in ("converged",) if k in found})
                print(f"{cell} {tool.name}: {record['log_loss']:.4f}, {cost['cpu_s']:.1f} CPU s", flush=True)


def markdown(found: pd.DataFrame) -> str:
    """The page."""
    lines = [
        "# irtbench and R mirt on metabench's leaderboard",
        "",
        "Written by `python benchmarks/fit/metabench.py`. Log-loss on a tenth of the responses, in nats. irtbench (2PL) did"
        " not see them, nor did mirt for Python (2PL); **R mirt saw them**: its parameters are those published with the data (2PL, 3PL or 4PL by block,"
        " maximum likelihood), so its figure is that of a training set. The rows *saw them* are on one footing with it: R"
        " mirt's model of the block, fitted to all responses. The last column predicts every model by the item's"
        " share of right answers. In *all*, one ability has to serve five benchmarks, and mirt's still is one for each block.",
        "",
        "| block | models × items | responses | fit | IRT | CPU s | log-loss | R mirt, saw them | item's share |",
        "|---|--:|--:|---|---|--:|--:|--:|--:|",
    ]
    for r in found.itertuples():
        mark = " (not converged)" if r.converged is False else ""
        lines.append(
            f"| {r.cell} | {r.n_models:,} × {r.n_items:,} | {r.responses:,} | {r.tool}{mark} | {r.irt.upper()} | {r.cpu_s:.1f}"
            f" | {r.log_loss:.4f} | {r.mirt_log_loss:.4f} | {r.share_log_loss:.4f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tools", nargs="+", default=["irtbench", "irtbench laplace", "mirt, no SE"])
    parser.add_argument(
        "--limit", type=float, default=1800.0, help="wall seconds after which a run is stopped"
    )
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--work", type=Path, default=HERE / ".work")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    folder = given.data / BOARD
    if not folder.is_dir():
        print(f"skipped: the reference data {folder} are not here; --data says where they are")
        return
    runs = Runs(given.out / "metabench.jsonl")
    fit_all(folder, runs, given)
    found = (
        pd.DataFrame(runs.records)
        .fillna({"irt": "2pl"})
        .sort_values(["cell", "tool"], key=lambda x: x.replace("all", "zz"))
    )
    found.to_parquet(given.out / "metabench.parquet", index=False)
    (given.out / "metabench.md").write_text(markdown(found), encoding="utf-8")
    print(f"-> {given.out / 'metabench.md'}")


if __name__ == "__main__":
    main()
