"""While a stage works, its figures stand in a small file of the run directory, for whoever looks from outside."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.run.figures import Figures, Working

SECONDS = 1.0
"""Between two looks: what a person takes for movement, at the cost of a fraction of a millisecond each."""
STALE_SECONDS = 10.0
"""Figures that are older are those of a process that was killed, or is stopped."""
_NAME = "working.json"


class Beat(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    process: int
    time: float
    """When the figures were read, in seconds of the clock (epoch)."""
    figures: Figures


@contextmanager
def beating(run: Path, working: Working, each: Callable[[], None]) -> Iterator[None]:
    """Write the figures of a stage every second until the block ends, then remove them.

    Args:
        run: the run directory.
        working: the stage.
        each: is called after each look, such as to show it.
    """
    ended = threading.Event()

    def look() -> None:
        while True:
            working.look()
            # A full disk stops whoever writes data; of figures nothing depends.
            with suppress(OSError):
                _write(run, Beat(process=os.getpid(), time=time.time(), figures=working.figures()))
            each()
            if ended.wait(SECONDS):
                return

    looking = threading.Thread(target=look, name="beat", daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()
        (run / _NAME).unlink(missing_ok=True)


def read_beat(run: Path) -> Beat | None:
    """Return what a process told last of the stage at which it worked; None where none tells, or what is no figures.

    One that was killed leaves its file behind: `time` says how old it is.
    """
    try:
        return Beat.model_validate_json((run / _NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def _write(run: Path, beat: Beat) -> None:
    # Not synced, unlike data: after a crash of the machine nobody works here, and the file says when somebody did.
    written = run / f".{_NAME}"
    written.write_text(beat.model_dump_json())
    written.replace(run / _NAME)
