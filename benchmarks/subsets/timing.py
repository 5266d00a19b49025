"""CPU seconds of a call."""

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["timed"]

T = TypeVar("T")


def timed(find: Callable[[], T]) -> tuple[T, float]:
    """What the call returns, and its CPU seconds."""
    began = time.process_time()
    return find(), time.process_time() - began
