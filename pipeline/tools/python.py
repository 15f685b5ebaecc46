"""The Python tool: one stateful sandbox session per rollout, every distinct cell executed once.

Equal code after equal code on equal images under an equal seed has an equal result, so cells are
cached like model calls and rollouts share them. A session is opened only for a cell that nobody ran
before; the cells before it are run again first and compared with what was stored.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from pipeline.errors import RowError
from pipeline.identity import canonical_json, digest
from pipeline.images import put_image
from pipeline.records import CellStatus, ImageRef
from pipeline.sandbox import CellResult, Sandbox
from pipeline.sandbox.backend import AsyncNotebook, open_session
from pipeline.sandbox.result import CellImage
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache, Made
from pipeline.students.family import Size, ViewRule

T = TypeVar("T")

# Pillow writes them in capitals.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Cell(BaseModel):
    """What a cell gave back, as it is stored and shown: no timing, images by reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: CellStatus
    stdout: str
    stderr: str
    value: str | None
    error: str | None
    """Traceback of an exception, as Python prints it."""
    images: tuple[ImageRef, ...]
    notes: tuple[str, ...]
    ended: bool
    """The cell ended its session; the next one starts from a fresh one."""
    nondeterministic: bool = False
    """It was not run: an earlier cell gave something else when it was run again."""


_NONDETERMINISTIC = Cell(
    status="protocol_error",
    stdout="",
    stderr="",
    value=None,
    error=None,
    images=(),
    notes=(),
    ended=True,
    nondeterministic=True,
)


class Ran(NamedTuple):
    """A cell and how long its own code took when it was executed, in seconds of wall time."""

    cell: Cell
    seconds: float


def to_cell(result: CellResult, blobs: BlobStore, rule: ViewRule) -> Cell:
    """Store a result's images and return it as data.

    An image that the student's processor would refuse is left out, and a note says so.
    """
    images, notes = visible(result, rule)
    return Cell(
        status=result.status,
        stdout=result.stdout,
        stderr=result.stderr,
        value=result.value,
        error=result.error.traceback if result.error else None,
        images=tuple(put_image(blobs, image.png()) for image in images),
        notes=tuple(notes),
        ended=result.ended,
    )


def visible(result: CellResult, rule: ViewRule) -> tuple[list[CellImage], list[str]]:
    """Return a result's images that the student's processor takes, and its notes with one for each of the others."""
    images, notes = [], list(result.notes)
    for image in result.images:
        try:
            rule.size(Size(image.width, image.height))
        except RowError as error:
            notes.append(f"An image of {image.width}x{image.height} pixels is not shown: {error.detail}.")
        else:
            images.append(image)
    return images, notes


@dataclass
class PythonTool:
    """What the sessions of a run share."""

    pool: Sandbox
    calls: CallCache
    blobs: BlobStore
    rule: ViewRule
    seed: int
    """Session seed, from the recipe's seed alone, so that questions share cells."""
    idle_seconds: float = 60.0
    """How long a session may wait for its model while others wait for a session. A batch takes hours, and all its
    conversations need their next cell before the next batch; to run a rollout's cells again takes about a second."""
    leases: asyncio.Semaphore = field(init=False)
    """One per session that may be open. Taken before a call is asked for, never inside one: a rollout
    that waits for another's cell may hold a session, so who runs that cell must already hold its own."""
    running: asyncio.Semaphore = field(init=False)
    """One per cell that may run at once, so that cells do not take each other's wall time. Whoever waits
    for it holds a lease; whoever holds it waits for nothing."""

    def __post_init__(self) -> None:
        self.leases = asyncio.Semaphore(self.pool.capacity)
        self.running = asyncio.Semaphore(self.pool.workers)

    def session(self, images: Sequence[ImageRef], seed: int | None = None) -> PythonSession:
        """Return the session of one rollout over the original images; `seed` in place of the one of all."""
        return PythonSession(self, tuple(images), self.seed if seed is None else seed)


def normalise(text: str) -> str:
    """Replace memory addresses, the one part of a `repr` that address space randomisation changes."""
    return _ADDRESS.sub(" at 0x0", text)


