"""Every failure coldforge knows, and who has to act on it.

The class says what happens next, so no caller ever looks at a message:

- `RowError`: one input row is bad. The stage quarantines that row with its payload and goes on.
- `UsageError`: the recipe, a flag or a file named in them is wrong. Refused before any work (exit 2).
- `InfrastructureError`: a server, disk or sandbox failed. Retried, then the run stops (exit 1);
  it is never written into data and never counted as a wrong answer. A `GivenUpError` was retried enough.
- `LimitError`: the user's own limit on money, calls or losses. The run stops (exit 1) and can be resumed.
- `CheckError`: a check found something wrong in finished work (exit 3).
"""

from __future__ import annotations

from typing import ClassVar


class ColdforgeError(Exception):
    """Base of all failures a user may see; the command prints `str(error)` and exits with `exit_code`."""

    exit_code: ClassVar[int] = 1


class UsageError(ColdforgeError):
    """The user's recipe, flag or file is wrong; the message names the file, the field and the fix."""

    exit_code: ClassVar[int] = 2


class InfrastructureError(ColdforgeError):
    """Something outside the data failed; the same work may succeed when it is tried again."""


class GivenUpError(InfrastructureError):
    """Trying again was of no use, or would be of none before somebody has put something right: the run stops."""


class LimitError(ColdforgeError):
    """A limit that the user set stops the run; the message says which, and that `run` goes on once it is raised."""


class CheckError(ColdforgeError):
    """A check of finished work found something wrong."""

    exit_code: ClassVar[int] = 3


class RowError(ColdforgeError):
    """One input row cannot be used; `reason` is a short stable code, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[RowError], tuple[str, str]]:
        """Rebuild from both fields: the default would call the constructor with the message alone."""
        return type(self), (self.reason, self.detail)
