"""The one HTTP client of model servers and search providers: slots, key, limits, replicas, and what is asked again.

Asking again is decided here and nowhere else: what passes (a busy or failing server, half an answer) is asked again
with growing, jittered pauses as `Retry` says; what does not (a bad key, setting or row) is raised at once. Our own on
aiohttp: an SDK costs many times its CPU per request.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

from pipeline.errors import GivenUpError, InfrastructureError, UsageError
from pipeline.models.limits import Limiter
from pipeline.models.patience import Call, Patience
from pipeline.models.refusals import QUOTED, Complaint
from pipeline.models.replicas import BusyError, Replicas
from pipeline.models.traffic import Traffic, cause_of
from pipeline.pauses import jittered_pause, retry_after_seconds

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

CONNECT_SECONDS = 5.0
"""For a connection: a machine that is gone says nothing, must not cost the patience of a long thought, and is told of
within ten seconds."""
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""What passes. 529 is what Anthropic and some gateways say for "overloaded"."""
FIRST_PAUSE_SECONDS = 1.0
MOST_TRIES = 24
"""Of a request that fails longer than the role has patience, while others are answered."""
UNUSABLE_TRIES = 8
"""Of one request whose answers are none: what a server says so often it will go on saying."""
_UNUSABLE_DOUBLED = 2
"""Times that the pause after such an answer is doubled: the server is there, so nothing is won by waiting."""
_AT_ONCE_BYTES = 1024**2
"""aiohttp sends larger bodies in pieces, so that one of them does not hold up the others, if they come as a file."""


class Retry(NamedTuple):
    """When a request that fails as infrastructure is given up."""

    tries: int | None = None
    """None: as many as `patience_seconds` allow."""
    patience_seconds: float = float("inf")
    """For a role that is not answered at all; and for one request, while no other is answered."""
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    """Before the second try at most; doubled before each further one."""


class Key(NamedTuple):
    """Where a key is and how it is sent; the key itself is never stored or printed."""

    variable: str | None
    """Name of the environment variable; None: the server wants none."""
    header: str = "Authorization"
    prefix: str = "Bearer "
    parameter: str = ""
    """Of the query, in place of a header, for services that take it nowhere else; no message tells a URL with it."""

    @property
    def value(self) -> str:
        """Return the key, empty where there is none."""
        return os.environ.get(self.variable, "") if self.variable else ""


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Return whether it is a success."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP


class UnusableError(InfrastructureError):
    """An answer arrived, and is none: half of one, no choice, no JSON. It is asked for again, a few times."""


class Asked(NamedTuple):
    """A call to an endpoint."""

    method: str
    path: str
    """After the base URL, such as `/models`; or a whole URL."""
    content: bytes | None = None
    headers: Mapping[str, str] = {}
    tokens: int | None = None
    """About how many of the account's tokens per minute it takes; None: it counts against no limit."""
    affinity: bytes = b""
    """Equal for conversations that begin alike; see `Replicas`."""

    def at(self, url: str) -> str:
        """Return where it is asked of a base URL."""
        return f"{url}{self.path}" if self.path.startswith("/") else self.path