def _comparable(cell: Cell) -> Cell:
    """Return the cell without what differs from zygote to zygote; its images are compared by their digests."""
    texts = {"stdout": cell.stdout, "stderr": cell.stderr, "value": cell.value, "error": cell.error}
    return cell.model_copy(update={name: text and normalise(text) for name, text in texts.items()})


class PythonSession:
    """One rollout's notebook. Use as an async context manager; cells run one after the other."""

    def __init__(self, tool: PythonTool, images: tuple[ImageRef, ...], seed: int) -> None:
        self._tool = tool
        self._images = images
        self._seed = seed
        self._codes: list[str] = []
        self._cells: list[Cell] = []
        self._live: AsyncNotebook | None = None
        self._executed = 0
        """How many of `_codes` the live session has run."""
        self._open = AsyncExitStack()
        self._leased = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def run(self, code: str) -> Ran:
        """Execute `code`, or return what it gave before in the same situation.

        Raises:
            InfrastructureError: the sandbox failed; nothing is stored.
        """
        self._codes.append(code)
        if not self._leased:
            await self._tool.leases.acquire()
            self._leased = True
        entry = await self._tool.calls.once("cell", self._key(), self._make)
        cell = Cell.model_validate_json(entry.value)
        self._cells.append(cell)
        if cell.ended:
            self._codes.clear()
            self._cells.clear()
        if cell.ended or self._live is None:
            await self._close()
        return Ran(cell, entry.seconds)

    async def idle_during(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, which needs no session; if it takes long, whoever waits for a session gets this one's place.

        The next cell then runs in a fresh session, after the earlier ones.
        """
        if not self._leased:
            return await work
        task = asyncio.create_task(work)
        try:
            while self._leased and not task.done():
                await asyncio.wait({task}, timeout=self._tool.idle_seconds)
                if not task.done() and self._tool.leases.locked():
                    await self._close()
            return await task
        finally:
            task.cancel()

    def _key(self) -> str:
        return digest(
            {
                "sandbox": self._tool.pool.identity,
                "images": [image.sha256 for image in self._images],
                "seed": self._seed,
                "codes": self._codes,
                # Which pictures of a cell are left out as too thin follows from all of it.
                "rule": [self._tool.rule.family, self._tool.rule.policy, self._tool.rule.max_pixels],
            }
        )

    async def _make(self) -> Made:
        live = await self._opened()
        async with self._tool.running:
            cell, seconds = await self._execute(live)
        facts = await asyncio.to_thread(self._tool.pool.facts)
        return Made(canonical_json(cell.model_dump()), canonical_json(facts), seconds)

    async def _opened(self) -> AsyncNotebook:
        """Return the live session. Whoever opens one holds no place that a running cell may need."""
        if self._live is None:
            digests = [image.sha256 for image in self._images]
            contents = await asyncio.to_thread(lambda: [self._tool.blobs.get(digest) for digest in digests])
            self._live = await self._open.enter_async_context(open_session(self._tool.pool, contents, self._seed))
        return self._live

    async def _execute(self, live: AsyncNotebook) -> Ran:
        """Bring the live session up to date, then run the last code."""
        while self._executed < len(self._codes) - 1:
            again = await self._run_next(live)
            if _comparable(again.cell) != _comparable(self._cells[self._executed - 1]):
                return Ran(_NONDETERMINISTIC, 0.0)
        return await self._run_next(live)

    async def _run_next(self, live: AsyncNotebook) -> Ran:
        result = await live.run(self._codes[self._executed])
        self._executed += 1
        cell = await asyncio.to_thread(to_cell, result, self._tool.blobs, self._tool.rule)
        return Ran(cell, result.usage.wall)

    async def _close(self) -> None:
        """End the live session, if any, then give its lease back; also when the rollout is cancelled meanwhile."""
        await asyncio.shield(asyncio.create_task(self._end()))

    async def _end(self) -> None:
        try:
            await self._open.aclose()
        finally:
            self._live, self._executed = None, 0
            if self._leased:
                self._leased = False
                self._tool.leases.release()
