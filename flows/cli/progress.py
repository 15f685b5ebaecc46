"""Progress of a run: bars on a terminal, plain lines elsewhere; in rows and calls, which are what a user waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows.cli.figures import calls, clock, far, left, outcomes, parts
from flows.run.progress import Progress
from pipeline.amounts import counted

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from flows.run.figures import Figures
    from pipeline.engine.done import Finished
    from pipeline.engine.units import UnitResult

NAME_WIDTH = 14
"""`decontaminate`, the longest stage name, and a space."""
BAR_WIDTH = 30
QUIET_SECONDS = 60.0
"""A log without a line for longer than this looks like a process that hangs."""


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Show progress on `console` until the block ends."""
    if not console.is_terminal:
        yield LineProgress(console)
        return
    from rich.live import Live

    bars = BarProgress(console)
    with Live(bars, console=console):
        yield bars


class LineProgress:
    """A line when a stage begins and one when it ends; a long stage tells once a minute how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._stages: dict[str, Callable[[], Figures]] = {}
        self._last = time.monotonic()

    def tick(self) -> None:
        """Tell how far the stage is, after a long silence only."""
        with self._lock:
            if time.monotonic() - self._last < QUIET_SECONDS:
                return
            for name, figures in self._stages.items():
                now = figures()
                so_far = f"{name:<{NAME_WIDTH}}{far(now)}"
                self._print(": ".join(filter(None, (so_far, "; ".join(filter(None, (*parts(now), left(now))))))))

    def stage_started(self, name: str, figures: Callable[[], Figures]) -> None:
        """Print what the stage is about to do."""
        with self._lock:
            self._stages[name] = figures
            self._print(f"{name:<{NAME_WIDTH}}{counted(figures().rows, 'row')}")

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Print nothing."""

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Print what became of the rows."""
        with self._lock:
            self._print(finished_line(name, result, seconds, self._stages.pop(name)()))

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
    """A bar and its figures per stage at work, drawn anew all the time; a finished stage leaves one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: dict[str, Callable[[], Figures]] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the stages as they are now."""
        for figures in tuple(self._stages.values()):
            yield from _drawn(figures(), options.max_width)

    def tick(self) -> None:
        """Show nothing more: it is drawn several times a second."""

    def stage_started(self, name: str, figures: Callable[[], Figures]) -> None:
        """Add the bar of the stage."""
        self._stages[name] = figures

    def unit_done(self, name: str, result: UnitResult) -> None:
        """Show nothing more."""

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        """Replace the bar by what became of the rows."""
        line = finished_line(name, result, seconds, self._stages.pop(name)())
        self._console.print(line, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print the text above the bars."""
        self._console.print(text, markup=False, soft_wrap=True)


def _drawn(now: Figures, width: int) -> RenderResult:
    """Draw a bar that fits the width, and below it what else there is to tell, wrapped between words."""
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    beside = ", ".join(filter(None, (far(now), clock(now.seconds), left(now))))
    room = min(BAR_WIDTH, max(4, width - NAME_WIDTH - 2 - len(beside)))
    bar = ProgressBar(now.rows or 1, now.done if now.rows else 1, room)
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_row(Text(f"{now.stage:<{NAME_WIDTH - 1}}"), bar, Text(beside))
    yield line
    for part in parts(now):
        yield Padding(Text(part), (0, 0, 0, NAME_WIDTH))


def finished_line(name: str, result: Finished, seconds: float, last: Figures) -> str:
    """Return the one line that a finished stage leaves."""
    line = f"{name:<{NAME_WIDTH}}{outcomes(result.counts)} in {seconds:.1f} s"
    earlier = f"{counted(last.reused, 'row')} done before" if last.reused else ""
    return "; ".join(filter(None, (line, calls(last), earlier)))
