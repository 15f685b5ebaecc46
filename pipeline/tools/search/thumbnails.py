"""The small pictures beside the hits of an image search, from the hosts that serve them and nowhere else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.errors import InfrastructureError, RowError
from pipeline.pauses import jittered_pause

if TYPE_CHECKING:
    import aiohttp

HOSTS = ("gstatic.com", "googleusercontent.com", "serpapi.com")
"""Of Google and SerpApi, with all below them: an address of any other host is one that a page has put there."""
MOST_BYTES = 2_000_000
"""Of a picture of a few hundred pixels a side."""
SECONDS = 20.0
TRIES = 3


class Thumbnails:
    """Fetches thumbnails. Nothing of this machine goes along: no proxy, no cookie, no key. Use from one event loop."""

    def __init__(self, schemes: tuple[str, ...] = ("https",), hosts: tuple[str, ...] = HOSTS) -> None:
        self._schemes, self._hosts = schemes, hosts
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str) -> bytes:
        """Return what an address holds.

        Raises:
            RowError: `thumbnail`: it may not be opened, or there is none.
            InfrastructureError: its host failed, several times.
        """
        self._require_known(url)
        for attempt in range(TRIES):
            try:
                return await self._fetched(url)
            except InfrastructureError:
                if attempt + 1 == TRIES:
                    raise
                await asyncio.sleep(jittered_pause(attempt, 0.5))
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _require_known(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError as error:
            raise RowError("thumbnail", f"{url[:200]!r} is no address: {error}") from error
        known = any(host == one or host.endswith(f".{one}") for one in self._hosts)
        if parts.scheme not in self._schemes or not known or "@" in parts.netloc:
            raise RowError("thumbnail", f"{url[:200]!r} is not where thumbnails are")

    async def _fetched(self, url: str) -> bytes:
        import aiohttp

        if self._session is None:
            limit = aiohttp.ClientTimeout(total=SECONDS)
            self._session = aiohttp.ClientSession(
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                timeout=limit,
            )
        try:
            async with self._session.get(url, allow_redirects=False) as reply:
                if reply.status >= 500 or reply.status in {408, 429}:  # noqa: PLR2004 - HTTP
                    raise InfrastructureError(f"thumbnail {url}: answered {reply.status}; run again later")
                if reply.status != 200:  # noqa: PLR2004 - HTTP OK
                    raise RowError("thumbnail", f"{url}: answered {reply.status}")
                return await _bounded(reply, url)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InfrastructureError(f"thumbnail {url}: {error or type(error).__name__}; run again later") from error


async def _bounded(reply: aiohttp.ClientResponse, url: str) -> bytes:
    content = bytearray()
    async for chunk in reply.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > MOST_BYTES:
            raise RowError("thumbnail", f"{url}: more than {MOST_BYTES:,} bytes")
    return bytes(content)
