"""The real lm-eval, run offline on two tiny models and two local tasks: our scores equal its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lm_eval_tables import score_table

QUESTIONS = Path(__file__).parents[2].parent / "shared" / "data" / "questions"


def lm_eval_python(folder):
    """A Python that has lm-eval: the one that is named, else a new environment."""
    if os.environ.get("IRTBENCH_LMEVAL_PYTHON"):
        return os.environ["IRTBENCH_LMEVAL_PYTHON"]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    needed = ["torch==2.13.0", "lm-eval", "transformers", "accelerate"]
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", *needed], check=True)
    return folder / "bin" / "python"


@pytest.mark.peer
def test_scores_equal_those_of_lm_eval(tmp_path):
    if not QUESTIONS.is_dir():
        pytest.skip(f"no question sets in {QUESTIONS.parent}")
    script = Path(__file__).with_name("lm_eval_run.py")
    subprocess.run([lm_eval_python(tmp_path / "env"), script, QUESTIONS, tmp_path / "run"], check=True)
    table = score_table(tmp_path / "run" / "logs")
    for key, (theirs, ours) in table.items():
        print(*key, theirs, ours)
    assert len(table) == 8  # two models × two tasks × two metrics
    assert all(theirs == ours for theirs, ours in table.values())
    assert len({ours for _, ours in table.values()}) > 3
