"""Models of a recipe: how each is described, and what of that is its identity."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.budget import PriceUse
from flows.hosted import BatchUse, HostedRole
from flows.served import OfflineRole
from pipeline.identity import Json
from pipeline.models.chat import Sampling
from pipeline.models.local.launch import Serve


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReaderRole(_Part):
    """The embedded vision model."""

    backend: Literal["reader"]
    policy: Literal["naive", "careful"]
    sampling: Sampling = Sampling()


class ServerRole(_Part):
    """A model behind a server of the OpenAI protocol, such as vLLM."""

    backend: Literal["openai"]
    model: str
    """Identity of the weights, such as `Qwen/Qwen2.5-VL-7B-Instruct@cc594898`; decides what is paid again."""
    family: str = ""
    """Of the model, where its name does not begin with it; see `family_of`."""
    served_name: str = ""
    base_url: str | tuple[str, ...] = ()
    """Such as `http://127.0.0.1:8000/v1`, or a list of them that serve the same; not identity."""
    serve: Serve | None = None
    """In place of both: vLLM is started when a stage needs the model, and stopped afterwards; not identity."""
    api_key_env: str | None = None
    """Name of the environment variable with the key; never the key."""
    in_flight: int = Field(default=64, ge=1)
    """Requests open at once, over all URLs."""
    rpm: int | None = Field(default=None, ge=1)
    """Requests per minute that the service allows."""
    tpm: int | None = Field(default=None, ge=1)
    """Tokens per minute that the service allows."""
    timeout_seconds: float = Field(default=600.0, gt=0)
    """For one try of one answer."""
    patience_seconds: float = Field(default=300.0, ge=0)
    """How long servers may be down, or a request keep failing, before the run stops."""
    fingerprint: Literal["strict", "ignore"] = "strict"
    """Whether another `system_fingerprint` is another model version, which stops a run; `ignore` for services that
    run several configurations at once, as OpenAI's does."""
    price: PriceUse | None = None
    """None: nothing, such as for a server of one's own."""
    tools_api: Literal["text", "native"] = "text"
    """How tools are called: in the text that the model writes, or by the API, where the dialect can."""
    sampling: Sampling = Sampling()
    batch: BatchUse | None = None
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


Role = Annotated[ReaderRole | ServerRole | OfflineRole | HostedRole, Field(discriminator="backend")]


def calls_by_api(role: Role) -> bool:
    """Return whether a model is given its tools as structure and not in the system text."""
    return not isinstance(role, ReaderRole) and role.tools_api == "native"


def role_identity(role: Role) -> Json:
    """Return a role without its address."""
    runtime = {
        *("served_name", "base_url", "serve", "api_key_env", "in_flight", "batch"),
        *("family", "rpm", "tpm", "timeout_seconds", "patience_seconds", "fingerprint", "price"),
    }
    content: Json = role.model_dump(mode="json", exclude=runtime)
    return content


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
