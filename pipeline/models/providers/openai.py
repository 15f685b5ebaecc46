"""Any server of the OpenAI chat-completions protocol, such as vLLM; several replicas of one count as one.

Our own small client on aiohttp: an SDK costs many times its CPU per request. One request per sample,
so that every sample has its own seed and its own place in the call cache.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.models.api import BusyError
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.limits import Limiter, jittered_pause
from pipeline.models.providers.openai_answers import read_answer
from pipeline.models.providers.openai_requests import (
    KEEP_STOP,
    EncodedImages,
    beginning,
    estimated_tokens,
    write_request,
)
from pipeline.models.refusals import RETRIED, FilteredError, failure
from pipeline.models.replicas import Replicas
from pipeline.store.blobs import BlobStore

if TYPE_CHECKING:
    import aiohttp

FIRST_PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 300.0
"""A model server of tens of gigabytes restarts within minutes; one that is away for longer needs someone to look."""
CONNECT_SECONDS = 10.0
"""For a connection: a machine that is gone says nothing, and must not cost the patience of a long thought."""
_AT_ONCE_BYTES = 1024**2
"""aiohttp sends larger bodies in pieces, so that one of them does not hold up the others, if they come as a file."""
_JSON = {"Content-Type": "application/json"}
_LOG = logging.getLogger(__name__)


@dataclass
class Server:
    """One model behind one URL, or behind several that serve the same. Use from one event loop."""

    base_url: str | Sequence[str]
    """Up to and without `/chat/completions`, such as `http://127.0.0.1:8000/v1`; one or one per replica."""
    served_name: str
    """What the servers call the model; not part of any identity."""
    revision: str
    """`openai/<what the recipe says is served>`: the identity of the model."""
    blobs: BlobStore
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    timeout_seconds: float = 600.0
    """For one try; a long thought of a large model takes minutes."""
    patience_seconds: float = PATIENCE_SECONDS
    """For a request that keeps failing, from its first failure, and for servers that are all down."""
    in_flight: int = 64
    """Requests open, or answered and not yet stored, over all replicas; whoever asks holds one of `slots` meanwhile."""
    rpm: int | None = None
    tpm: int | None = None
    """Requests and tokens per minute; None is no limit."""
    ignore_fingerprint: bool = False
    """Whether the model's version is its name alone, for services that run several configurations at once."""
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    """Before the second try at most; doubled before each further one."""
    _session: aiohttp.ClientSession | None = field(default=None, init=False)
    _knows_keep_stop: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        given = (self.base_url,) if isinstance(self.base_url, str) else self.base_url
        self.urls = tuple(dict.fromkeys(url.rstrip("/") for url in given))
        self._replicas = Replicas(self.urls, self.patience_seconds, self.first_pause_seconds)
        self._limiter = Limiter(self.rpm, self.tpm)
        self._encode = EncodedImages(self.blobs)
        self.slots = asyncio.Semaphore(self.in_flight)

    async def check(self) -> None:
        """Ask every replica which models it has; one that is down is told, as long as another lives.

        Raises:
            UsageError: one does not serve `served_name`, or refuses the key.
            InfrastructureError: none can be reached.
        """
        if self.api_key_env and not os.environ.get(self.api_key_env):
            raise UsageError(
                f"${self.api_key_env} is not set; put the key of {self.urls[0]} into it, or remove `api_key_env`"
            )
        found = await asyncio.gather(*(self._check(url) for url in self.urls), return_exceptions=True)
        failed = [error for error in found if error is not None]
        for error in failed:
            if not isinstance(error, InfrastructureError):
                raise error
        if len(failed) == len(self.urls):
            raise failed[0]
        for error in failed:
            _LOG.warning("%s; the other replicas of %s do its work", error, self.served_name)

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return one response per sample index; sample i runs under the seed `request.seed + i`.

        Raises:
            InfrastructureError: no usable answer within `patience_seconds`.
            RowError: the server refuses the request itself, such as with `context_too_long`.
            UsageError: the server refuses the key or does not have the model.
        """
        if len(samples) == 1:
            return (await self._one(request, samples[0]),)
        return await asyncio.gather(*(self._one(request, sample) for sample in samples))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _one(self, request: ChatRequest, sample: int) -> ChatResponse:
        affinity = beginning(request) if len(self.urls) > 1 else b""
        attempt, first_failure = 0, 0.0
        while True:
            try:
                async with self._replicas.place(affinity) as replica:
                    return await self._try(replica.url, request, sample)
            except _AskAgain:
                continue
            except FilteredError:
                return ChatResponse(text="", finish="refused", prompt_tokens=0, completion_tokens=0)
            except InfrastructureError as error:
                now = time.monotonic()
                first_failure = first_failure or now
                wanted = (error.after_seconds or 0.0) if isinstance(error, BusyError) else 0.0
                if now + wanted - first_failure > self.patience_seconds:
                    raise
            # Another replica may take it at once; the only one is not asked before it wants to be.
            rest = wanted if len(self.urls) == 1 else 0.0
            await asyncio.sleep(rest + jittered_pause(attempt, self.first_pause_seconds))
            attempt += 1

    async def _try(self, url: str, request: ChatRequest, sample: int) -> ChatResponse:
        estimate = estimated_tokens(request) if self._limiter.counts_tokens else 0
        await self._limiter.admit(estimate)
        keep_stop = self._knows_keep_stop
        body = write_request(request, sample, served_name=self.served_name, encode=self._encode, keep_stop=keep_stop)
        used = 0
        try:
            began = time.monotonic()
            content = await self._post(f"{url}/chat/completions", body)
            seconds = time.monotonic() - began
            response = read_answer(content, request, seconds, with_fingerprint=not self.ignore_fingerprint)
            used = response.prompt_tokens + response.completion_tokens
        except RowError as error:
            if not (keep_stop and KEEP_STOP in error.detail):
                raise
            self._knows_keep_stop = False
            raise _AskAgain from error
        finally:
            self._limiter.correct(estimate, used)
        return response

    async def _post(self, url: str, body: bytes) -> bytes:
        import aiohttp

        data = body if len(body) < _AT_ONCE_BYTES else BytesIO(body)
        try:
            async with self._client().post(url, data=data, headers=_JSON, allow_redirects=False) as reply:
                content = await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InfrastructureError(
                f"model server {url}: {str(error) or type(error).__name__}; start it, then run again"
            ) from error
        if reply.status == 200:  # noqa: PLR2004 - HTTP OK
            return content
        self._require_key(url, reply.status)
        raise failure(url, reply.status, content.decode(errors="replace"), reply.headers)

    async def _check(self, base_url: str) -> None:
        import aiohttp

        url = f"{base_url}/models"
        try:
            async with self._client().get(url, timeout=aiohttp.ClientTimeout(total=10)) as reply:
                self._require_key(url, reply.status)
                if reply.status in RETRIED:
                    raise InfrastructureError(f"{url} answered {reply.status}; wait until the model server is ready")
                body = await reply.json(content_type=None)
                names = [entry["id"] for entry in body["data"]]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InfrastructureError(
                f"model server {base_url} cannot be reached ({str(error) or type(error).__name__}); "
                "start it, or correct `base_url` of this model in the recipe"
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(
                f"{url} does not answer like an OpenAI server; correct `base_url` in the recipe"
            ) from error
        if self.served_name not in names:
            raise UsageError(f"{base_url} serves {', '.join(names)}, not {self.served_name}; correct `served_name`")

    def _require_key(self, url: str, status: int) -> None:
        if status not in {401, 403}:
            return
        where = f"${self.api_key_env}" if self.api_key_env else "an environment variable and name it in `api_key_env`"
        raise UsageError(f"{url} refuses the key; put a valid one into {where}")

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            key = os.environ.get(self.api_key_env) if self.api_key_env else None
            self._session = aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=aiohttp.ClientTimeout(total=self.timeout_seconds, sock_connect=CONNECT_SECONDS),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._session


class _AskAgain(Exception):  # noqa: N818 - no error: the same request is asked again without a parameter
    """The server does not know a parameter that we can do without."""
