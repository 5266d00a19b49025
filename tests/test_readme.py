"""The README keeps its promises: short, without loose ends, and its example prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+")


def test_it_is_short_and_its_links_exist():
    assert len(README.splitlines()) <= 140
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).is_file(), target


def test_every_command_it_shows_exists():
    from irtbench.cli import app

    known = {command.name for command in app.registered_commands}
    assert set(re.findall(r"^irtbench (\w+)", README, flags=re.MULTILINE)) <= known


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::irtbench.errors.ExtrapolationWarning")  # of one model
def test_the_example_prints_what_the_readme_says():
    code, said = re.search(r"```python\n(.*?)```\n```\n(.*?)```", README, flags=re.DOTALL).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert NUMBER.sub("#", printed.getvalue()).split() == NUMBER.sub("#", said).split()
    # SVI's last digits differ from machine to machine
    np.testing.assert_allclose(
        [float(x) for x in NUMBER.findall(printed.getvalue())],
        [float(x) for x in NUMBER.findall(said)],
        atol=0.03,
    )
