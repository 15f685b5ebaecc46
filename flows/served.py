"""Models of a recipe that vLLM runs for us: how they are described, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.budget import PriceUse
from pipeline.models.chat import Sampling
from pipeline.models.local.launch import OnDemand, Running, Serve
from pipeline.models.local.offline import Engine, Offline, engine_on_demand
from pipeline.models.local.served import Served, server_on_demand
from pipeline.models.providers.openai import Server
from pipeline.store.blobs import BlobStore


class OfflineRole(BaseModel):
    """A model in vLLM's offline engine, which a stage starts when it needs it and stops afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["vllm_offline"]
    model: str
    """Identity of the weights, such as `Qwen/Qwen2.5-VL-7B-Instruct@cc594898`; decides what is paid again."""
    family: str = ""
    """Of the model, where its name does not begin with it."""
    serve: Serve
    in_flight: int = Field(default=256, ge=1)
    """Requests handed over at once; the engine batches what fits and queues the rest."""
    price: PriceUse | None = None
    """None: nothing."""
    tools_api: Literal["text"] = "text"
    """The engine has no API for calls; they are in the text that the model writes."""
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _one_copy(self) -> Self:
        if self.serve.dp != 1:
            raise ValueError("serve.dp: the offline engine is one copy; take backend: openai for several")
        return self


class Launches:
    """The processes of a run's models; roles that serve the same share one."""

    def __init__(self) -> None:
        self._servers: dict[tuple[Serve, str], OnDemand[Running]] = {}
        self._engines: dict[tuple[Serve, str], OnDemand[Engine]] = {}

    def served(self, model: str, serve: Serve, connect: Callable[[str], Server], in_flight: int) -> Served:
        """Return a model behind a server of ours; nothing starts yet."""
        key = (serve, model)
        server = self._servers.setdefault(key, server_on_demand(serve, model))
        return Served(f"openai/{model}", server, connect, in_flight)

    def offline(self, role: OfflineRole, blobs: BlobStore) -> Offline:
        """Return a model in an engine of ours; nothing starts yet."""
        key = (role.serve, role.model)
        engine = self._engines.setdefault(key, engine_on_demand(*key))
        return Offline(f"vllm_offline/{role.model}", role.model, engine, blobs, role.in_flight)
