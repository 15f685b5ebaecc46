"""Models of a recipe: how each is described, and what of that is its identity."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.identity import Identity, Place
from pipeline.models.chat import Sampling, ToolImages
from pipeline.models.local.launch import Serve
from pipeline.models.providers.conversations import Profile, Thinking
from pipeline.models.providers.hosted import PROVIDERS
from pipeline.models.samples import Budget, Price

IN_FLIGHT = 64
"""Requests open at once at one replica: what a model of 7 billion parameters on one GPU answers together."""


class PriceUse(Identity):
    """Of a model, per million tokens, in whatever currency `runtime.budget.max_cost` is in."""

    prompt: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Of the prompt's tokens that the provider had in its cache; None: as the others."""
    completion: float = Field(ge=0)
    batch_discount: float = Field(default=0.5, ge=0, lt=1)
    """Share that calls in a provider's batches are cheaper by: half, at all three that have them."""

    def price(self, *, batch: bool) -> Price:
        """Return the price of a model that is asked in batches, or one by one."""
        share = 1.0 - self.batch_discount if batch else 1.0
        cached = self.prompt if self.cached is None else self.cached
        return Price(self.prompt * share, cached * share, self.completion * share)


class BudgetUse(Identity):
    """Limits of a run, over all its invocations; at each, the calls in flight are still paid for."""

    max_cost: float | None = Field(default=None, gt=0)
    """Needs the `price` of every model that is not embedded."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Of prompts and completions together, those from a provider's cache included."""
    max_calls: int | None = Field(default=None, ge=1)
    """Model calls that are paid for; what the store answers is none."""

    @property
    def budget(self) -> Budget:
        """Return the limits for `pipeline.models.samples`."""
        return Budget(self.max_cost, self.max_tokens, self.max_calls)


class ProfileUse(Identity):
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


class BatchUse(Identity):
    """Ask by the provider's batch API: half the price, answers within a day. Never part of an identity."""

    max_wait_seconds: float = Field(default=60.0, gt=0)
    """How long a wave's first request waits for company; little beside the hours of a batch."""
    max_requests: int = Field(default=10_000, ge=1)
    """Per wave. `runtime.rollouts` bounds it too: only a conversation in flight asks for anything."""


class HostedRole(Identity):
    """A model of Anthropic or Gemini."""

    backend: Literal["anthropic", "gemini"]
    model: str
    """As the provider calls it; a dated name stays the same model."""
    api_key_env: Place[str | None] = None
    """Name of the environment variable with the key, never the key; None: the provider's usual one."""
    base_url: Place[str | None] = None
    """Of a gateway that speaks the provider's protocol; not identity."""
    context_length: int | None = Field(default=None, ge=1)
    """In tokens, as its server was started with (`--max-model-len`). What was too long is asked again once this is
    larger than it was; None: not stated, and what was too long stays so."""
    thinking: Thinking = "minimal"
    in_flight: Place[int] = Field(default=32, ge=1)
    rpm: Place[int | None] = Field(default=None, ge=1)
    tpm: Place[int | None] = Field(default=None, ge=1)
    """Requests and tokens per minute of the account; None: no limit but the provider's own."""
    tools_api: Literal["text", "native"] = "text"
    """How tools are called: in the text that the model writes, or by the API, where the dialect can."""
    sampling: Sampling = Sampling()
    profile: ProfileUse = ProfileUse()
    batch: Place[BatchUse | None] = None
    """None: every request on its own, answered at once."""
    price: Place[PriceUse | None] = None
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


class OfflineRole(Identity):
    """A model in vLLM's offline engine, which a stage starts when it needs it and stops afterwards."""

    backend: Literal["vllm_offline"]
    model: str
    """Identity of the weights, such as `Qwen/Qwen2.5-VL-7B-Instruct@cc594898`; decides what is paid again."""
    family: Place[str] = ""
    """Of the model, where its name does not begin with it."""
    context_length: int | None = Field(default=None, ge=1)
    """In tokens, as its server was started with (`--max-model-len`). What was too long is asked again once this is
    larger than it was; None: not stated, and what was too long stays so."""
    serve: Place[Serve]
    in_flight: Place[int] = Field(default=256, ge=1)
    """Requests handed over at once; the engine batches what fits and queues the rest."""
    price: Place[PriceUse | None] = None
    """None: nothing."""
    tools_api: Literal["text"] = "text"
    """The engine has no API for calls; they are in the text that the model writes."""
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _one_copy(self) -> Self:
        if self.serve.dp != 1:
            raise ValueError("serve.dp: the offline engine is one copy; take backend: openai for several")
        return self


class ReaderRole(Identity):
    """The embedded vision model."""

    backend: Literal["reader"]
    policy: Literal["naive", "careful"]
    context_length: None = None
    """It has none that could be too short."""
    sampling: Sampling = Sampling()


