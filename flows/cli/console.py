"""Where commands write: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import os
import sys
from textwrap import wrap
from typing import IO, TYPE_CHECKING, Annotated

import typer

from pipeline.commands import command

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from flows.report.tables import Table

PIPED_WIDTH = 100
"""Columns where the width of the reader is not known: what tables are laid out for."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def console(*, stderr: bool = False, width: int = PIPED_WIDTH) -> Console:
    """Return a console on stdout or stderr; `width` counts only where it is not a terminal and COLUMNS is not set.

    What is told on stderr is told on the side: where nobody reads it any more, the console falls silent and the
    command goes on. rich would end the thread that writes, which may be the one that runs everything.
    """
    from rich.console import Console

    stream: IO[str] = sys.stderr if stderr else sys.stdout

    class Aside(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    known = stream.isatty() or "COLUMNS" in os.environ
    # No highlighting: numbers in names and ids are no news, and colour is kept for what matters.
    return (Aside if stderr else Console)(file=stream, width=None if known else width, highlight=False)


def print_json(value: object) -> None:
    """Print one canonical JSON document (sorted keys, one line)."""
    from pipeline.identity import canonical_json

    sys.stdout.write(canonical_json(value) + "\n")


def print_table(table: Table, *, width: int = PIPED_WIDTH, short_ids: bool = True) -> None:
    """Print a table and its title to stdout, a blank line after it."""
    from flows.report.tables import rich_table

    target = console(width=width)
    with target.capture() as drawn:
        if table.title:
            target.print(table.title, style="bold", markup=False)
        target.print(rich_table(table, width=target.width, short_ids=short_ids), crop=False)
    # rich fills every cell to its width; spaces at the end of a line are noise in a log or a diff.
    lines = (line.rstrip() for line in drawn.get().splitlines())
    sys.stdout.write("\n".join(lines) + "\n\n")


def print_wrapped(text: str, *, indent: str = "", first: str = "") -> None:
    """Print sentences as wide as tables are, for they are read and not parsed; lines after the first are indented."""
    wide = console().width
    lines = wrap(
        text, wide, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    for line in lines:
        print_line(line)


def print_line(text: str) -> None:
    """Print a line of text to stdout as it is: no markup, no wrapping, control characters shown."""
    from flows.report.tables import visible

    sys.stdout.write(visible(text) + "\n")


def is_run(directory: Path) -> bool:
    """Return whether a directory is that of a run."""
    if (directory / "run.json").exists():
        return True
    # A folder of code may be called so as well; that of a run holds one directory for each stage and nothing else.
    stages = directory / "stages"
    return stages.is_dir() and all(path.is_dir() for path in stages.iterdir())


def require_run(run: Path) -> Path:
    """Return `run` if it is the directory of a run.

    Raises:
        UsageError: it does not exist or holds no run; the message names runs that are near.
        InfrastructureError: its journal is damaged.
    """
    from flows.ledger.journal import read_journal
    from pipeline.errors import UsageError

    if is_run(run):
        read_journal(run)
        return run
    # A glob passes by what this user may not look into.
    found = sorted(str(path.parent) for path in run.parent.glob("*/stages") if is_run(path.parent))
    near = f"; runs there: {', '.join(found[:5])}" if found else "; make one with `coldforge run RECIPE`"
    raise UsageError(f"{run} is not a run directory{near}")


def require_ledger(run: Path) -> Path:
    """Return `run` if it is the directory of a run that has a ledger.

    Raises:
        UsageError: it is no run, or one that has not ended once yet.
        InfrastructureError: its journal is damaged.
    """
    from pipeline.errors import UsageError

    if (require_run(run) / "ledger.duckdb").exists():
        return run
    raise UsageError(
        f"{run} has no ledger yet: it is written when `coldforge run` ends, finished or not; "
        f"`{command('status', run)}` tells how far it is"
    )


def require_store(run: Path, store: Path | None, holds: str = "") -> Path:
    """Return the store of a run, by default `.store` beside it, for a command that reads it: that one makes none.

    Args:
        run: the directory of a run.
        store: the stated one.
        holds: a file that the command reads in it.

    Raises:
        UsageError: it is not there.
    """
    from pipeline.errors import UsageError

    place = store if store is not None else run.parent / ".store"
    if (place / holds).exists():
        return place
    lacks = f" ({holds})" if holds and place.is_dir() else ""
    raise UsageError(f"{place}: no store there{lacks}; give that of the run: --store DIR")
