"""One picture from its URL: redirects followed by hand, every bound on time and size, and what a failure says.

Nothing of this machine goes along: no proxy of the environment, no cookie, no key.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

from pipeline.fetch.addresses import Allowed, RefusedError, checked_url, is_public
from pipeline.fetch.connecting import Resolve, connector, system_resolve
from pipeline.fetch.failures import FAILURES, FailedError, failure_of
from pipeline.images import is_picture
from pipeline.images.found import found
from pipeline.pauses import retry_after_seconds

AGENT = "coldforge (pictures of published data sets)"


class Bounds(NamedTuple):
    """What one picture may take."""

    connect_seconds: float = 5.0
    """For a name, and for a connection: a host that is gone says nothing."""
    total_seconds: float = 20.0
    """With all redirects, to the last byte."""
    most_bytes: int = 20_000_000
    """After decompression: a megabyte a second, and about the largest JPEG that is decoded (`images.MAX_PIXELS`)."""
    redirects: int = 3
    tries: int = 3
    first_pause_seconds: float = 1.0
    """Before the second try at most; doubled before the third."""
    longest_wait_seconds: float = 60.0
    """That a server may ask for with `Retry-After`."""


_USUAL = Bounds()


class Downloaded(NamedTuple):
    """What a URL leads to."""

    content: bytes
    at: str
    """The URL that gave it, after redirects."""


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 409, 421, 425, 429})
"""Answers of 4xx that tell of the moment (RFC 9110, 8470, 6585); of 5xx all do."""
_MANY = 64
"""Threads that ask for names: more than are fetched at once, as those of given up lookups stay for a while."""
_CHUNK = 65_536


class Downloader:
    """Downloads pictures. Use as a context manager, from one event loop.

    Args:
        ports: that may be asked.
        bounds: of one picture.
        allowed: which addresses; tests alone give another than the default.
        resolve: asks for the addresses of a name; default: this machine's resolver.
    """

    def __init__(
        self,
        ports: Collection[int],
        bounds: Bounds = _USUAL,
        *,
        allowed: Allowed = is_public,
        resolve: Resolve | None = None,
    ) -> None:
        self._ports, self.bounds, self._allowed = frozenset(ports), bounds, allowed
        self._threads = ThreadPoolExecutor(_MANY, "names")
        self._resolve = resolve or system_resolve(self._threads, bounds.connect_seconds)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=connector(self._resolve, self._allowed),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"User-Agent": AGENT, "Accept": "image/*", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.bounds.connect_seconds),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        # A lookup that hangs is left to end by itself.
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def picture(self, url: URL) -> Downloaded:
        """Return the picture at a URL that was checked.

        Raises:
            FailedError: there is none, or it does not come.
        """
        seconds = self.bounds.total_seconds
        try:
            async with asyncio.timeout(seconds) as clock:
                return await self._followed(url)
        except FAILURES as error:
            if clock.expired():
                raise FailedError(f"timed out: not whole within {seconds:g} s", sure=False, again=True) from error
            raise failure_of(error, self.bounds.connect_seconds) from error

    async def _followed(self, url: URL) -> Downloaded:
        sent_on = False
        for _ in range(self.bounds.redirects + 1):
            try:
                async with self._session.get(url, allow_redirects=False) as reply:
                    if reply.status in _REDIRECTS:
                        sent_on = True
                        url = self._checked_redirect(url, reply.headers.get("Location", ""))
                        continue
                    _require_success(reply)
                    content = await self._body(reply)
            except RefusedError as error:
                # A server that sends elsewhere has answered. Of a name whose address is refused nobody was asked: it
                # shows no network, and without one some name servers answer every name with an address of their own.
                raise FailedError(f"refused: {error}", sure=sent_on) from error
            if not is_picture(content):
                raise FailedError(f"no picture: {found(content)}", sure=True)
            return Downloaded(content, str(url))
        raise FailedError(f"more than {self.bounds.redirects} redirects", sure=True)

    def _checked_redirect(self, url: URL, location: str) -> URL:
        if not location.strip():
            raise RefusedError("a redirect that does not say where")
        try:
            there = url.join(URL(location))
        except ValueError as error:
            raise RefusedError(f"a redirect to what is no URL: {error}") from error
        return checked_url(there, self._ports, self._allowed)

    async def _body(self, reply: aiohttp.ClientResponse) -> bytes:
        """Return the bytes of a picture, counted as they are once they are decompressed.

        Raises:
            FailedError: they are too many, or packed in a way that was not asked for.
        """
        most = self.bounds.most_bytes
        packed = reply.headers.get("Content-Encoding", "identity").strip().lower()
        if packed not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise FailedError(f"packed as {packed[:20]!r}, which was not asked for", sure=True)
        # 32 more than the window: of zlib and of gzip (zlib.h, `inflateInit2`).
        unpacking = None if packed in {"", "identity"} else zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
        content = bytearray()
        async for chunk in reply.content.iter_chunked(_CHUNK):
            try:
                content += chunk if unpacking is None else unpacking.decompress(chunk, most + 1 - len(content))
            except zlib.error as error:
                raise FailedError(f"packed as {packed}, and damaged: {error}", sure=True) from error
            if len(content) > most:
                raise FailedError(f"too large: more than {most:,} bytes", sure=True)
        if unpacking is not None and not unpacking.eof:
            raise FailedError("broken off: the packed bytes end too early", sure=False, again=True)
        return bytes(content)


def _require_success(reply: aiohttp.ClientResponse) -> None:
    status = reply.status
    if status == 200:  # noqa: PLR2004 - HTTP OK; a part (206) was not asked for
        return
    passing = status in _PASSING or status >= 500  # noqa: PLR2004 - HTTP
    after = retry_after_seconds(reply.headers.get("Retry-After")) or 0.0
    raise FailedError(f"the server answered {status}", sure=not passing, again=passing, after_seconds=after)
