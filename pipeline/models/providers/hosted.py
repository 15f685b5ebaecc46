"""A hosted teacher behind `ChatModel`: Claude or Gemini."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import orjson

from pipeline.errors import UsageError
from pipeline.models.chat import ChatRequest, ChatResponse, View
from pipeline.models.client import Asked, Client, Key, Retry, error_of, post_json, read_json
from pipeline.models.limits import Limiter
from pipeline.models.providers import anthropic, gemini, gemini_answers
from pipeline.models.providers.conversations import Encode, Profile, Thinking, check_bytes, thinking_room
from pipeline.models.providers.openai_requests import estimated_tokens
from pipeline.models.traffic import Traffic
from pipeline.store.blobs import BlobStore

ProviderName = Literal["anthropic", "gemini"]

ENCODED_VIEWS = 64
"""Views kept in base64 for the next turn and the next sample: at most some 50 MB, a view being half a megabyte."""

Write = Callable[[ChatRequest, int, "HostedModel"], dict[str, Any]]


class Provider(NamedTuple):
    """What differs between two providers."""

    name: str
    profile: Profile
    base_url: str
    key_header: str
    headers: Mapping[str, str]
    write: Write
    path: Callable[[str], str]
    """Of a model's endpoint."""
    read: Callable[[Any, Sequence[str]], ChatResponse]
    refusal: Callable[[int, dict[str, Any]], Exception | None]
    unsupported: Callable[[dict[str, Any], Thinking, Profile], str]


def _write_anthropic(request: ChatRequest, _: int, model: HostedModel) -> dict[str, Any]:
    return anthropic.to_body(
        request, model=model.model, thinking=model.thinking, profile=model.profile, encode=model.encode
    )


def _write_gemini(request: ChatRequest, sample: int, model: HostedModel) -> dict[str, Any]:
    return gemini.to_body(
        request, sample, model=model.model, thinking=model.thinking, profile=model.profile, encode=model.encode
    )


PROVIDERS: Mapping[ProviderName, Provider] = {
    "anthropic": Provider(
        name="the Anthropic API at",
        profile=anthropic.PROFILE,
        base_url=anthropic.BASE_URL,
        key_header="x-api-key",
        headers=anthropic.HEADERS,
        write=_write_anthropic,
        path=lambda _: "messages",
        read=anthropic.from_body,
        refusal=anthropic.refusal,
        unsupported=anthropic.unsupported,
    ),
    "gemini": Provider(
        name="the Gemini API at",
        profile=gemini.PROFILE,
        base_url=gemini.BASE_URL,
        key_header="x-goog-api-key",
        headers={},
        write=_write_gemini,
        path=lambda model: f"models/{model}:generateContent",
        read=gemini_answers.from_body,
        refusal=gemini_answers.refusal,
        unsupported=lambda info, _thinking, _profile: gemini_answers.unsupported(info),
    ),
}


@dataclass(frozen=True)
class HostedModel:
    """One model of one provider. Use from one event loop."""

    provider: ProviderName
    model: str
    """As the provider calls it; pin a dated name where there is one."""
    thinking: Thinking
    profile: Profile
    api: Client
    encode: Encode

    @property
    def revision(self) -> str:
        """Return the identity of what answers: how it thinks is part of it, and in no request."""
        room = thinking_room(self.thinking, self.profile)
        how = f"-{self.profile.thinking}-{room}" if room else ""
        return f"{self.provider}/{self.model}/thinking-{self.thinking}{how}"

    @property
    def slots(self) -> asyncio.Semaphore:
        """Return the account's."""
        return self.api.slots

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return one response per sample index.

        Raises:
            InfrastructureError: no usable answer after several tries.
            RowError: the provider refuses the request, or would.
            UsageError: it refuses the key or the settings.
        """
        return await asyncio.gather(*(self._one(request, sample) for sample in samples))

    async def _one(self, request: ChatRequest, sample: int) -> ChatResponse:
        path = f"/{PROVIDERS[self.provider].path(self.model)}"
        tokens = estimated_tokens(request) + thinking_room(self.thinking, self.profile)
        asked = post_json(path, self.payload(request, sample), tokens=tokens)
        response, seconds = await self.api.ask(asked, lambda reply: self.read(read_json(reply), request))
        self.api.limiter.correct(tokens, response.prompt_tokens + response.completion_tokens)
        return response.model_copy(update={"seconds": seconds})

    def payload(self, request: ChatRequest, sample: int) -> bytes:
        """Return the JSON that asks for one sample, alone or within a batch.

        Raises:
            RowError: it is larger than the provider takes.
            UsageError: it asks for what the model does not have.
        """
        body = PROVIDERS[self.provider].write(request, sample, self)
        content = orjson.dumps(body)
        check_bytes(content, self.profile)
        return content

    def read(self, body: Any, request: ChatRequest) -> ChatResponse:
        """Return a provider's answer to `request` in our terms.

        Raises:
            InfrastructureError: it is none.
        """
        return PROVIDERS[self.provider].read(body, request.stop)

    @property
    def process(self) -> None:
        """Return nothing: it is not ours to start."""
        return

    async def check(self) -> None:
        """Ask the provider whether it has the model and whether the model does what the recipe asks.

        Raises:
            UsageError: it does not, or the key is missing or refused.
            InfrastructureError: the provider cannot be reached.
        """
        self.api.require_key()
        info, _ = await self.api.ask(Asked("GET", f"/models/{self.model}"), read_json)
        wrong = PROVIDERS[self.provider].unsupported(info, self.thinking, self.profile)
        if wrong:
            raise UsageError(f"{self.provider} model {self.model}: {wrong} in the recipe")

    async def aclose(self) -> None:
        """Close the connections."""
        await self.api.aclose()


TRIES = 8
"""With pauses that double from 1 s up to `LONGEST_PAUSE_SECONDS`, half of each on average, about a minute in all: an
overloaded provider recovers within one more often than not."""


def open_api(
    provider: ProviderName,
    *,
    api_key_env: str,
    base_url: str | None,
    in_flight: int,
    limiter: Limiter | None = None,
    retry: Retry | None = None,
    traffic: Traffic | None = None,
) -> Client:
    """Return an account of a provider, or of a gateway that speaks its protocol; nothing is sent yet."""
    known = PROVIDERS[provider]
    return Client(
        name=known.name,
        urls=(base_url or known.base_url,),
        key=Key(api_key_env, known.key_header, ""),
        refusal=lambda status, body: known.refusal(status, error_of(body)),
        headers=known.headers,
        in_flight=in_flight,
        limiter=limiter or Limiter(None, None),
        retry=retry or Retry(TRIES),
        traffic=traffic or Traffic(),
    )


def encoder(blobs: BlobStore) -> Encode:
    """Return a function that encodes views, each once as long as it is in use."""

    @lru_cache(maxsize=ENCODED_VIEWS)
    def encode(blob: str) -> str:
        return base64.b64encode(blobs.get(blob)).decode()

    def encode_view(view: View) -> str:
        return encode(view.blob)

    return encode_view
