"""Who is measured: each tool's environment, how it is called, and where it is cut short."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["TOOLS", "PUBLISHED", "Tool"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH = "torch==2.13.0"  # without the pin pip may fetch a CUDA build of gigabytes


@dataclass(frozen=True)
class Tool:
    """A tool in one configuration.

    Attributes:
        name: as shown in the tables.
        peer: module in ``peers/``.
        requires: what pip installs into its environment; empty for irtbench itself.
        options: given to the peer's ``fit``.
        epochs: its own default number of epochs or iterations; None where it has no such argument here.
        cut: by cell or size, two short runs to extrapolate the cost from, where a whole fit takes too long.
        skip: by cell or size, why it is not run.
        complete: whether it gets the held-out responses too, since it knows no missing cells.
        stops: whether it may stop before ``epochs``, so that an extrapolated cost is a bound.
        compiles: whether a call with another size or number of iterations compiles anew.
        about: the call in words.
    """

    name: str
    peer: str
    requires: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    cut: dict[str, tuple[int, int]] = field(default_factory=dict)
    skip: dict[str, str] = field(default_factory=dict)
    complete: bool = False
    stops: bool = False
    compiles: bool = False
    about: str = ""

    @property
    def environment(self) -> str:
        """Name of its environment; empty for irtbench's own."""
        return self.peer if self.requires else ""

    @property
    def distribution(self) -> str:
        """The pinned package, without its version."""
        return self.requires[0].split("==")[0] if self.requires else ""

    @cached_property
    def version(self) -> str:
        """What a run is filed under: the pinned packages and the options; of irtbench a hash of its source."""
        if self.requires:
            given = [f"{k}={v}" for k, v in {**self.options, "epochs": self.epochs}.items() if v is not None]
            return " ".join([*self.requires, *given])
        call = (HERE / "peers" / f"{self.peer}.py").read_bytes()
        parts = [call, *(p.read_bytes() for p in _sources("factors" in self.peer))]
        return f"source {hashlib.sha256(bytes(1).join(parts)).hexdigest()[:10]}"

    def cut_at(self, cell: str) -> tuple[int, int] | None:
        """Numbers of epochs of the two short runs in this cell, or None for a whole fit."""
        return self.cut.get(cell, self.cut.get(cell.split("-")[0]))

    def skipped_at(self, cell: str) -> str | None:
        """Why it is not run in this cell, or None."""
        design = cell.split("-")[1]
        return next((self.skip[k] for k in (cell, cell.split("-")[0], design) if k in self.skip), None)


def _sources(factors: bool) -> list[Path]:
    """irtbench's code, without the rooms that a fit does not enter."""
    rooms = [ROOT / "irtbench" / room for room in ("irt", "responses")]
    top = [ROOT / "irtbench" / f"{name}.py" for name in ("__init__", "_lazy", "errors", "files")]
    recipes = sorted((ROOT / "models" / "recipes").glob("*.toml"))
    code = (p for room in rooms for p in room.rglob("*.py") if factors or "factors" not in p.parts)
    return sorted(code) + top + recipes


PY_IRT = ("py-irt==0.7.1", TORCH)
TORCH_MEASURE = ("torch-measure==0.1.0", TORCH)
HOURS = "hours by its cost in S1"
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("irtbench", "irtbench", about="fit(R, irt=...)"),
        Tool("irtbench laplace", "irtbench", options={"method": "laplace"}, about='fit(..., method="laplace")'),
        Tool(
            "mirt", "mirt", ("mirt==1.2.0",), {"errors": True, "score": "EAP"},
            skip={"S2-3pl": "see mirt, no SE", "S2-2pl-m20": "see mirt, no SE", "S2-misspecified": "see mirt, no SE"},
            about="fit_mirt(data), fscores(EAP): all defaults",
        ),
        Tool(
            "mirt, no SE", "mirt", ("mirt==1.2.0",), {"errors": False, "score": "MAP"},
            about="fit_mirt(compute_standard_errors=False), fscores(MAP), whose abilities are not rounded to a node",
        ),
        Tool(
            "py-irt", "py_irt", PY_IRT, {"priors": "vague"}, 2000, {"S2": (5, 25), "S3": (2, 8)},
            skip={"3pl": "its 3PL has the hierarchical priors only", "S2-2pl-m20": "see S2-2pl",
                  "S2-misspecified": "see S2-2pl", "S3": "costs what the hierarchical one costs"},
            about='priors="vague", its default, 2,000 epochs',
        ),
        Tool(
            "py-irt hierarchical", "py_irt", PY_IRT, {"priors": "hierarchical"}, 2000,
            {"S2-2pl-m20": (5, 25), "S2-3pl": (5, 25), "S2-misspecified": (5, 25), "S3": (2, 8)},
            about='priors="hierarchical", 2,000 epochs (fluid-benchmarking calls the same for 1,000)',
        ),
        Tool(
            "theta-irt", "theta_irt", ("theta-irt==0.1.1",), {"score": "EAP"}, 500,
            {"S3": (1, 4)}, stops=True, compiles=True, about="fit(X), score(EAP): all defaults, at most 500 iterations",
        ),
        Tool(
            "theta-irt, priors", "theta_irt", ("theta-irt==0.1.1",), {"score": "MAP", "slope_sd": 0.5}, 500,
            {"S3": (1, 4)}, stops=True, compiles=True, about="its optional priors on log a (sd .5) and intercept (sd 2), score(MAP)",
        ),
        Tool(
            "girth mml", "girth", ("girth==0.8.0",), {"method": "mml"}, 25, {"S1-2pl": (1, 2)}, stops=True,
            skip={"S2": HOURS, "S3": HOURS},
            about="onepl_mml, twopl_mml, threepl_mml, ability_eap; at most 25 iterations",
        ),
        Tool(
            "girth jml", "girth", ("girth==0.8.0",), {"method": "jml"}, 25, complete=True,
            skip={"3pl": "it has no joint 3PL", "S2": HOURS, "S3": HOURS},
            about="onepl_jml, twopl_jml, ability_eap; gets the complete matrix, since it knows no missing cells",
        ),
        Tool(
            "torch_measure svi", "torch_measure", TORCH_MEASURE, {"method": "svi"}, 1000,
            {"S2-2pl-m20": (2, 12), "S2-3pl": (2, 12), "S3": (1, 5)}, about='fit(method="svi"), 1,000 epochs',
        ),
        Tool(
            "torch_measure jml", "torch_measure", TORCH_MEASURE, {"method": "jml"}, 500,
            skip={"S2-2pl-m20": "see S2-2pl", "S2-3pl": "see S2-2pl", "S2-misspecified": "see S2-2pl",
                  "S3": "see S2-2pl"},
            about='fit(method="jml", lr=.1), its own stop, at most 500 epochs',
        ),
    )
}  # fmt: skip

# cBMM cannot be installed from a registry: figures as published, on another machine, not rerun here
PUBLISHED = [
    {"tool": "cBMM", "cell": "S1-2pl", "cpu_s": 0.27, "p_rmse": 0.0640},
    {"tool": "cBMM", "cell": "S2-2pl", "cpu_s": 4.6, "p_rmse": 0.0322},
    {"tool": "cBMM", "cell": "S3-2pl", "cpu_s": 31.0, "p_rmse": 0.0316},
]
