"""The driver of a run: the one process that owns the event loop, the worker pool and the call cache.

Runners call `cpu` and `wait` from any thread; what a unit does happens in the pool or on the loop.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pipeline.errors import InfrastructureError
from pipeline.processes import worker_pool
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache

T = TypeVar("T")

_STOPPING = "the run is stopping; run the same command again to resume"

BLOCKING_CALLS = 32
"""Threads for what waits outside the loop: mostly sandbox cells, which use other processes' time."""


class Driver:
    """Owns what the units of a run share. Use as a context manager."""

    def __init__(self, store: Path, *, workers: int) -> None:
        self.store = store
        self.workers = workers
        self.blobs = BlobStore(store / "blobs")
        self.calls = CallCache(store / "calls.sqlite")
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(BLOCKING_CALLS, thread_name_prefix="blocking"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="driver-loop", daemon=True)
        self._pool = worker_pool(workers)
        self._closing = False
        self._lock = threading.Lock()
        """Held while work is handed to the loop: nothing is handed over once closing has begun, or it
        would wait for a loop that has stopped."""
        self.resources = ExitStack()
        """Closed with the driver: sandbox pools, perceivers, connections."""

    def __enter__(self) -> Self:
        self.calls.__enter__()
        # What was imported stays; looking through it again and again took a tenth of the CPU of a model call.
        gc.freeze()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closing = True
        try:
            self._schedule(self._cancel_all()).result()
            self.resources.close()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self.calls.__exit__(kind, error, trace)

    def cpu(self, task: Callable[..., T], *arguments: Any) -> T:
        """Run `task` in a worker process and return its result; its exceptions come back as they are.

        Raises:
            InfrastructureError: the worker died, or the driver is closing.
        """
        try:
            return self._pool.submit(task, *arguments).result()
        except BrokenProcessPool as error:
            raise InfrastructureError("a worker process died, perhaps for lack of memory; run again") from error
        except (CancelledError, RuntimeError) as error:
            if not self._closing:
                raise
            raise InfrastructureError(_STOPPING) from error

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the driver's loop and return its result.

        Raises:
            InfrastructureError: the driver is closing, and the work was cancelled or not begun.
        """
        with self._lock:
            if self._closing:
                work.close()
                raise InfrastructureError(_STOPPING)
            future = self._schedule(work)
        try:
            return future.result()
        except CancelledError as error:
            raise InfrastructureError(_STOPPING) from error

    def close_on_exit(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Await `close()` on the loop when the driver closes."""
        self.resources.callback(lambda: self._schedule(close()).result())

    def _schedule(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _cancel_all(self) -> None:
        # Work that is cancelled may start more on its way out.
        while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
