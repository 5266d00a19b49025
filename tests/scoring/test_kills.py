"""SIGKILL at random moments, and two processes at a time: nothing is lost, done twice, or different."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def killing(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    command = [sys.executable, str(TESTS / "scoring" / "killing.py"), *map(str, arguments)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=540)
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


def test_killed_runs_go_on_to_the_same_bits(tmp_path):
    hits, _ = map(int, killing(tmp_path, 0, 5))
    assert hits >= 5


@pytest.mark.slow
def test_many_killed_runs_go_on_to_the_same_bits(tmp_path):
    hits, runs = map(int, killing(tmp_path, 1, 30))
    assert hits >= 30
    assert runs > 1


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_two_processes_share_the_work(tmp_path, seed):
    (items,) = map(int, killing(tmp_path, seed, "race"))
    # two models × (30 items of two sets, and nine different lists of options without a question)
    assert items == 2 * (2 * 30 + 9)
