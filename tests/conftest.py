"""Fixtures for every test: pictures without a screen, and a guard against changed global state."""

import os
import sys

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["NO_COLOR"] = "1"
os.environ["COLUMNS"] = "120"


def _global_state():
    """What no test may change: torch's defaults, distribution validation, Pyro's parameter store."""
    state = {}
    torch, pyro = sys.modules.get("torch"), sys.modules.get("pyro")
    if hasattr(torch, "get_default_device"):
        from torch.distributions import Distribution

        state["torch default dtype"] = torch.get_default_dtype()
        state["torch default device"] = torch.get_default_device()
        state["torch distribution validation"] = Distribution._validate_args
    if hasattr(pyro, "get_param_store"):
        state["pyro parameter store"] = sorted(pyro.get_param_store().keys())
        state["pyro validation"] = pyro.settings.get("validate_distributions_pyro")
    return state


@pytest.fixture(autouse=True)
def guard_global_state():
    before = _global_state()
    yield
    after = _global_state()
    changed = {k: (v, after[k]) for k, v in before.items() if after[k] != v}
    if after.get("pyro parameter store"):
        changed["pyro parameter store"] = after["pyro parameter store"]
    assert not changed, f"the test changed global state: {changed}"
