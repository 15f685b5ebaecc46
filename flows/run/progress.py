"""What a run tells about itself while it works."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from flows.report.tables import visible

if TYPE_CHECKING:  # the engine loads Arrow; whoever shows progress does not need it
    from flows.run.figures import Figures
    from pipeline.engine.done import Finished
    from pipeline.engine.units import UnitResult


class Progress(Protocol):
    """Shown progress. Every method may be called from several threads at once."""

    def stage_started(self, name: str, figures: Callable[[], Figures]) -> None:
        """Begin a stage, whose figures may be asked for at any time until it is done."""
        ...

    def unit_done(self, name: str, result: UnitResult) -> None:
        """One unit of the stage is committed, now or by an earlier run; the figures hold it."""
        ...

    def tick(self) -> None:
        """A second or so has passed while a stage works."""
        ...

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """The stage is finished; `seconds` is its wall time in this run."""
        ...

    def note(self, text: str) -> None:
        """Tell something that belongs to no stage."""
        ...


class SilentProgress:
    """Shows nothing."""

    def stage_started(self, name: str, figures: Callable[[], Figures]) -> None:
        """Show nothing."""

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Show nothing."""

    def tick(self) -> None:
        """Show nothing."""

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""


class _Notes(logging.Handler):
    """Tells what is logged as progress; what a server wrote into it must not drive the terminal."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one line."""
        self._progress.note(visible(record.getMessage()))


@contextmanager
def noted(progress: Progress) -> Iterator[None]:
    """Show what models log, such as that their calls fail, beside the progress of a run."""
    handler, logger = _Notes(progress), logging.getLogger("pipeline.models")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