@dataclass
class Client:
    """One account or one set of replicas. Use from one event loop."""

    name: str
    """Before a URL in messages, such as `model server` or `the Anthropic API at`."""
    urls: Sequence[str]
    """Base URLs that serve the same."""
    key: Key
    refusal: Callable[[int, bytes], Exception | None]
    """Tells what an error (4xx, 5xx) means for the request; None: nothing in particular."""
    as_said: Callable[[Reply], Reply] = lambda reply: reply
    """Returns an answer with the status that it should have: some servers send errors as a success."""
    of: str = ""
    """Whose calls these are, such as a model's revision; empty: the first URL."""
    advice: str = "run again later"
    """After a message that a server cannot be reached."""
    fields: str = "`model` or `base_url`"
    """Of a recipe, where a server that answers is not the right one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    in_flight: int = 32
    """Samples asked for and not yet stored, over all replicas; whoever asks holds one of `slots` meanwhile."""
    limiter: Limiter = field(default_factory=lambda: Limiter(None, None))
    timeout_seconds: float = 600.0
    """For one try; a long thought takes minutes."""
    retry: Retry = field(default_factory=Retry)
    traffic: Traffic = field(default_factory=Traffic)
    """Where its failed tries are counted; several clients of one role share it."""
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.urls = tuple(dict.fromkeys(url.rstrip("/") for url in self.urls))
        self.slots = asyncio.Semaphore(self.in_flight)
        self._replicas = Replicas(self.urls, self.retry.patience_seconds, self.retry.first_pause_seconds)
        self._patience = Patience(self.of or self.urls[0], self.retry.patience_seconds)

    @property
    def base_url(self) -> str:
        """Return the only base URL, or the first."""
        return self.urls[0]

    async def ask(self, asked: Asked, read: Callable[[Reply], T], *, tries: int | None = None) -> tuple[T, float]:
        """Return what `read` makes of the answer, and the seconds of the try that succeeded.

        `read` may raise UnusableError for an answer that is none: it is asked for again, `UNUSABLE_TRIES` times.
        `tries` takes the place of the client's own.

        Raises:
            GivenUpError: no usable answer within what `retry` allows, or none of the role's calls was answered.
            InfrastructureError: `tries` were used up.
            MissingError: there is nothing at this URL.
            RowError: the server refuses this request for what it is.
            UsageError: it refuses the key or the settings.
        """
        most, first_failure, unusable = self.retry.tries if tries is None else tries, 0.0, 0
        async with self._patience.call() as call:
            for attempt in count():
                try:
                    async with self._replicas.place(asked.affinity) as replica:
                        return await self._try(replica.url, asked, read, call)
                except GivenUpError:
                    raise
                except InfrastructureError as error:
                    first_failure = first_failure or time.monotonic()
                    unusable += isinstance(error, UnusableError)
                    wanted = (error.after_seconds or 0.0) if isinstance(error, BusyError) else 0.0
                    if attempt + 1 == most:
                        raise
                    if unusable == UNUSABLE_TRIES or self._is_late(first_failure, wanted, attempt + 1):
                        raise GivenUpError(f"{error} ({attempt + 1} tries)") from error
                    again = min(attempt, _UNUSABLE_DOUBLED) if isinstance(error, UnusableError) else attempt
                self.traffic.again += 1
                # Another replica may take it at once; the only one is not asked before it wants to be.
                rest = wanted if len(self.urls) == 1 else 0.0
                await asyncio.sleep(rest + jittered_pause(again, self.retry.first_pause_seconds))
        raise AssertionError("unreachable")

    def _is_late(self, first_failure: float, wanted: float, tries: int) -> bool:
        """Return whether a call has failed for longer than the role's patience.

        While others are answered a server is only too busy, or fails now and then: then it is asked `MOST_TRIES` times.
        """
        patience = self.retry.patience_seconds
        if time.monotonic() + wanted - first_failure <= patience:
            return False
        return wanted > patience or tries >= MOST_TRIES or not self._patience.answered_within(patience)

    async def exchange(self, url: str, asked: Asked, timeout_seconds: float | None = None) -> Reply:
        """Return what one replica answers to one try, whatever its status.

        Raises:
            InfrastructureError: it does not answer.
        """
        import aiohttp

        content, seconds = asked.content, timeout_seconds or self.timeout_seconds
        data = content if content is None or len(content) < _AT_ONCE_BYTES else BytesIO(content)
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        params = {self.key.parameter: self.key.value} if self.key.parameter else None
        try:
            async with self._connections().request(
                asked.method,
                asked.at(url),
                params=params,
                data=data,
                headers=asked.headers,
                allow_redirects=False,
                timeout=limit,
            ) as reply:
                return Reply(reply.status, await reply.read(), reply.headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            said = self._without_key(str(error)) or type(error).__name__
            raise InfrastructureError(f"{self.name} {url}: {said}; {self.advice}") from error

    def failure(self, url: str, reply: Reply) -> Exception:
        """Return what an answer means that is no success."""
        refused = self.refusal(reply.status, reply.body)
        if refused is not None:
            return refused
        said = self._without_key(message_of(reply.body)[:QUOTED])
        if reply.status in {401, 403}:
            variable = self.key.variable
            where = f"${variable}" if variable else "an environment variable and name it in `api_key_env`"
            return UsageError(f"{url} refuses the key: {said}; put a valid one into {where}")
        detail = f"{url} answered {reply.status}: {said}"
        if reply.status == 402:  # noqa: PLR2004 - HTTP Payment Required
            return GivenUpError(f"{detail}; pay, then run again")
        if reply.status not in RETRIED:
            kind = MissingError if reply.status == 404 else UsageError  # noqa: PLR2004 - HTTP Not Found
            return kind(f"{detail}; correct {self.fields} in the recipe")
        after = retry_after_seconds(reply.headers.get("Retry-After"))
        # Too many requests is an answer of a server that is well; so is any other that says when to come back.
        if reply.status == 429 or after is not None:  # noqa: PLR2004 - HTTP Too Many Requests
            return BusyError(f"{detail}; run again later", after)
        return InfrastructureError(f"{detail}; see what the server logs, then run again")

    def _without_key(self, said: str) -> str:
        """Return a server's words without the key: some quote what they refuse."""
        key = self.key.value
        return said.replace(key, "…").replace(quote(key, safe=""), "…") if key else said

    def require_key(self) -> None:
        """See whether there is a key, if one is needed.

        Raises:
            UsageError: its variable is not set.
        """
        if self.key.variable is not None and not self.key.value:
            raise UsageError(f"${self.key.variable} is not set; put the key of {self.name} {self.base_url} into it")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _try(self, url: str, asked: Asked, read: Callable[[Reply], T], call: Call) -> tuple[T, float]:
        if asked.tokens is not None:
            await self.limiter.admit(asked.tokens)
        began, status = time.monotonic(), None
        self._patience.sent()
        try:
            reply = await self.exchange(url, asked)
            status = reply.status
            reply = self.as_said(reply)
            status = reply.status
            if not reply.ok:
                raise self.failure(asked.at(url), reply)  # noqa: TRY301 - its tokens are given back below
            answer = read(reply)
        except BaseException as error:
            self._patience.ended(call, error)
            if isinstance(error, Exception):
                self.traffic.failed[cause_of(error, status)] += 1
                if asked.tokens is not None:
                    self.limiter.correct(asked.tokens, 0)
            raise
        self._patience.ended(call, None)
        return answer, time.monotonic() - began

    def _connections(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self.require_key()
            key = "" if self.key.parameter else self.key.value
            own = {self.key.header: self.key.prefix + key} if key else {}
            self._session = aiohttp.ClientSession(
                headers={**self.headers, **own}, connector=aiohttp.TCPConnector(limit=0)
            )
        return self._session


class MissingError(UsageError):
    """There is nothing at a URL."""


def post_json(path: str, content: bytes, *, tokens: int | None = None, affinity: bytes = b"") -> Asked:
    """Return a call that posts JSON."""
    return Asked("POST", path, content, {"Content-Type": "application/json"}, tokens, affinity)


def read_json(reply: Reply) -> Any:
    """Return the JSON of an answer.

    Raises:
        UnusableError: it is none.
    """
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"a model server answered what is not JSON ({error}); is `base_url` right?") from error


def error_of(body: bytes) -> dict[str, Any]:
    """Return the `error` object that hosted providers send (Gemini at times within a list), empty if there is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    holder = content[0] if isinstance(content, list) and content else content
    error = holder.get("error") if isinstance(holder, dict) else None
    return error if isinstance(error, dict) else {}


def message_of(body: bytes) -> str:
    """Return the message of an error object, or the beginning of whatever else was sent."""
    return Complaint.of(body).message
