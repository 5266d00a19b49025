"""What every page shares: its frame, the section about the data, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irtbench.files import atomic_file
from irtbench.report import tables

if TYPE_CHECKING:
    from irtbench.responses import ResponseMatrix

__all__ = ["data_section", "render_page", "reproduce_section", "save_page"]


def save_page(path: str | Path, page: str) -> None:
    """Write a page, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_page(template: str, **content: Any) -> str:
    """Fill in a template of ``report/templates``."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files(__package__).joinpath("templates")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)


def data_section(responses: ResponseMatrix) -> dict[str, Any]:
    """Size and content of the responses, and what the checks found."""
    from irtbench.responses import check, describe

    findings = check(responses)
    return {
        "text": repr(responses),
        "benchmarks": tables.as_table(describe(responses)),
        "findings": tables.as_table(findings) if len(findings) else None,
    }


def reproduce_section(responses: ResponseMatrix, config: Mapping[str, Any]) -> dict[str, Any]:
    """Command, versions, inputs and fingerprint."""
    return {
        "command": config.get("command", ""),
        "versions": dict(config.get("versions", {})),
        "inputs": dict(config.get("inputs", {})),
        "fingerprint": responses.fingerprint,
        "config": json.dumps(config, indent=1, ensure_ascii=False),
    }
