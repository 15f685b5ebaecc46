"""What the rest of the project needs of a sandbox, wherever its sessions run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pipeline.sandbox.result import CellResult


class Notebook(Protocol):
    """A live session; cells run one after the other."""

    def run(self, code: str, seconds: float | None = None) -> CellResult:
        """Execute one cell, with a limit of its own if `seconds` is shorter than the policy's.

        Raises:
            InfrastructureError: the sandbox failed, or the session had ended; no outcome of the code.
        """
        ...


class Sandbox(Protocol):
    """A pool of sessions: `Pool` on this machine, `RemotePool` on another."""

    @property
    def identity(self) -> str:
        """Return the hash of everything that shapes what a cell gives back."""
        ...

    @property
    def workers(self) -> int:
        """Return how many cells can run at once without taking time from each other."""
        ...

    @property
    def capacity(self) -> int:
        """Return how many sessions can be open at once."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what isolates there, as JSON; not part of the identity."""
        ...

    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> AbstractContextManager[Notebook]:
        """Open a session over original image files; waits while too many are open.

        Raises:
            InfrastructureError: no session could be started, or it could not be taken apart.
            RowError: an image does not decode.
        """
        ...

    def close(self) -> None:
        """End every session; a second call does nothing."""
        ...
