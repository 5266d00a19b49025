"""The banks in ``models/banks/``, each made by ``irtbench banks --make`` from permissively licensed responses.

    python benchmarks/subsets/ship_banks.py [--bank openllm_v2 ...] [--splits 12] [--out models/banks]

The responses are the reference data outside the project; the banks hold none of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

import irtbench as ib
from benchmarks.subsets.boards import complete, matrix, read_board

__all__ = ["BANKS", "main"]

_PREDICTION = "GitHub socialfoundations/benchmark-prediction, commit 2e98c82ea45bed58f54c9e8894ca42e776bf32a9"
_LEADERBOARD = f"{_PREDICTION} (per-sample details of the Open LLM Leaderboard v2, 2024-06 to 2025-03)"


@dataclass(frozen=True)
class Source:
    """Where the responses of a bank come from.

    Attributes:
        read: the responses from the folder of the reference data.
        licence: of the responses.
        source: with the revision.
        item_ids: what the ids mean.
        average: full score.
        kinds: of splits.
    """

    read: Callable[[Path], ib.ResponseMatrix]
    licence: str
    source: str
    item_ids: str
    average: str
    kinds: str


def _arc(data: Path) -> ib.ResponseMatrix:
    table = pd.read_parquet(data / "openllm_v2/responses.parquet")
    return complete(matrix(table[table["benchmark"] == "arc_challenge"]))


BANKS = {
    "openllm_v2": Source(
        lambda data: read_board(data, "openllm_v2"),
        "MIT",
        f"{_LEADERBOARD}; IFEval prompt_level_strict_acc, MATH exact_match, MuSR acc_norm",
        "benchmark_number: the column of the source's array, from 0, in the order of the leaderboard's"
        " details; MATH-hard has five of the seven subjects",
        "macro",
        "random,family,weak-to-strong",
    ),
    "arc_challenge": Source(
        _arc,
        "MIT",
        f"{_LEADERBOARD}; acc_norm, 25 examples",
        "arc_challenge_number: the column of the source's array, from 0 (the test set's order)",
        "micro",
        "random,family,weak-to-strong",
    ),
    "mmlu_pro": Source(
        lambda data: read_board(data, "mmlu_pro"),
        "Apache-2.0",
        "GitHub TIGER-AI-Lab/MMLU-Pro, commit f418b116db00b065c2aea046518d8fcf74d39872, eval_results; five"
        " examples, chain of thought",
        "mmlu_pro_number: the benchmark's own question_id",
        "micro",
        "random,weak-to-strong",
    ),
    "cruxeval": Source(
        lambda data: read_board(data, "cruxeval_samples"),
        "MIT",
        "GitHub crux-eval/crux-eval.github.io, commit bbca8150320397859dbb3c359fbb6a885b1d9a3f,"
        " evaluation_results; temperature 0.2, share of up to ten samples",
        "the benchmark's own sample number, after cruxeval_input or cruxeval_output",
        "macro",
        "random,family,weak-to-strong",
    ),
}


def main() -> None:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", nargs="*", default=list(BANKS), choices=list(BANKS))
    parser.add_argument("--splits", type=int, default=12, help="of each kind")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("models/banks"))
    given = parser.parse_args()
    for name in given.bank:
        about = BANKS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.parquet"
            about.read(given.data).save(path)
            how = {
                "--out": given.out / name,
                "--licence": about.licence,
                "--source": about.source,
                "--item-ids": about.item_ids,
                "--average": about.average,
                "--kinds": about.kinds,
                "--splits": given.splits,
                "--device": "cpu",
            }
            words = [str(word) for pair in how.items() for word in pair]
            command = [sys.executable, "-m", "irtbench", "banks", "--make", str(path), *words, "--force"]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
