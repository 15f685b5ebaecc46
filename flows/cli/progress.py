"""Progress of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.run.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from pipeline.engine.done import Finished
    from pipeline.engine.units import UnitResult

NAME_WIDTH = 14
"""`decontaminate`, the longest stage name, and a space."""
QUIET_SECONDS = 60.0
"""A log without a line for longer than this looks like a process that hangs."""


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Show progress on `console` until the block ends."""
    if not console.is_terminal:
        yield LineProgress(console)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    name = TextColumn("{task.description:<13}")
    counts = TextColumn("{task.fields[counts]}")
    with Bars(name, BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn(), counts, console=console) as bars:
        yield BarProgress(bars)


@dataclass
class _Units:
    """What is known of a stage that is being worked on."""

    total: int
    done: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, result: UnitResult) -> None:
        self.done += 1
        for outcome, n in result.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + n


class LineProgress:
    """A line when a stage begins and one when it ends; a long stage tells once a minute how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._stages: dict[str, _Units] = {}
        self._last = time.monotonic()

    def stage_started(self, name: str, units: int, records: int) -> None:
        """Print what the stage is about to do."""
        with self._lock:
            self._stages[name] = _Units(units)
            self._print(f"{name:<{NAME_WIDTH}}{_many(records, 'record')} in {_many(units, 'unit')}")

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Count the unit; print only after a long silence."""
        with self._lock:
            stage = self._stages[name]
            stage.add(result)
            if time.monotonic() - self._last > QUIET_SECONDS and stage.done < stage.total:
                self._print(f"{name:<{NAME_WIDTH}}{stage.done} of {_many(stage.total, 'unit')}: {_told(stage.counts)}")

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Print what became of the records."""
        with self._lock:
            self._stages.pop(name, None)
            self._print(finished_line(name, result, seconds))

    def note(self, text: str) -> None:
        """Print the text."""
        with self._lock:
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
        # A piped stream is buffered; whoever reads a log wants the line now.
        self._console.file.flush()
        self._last = time.monotonic()


class BarProgress:
    """A bar per stage at work; a finished stage leaves one line."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._lock = threading.Lock()
        self._stages: dict[str, tuple[TaskID, _Units]] = {}

    def stage_started(self, name: str, units: int, records: int) -> None:
        """Add the bar of the stage."""
        with self._lock:
            task = self._bars.add_task(name, total=units, counts=_many(records, "record"))
            self._stages[name] = task, _Units(units)

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Advance the bar."""
        with self._lock:
            task, stage = self._stages[name]
            stage.add(result)
            self._bars.update(task, completed=stage.done, counts=_told(stage.counts))

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Replace the bar by what became of the records."""
        with self._lock:
            if name in self._stages:
                self._bars.remove_task(self._stages.pop(name)[0])
            self._bars.console.print(finished_line(name, result, seconds), markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print the text above the bars."""
        self._bars.console.print(text, markup=False, soft_wrap=True)


def finished_line(name: str, result: Finished, seconds: float) -> str:
    """Return the one line that a finished stage leaves."""
    reused = f" ({result.reused} of {_many(len(result.parts), 'unit')} reused)" if result.reused else ""
    return f"{name:<{NAME_WIDTH}}{_told(result.counts)} in {seconds:.1f} s{reused}"


def _told(counts: Mapping[str, int]) -> str:
    """Return the counts of outcomes, the two that are rarely zero always."""
    kept, rejected, quarantined = (counts.get(name, 0) for name in ("kept", "rejected", "quarantined"))
    told = f"{kept:,} kept, {rejected:,} rejected"
    return f"{told}, {quarantined:,} quarantined" if quarantined else told


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
