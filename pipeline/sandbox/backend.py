"""What the rest of the project needs of a sandbox, wherever its sessions run: as calls that wait, and for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
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

    @property
    def open(self) -> int:
        """Return how many sessions are open or being opened now; reading it takes no lock."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what isolates there, as JSON; not part of the identity."""
        ...

    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> AbstractContextManager[Notebook]:
        """Open a session over image files as `stored` makes them; waits while too many are open.

        Raises:
            InfrastructureError: no session could be started, or it could not be taken apart.
            RowError: an image does not decode.
        """
        ...

    def close(self) -> None:
        """End every session; a second call does nothing."""
        ...


class AsyncNotebook:
    """A live session; cells run one after the other."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    async def run(self, code: str) -> CellResult:
        """Execute one cell. Cancelled, it ends with the session, which the caller is then leaving.

        Raises:
            InfrastructureError: the sandbox failed, or the session had ended; no outcome of the code.
        """
        return await asyncio.to_thread(self._notebook.run, code)


@asynccontextmanager
async def open_session(sandbox: Sandbox, images: Sequence[bytes] = (), seed: int = 0) -> AsyncIterator[AsyncNotebook]:
    """Open a session over image files as `stored` makes them; waits while too many are open.

    A task that is cancelled meanwhile waits until the session, which cannot be called back, is there and closed.

    Raises:
        InfrastructureError: no session could be started, or it could not be taken apart.
        RowError: an image does not decode.
    """
    stack = ExitStack()

    def enter() -> Notebook | Exception:
        # Handed over and not raised: when a run stops, nobody may be left to fetch it, which asyncio would tell.
        try:
            return stack.enter_context(sandbox.session(images, seed))
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            return error

    # A thread of its own: many that wait for room, in the loop's few, would keep out whoever makes room.
    waiting = ThreadPoolExecutor(1, thread_name_prefix="sandbox-opening")
    opening = asyncio.get_running_loop().run_in_executor(waiting, enter)
    waiting.shutdown(wait=False)
    try:
        opened = await asyncio.shield(opening)
        if isinstance(opened, Exception):
            raise opened
        yield AsyncNotebook(opened)
    finally:
        await asyncio.shield(asyncio.create_task(_end(opening, stack)))


async def _end(opening: asyncio.Future[Notebook | Exception], stack: ExitStack) -> None:
    await asyncio.wait([opening])
    # The kernel takes a session apart; nobody else need wait for that.
    await asyncio.to_thread(stack.close)
