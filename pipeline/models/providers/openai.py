"""Any server of the OpenAI chat-completions protocol, such as vLLM; several replicas of one count as one.

One request per sample, so that every sample has its own seed and its own place in the call cache.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import ColdforgeError, GivenUpError, InfrastructureError, UsageError
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.client import RETRIED, Asked, Client, Key, Reply, Retry, UnusableError, post_json
from pipeline.models.limits import Limiter
from pipeline.models.providers.openai_answers import error_within, read_answer
from pipeline.models.providers.openai_requests import (
    KEEP_STOP,
    EncodedImages,
    Spelling,
    beginning,
    estimated_tokens,
    write_request,
)
from pipeline.models.refusals import Complaint, FilteredError, RejectedError, TooLongError, room_left
from pipeline.models.traffic import Traffic
from pipeline.store.blobs import BlobStore

FIRST_PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 300.0
"""A model server of tens of gigabytes restarts within minutes; one that is away for longer needs someone to look."""
_CHECK_SECONDS = 10.0
_REFUSED = frozenset({400, 413, 422})
"""The server refuses this request for what it is."""
_FILTERS = _REFUSED | {403, 451}
LEAST_MESSAGE = 32
"""Tokens: no thought with its action is shorter, so less room than this is none."""
_NOT_TAKEN = re.compile(
    r"un(supported|recogni[sz]ed|known|expected)|not (supported|permitted|allowed)|does not support|extra inputs"
    r"|extra_forbidden|deprecated",
    re.IGNORECASE,
)
"""How servers say that they do not take a field (OpenAI, Azure, NIM, pydantic)."""
_LEFT_OUT = ("parallel_tool_calls", "seed", "stop")
"""Fields that we can do without: texts are cut at their first action when they arrive, and samples are draws."""
_SETTINGS = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "response_format", "logprobs", "tools")
"""Fields of a request that a recipe decides."""
_LOG = logging.getLogger(__name__)


def refusal(status: int, body: bytes) -> ColdforgeError | None:
    """Return the error of a request that is refused for what it is, None for any other answer."""
    said = Complaint.of(body)
    if said.overflows and status != 429:  # noqa: PLR2004 - HTTP Too Many Requests
        return TooLongError(said.message)
    if status in _FILTERS and said.filtered:
        return FilteredError(said.message)
    if said.unpaid:
        return GivenUpError(f"the model server asks for payment: {said.message}; pay, then run again")
    return RejectedError(said.message, said.param) if status in _REFUSED else None


def as_said(reply: Reply) -> Reply:
    """Return an answer with the status of the error that it holds.

    Raises:
        UnusableError: it holds one that says nothing of what it is.
    """
    found = error_within(reply.body) if reply.ok else None
    if found is None:
        return reply
    status, said = found
    if not status:
        raise UnusableError(f"model server answered {reply.status} with an error: {said.message}")
    return reply._replace(status=status)


def fitting(said: str, asked: int) -> int | None:
    """Return a smaller limit of a message that may fit what an overflow leaves, None if it leaves too little.

    Where it tells no number that is smaller, the limit is halved.
    """
    room = room_left(said)
    if room is None:
        return None
    fits = room.tokens if room.tokens is not None and room.tokens < asked else asked // 2
    return fits if fits >= LEAST_MESSAGE else None


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
    """As of `Client`."""
    rpm: int | None = None
    tpm: int | None = None
    """Requests and tokens per minute; None is no limit."""
    ignore_fingerprint: bool = False
    """Whether the model's version is its name alone, for services that run several configurations at once."""
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    """As of `Retry`."""
    traffic: Traffic = field(default_factory=Traffic)
    """As of `Client`."""
    client: Client = field(init=False)
    _spelling: Spelling = field(default=Spelling(), init=False)

    def __post_init__(self) -> None:
        self.client = Client(
            name="model server",
            urls=(self.base_url,) if isinstance(self.base_url, str) else self.base_url,
            key=Key(self.api_key_env),
            refusal=refusal,
            as_said=as_said,
            of=self.revision,
            advice="start it, then run again",
            fields="`base_url` or `served_name`",
            in_flight=self.in_flight,
            limiter=Limiter(self.rpm, self.tpm),
            timeout_seconds=self.timeout_seconds,
            retry=Retry(None, self.patience_seconds, self.first_pause_seconds),
            traffic=self.traffic,
        )
        self._encode = EncodedImages(self.blobs)

    @property
    def urls(self) -> Sequence[str]:
        """Return the base URL of every replica."""
        return self.client.urls

    @property
    def slots(self) -> asyncio.Semaphore:
        """Return the client's."""
        return self.client.slots

    @property
    def process(self) -> None:
        """Return nothing: it is not ours to start."""
        return

    async def check(self) -> None:
        """Ask every replica which models it has; one that is down is told, as long as another lives.

        Raises:
            UsageError: one does not serve `served_name`, or refuses the key.
            InfrastructureError: none can be reached.
        """
        self.client.require_key()
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
            RefusedError: the server refuses the request itself, such as with `context_too_long`.
            UsageError: the server refuses the key, a setting of the recipe, or does not have the model.
        """
        if len(samples) == 1:
            return (await self._one(request, samples[0]),)
        return await asyncio.gather(*(self._one(request, sample) for sample in samples))

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def _one(self, request: ChatRequest, sample: int) -> ChatResponse:
        """Ask for one sample, written as the server takes it; each round leaves something out or asks for less."""
        limit, overflow = request.sampling.max_tokens, None
        while True:
            spelling = self._spelling
            try:
                response = await self._ask(request, sample, spelling, limit)
            except FilteredError as error:
                return ChatResponse(text=error.detail, finish="refused", prompt_tokens=0, completion_tokens=0)
            except TooLongError as error:
                less = fitting(error.detail, limit)
                if less is None:
                    raise
                limit, overflow = less, error
            except RejectedError as error:
                other = self._respelt(error, spelling)
                if other == spelling:
                    raise
                # Others in flight may have found out something else meanwhile.
                self._spelling = other._replace(without=other.without | self._spelling.without)
            else:
                # Cut at less than the recipe allows: it is the context that ended it.
                if overflow is not None and response.finish == "length":
                    raise overflow
                return response

    def _respelt(self, error: RejectedError, spelling: Spelling) -> Spelling:
        """Return how to write requests after one was rejected; unchanged where that would not help.

        Raises:
            UsageError: it is a setting of the recipe that the server does not take.
        """
        if KEEP_STOP in error.detail:
            return spelling._replace(without=spelling.without | {KEEP_STOP})
        if not _NOT_TAKEN.search(error.detail):
            return spelling
        named = [name for name in (*_LEFT_OUT, *_SETTINGS) if error.names(name)]
        if "max_tokens" in named and "max_completion_tokens" in error.detail and spelling.limit == "max_tokens":
            return spelling._replace(limit="max_completion_tokens")
        if named and named[0] in _LEFT_OUT:
            return spelling._replace(without=spelling.without | {named[0]})
        if named:
            raise UsageError(
                f"{self.client.base_url} does not take `{named[0]}`: {error.detail}; correct `sampling` or the dialect "
                f"of this model ({self.revision}) in the recipe"
            )
        return spelling

    async def _ask(self, request: ChatRequest, sample: int, spelling: Spelling, limit: int) -> ChatResponse:
        body = write_request(
            request,
            sample,
            served_name=self.served_name,
            encode=self._encode,
            spelling=spelling,
            max_tokens=limit,
        )
        tokens = estimated_tokens(request) if self.client.limiter.counts_tokens else 0
        affinity = beginning(request) if len(self.urls) > 1 else b""

        def read(reply: Reply) -> ChatResponse:
            return read_answer(reply.body, request, with_fingerprint=not self.ignore_fingerprint)

        asked = post_json("/chat/completions", body, tokens=tokens, affinity=affinity)
        response, seconds = await self.client.ask(asked, read)
        self.client.limiter.correct(tokens, response.prompt_tokens + response.completion_tokens)
        return response.model_copy(update={"seconds": seconds})

    async def _check(self, url: str) -> None:
        where = f"{url}/models"
        try:
            reply = await self.client.exchange(url, Asked("GET", "/models"), _CHECK_SECONDS)
        except InfrastructureError as error:
            said = str(error.__cause__) or type(error.__cause__).__name__
            raise InfrastructureError(
                f"model server {url} cannot be reached ({said}); start it, or correct `base_url` of this model in the "
                "recipe"
            ) from error
        if reply.status in RETRIED:
            raise InfrastructureError(f"{where} answered {reply.status}; wait until the model server is ready")
        if reply.status in {401, 403}:
            raise self.client.failure(where, reply)
        try:
            names = [entry["id"] for entry in json.loads(reply.body)["data"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(
                f"{where} does not answer like an OpenAI server; correct `base_url` in the recipe"
            ) from error
        if self.served_name not in names:
            raise UsageError(f"{url} serves {', '.join(names)}, not {self.served_name}; correct `served_name`")
