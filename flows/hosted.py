"""Hosted teachers of a recipe: how they are described, and how they are opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.budget import PriceUse
from pipeline.errors import UsageError
from pipeline.models.batch.apis import AnthropicBatches, GeminiBatches, OpenAIBatches, OpenAISingle, open_openai_api
from pipeline.models.batch.interface import BatchApi, SingleModel
from pipeline.models.batch.open_waves import OpenWaves
from pipeline.models.batch.waves import Batched
from pipeline.models.chat import Sampling
from pipeline.models.limits import Limiter
from pipeline.models.providers.hosted import PROVIDERS, HostedModel, encoder, open_api
from pipeline.models.providers.openai import Server
from pipeline.models.providers.turns import Profile, Thinking
from pipeline.store.blobs import BlobStore


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProfileUse(_Part):
    """What a model takes where it differs from what its provider's models take by now."""

    max_images: int | None = Field(default=None, ge=1)
    max_image_bytes: int | None = Field(default=None, ge=1)
    max_side: int | None = Field(default=None, ge=1)
    max_request_bytes: int | None = Field(default=None, ge=1)
    takes_sampling: bool | None = None
    """Whether temperature and top_p may be other than 1 (Claude up to 4.6)."""
    thinking: Literal["level", "budget"] | None = None
    """`budget` for Claude up to 4.5 and Gemini 2.5."""
    native_thinking_tokens: int | None = Field(default=None, ge=1_024)
    """Room for thought in each message, beside `sampling.max_tokens`."""


class BatchUse(_Part):
    """Ask by the provider's batch API: half the price, answers within a day. Never part of an identity."""

    max_wait_seconds: float = Field(default=60.0, gt=0)
    """How long a wave's first request waits for company; little beside the hours of a batch."""
    max_requests: int = Field(default=10_000, ge=1)
    """Per wave. `runtime.rollouts` bounds it too: only a conversation in flight asks for anything."""


class HostedRole(_Part):
    """A model of Anthropic or Gemini."""

    backend: Literal["anthropic", "gemini"]
    model: str
    """As the provider calls it; a dated name stays the same model."""
    api_key_env: str | None = None
    """Name of the environment variable with the key, never the key; None: the provider's usual one."""
    base_url: str | None = None
    """Of a gateway that speaks the provider's protocol; not identity."""
    thinking: Thinking = "minimal"
    in_flight: int = Field(default=32, ge=1)
    rpm: int | None = Field(default=None, ge=1)
    tpm: int | None = Field(default=None, ge=1)
    """Requests and tokens per minute of the account; None: no limit but the provider's own."""
    tools_api: Literal["text", "native"] = "text"
    """How tools are called: in the text that the model writes, or by the API, where the dialect can."""
    sampling: Sampling = Sampling()
    profile: ProfileUse = ProfileUse()
    batch: BatchUse | None = None
    """None: every request on its own, answered at once."""
    price: PriceUse | None = None
    """Before the discount of batches; None: not known."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        """Refuse what the provider would refuse for every row."""
        if self.backend == "gemini" and self.thinking == "off" and self.limits.thinking == "level":
            raise ValueError("Gemini from 3 on cannot be kept from thinking: set thinking: minimal")
        if not self.limits.takes_sampling and (self.sampling.temperature, self.sampling.top_p) != (1.0, 1.0):
            raise ValueError(
                f"{self.model} takes no temperature and no top_p: leave sampling.{{temperature,top_p}} at 1"
            )
        return self

    @property
    def limits(self) -> Profile:
        """Return what the model takes."""
        return replace(PROVIDERS[self.backend].profile, **self.profile.model_dump(exclude_none=True))

    @property
    def key_variable(self) -> str:
        """Return the name of the variable with the key."""
        return self.api_key_env or {"anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}[self.backend]


def open_single(role: HostedRole, blobs: BlobStore) -> HostedModel:
    """Return a role's model, asked one by one; nothing is sent yet."""
    return HostedModel(
        provider=role.backend,
        model=role.model,
        thinking=role.thinking,
        profile=role.limits,
        api=open_api(
            role.backend,
            api_key_env=role.key_variable,
            base_url=role.base_url,
            in_flight=role.in_flight,
            limiter=Limiter(role.rpm, role.tpm),
        ),
        encode=encoder(blobs),
    )


def open_hosted(role: HostedRole, blobs: BlobStore, store: Path) -> HostedModel | Batched:
    """Return a role's model, asked as the role says; nothing is sent yet.

    Raises:
        InfrastructureError: the store's batch journal cannot be opened.
    """
    model = open_single(role, blobs)
    if role.batch is None:
        return model
    if role.backend == "anthropic":
        return _batched(model, AnthropicBatches(model.api), role.batch, store)
    return _batched(model, GeminiBatches(model.api, role.model), role.batch, store)


def open_openai_batches(server: Server, batch: BatchUse, store: Path) -> Batched:
    """Return a server's model, asked by the Batch API of OpenAI.

    Raises:
        InfrastructureError: the store's batch journal cannot be opened.
        UsageError: the server has no key, so it is none of OpenAI's.
    """
    if server.api_key_env is None:
        raise UsageError(f"{server.urls[0]}: `batch` needs `api_key_env` of this model in the recipe")
    api = open_openai_api(server.urls[0], server.api_key_env)
    return _batched(OpenAISingle(server, api), OpenAIBatches(api), batch, store)


def _batched(model: SingleModel, api: BatchApi, batch: BatchUse, store: Path) -> Batched:
    journal = OpenWaves(store / "batches.sqlite", model.revision)
    return Batched(model, api, journal, batch.max_wait_seconds, batch.max_requests)
