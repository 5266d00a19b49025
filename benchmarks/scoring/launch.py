"""Runs of tools on prompts, each in a fresh process of its own environment."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environments import machine, surroundings
from irtbench.files import fingerprint
from irtbench.scoring.prompts import Prompt, prompts_fingerprint

__all__ = ["HERE", "LM_EVAL", "Runner"]

HERE = Path(__file__).resolve().parent
LM_EVAL = ("lm_eval==0.4.13", "torch==2.13.0", "transformers==5.23.0", "accelerate", "gguf==0.19.0")


class Runner:
    """Runs jobs in fresh processes, and keeps each record as a line of a file; a kept one is not run again."""

    def __init__(self, path: Path, pythons: dict[str, Path], model: Path, core: int | None) -> None:
        self.path, self.pythons, self.model, self.core = path, pythons, model, core

    def records(self) -> list[dict[str, Any]]:
        return (
            [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.is_file() else []
        )

    def of(self, cell: str, tool: str, part: str) -> list[dict[str, Any]]:
        return [r for r in self.records() if (r["cell"], r["tool"], r["part"]) == (cell, tool, part)]

    def __call__(
        self, about: dict[str, Any], prompts: list[Prompt], options: dict[str, Any]
    ) -> dict[str, Any]:
        about = about | {"options": options, "key": prompts_fingerprint(prompts) + _code(about["tool"])}
        for record in self.records():
            if all(record.get(k) == v for k, v in about.items()):
                return record
        fields = ("id", "prefix", "stem", "options")
        requests = [{field: getattr(prompt, field) for field in fields} for prompt in prompts]
        with tempfile.TemporaryDirectory() as folder:
            job, asked, report = (Path(folder) / f"{name}.json" for name in ("job", "requests", "report"))
            asked.write_text(json.dumps(requests))
            content = {
                "peer": about["tool"],
                "model": str(self.model),
                "requests": str(asked),
                "core": self.core,
            }
            job.write_text(json.dumps(content | {"options": options, "report": str(report)}))
            command = [self.pythons[about["tool"]], "-m", "benchmarks.scoring.worker", job]
            done = subprocess.run(
                command, env=surroundings() | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"{about}: {done.stderr.strip().splitlines()[-1:]}")
            found = json.loads(report.read_text())
        found |= {
            "ids": [p.id for p in prompts],
            "items": len(prompts),
            "answers": [p.answer for p in prompts],
        }
        found |= {"load": round(os.getloadavg()[0], 1), "machine": machine()}
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a") as stream:
            stream.write(json.dumps(about | found) + "\n")
        rate = len(prompts) / found["cpu_s"]
        print(f"{about['cell']}: {about['tool']} {options}: {rate:.2f} items a CPU second", flush=True)
        return about | found


def _code(tool: str) -> str:
    """irtbench is run again when its scoring code has changed; the others are pinned."""
    if tool != "irtbench":
        return ""
    files = sorted((HERE.parents[1] / "irtbench" / "scoring").rglob("*.py"))
    return fingerprint(*(file.read_text() for file in files))
