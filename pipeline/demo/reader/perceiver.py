"""Looks at a view at most once: perceptions are kept in the store, by eyes and pixels, and shared in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.demo.reader.colours import MODEL, measure_colours
from pipeline.demo.reader.ocr import model_id, read_text
from pipeline.demo.reader.perception import Colours, Perception
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json
from pipeline.models.chat import View
from pipeline.processes import worker_pool
from pipeline.store.blobs import BlobStore, write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

Seen = TypeVar("Seen", bound=BaseModel)


@dataclass
class Perceiver:
    """The eyes of a run, for one event loop; close it, or use it as a context manager."""

    root: Path
    """Perceptions are files under it: canonical JSON, named by model and by the hash of the pixels."""
    blobs: BlobStore
    workers: int
    perceived: int = field(default=0, init=False)
    """Images whose text was read in this process, for the ledger of costs: what was in the store is not counted."""
    _tasks: dict[str, asyncio.Task[str]] = field(default_factory=dict, init=False)
    _known: dict[str, BaseModel] = field(default_factory=dict, init=False)
    _pool: ProcessPoolExecutor | None = field(default=None, init=False)

    async def perceive(self, view: View) -> Perception:
        """Return the text of a view.

        Raises:
            InfrastructureError: a worker process ended, the view is missing, or what is stored is damaged.
        """
        return await self._once(view, model_id(), _read, Perception)

    async def colours(self, view: View) -> Colours:
        """Return the colours of a view.

        Raises:
            InfrastructureError: as `perceive`.
        """
        return await self._once(view, MODEL, _measure, Colours)

    def close(self) -> None:
        """End the worker processes; what they are at is lost and made again when it is next asked for."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _once(self, view: View, model: str, look: Callable[[bytes], str], kind: type[Seen]) -> Seen:
        path = self.root / model / view.pixels[:2] / f"{view.pixels}.json"
        known = self._known.get(str(path))
        if isinstance(known, kind):
            return known
        task = self._tasks.get(str(path))
        if task is None:
            task = self._tasks[str(path)] = asyncio.create_task(self._stored(path, view, look))
            task.add_done_callback(lambda _: self._tasks.pop(str(path), None))
        # Shielded: whoever else waits for this view still wants it when one rollout is cancelled.
        text = await asyncio.shield(task)
        try:
            seen = kind.model_validate_json(text)
        except ValidationError as error:
            raise InfrastructureError(f"perception {path} is damaged; delete it and run again") from error
        self._known[str(path)] = seen
        return seen

    async def _stored(self, path: Path, view: View, look: Callable[[bytes], str]) -> str:
        stored = await asyncio.to_thread(_load, path)
        if stored is not None:
            return stored
        content = await asyncio.to_thread(self.blobs.get, view.blob)
        if self._pool is None:
            self._pool = worker_pool(self.workers)
        pool = self._pool
        try:
            text = await asyncio.get_running_loop().run_in_executor(pool, look, content)
        except BrokenProcessPool as error:
            if self._pool is pool:  # whoever fails first clears the way for a new one
                self._pool = None
            raise InfrastructureError(
                "a process that reads images ended on its own, most likely for want of memory; run again"
            ) from error
        await asyncio.to_thread(write_atomic, path, text.encode())
        self.perceived += look is _read
        return text


def _load(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _read(content: bytes) -> str:
    return canonical_json(read_text(_pixels(content)))


def _measure(content: bytes) -> str:
    return canonical_json(measure_colours(_pixels(content)))


def _pixels(content: bytes) -> NDArray[Any]:
    import numpy as np

    from pipeline.images import decode

    return np.asarray(decode(content))
