"""Where the units of a run work: one event loop, and a pool of worker processes, in the one process that drives it.

Runners call `cpu` and `wait` from any thread; what a unit does happens in the pool or on the loop.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from pipeline.engine.counted import count_into
from pipeline.errors import InfrastructureError
from pipeline.processes import SPAWNED, worker_pool

T = TypeVar("T")

_STOPPING = "the run is stopping; run the same command again to resume"

BLOCKING_CALLS = 32
"""Threads for what waits outside the loop: mostly sandbox cells, which use other processes' time."""


class Executor:
    """Owns what the units of a run share. Use as a context manager."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(BLOCKING_CALLS, thread_name_prefix="blocking"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="executor-loop", daemon=True)
        self._counted = SPAWNED.Value("q", 0)
        self._pool = self._new_pool()
        self._closing = False
        self._lock = threading.Lock()
        """Held while work is handed to the loop: nothing is handed over once closing has begun, or it
        would wait for a loop that has stopped."""
        self.resources = ExitStack()
        """Closed with it: sandbox pools, perceivers, connections."""

    def __enter__(self) -> Self:
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

    def cpu(self, task: Callable[..., T], *arguments: Any) -> T:
        """Run `task` in a worker process and return its result; its exceptions come back as they are.

        Raises:
            InfrastructureError: the worker died, or the executor is closing.
        """
        try:
            return self._pool.submit(task, *arguments).result()
        except BrokenProcessPool as error:
            raise InfrastructureError("a worker process died, perhaps for lack of memory; run again") from error
        except (CancelledError, RuntimeError) as error:
            if not self._closing:
                raise
            raise InfrastructureError(_STOPPING) from error

    def release(self) -> None:
        """Give back the memory of the worker processes; what runs next starts others. Nothing may be at work."""
        self._pool.shutdown(wait=True)
        self._pool = self._new_pool()

    @property
    def counted(self) -> int:
        """Return how many records the worker processes are done with; reading it takes no lock."""
        return int(self._counted.get_obj().value)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result.

        Raises:
            InfrastructureError: the executor is closing, and the work was cancelled or not begun.
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
        """Await `close()` on the loop when the executor closes."""
        self.resources.callback(lambda: self._schedule(close()).result())

    def _new_pool(self) -> ProcessPoolExecutor:
        return worker_pool(self.workers, partial(count_into, self._counted))

    def _schedule(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _cancel_all(self) -> None:
        # Work that is cancelled may start more on its way out.
        while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
