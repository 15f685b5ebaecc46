"""How often a server may be asked: requests and tokens per minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

BURST_SECONDS = 1.0
"""What an idle limiter saves up: services count a minute's limit in slices of about a second."""


class Bucket:
    """A token bucket. It may be overdrawn, and then nothing is admitted until it has filled again."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        # At least one request, however low the rate.
        self._capacity = max(1.0, self._rate * BURST_SECONDS)
        self._clock = clock
        self._level, self._seen = self._capacity, clock()

    def wait_seconds(self, amount: float) -> float:
        """Return how long to wait before `amount` may be taken; more than the bucket holds waits until it is full."""
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._seen) * self._rate)
        self._seen = now
        missing = min(amount, self._capacity) - self._level
        return missing / self._rate if missing > 1e-9 else 0.0  # noqa: PLR2004 - rounding of the sums above

    def take(self, amount: float) -> None:
        """Take `amount`, or give back a negative one."""
        self._level -= amount


class Limiter:
    """Requests and tokens per minute of one account or server; None is no limit. First come, first served."""

    def __init__(
        self,
        rpm: int | None,
        tpm: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._requests = Bucket(rpm, clock) if rpm else None
        self._tokens = Bucket(tpm, clock) if tpm else None
        self._sleep = sleep
        self._turn = asyncio.Lock()

    @property
    def counts_tokens(self) -> bool:
        """Return whether an estimate of a request's tokens matters."""
        return self._tokens is not None

    async def admit(self, tokens: int) -> None:
        """Wait until one more request of about `tokens` may be sent."""
        wanted = [(bucket, n) for bucket, n in ((self._requests, 1), (self._tokens, tokens)) if bucket is not None]
        if not wanted:
            return
        async with self._turn:
            while (seconds := max(bucket.wait_seconds(n) for bucket, n in wanted)) > 0:
                await self._sleep(seconds)
            for bucket, n in wanted:
                bucket.take(n)

    def correct(self, estimated: int, used: int) -> None:
        """Account for what a request really used."""
        if self._tokens is not None:
            self._tokens.take(used - estimated)
