"""The HTTP of a hosted provider: one account behind one URL, with what all its endpoints share.

Asking again is decided here and nowhere else: what passes (a busy or failing server, half an answer) is
asked again with growing, jittered pauses; what does not (a bad key, setting or row) is raised at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pipeline.errors import InfrastructureError, UsageError
from pipeline.models.limits import Limiter, jittered_pause, retry_after_seconds

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

_AT_ONCE_BYTES = 1024**2
"""aiohttp sends larger bodies in pieces, so that one of them does not hold up the others, if they come as a file."""
TRIES = 8
"""With pauses that double from 1 s up to `LONGEST_PAUSE_SECONDS`, half of each on average, about a minute in all: an
overloaded provider recovers within one more often than not."""
FIRST_PAUSE_SECONDS = 1.0
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""529 is Anthropic's "overloaded"."""


class Reply(NamedTuple):
    """A successful answer (2xx)."""

    body: bytes
    headers: Mapping[str, str]


class Asked(NamedTuple):
    """A call to an endpoint."""

    method: str
    url: str
    content: bytes | None = None
    headers: Mapping[str, str] = {}
    tokens: int | None = None
    """About how many of the account's tokens per minute it takes; None: it counts against no limit."""


@dataclass
class Api:
    """An account. Use from one event loop."""

    name: str
    """For messages, such as `the Anthropic API`."""
    base_url: str
    key_header: str
    api_key_env: str
    """Name of the environment variable that holds the key; the key itself is never stored or printed."""
    refusal: Callable[[int, dict[str, Any]], Exception | None]
    """Tells what a client error means; None: nothing in particular."""
    key_prefix: str = ""
    """Before the key in its header."""
    headers: Mapping[str, str] = field(default_factory=dict)
    in_flight: int = 32
    """Samples asked for and not yet stored; whoever asks holds one of `slots` meanwhile."""
    limiter: Limiter = field(default_factory=lambda: Limiter(None, None))
    timeout_seconds: float = 600.0
    """For one try; a long thought takes minutes."""
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    """Before the second try; doubled before each further one."""
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.in_flight)
        self.base_url = self.base_url.rstrip("/")

    async def ask(self, asked: Asked, read: Callable[[Reply], T], *, tries: int = TRIES) -> tuple[T, float]:
        """Return what `read` makes of the answer, and the seconds of the try that succeeded.

        `read` may raise InfrastructureError for an answer that is none: it is asked for again.

        Raises:
            InfrastructureError: no usable answer after `tries`.
            MissingError: there is nothing at this URL.
            RowError: the provider refuses this request for what it is.
            UsageError: the provider refuses the key or the settings.
        """
        for attempt in range(tries):
            try:
                if asked.tokens is not None:
                    await self.limiter.admit(asked.tokens)
                began = time.monotonic()
                answer = read(await self._send(asked))
                return answer, time.monotonic() - began
            except InfrastructureError as error:
                if attempt == tries - 1:
                    raise
                # Never earlier than the provider wants, and not all at once when it is over.
                wanted = (error.after_seconds or 0.0) if isinstance(error, BusyError) else 0.0
                await asyncio.sleep(wanted + jittered_pause(attempt, self.first_pause_seconds))
        raise AssertionError("unreachable")

    def require_key(self) -> str:
        """Return the key.

        Raises:
            UsageError: its variable is not set.
        """
        key = os.environ.get(self.api_key_env)
        if not key:
            raise UsageError(f"${self.api_key_env} is not set; put the key of {self.name} into it")
        return key

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, asked: Asked) -> Reply:
        import aiohttp

        content = asked.content
        data = content if content is None or len(content) < _AT_ONCE_BYTES else BytesIO(content)
        try:
            async with self._client().request(
                asked.method, asked.url, data=data, headers=asked.headers, allow_redirects=False
            ) as reply:
                body = await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InfrastructureError(
                f"{self.name} at {self.base_url}: {str(error) or type(error).__name__}; run again later"
            ) from error
        if 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP success
            return Reply(body, reply.headers)
        raise self._failure(asked.url, reply.status, body, reply.headers.get("Retry-After"))

    def _failure(self, url: str, status: int, body: bytes, retry_after: str | None) -> Exception:
        error = _error_of(body)
        if status in {401, 403}:
            return UsageError(f"{self.name} refuses the key; put a valid one into ${self.api_key_env}")
        refused = self.refusal(status, error)
        if refused is not None:
            return refused
        said = str(error.get("message", "")) or body[:200].decode(errors="replace")
        if status not in RETRIED:
            kind = MissingError if status == 404 else UsageError  # noqa: PLR2004 - HTTP Not Found
            return kind(f"{url} answered {status}: {said[:200]}; correct `model` or `base_url` in the recipe")
        return BusyError(
            f"{self.name} answered {status}: {said[:200]}; run again later", retry_after_seconds(retry_after)
        )

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            key = {self.key_header: self.key_prefix + self.require_key()}
            self._session = aiohttp.ClientSession(
                headers={**self.headers, **key},
                timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._session


class MissingError(UsageError):
    """There is nothing at a URL."""


class BusyError(InfrastructureError):
    """The provider answered that it cannot answer now."""

    def __init__(self, message: str, after_seconds: float | None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds
        """How long it asks us to wait, if it says so."""

    def __reduce__(self) -> tuple[type[BusyError], tuple[str, float | None]]:
        """Rebuild from both fields: the default would call the constructor with the message alone."""
        return type(self), (str(self), self.after_seconds)


def post_json(url: str, content: bytes) -> Asked:
    """Return a call that posts JSON."""
    return Asked("POST", url, content, {"Content-Type": "application/json"})


def read_json(reply: Reply) -> Any:
    """Return the JSON of an answer.

    Raises:
        InfrastructureError: it is none.
    """
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise InfrastructureError(f"a hosted API answered what is not JSON ({error}); is `base_url` right?") from error


def _error_of(body: bytes) -> dict[str, Any]:
    """Return the `error` object that all three providers send (Gemini at times within a list)."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    holder = content[0] if isinstance(content, list) and content else content
    error = holder.get("error") if isinstance(holder, dict) else None
    return error if isinstance(error, dict) else {}
