"""The small pictures beside the hits of an image search, from the hosts that serve them and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack

from yarl import URL

from pipeline.errors import InfrastructureError, RowError
from pipeline.fetch.addresses import Allowed, RefusedError, checked_url, is_public
from pipeline.fetch.download import Bounds, Downloader
from pipeline.fetch.failures import FailedError
from pipeline.pauses import jittered_pause

HOSTS = ("gstatic.com", "googleusercontent.com", "serpapi.com")
"""Of Google and SerpApi, with all below them: an address of any other host is one that a page has put there."""
BOUNDS = Bounds(most_bytes=2_000_000, redirects=0)
"""A thumbnail has a few hundred pixels a side, and stands where Google says."""


class Thumbnails:
    """Fetches thumbnails. Use from one event loop.

    Args:
        schemes: that are asked.
        hosts: with all below them.
        ports: of these hosts.
        allowed: which addresses; tests alone give others than the defaults.
    """

    def __init__(
        self,
        schemes: Collection[str] = ("https",),
        hosts: Collection[str] = HOSTS,
        ports: Collection[int] = (443,),
        allowed: Allowed = is_public,
    ) -> None:
        self._schemes, self._hosts, self._ports, self._allowed = schemes, hosts, ports, allowed
        self._open = AsyncExitStack()
        self._downloader: Downloader | None = None

    async def __call__(self, url: str) -> bytes:
        """Return the picture at an address.

        Raises:
            RowError: `thumbnail`: it may not be opened, or there is none.
            InfrastructureError: its host failed, several times.
        """
        checked = self._checked(url)
        if self._downloader is None:
            downloader = Downloader(self._ports, BOUNDS, allowed=self._allowed)
            self._downloader = await self._open.enter_async_context(downloader)
        for attempt in range(BOUNDS.tries):
            try:
                return (await self._downloader.picture(checked)).content
            except FailedError as error:
                if error.sure:
                    raise RowError("thumbnail", f"{url}: {error}") from error
                if not error.again or attempt + 1 == BOUNDS.tries:
                    raise InfrastructureError(f"thumbnail {url}: {error}; run again later") from error
                asked = min(error.after_seconds, BOUNDS.longest_wait_seconds)
            await asyncio.sleep(max(asked, jittered_pause(attempt, BOUNDS.first_pause_seconds)))
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._open.aclose()

    def _checked(self, url: str) -> URL:
        try:
            checked = checked_url(url, self._ports, self._allowed)
        except RefusedError as error:
            raise RowError("thumbnail", f"{url[:200]!r}: {error}") from error
        host = checked.raw_host or ""
        if checked.scheme not in self._schemes or not any(
            host == one or host.endswith(f".{one}") for one in self._hosts
        ):
            raise RowError("thumbnail", f"{url[:200]!r} is not where thumbnails are")
        return checked
