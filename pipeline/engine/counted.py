"""How many records the worker processes of a run are done with, told through shared memory.

Units are committed whole and come back whole; whoever waits wants to see each record.
"""

from __future__ import annotations

from multiprocessing.sharedctypes import Synchronized

_COUNTERS: list[Synchronized[int]] = []
"""One in a worker process, none elsewhere."""


def count_into(counter: Synchronized[int]) -> None:
    """Let this process count into a number that it shares with the one that started it."""
    _COUNTERS.append(counter)


def count_record() -> None:
    """Count a record whose outcome is known; elsewhere than in a worker process nothing is counted."""
    for counter in _COUNTERS:
        with counter.get_lock():
            counter.value += 1
