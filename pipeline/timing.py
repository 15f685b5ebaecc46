"""How long a piece of work took, apart from how long it waited for its turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Run `work` here and return its result with the seconds it took; hand this to a thread, not the wait for one."""
    began = time.monotonic()
    result = work()
    return result, time.monotonic() - began
