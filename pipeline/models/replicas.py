"""Several servers of the same weights behind one role: which one is asked, and which ones are left alone.

The least busy is asked, but for conversations that begin alike: they go to one replica, whose prefix cache
holds their beginning, as long as it is not much busier than the least busy one. A replica that fails
several times in a row is left alone for a while; then a single request tries whether it is back.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from pipeline.errors import InfrastructureError

OPEN_AFTER = 3
"""Failures in a row: one may be a dropped connection, three are a server."""
FIRST_REST_SECONDS = 1.0
"""A replica that fails is left alone this long, twice as long after each probe that fails …"""
LONGEST_REST_SECONDS = 30.0
"""… and never longer, so that one that returns is soon noticed."""
SLACK = 8
"""Requests that a conversation's own replica may have open beyond the least busy one: in a batch of tens they
cost a few per cent, a prefix that is read again costs all of its tokens."""


class BusyError(InfrastructureError):
    """A server answered that it cannot answer now."""

    def __init__(self, message: str, after_seconds: float | None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds
        """How long it asks us to wait, if it says so."""

    def __reduce__(self) -> tuple[type[BusyError], tuple[str, float | None]]:
        """Rebuild from both fields: the default would call the constructor with the message alone."""
        return type(self), (str(self), self.after_seconds)


@dataclass
class Replica:
    """One server, and how it has been doing."""

    url: str
    open: int = 0
    """Requests that it has not answered yet."""
    failures: int = 0
    """In a row."""
    failing_since: float = 0.0
    """When the first of them happened."""
    last_error: str = ""
    rests_until: float = 0.0
    probed: bool = False
    """Whether a request is trying if it is back."""

    @property
    def broken(self) -> bool:
        """Return whether it is left alone but for probes."""
        return self.failures >= OPEN_AFTER

    def ready(self, now: float) -> bool:
        """Return whether it may be sent a request."""
        return now >= self.rests_until and not (self.broken and self.probed)


@dataclass
class Replicas:
    """The replicas of one role. Use from one event loop."""

    urls: Sequence[str]
    patience_seconds: float
    """For how long every replica may be failing before that is an error."""
    first_rest_seconds: float = FIRST_REST_SECONDS
    clock: Callable[[], float] = time.monotonic
    all: tuple[Replica, ...] = field(init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set, and replaced, whenever a replica may have become ready."""

    def __post_init__(self) -> None:
        self.all = tuple(Replica(url) for url in self.urls)

    def place(self, affinity: bytes) -> Place:
        """Return a claim on a replica for one request, to be used as a context manager.

        Args:
            affinity: equal for conversations that begin alike.
        """
        return Place(self, affinity)

    async def claim(self, affinity: bytes) -> Replica:
        """Wait for a replica that may be sent a request, and count one more for it.

        Raises:
            InfrastructureError: every replica has been failing for longer than `patience_seconds`.
        """
        while not (ready := [replica for replica in self.all if replica.ready(self.clock())]):
            self._require_life()
            await self._wait()
        replica = choose(ready, affinity)
        replica.open += 1
        replica.probed = replica.broken
        return replica

    async def _wait(self) -> None:
        """Wait until a rest ends or a probe has ended."""
        now = self.clock()
        rests = [replica.rests_until - now for replica in self.all if replica.rests_until > now]
        with suppress(TimeoutError):
            async with asyncio.timeout(min(rests, default=None)):
                await self._changed.wait()

    def _require_life(self) -> None:
        since = max(replica.failing_since if replica.failures else self.clock() for replica in self.all)
        if self.clock() - since > self.patience_seconds:
            waited = f"no answer for {self.patience_seconds:g} s; start the server, then run again"
            raise InfrastructureError(f"{self.all[-1].last_error}: {waited}")

    def answered(self, replica: Replica) -> None:
        """Count an answer of any kind: the replica is there."""
        if replica.broken:
            replica.rests_until = 0.0
            self.notify()
        replica.failures = 0

    def busy(self, replica: Replica, error: BusyError) -> None:
        """Leave a replica alone for as long as it asks."""
        self.answered(replica)
        if error.after_seconds is not None:
            replica.rests_until = max(replica.rests_until, self.clock() + error.after_seconds)

    def failed(self, replica: Replica, error: str) -> None:
        """Count a failure, and leave the replica alone after several."""
        if not replica.failures:
            replica.failing_since = self.clock()
        replica.failures += 1
        replica.last_error = error
        if replica.broken:
            rest = self.first_rest_seconds * 2.0 ** min(replica.failures - OPEN_AFTER, 16)
            replica.rests_until = self.clock() + min(LONGEST_REST_SECONDS, rest)

    def notify(self) -> None:
        """Wake whoever waits for a replica."""
        self._changed.set()
        self._changed = asyncio.Event()


class Place:
    """One request's claim on a replica; how the body ends tells how the replica does.

    A class and not a generator: it is entered for every request, and this takes a fifth of the time.
    """

    def __init__(self, group: Replicas, affinity: bytes) -> None:
        self._group = group
        self._affinity = affinity

    async def __aenter__(self) -> Replica:
        """Claim a replica; raises as `Replicas.claim`."""
        self._replica = await self._group.claim(self._affinity)
        self._probe = self._replica.broken
        return self._replica

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        group, replica = self._group, self._replica
        replica.open -= 1
        match error:
            case BusyError():
                group.busy(replica, error)
            case InfrastructureError():
                # Begun before the failures that are known, it says nothing new.
                if self._probe or not replica.broken:
                    group.failed(replica, str(error))
            case None | Exception():
                # Where the request was refused for what it is, or the key, the server is there.
                group.answered(replica)
        if self._probe:
            replica.probed = False
            group.notify()


def choose(ready: Sequence[Replica], affinity: bytes) -> Replica:
    """Return the replica that conversations of this beginning share, or the least busy one where that is too busy.

    The shared one is the highest of hashes of beginning and address: it stays the same while others come and go.
    """
    if len(ready) == 1:
        return ready[0]
    ranked = sorted(ready, key=lambda replica: hashlib.blake2b(replica.url.encode(), key=affinity[:64]).digest())
    least = min(ranked, key=lambda replica: replica.open)
    return ranked[0] if ranked[0].open <= least.open + SLACK else least
