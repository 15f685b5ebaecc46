"""A local server of pictures that fails in every way that servers of pictures do, and names that lead to it."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from socket import EAI_AGAIN, EAI_NONAME, gaierror

from aiohttp import web
from PIL import Image

from pipeline.fetch.addresses import Address, is_public
from pipeline.fetch.download import Bounds, Downloader
from pipeline.images import encode_png

PNG = encode_png(Image.linear_gradient("L").resize((60, 40)).convert("RGB"))
HERE = "127.0.0.1"
QUICK = Bounds(total_seconds=20.0, most_bytes=100_000, first_pause_seconds=0.01)
SHORT = QUICK._replace(total_seconds=1.0)
"""For what never ends."""


def only_here(address: Address) -> bool:
    """The seam of tests: this one address beside what is public."""
    return is_public(address) or str(address) == HERE


@dataclass
class Names:
    """A name server: each name gives its answers one after the other, and the last again and again."""

    answers: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)
    down: bool = False

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if self.down:
            raise gaierror(EAI_AGAIN, "Temporary failure in name resolution")
        if host not in self.answers:
            raise gaierror(EAI_NONAME, "Name or service not known")
        left = self.answers[host]
        return left.pop(0) if len(left) > 1 else left[0]


@dataclass
class PictureServer:
    """One server under several names."""

    port: int = 0
    names: Names = field(default_factory=lambda: Names({"pictures.test": [[HERE]]}))
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by path with query."""
    times: list[float] = field(default_factory=list)
    """When each request came, on the clock of `time.monotonic`."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    bounds: Bounds = QUICK
    broken: bool = False
    """It answers 503 to everything."""
    breaks_after: int | None = None
    """Requests after which it does."""

    def url(self, path: str, host: str = "pictures.test") -> str:
        return f"http://{host}:{self.port}{path}"

    def downloader(self, ports: Collection[int] = ()) -> Downloader:
        return Downloader(ports or {self.port}, self.bounds, allowed=only_here, resolve=self.names)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        self.asked[path] += 1
        self.times.append(time.monotonic())
        self.headers.append(dict(request.headers))
        self.broken = self.broken or self.asked.total() == self.breaks_after
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return web.Response(status=503) if self.broken else await self._said(request, path)
        finally:
            self.at_once -= 1

    async def _said(self, request: web.Request, path: str) -> web.StreamResponse:
        kind, _, rest = request.path.strip("/").partition("/")
        if kind in {"drip", "cut"}:
            return await self._slowly(request, forever=kind == "drip")
        if kind in {"redirect", "to"}:  # so often, then the picture; or to anywhere
            there = request.query.get("url", "") if kind == "to" else f"/redirect/{int(rest) - 1}"
            return web.Response(status=302, headers={"Location": "/picture.png" if rest == "0" else there})
        if kind == "third" and self.asked[path] < 3:  # busy, broken, then the picture
            return web.Response(status=(429, 500)[self.asked[path] - 1], headers={"Retry-After": "0"})
        if kind == "busy" and self.asked.total() == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return _at_once(kind, rest)

    async def _slowly(self, request: web.Request, *, forever: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(PNG))})
        await response.prepare(request)
        await response.write(PNG[:40])
        while forever:
            await response.write(b"\0")
            await asyncio.sleep(0.1)
        if request.transport is not None:
            request.transport.close()
        return response


def _at_once(kind: str, rest: str) -> web.Response:
    match kind:
        case "status":
            return web.Response(status=int(rest))
        case "html":
            return web.Response(text="<!doctype html><title>gone</title>", content_type="image/png")
        case "large":
            return web.Response(body=PNG + bytes(QUICK.most_bytes))
        case "bomb":
            return web.Response(body=gzip.compress(bytes(5_000_000)), headers={"Content-Encoding": "gzip"})
        case "packed":
            return web.Response(body=gzip.compress(PNG)[: int(rest or 10**6)], headers={"Content-Encoding": "gzip"})
        case "brotli":
            return web.Response(body=b"x", headers={"Content-Encoding": "br"})
        case "later":
            return web.Response(status=429, headers={"Retry-After": "3600"})
    return web.Response(body=PNG, content_type="text/plain", headers={"Set-Cookie": "seen=1"})


@asynccontextmanager
async def picture_server() -> AsyncIterator[PictureServer]:
    """Serve at a free port of this machine's own address."""
    server = PictureServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HERE, 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def pictures_beside() -> Iterator[PictureServer]:
    """Serve in a thread, for what runs an event loop of its own."""
    loop, ready, served = asyncio.new_event_loop(), threading.Event(), list[PictureServer]()
    done = asyncio.Event()

    async def main() -> None:
        async with picture_server() as opened:
            served.append(opened)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield served[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()
