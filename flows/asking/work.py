"""How far the stage at work is within its units: counted where records and rollouts end, on the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Work:
    """Of one process, since it began. Written on the loop, read from any thread: each number is whole."""

    records: int = 0
    """Whose outcome is known, whether or not their unit is committed by now; of stages that ask models."""
    in_workers: Callable[[], int] = lambda: 0
    """Returns the same of stages that work in worker processes."""
    rollouts: int = 0
    """Graded."""
    begun_again: int = 0
    """Rollouts and replays that failed as infrastructure, such as with a lost sandbox, and were begun again."""
