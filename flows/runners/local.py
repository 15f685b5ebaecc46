"""The default runner: threads of this process, one per open unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from pipeline.engine.units import Range, UnitResult

OPEN_UNITS = 32
"""Units open at once. A thread only waits here; the work is in the worker pool or on the loop."""


def local(stage: str, unit_fn: Callable[[Range], UnitResult], units: Sequence[Range]) -> Iterator[UnitResult]:
    """Yield the results of `unit_fn` over the `units` of a stage as they finish.

    The first failure stops the stage: units that are open are abandoned (the driver cancels them),
    units that finished stay committed.
    """
    executor = ThreadPoolExecutor(OPEN_UNITS, thread_name_prefix=stage)
    try:
        futures = [executor.submit(unit_fn, span) for span in units]
        for future in as_completed(futures):
            yield future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