class ServerRole(Identity):
    """A model behind a server of the OpenAI protocol, such as vLLM."""

    backend: Literal["openai"]
    model: str
    """Identity of the weights, such as `Qwen/Qwen2.5-VL-7B-Instruct@cc594898`; decides what is paid again."""
    family: Place[str] = ""
    """Of the model, where its name does not begin with it; see `family_of`."""
    context_length: int | None = Field(default=None, ge=1)
    """In tokens, as its server was started with (`--max-model-len`). What was too long is asked again once this is
    larger than it was; None: not stated, and what was too long stays so."""
    served_name: Place[str] = ""
    base_url: Place[str | tuple[str, ...]] = ()
    """Such as `http://127.0.0.1:8000/v1`, or a list of them that serve the same; not identity."""
    serve: Place[Serve | None] = None
    """In place of both: vLLM is started when a stage needs the model, and stopped afterwards; not identity."""
    api_key_env: Place[str | None] = None
    """Name of the environment variable with the key; never the key."""
    in_flight: Place[int | None] = Field(default=None, ge=1)
    """Requests open at once, over all URLs; None: 64 for each replica, which are its URLs, or `serve.dp`."""
    rpm: Place[int | None] = Field(default=None, ge=1)
    """Requests per minute that the service allows."""
    tpm: Place[int | None] = Field(default=None, ge=1)
    """Tokens per minute that the service allows."""
    timeout_seconds: Place[float] = Field(default=600.0, gt=0)
    """For one try of one answer."""
    patience_seconds: Place[float] = Field(default=300.0, ge=0)
    """How long servers may be down, or a request keep failing, before the run stops."""
    fingerprint: Place[Literal["strict", "ignore"]] = "strict"
    """Whether another `system_fingerprint` is another model version, which stops a run; `ignore` for services that
    run several configurations at once, as OpenAI's does."""
    price: Place[PriceUse | None] = None
    """None: nothing, such as for a server of one's own."""
    tools_api: Literal["text", "native"] = "text"
    """How tools are called: in the text that the model writes, or by the API, where the dialect can."""
    tool_images: ToolImages = "user_after"
    """Under `tools_api: native`, where the pictures of a result go. `inside` the tool's message, where the server takes
    them: templates of thinking models (Qwen3.5, GLM) drop earlier thoughts after a message of the user's."""
    sampling: Sampling = Sampling()
    batch: Place[BatchUse | None] = None
    """None: every request on its own. Batches are OpenAI's, and of services that copy its API; vLLM has none."""

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if bool(self.base_url and self.served_name) == (self.serve is not None):
            raise ValueError("give base_url and served_name of a server that runs, or serve: {model} to start one")
        if self.serve is not None and (self.batch is not None or self.api_key_env is not None):
            raise ValueError("serve: a server of our own takes no batch and no api_key_env")
        for url in (self.base_url,) if isinstance(self.base_url, str) else self.base_url:
            if url and not url.startswith(("http://", "https://")):
                raise ValueError(f"base_url {url}: write the address as http://HOST:PORT/v1")
        return self

    @property
    def replicas(self) -> int:
        """Return how many copies of the model answer."""
        if self.serve is not None:
            return self.serve.dp
        return 1 if isinstance(self.base_url, str) else len(self.base_url)

    @property
    def calls_at_once(self) -> int:
        """Return how many requests are open at once."""
        return IN_FLIGHT * self.replicas if self.in_flight is None else self.in_flight


Role = Annotated[ReaderRole | ServerRole | OfflineRole | HostedRole, Field(discriminator="backend")]


def calls_at_once(role: Role) -> int:
    """Return how many requests of a role are open at once; of the embedded reader, none is sent."""
    match role:
        case ReaderRole():
            return 0
        case ServerRole():
            return role.calls_at_once
        case _:
            return role.in_flight


def calls_by_api(role: Role) -> bool:
    """Return whether a model is given its tools as structure and not in the system text."""
    return not isinstance(role, ReaderRole) and role.tools_api == "native"


def tool_images(role: Role) -> ToolImages:
    """Return where the pictures of a result stand; hosted providers have places of their own for them."""
    return role.tool_images if isinstance(role, ServerRole) else "user_after"


def family_of(role: Role) -> str:
    """Return the family of a role's model, such as `qwen` or `claude`: models of one family share blind spots.

    A server's is what its model's name begins with, up to a digit or a dash, after the owner: `Qwen/Qwen2.5-VL-7B`.
    """
    match role:
        case ReaderRole():
            return "reader"
        case HostedRole():
            return "claude" if role.backend == "anthropic" else "gemini"
        case _:
            name = role.model.partition("@")[0].rpartition("/")[2].lower()
            return role.family or re.split(r"[^a-z]", name, maxsplit=1)[0] or name


def role_price(role: Role) -> Price:
    """Return what a role's calls cost."""
    if isinstance(role, ReaderRole) or role.price is None:
        return Price()
    return role.price.price(batch=not isinstance(role, OfflineRole) and role.batch is not None)
