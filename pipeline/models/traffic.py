"""What the calls of one role are doing, counted where they are made: how many are in flight, and what failed and why.

Counted on the event loop; read from any thread without a lock: each number is whole, and together they are of about
the same moment.
"""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass, field

from pipeline.errors import RowError


@dataclass
class Traffic:
    """Of one role, or of the searches, since the process began."""

    in_flight: int = 0
    """Calls begun and not answered: those that wait for another try, too."""
    failed: Counter[str] = field(default_factory=Counter)
    """Tries by why they failed, see `cause_of`."""
    again: int = 0
    """Of them, those after which the call was tried again."""


def cause_of(error: Exception, status: int | None) -> str:
    """Return why a try failed, by what was raised and the status of the answer, None where there was no answer.

    It is that status where it is no success (429 is a rate limit), or else a few words: `timeout`, `connection refused`
    and `connection lost` where no answer came, `unusable answer` where one came that is none, and the reason of a
    `RowError` where the server refuses the request for what it is.
    """
    if isinstance(error, RowError):
        return error.reason
    if status is not None:
        return "unusable answer" if status in range(200, 300) else str(status)
    match error.__cause__:
        case TimeoutError():
            return "timeout"
        case OSError(errno=errno.ECONNREFUSED):
            return "connection refused"
        case _:
            return "connection lost"
