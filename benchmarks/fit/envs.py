"""An environment for each peer, made on first use: ``python -m venv`` and pip."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.fit.tools import HERE, ROOT, Tool
from benchmarks.fit.worker import THREADS

__all__ = ["interpreter", "surroundings"]

ENVS = HERE / ".envs"
LOCKS = HERE / "peers" / "locks"


def interpreter(tool: Tool) -> Path:
    """The tool's Python; makes its environment if it is not there, or was made for other versions.

    ``peers/locks`` holds the versions of everything that the committed results were measured with,
    and constrains the installation. An environment without a lock writes one.

    Raises:
        subprocess.CalledProcessError: pip could not install it.
    """
    if not tool.environment:
        return Path(sys.executable)
    folder, lock = ENVS / tool.environment, LOCKS / f"{tool.environment}.txt"
    python, mark = folder / "bin" / "python", folder / ".requires"
    wanted = "\n".join(tool.requires)
    if mark.is_file() and mark.read_text() == wanted:
        return python
    print(f"installing {' '.join(tool.requires)} into {folder.relative_to(ROOT)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    constrain = ["--constraint", lock] if lock.is_file() else []
    subprocess.run([python, "-m", "pip", "install", "--quiet", *tool.requires, *constrain], check=True)
    if not lock.is_file():
        lock.parent.mkdir(exist_ok=True)
        freeze = [python, "-m", "pip", "freeze"]
        lines = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
        lock.write_text("".join(f"{line.split('+')[0]}\n" for line in lines))  # torch without its +cpu
    mark.write_text(wanted)
    return python


def surroundings() -> dict[str, str]:
    """Environment variables of a worker: one thread everywhere, and this checkout's code."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return kept | THREADS | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0"}
