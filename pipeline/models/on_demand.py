"""Something costly that whoever needs it first starts, and that can be stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class OnDemand(Generic[T]):
    """A model server, for instance, that several roles share. Use from one event loop."""

    def __init__(
        self, start: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[T], Coroutine[Any, Any, None]]
    ) -> None:
        self._start = start
        self._stop = stop
        self._started: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return it, started if nobody has; a start that failed is not tried again before `stop`.

        Raises:
            Exception: as the start did, for everyone who waited for it and who asks later: what fails after
                minutes must not be tried for each of thousands of requests.
        """
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        return await asyncio.shield(self._started)

    async def stop(self) -> None:
        """Stop it, if it was started."""
        started, self._started = self._started, None
        if started is None:
            return
        started.cancel()
        (result,) = await asyncio.gather(started, return_exceptions=True)
        if not isinstance(result, BaseException):
            await self._stop(result)
