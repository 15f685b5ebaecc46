"""Who may ask, and what a request must look like before anything of it is believed."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from pipeline.errors import ColdforgeError, RowError
from pipeline.sandbox.inside.policy import MIB
from pipeline.sandbox.service.protocol import MOST_BODY
from pipeline.sandbox.service.sessions import FullError

_MOST_HELD = 32 * MOST_BODY
"""Bytes of all bodies of requests that are not answered yet: 400 cells that each bring a picture of 5 MiB."""
_BODY_SECONDS = 60.0
"""For one body to arrive: the largest, at about a megabyte per second."""
_RETRY_SECONDS = 1
"""What clients that find no room are told to wait; most cells take less."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def answer(status: int, message: str, headers: dict[str, str] | None = None, **fields: Any) -> web.Response:
    """Return an error as the protocol tells it."""
    return web.json_response({"error": message, **fields}, status=status, headers=headers)


class RefusedError(Exception):
    """A request that is none; `response` says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = answer(status, message)


def make_guard(*, loopback: bool, token: str | None) -> Any:
    """Return the middleware that lets requests in and turns every failure into its status.

    Args:
        loopback: the service listens on this machine only. Then the Host header has to name this machine: a web page
            whose name was made to point here (DNS rebinding) still sends its own.
        token: what clients have to show; None: nothing.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if loopback and not is_loopback(_host_name(request.host)):
            return answer(403, f"this service answers to localhost, not to {request.host!r}")
        if token is not None and not _shows(request, token):
            return answer(401, "a valid token is required", {"WWW-Authenticate": "Bearer"})
        try:
            return await handler(request)
        except RefusedError as error:
            return error.response
        except FullError as error:
            return answer(429, str(error), {"Retry-After": str(_RETRY_SECONDS)})
        except RowError as error:
            return answer(422, str(error), reason=error.reason, detail=error.detail)
        except ColdforgeError as error:
            return answer(503, str(error))

    return guard


def _host_name(host: str) -> str:
    """Return a Host header without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not name.endswith(":") else host


def _shows(request: web.Request, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    # Bytes, compared in constant time: text that is not ASCII would be refused by an exception.
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.encode("utf-8", "replace"), token.encode())


class Bodies:
    """Reads request bodies, bounded one by one and together."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def read(self, request: web.Request, kind: str) -> AsyncIterator[bytes]:
        """Yield the body of a request that says it is of that content type; it counts until left.

        A web page can send other types without being asked for its rights (a simple request of CORS), these not.

        Raises:
            RefusedError: another type, compressed, of no stated length, too long, or too slow.
            FullError: too much is here or on its way already.
        """
        if "Content-Type" not in request.headers or request.content_type != kind:
            raise RefusedError(415, f"the content type must be {kind}")
        if "Content-Encoding" in request.headers:
            raise RefusedError(415, "the body must not be compressed")
        length = request.content_length
        if length is None:
            raise RefusedError(411, "the body needs a Content-Length")
        if length > MOST_BODY:
            raise RefusedError(413, f"the body has {length} bytes, at most {MOST_BODY // MIB} MiB are taken")
        if self._held + length > _MOST_HELD:
            raise FullError("too many large bodies at once")
        self._held += length
        try:
            yield await _arrived(request)
        finally:
            self._held -= length


async def _arrived(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise RefusedError(408, f"the body did not arrive within {_BODY_SECONDS:g} seconds") from error
    except ConnectionResetError as error:
        # Nobody reads this answer; without it the server would log a traceback for each client that leaves.
        raise RefusedError(400, "the body did not arrive") from error


def parse_object(content: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Not by pydantic: code may hold half a surrogate pair, which is the code's error and not the request's.

    Raises:
        RefusedError: there is none.
    """
    try:
        value = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not JSON: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise RefusedError(400, "the body is not a JSON object")
    return value


def text_field(body: dict[str, Any], name: str) -> str:
    """Return a text.

    Raises:
        RefusedError: it is missing or something else.
    """
    value = body.get(name)
    if not isinstance(value, str):
        raise RefusedError(400, f"`{name}` must be a text")
    return value


def seconds_field(body: dict[str, Any], name: str) -> float | None:
    """Return a positive number, None if it is missing or null.

    Raises:
        RefusedError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise RefusedError(400, f"`{name}` must be a positive number of seconds or null")
    # JSON knows integers that no float holds; any limit is shorter than a day.
    return float(min(value, 86_400))


def _refuse(text: str) -> Any:
    raise ValueError(f"not a number: {text}")
