"""A session that is lost while it opens, after everybody who waited for it was cancelled, is no error of anybody's."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.errors import InfrastructureError
from pipeline.sandbox.backend import Notebook, open_session


class Lost:
    """A sandbox that is closed while a session opens, as a run that stops closes its own."""

    identity, workers, capacity, open = "lost", 1, 1, 0

    def __init__(self) -> None:
        self.opening, self.closed = threading.Event(), threading.Event()

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        self.closed.set()

    @contextmanager
    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> Iterator[Notebook]:
        del images, seed
        self.opening.set()
        self.closed.wait(30)
        raise InfrastructureError("sandbox: the zygote is gone")
        yield  # a generator all the same


def test_nothing_is_told_of_a_session_that_nobody_waits_for_any_more() -> None:
    told = list[dict[str, Any]]()

    async def wants() -> None:
        async with open_session(sandbox):
            pass

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        task = asyncio.create_task(wants())
        await asyncio.to_thread(sandbox.opening.wait, 30)
        # By whoever gathered it, and then by the executor with all that it has started on its way out.
        task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 3  # this one, the cancelled one, and the one that waits for the session
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert task.cancelled()
        sandbox.close()
        await loop.shutdown_default_executor()

    sandbox = Lost()
    asyncio.run(main())
    gc.collect()
    assert told == []
