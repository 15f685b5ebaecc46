"""One cell, or a few, of the threat corpus, and the outcome it must have.

`OUTSIDE_FILE`, `OUTSIDE_PORT` and `OUTSIDE_NAME` in a cell stand for things of the host that no guest may
reach: a file, a TCP port that somebody listens on, and an abstract Unix address likewise.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

from pipeline.records import CellStatus

ENDLESS = 2.0
"""Seconds for a cell that has no end, where it is seen what becomes of it then: nothing is gained by waiting longer."""


class Item(NamedTuple):
    number: int
    name: str
    """The property it shows."""
    cells: tuple[str, ...]
    """Run one after the other in a session; the last one's outcome counts."""
    status: CellStatus = "ok"
    value: str | None = None
    """`repr` of the last expression."""
    error: str | None = None
    """Type of the exception, or what ended the session."""
    says: str = ""
    """A regular expression that the message of the error holds."""
    notes: str = ""
    """A regular expression that the notes hold."""
    stdout: str | None = None
    images: tuple[tuple[int, int], ...] = ()
    """Sizes of the pictures that come back."""
    seconds: float | None = None
    """A limit of the last cell's own; None: the policy's, as two items (79, 80) have it."""

    @property
    def id(self) -> str:
        """Name of its test: number and property."""
        return f"{self.number:03d}-{self.name.replace(' ', '-')}"


# Raw system calls, by their x86_64 numbers; `raw` gives the result, or the name of the error.
RAW = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def raw(number, *words):
    ctypes.set_errno(0)
    words = [ctypes.c_long(w) if isinstance(w, int) else w for w in words]
    result = libc.syscall(ctypes.c_long(number), *words)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
"""


def gives(number: int, name: str, value: object, *cells: str) -> Item:
    """Expect a value of the last cell."""
    return Item(number, name, cells, value=repr(value))


def raises(number: int, name: str, error: type[BaseException] | str, says: str, *cells: str) -> Item:
    """Expect an exception inside, the session alive."""
    kind = error if isinstance(error, str) else error.__name__
    return Item(number, name, cells, "exception", error=kind, says=says)


def fails(number: int, name: str, code: int, *cells: str) -> Item:
    """Expect the OSError of an errno, as Python raises it."""
    return raises(number, name, type(OSError(code, "")), rf"\[Errno {code}\]", *cells)


def denied(number: int, name: str, call: str, code: int = errno.EPERM) -> Item:
    """Expect an errno of a raw system call."""
    return gives(number, name, errno.errorcode[code], f"{RAW}\n{call}")


def dies(number: int, name: str, error: str, says: str, *cells: str, seconds: float | None = None) -> Item:
    """Expect the end of the session by the code's own doing, or by a limit it does not heed."""
    return Item(number, name, cells, "died", error=error, says=says, seconds=seconds)
