"""Whose turn it is in a run directory: one process at a time commits there and writes its ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.errors import InfrastructureError
from pipeline.processes import turn


@contextmanager
def held(run: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a run directory.

    Args:
        run: made if it is not there.
        waiting: called where another process works in it, before this one waits for that to end.

    Raises:
        InfrastructureError: another process works in it, and there is no `waiting`.
    """
    run.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(turn(run / ".lock", wait=False))
        except BlockingIOError as error:
            if waiting is None:
                raise InfrastructureError(
                    f"{run} is in use by another `coldforge run` or `replay`; wait for it or give --out"
                ) from error
            waiting()
            stack.enter_context(turn(run / ".lock", wait=True))
        yield
