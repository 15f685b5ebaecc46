"""The pictures of a data set by their URLs: many at once, politely, each asked for once and then recorded.

What a URL led to stands in the store's call cache, the bytes among its blobs. A link that leads nowhere is recorded,
too; what may be the fault of this machine or of a server that is down is not, and stops the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from yarl import URL

from pipeline.errors import InfrastructureError
from pipeline.fetch.addresses import RefusedError, checked_url, is_public
from pipeline.fetch.download import Downloader
from pipeline.fetch.failures import FailedError
from pipeline.fetch.recorded import Fetch, Fetched, fetched, key_of, made
from pipeline.identity import digest
from pipeline.pauses import jittered_pause
from pipeline.store import Store
from pipeline.store.calls import Made
from pipeline.store.lookup import forget_calls

SILENT = 5
"""Pictures in a row that a host does not give, and it never gave one: it is not asked for the others."""
LOST = 20
"""Pictures in a row that a host does not give which gave some, or hosts in a row that give none: no fault of links."""
PROBES = 3
"""Hosts that answered, which are asked again where others are silent: one of them may be down meanwhile."""
_BATCH = 4096
"""Pictures that have a task at a time."""
_TELL_SECONDS = 30.0

Tell = Callable[[str], None]


async def fetch_pictures(
    urls: Iterable[str],
    fetch: Fetch,
    store: Store,
    *,
    tell: Tell = lambda _: None,
    again: bool = False,
    downloader: Callable[[Collection[int]], Downloader] | None = None,
) -> None:
    """Fetch every picture that is not recorded; then all of them are, as `fetched` tells.

    Args:
        urls: as rows have them.
        fetch: from where.
        store: opened; bytes and record are put there.
        tell: is told now and then how far it is.
        again: ask anew for those that are recorded as not to be had.
        downloader: opens what downloads from some ports; tests alone give another than the default.

    Raises:
        InfrastructureError: there is no network, or a server is down; what was fetched stays.
    """
    wanted = sorted(set(urls), key=digest)  # by hash: neighbours in a data set lie on one host
    known = await asyncio.to_thread(fetched, store, fetch, wanted)
    stale = [url for url, found in known.items() if (again if found.failure else found.sha256 not in store.blobs)]
    missing = [*(url for url in wanted if url not in known), *stale]
    if not missing:
        return
    async with (downloader or Downloader)(fetch.ports) as opened:
        work = _Work(opened, fetch, store, tell, len(missing))
        for url in _checked((url for url, found in known.items() if found.sha256), fetch):
            work.came_of(url)
        forgotten = [key_of(url) for url in _checked(stale, fetch)]
        await asyncio.to_thread(forget_calls, store.calls.path, forgotten)
        checked = _checked(missing, fetch)
        for start in range(0, len(checked), _BATCH):
            await work.all_of(checked[start : start + _BATCH])
        await work.end()
    tell(f"pictures by URL: {work.came:,} fetched, {work.failed:,} not to be had, {len(wanted) - len(missing):,} known")


def _checked(urls: Iterable[str], fetch: Fetch) -> list[URL]:
    """Return what may be asked for."""
    found = []
    for url in urls:
        with suppress(RefusedError):  # which is no record: `fetched` tells it again
            found.append(checked_url(url, fetch.ports, is_public))
    return found


@dataclass
class _Host:
    slots: asyncio.Semaphore
    not_before: float = 0.0
    """When it may be asked again, as it said; on the clock of `time.monotonic`."""
    answered: bool = False
    strikes: int = 0
    """Pictures in a row that did not come."""
    doubted: dict[URL, str] = field(default_factory=dict)
    """Those and others that did not come, and why, until it is known whose fault it is."""


@dataclass
class _Work:
    downloader: Downloader
    fetch: Fetch
    store: Store
    tell: Tell
    total: int
    came: int = 0
    failed: int = 0
    quiet: dict[str, str] = field(default_factory=dict)
    """Hosts that did not give a picture since any did → which, and why."""
    reached: dict[str, URL] = field(default_factory=dict)
    """What some hosts gave, each the last: it shows whether the network is there."""

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.fetch.in_flight)
        self._hosts: dict[str, _Host] = {}
        self._probing = asyncio.Lock()
        self._told = time.monotonic()

    def came_of(self, url: URL) -> None:
        """Remember that a host answered, and of those that did the last few."""
        self.reached.pop(_host_of(url), None)
        self.reached[_host_of(url)] = url
        if len(self.reached) > PROBES:
            del self.reached[next(iter(self.reached))]

    async def all_of(self, urls: Iterable[URL]) -> None:
        """Fetch some pictures.

        Raises:
            InfrastructureError: as `fetch_pictures`.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for url in urls:
                    group.create_task(self._one(url))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def end(self) -> None:
        """Record what was doubted, now that the network is known to be there.

        Raises:
            InfrastructureError: it is not.
        """
        if self.quiet:
            await self._require_network()
        for host in self._hosts.values():
            await self._settle(host)

    async def _one(self, url: URL) -> None:
        host = self._hosts.setdefault(_host_of(url), _Host(asyncio.Semaphore(self.fetch.per_host)))
        try:
            await self.store.calls.once("fetch", key_of(url), lambda: self._made(url, host))
        except FailedError as error:
            self._doubt(url, host, error)
        else:
            self._say()
            host.answered, host.strikes = True, 0
            self.quiet.clear()
            self.came_of(url)
            await self._settle(host)

    async def _made(self, url: URL, host: _Host) -> Made:
        began = time.monotonic()
        try:
            content, at = await self._tried(url, host)
        except FailedError as error:
            if not error.sure:
                raise
            self.failed += 1
            return made(url, Fetched("", str(error)))
        sha256 = await asyncio.to_thread(self.store.blobs.put, content)
        self.came += 1
        return made(url, Fetched(sha256, ""), at=at, seconds=time.monotonic() - began)

    async def _tried(self, url: URL, host: _Host) -> tuple[bytes, str]:
        bounds = self.downloader.bounds
        # Through all tries: else every other picture is tried once before one is given up, and a missing network is
        # noticed after hours.
        async with host.slots, self._slots:
            # Before another is asked: whoever was let in meanwhile would ask of a network that is not there.
            async with self._probing:
                if len(self.quiet) >= LOST:
                    await self._require_network()
            if not host.answered and host.strikes >= SILENT:
                raise FailedError(f"its host gave none of {host.strikes} others", sure=False)
            for attempt in range(bounds.tries):
                await asyncio.sleep(max(0.0, host.not_before - time.monotonic()))
                try:
                    return await self.downloader.picture(url)
                except FailedError as error:
                    patient = error.after_seconds <= bounds.longest_wait_seconds
                    if patient:
                        host.not_before = max(host.not_before, time.monotonic() + error.after_seconds)
                    if not error.again or not patient or attempt + 1 == bounds.tries:
                        # Counted before the next is let in.
                        if not error.sure:
                            host.strikes += 1
                            self.quiet.setdefault(_host_of(url), f"{url}: {error}")
                        raise
                await asyncio.sleep(jittered_pause(attempt, bounds.first_pause_seconds))
        raise AssertionError("unreachable")

    def _doubt(self, url: URL, host: _Host, error: FailedError) -> None:
        host.doubted[url] = str(error)
        if host.answered and host.strikes >= LOST:
            raise InfrastructureError(
                f"pictures by URL: {url.host} gave some, and then none of {host.strikes}; the last, {url}: {error}. "
                "Run again when it answers; what was fetched stays, and nothing is recorded of these"
            )

    async def _require_network(self) -> None:
        """See whether what was answered before still is.

        Raises:
            InfrastructureError: it is not, or nothing ever was.
        """
        for reached in self.reached.values():
            try:
                await self.downloader.picture(reached)
            except FailedError as error:
                if not error.sure:
                    continue
            self.quiet.clear()
            return
        raise InfrastructureError(
            f"pictures by URL: none came of the hosts asked last ({len(self.quiet)}), such as "
            f"{next(iter(self.quiet.values()))}. See "
            "whether this machine reaches the network and its name server, then run again, or take these rows out; "
            "what was fetched stays, and nothing is recorded of these"
        )

    async def _settle(self, host: _Host) -> None:
        """Record what a host did not give, though it or others answer: that is the link's fault."""
        while host.doubted:
            url, said = host.doubted.popitem()
            self.failed += 1
            await self.store.calls.once("fetch", key_of(url), _answering(made(url, Fetched("", said))))

    def _say(self) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            self.tell(f"pictures by URL: {self.came:,} of {self.total:,} fetched, {self.failed:,} not to be had")


def _host_of(url: URL) -> str:
    return f"{url.host}:{url.port}"


def _answering(answered: Made) -> Callable[[], Awaitable[Made]]:
    async def answer() -> Made:
        return answered

    return answer
