"""Progress of a run: bars on a terminal, plain lines elsewhere; in rows and calls, which are what a user waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.run.progress import Calls, Progress

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
        with LineProgress(console).ticking() as lines:
            yield lines
        return
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Told(ProgressColumn):
        """What the stage has done by now, whenever the bar is drawn."""

        def render(self, task: Task) -> Text:
            stage: _Stage = task.fields["stage"]
            return Text(stage.told())

    name = TextColumn("{task.description:<13}")
    with Bars(name, BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn(), Told(), console=console) as bars:
        yield BarProgress(bars)


@dataclass
class _Stage:
    """What is known of a stage that is being worked on."""

    rows: int
    calls: Callable[[], Calls]
    done: int = 0
    reused: int = 0
    """Of those: rows that an earlier run was done with."""
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, result: UnitResult) -> None:
        self.done += sum(result.counts.values())
        self.reused += sum(result.counts.values()) if result.reused else 0
        for outcome, n in result.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + n

    def told(self) -> str:
        """Return calls and outcomes so far."""
        return ", ".join(filter(None, (_calls_told(self.calls()), _told(self.counts) if self.counts else "")))


class LineProgress:
    """A line when a stage begins and one when it ends; a long stage tells once a minute how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        self._last = time.monotonic()

    @contextmanager
    def ticking(self) -> Iterator[LineProgress]:
        """Call `tick` now and then until the block ends."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(QUIET_SECONDS / 4):
                self.tick()

        looking = threading.Thread(target=look, name="progress", daemon=True)
        looking.start()
        try:
            yield self
        finally:
            ended.set()
            looking.join()

    def tick(self) -> None:
        """Tell how far the stage is, after a long silence only."""
        with self._lock:
            if time.monotonic() - self._last < QUIET_SECONDS:
                return
            for name, stage in self._stages.items():
                so_far = f"{stage.done:,} of {_many(stage.rows, 'row')}"
                self._print(": ".join(filter(None, (f"{name:<{NAME_WIDTH}}{so_far}", stage.told()))))

    def stage_started(self, name: str, rows: int, calls: Callable[[], Calls]) -> None:
        """Print what the stage is about to do."""
        with self._lock:
            self._stages[name] = _Stage(rows, calls)
            self._print(f"{name:<{NAME_WIDTH}}{_many(rows, 'row')}")

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Count the rows."""
        with self._lock:
            self._stages[name].add(result)

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Print what became of the rows."""
        with self._lock:
            self._print(finished_line(name, result, seconds, self._stages.pop(name)))

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
        self._stages: dict[str, tuple[TaskID, _Stage]] = {}

    def stage_started(self, name: str, rows: int, calls: Callable[[], Calls]) -> None:
        """Add the bar of the stage."""
        with self._lock:
            stage = _Stage(rows, calls)
            self._stages[name] = self._bars.add_task(name, total=rows, stage=stage), stage

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Advance the bar."""
        with self._lock:
            task, stage = self._stages[name]
            stage.add(result)
            self._bars.update(task, completed=stage.done)

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Replace the bar by what became of the rows."""
        with self._lock:
            task, stage = self._stages.pop(name)
            self._bars.remove_task(task)
            self._bars.console.print(finished_line(name, result, seconds, stage), markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print the text above the bars."""
        self._bars.console.print(text, markup=False, soft_wrap=True)


def finished_line(name: str, result: Finished, seconds: float, stage: _Stage) -> str:
    """Return the one line that a finished stage leaves."""
    line = f"{name:<{NAME_WIDTH}}{_told(result.counts)} in {seconds:.1f} s"
    earlier = f"{_many(stage.reused, 'row')} done before" if stage.reused else ""
    return "; ".join(filter(None, (line, _calls_told(stage.calls()), earlier)))


def _calls_told(calls: Calls) -> str:
    stored = f"{calls.stored:,} from the store" if calls.stored else ""
    paid = _many(calls.paid, "call") if calls.paid or stored else ""
    return ", ".join(filter(None, (paid, stored)))


def _told(counts: Mapping[str, int]) -> str:
    """Return the counts of outcomes, the two that are rarely zero always."""
    kept, rejected, quarantined = (counts.get(name, 0) for name in ("kept", "rejected", "quarantined"))
    told = f"{kept:,} kept, {rejected:,} rejected"
    return f"{told}, {quarantined:,} quarantined" if quarantined else told


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
