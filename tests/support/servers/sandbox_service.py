"""The sandbox service in a thread of the test's own process, and requests that no client of ours would send."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pipeline.sandbox import Policy
from pipeline.sandbox.service.server import Options, serving


@contextmanager
def in_thread(make: Callable[[], AbstractAsyncContextManager[str]]) -> Iterator[str]:
    """Serve on an event loop of its own until left; yields the URL."""
    ready: Future[tuple[str, Callable[[], object]]] = Future()

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        async with make() as url:
            ready.set_result((url, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        url, stop = ready.result()
        try:
            yield url
        finally:
            stop()
    finally:
        thread.join()


@contextmanager
def service(
    options: Options,
    policy: Policy | None = None,
    jupyter_policy: Policy | None = None,
    middlewares: tuple[Callable[..., object], ...] = (),
) -> Iterator[str]:
    """The whole service."""
    with in_thread(lambda: serving(options, policy, jupyter_policy, middlewares)) as url:
        yield url


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


def ask(
    url: str, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, seconds: float = 60
) -> Said:
    """Send one request: bytes as they are, anything else as JSON."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=seconds)
    given = {} if body is None else {"Content-Type": "application/json"}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, content, {**given, **(headers or {})})
        response = connection.getresponse()
        return Said(response.status, dict(response.headers), response.read())
    finally:
        connection.close()
