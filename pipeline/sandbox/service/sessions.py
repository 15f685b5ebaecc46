"""The live sessions of a pool by id: bounded, ended when nobody comes back, moved off the event loop; and their images.

What blocks runs in threads: as many cells at once as the pool has workers, the others in order behind them. A session
has at most one cell under way, so no more wait than sessions fit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.errors import ColdforgeError, InfrastructureError
from pipeline.sandbox.backend import Notebook, Sandbox
from pipeline.sandbox.inside.policy import MIB

T = TypeVar("T")

_PATROL_SECONDS = 1.0
"""Between two looks for sessions that nobody uses."""
MOST_KEPT = 512 * MIB
"""Bytes of image files; a photograph has about 2 MiB. Enough for the sessions of a large machine, and for eight of the
largest size."""
_LOG = logging.getLogger(__name__)


class FullError(ColdforgeError):
    """There is no room now; ask again later."""


@dataclass(eq=False)
class Live:
    """One session, from the moment that it is asked for."""

    id: str
    opening: asyncio.Task[Notebook]
    stack: ExitStack
    """Holds the session; closing it ends the session."""
    busy: bool = False
    """A cell runs or waits to."""
    used: float = field(default_factory=time.monotonic)
    number: int = 0
    """Of the last cell that was asked for."""
    answer: asyncio.Task[bytes] | None = None
    """To that cell, under way or kept for whoever asks again."""


class Sessions:
    """Use from one event loop; `aclose` ends them all."""

    def __init__(self, pool: Sandbox, idle_seconds: float, patience: float) -> None:
        """Start nothing yet.

        Args:
            pool: where sessions live; nobody else opens any there.
            idle_seconds: a session that waits so long for its next cell is ended, a little before the pool does it:
                a cell that comes later finds no session, and not one that has just failed.
            patience: seconds that a cell waits for others before it is turned away.
        """
        self.pool = pool
        self._idle_seconds = idle_seconds - min(3 * _PATROL_SECONDS, idle_seconds / 2)
        self._patience = patience
        self._live: dict[str, Live] = {}
        self._taken = 0
        """Sessions that use the pool's capacity, also those that are just ending."""
        self._closed = False
        self._cells = ThreadPoolExecutor(pool.workers, thread_name_prefix="cell")
        # Opening and ending mostly wait for the kernel and for zygotes; an end must not wait for cells.
        self._moves = ThreadPoolExecutor(2 * pool.workers + 2, thread_name_prefix="session")

    def __len__(self) -> int:
        return len(self._live)

    def get(self, session_id: str) -> Live | None:
        """Return an open session."""
        live = self._live.get(session_id)
        return live if live is not None and live.opening.done() else None

    async def open(self, session_id: str, images: Sequence[bytes] = (), seed: int = 0) -> Live:
        """Return the session of that id, opened unless it is there.

        Raises:
            FullError: as many as fit are open.
            InfrastructureError: it could not be started.
            IsolationError: this machine does not allow the isolation.
            RowError: an image does not decode.
        """
        live = self._live.get(session_id)
        if live is None:
            if self._closed:
                raise InfrastructureError("sandbox: the service is stopping")
            if self._taken >= self.pool.capacity:
                raise FullError(f"all {self.pool.capacity} sessions are in use")
            stack = ExitStack()
            opening = asyncio.create_task(self._start(session_id, stack, images, seed))
            live = self._live[session_id] = Live(session_id, opening, stack)
            self._taken += 1
        await asyncio.shield(live.opening)
        return live

    def run(self, live: Live, job: Callable[[Notebook], T]) -> asyncio.Task[T]:
        """Hand a cell to an open session that is not busy; the task raises as `Notebook.run`, or `FullError`."""
        live.busy = True
        return asyncio.create_task(self._run(live, job))

    async def close(self, session_id: str) -> None:
        """End a session, whatever it does; without one of that id do nothing.

        Raises:
            InfrastructureError: the kernel did not take it apart in time.
        """
        live = self._live.pop(session_id, None)
        if live is None:
            return
        try:
            await asyncio.wait([live.opening])
            await self._move(live.stack.close)
        finally:
            self._taken -= 1

    async def make_room(self, idle_seconds: float) -> None:
        """End the session that has waited longest, if none fits any more and it waited for at least `idle_seconds`."""
        if self._taken >= self.pool.capacity:
            await self._close_logged(self._idle(idle_seconds)[:1])

    async def watch(self) -> None:
        """End sessions at their idle limit, until cancelled."""
        while True:
            await asyncio.sleep(_PATROL_SECONDS)
            await self._close_logged(self._idle(self._idle_seconds))

    async def aclose(self) -> None:
        """End all sessions, and cells with them."""
        self._closed = True
        await self._close_logged(list(self._live.values()))
        for threads in (self._cells, self._moves):
            await asyncio.to_thread(threads.shutdown)

    def _idle(self, seconds: float) -> list[Live]:
        """Return the sessions that have waited so long for a cell, the longest first."""
        until = time.monotonic() - seconds
        idle = (live for live in self._live.values() if live.opening.done() and not live.busy and live.used <= until)
        return sorted(idle, key=lambda live: live.used)

    async def _close_logged(self, ending: Sequence[Live]) -> None:
        ends = await asyncio.gather(*(self.close(live.id) for live in ending), return_exceptions=True)
        for live, end in zip(ending, ends, strict=True):
            if isinstance(end, BaseException):
                _LOG.error("session %s: %s", live.id, end)

    async def _start(self, session_id: str, stack: ExitStack, images: Sequence[bytes], seed: int) -> Notebook:
        try:
            return await self._move(lambda: stack.enter_context(self.pool.session(images, seed)))
        except BaseException:
            # Unless it is being closed already, which then counts it; another one may have its id by now.
            live = self._live.get(session_id)
            if live is not None and live.stack is stack:
                del self._live[session_id]
                self._taken -= 1
            raise

    async def _run(self, live: Live, job: Callable[[Notebook], T]) -> T:
        cell = self._cells.submit(job, live.opening.result())
        answer = asyncio.wrap_future(cell)
        try:
            await asyncio.wait([answer], timeout=self._patience)
            if cell.cancel():
                raise FullError(f"no cell could start within {self._patience:g} seconds")
            return await answer
        except InfrastructureError:
            # A session that failed is over; the client starts over with another.
            await self.close(live.id)
            raise
        finally:
            live.busy = False
            live.used = time.monotonic()

    async def _move(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._moves, call)


class Blobs:
    """Image files that were sent once, by their hash, in bounded memory.

    The least recently used is given up first; whoever needs it again is told that it is missing.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def put(self, sha256: str, content: bytes) -> None:
        """Keep a file."""
        if sha256 in self._kept:
            self._kept.move_to_end(sha256)
            return
        self._kept[sha256] = content
        self._size += len(content)
        while self._size > self._most:
            _, given_up = self._kept.popitem(last=False)
            self._size -= len(given_up)

    def get(self, digests: Sequence[str]) -> tuple[list[bytes], list[str]]:
        """Return the files that are there, in order, and the hashes of the others."""
        missing = [sha256 for sha256 in dict.fromkeys(digests) if sha256 not in self._kept]
        there = [sha256 for sha256 in digests if sha256 in self._kept]
        for sha256 in there:
            self._kept.move_to_end(sha256)
        return [self._kept[sha256] for sha256 in there], missing
