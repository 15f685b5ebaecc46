"""What a run tells about itself while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the engine loads Arrow; whoever shows progress does not need it
    from pipeline.engine.done import Finished
    from pipeline.engine.units import UnitResult


class Progress(Protocol):
    """Shown progress. Every method may be called from several threads at once."""

    def stage_started(self, name: str, units: int, records: int) -> None:
        """Begin a stage of `units` units over `records` input records."""
        ...

    def unit_done(self, name: str, result: UnitResult) -> None:
        """One unit of the stage is committed, now or by an earlier run."""
        ...

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """The stage is finished; `seconds` is its wall time in this run."""
        ...

    def note(self, text: str) -> None:
        """Tell something that belongs to no stage."""
        ...


class SilentProgress:
    """Shows nothing."""

    def stage_started(self, name: str, units: int, records: int) -> None:
        """Show nothing."""

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Show nothing."""

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""
