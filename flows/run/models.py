"""The models of a recipe, opened: the only place that knows every backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from flows.asking.resources import Backend
from flows.recipe.roles import BatchUse, HostedRole, OfflineRole, ReaderRole, Role, ServerRole
from pipeline.demo.reader.model import Reader
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.engine.executor import Executor
from pipeline.errors import UsageError
from pipeline.models.batch.apis import AnthropicBatches, GeminiBatches, OpenAIBatches, OpenAISingle, open_openai_api
from pipeline.models.batch.interface import BatchApi, SingleModel
from pipeline.models.batch.open_waves import OpenWaves
from pipeline.models.batch.waves import Batched
from pipeline.models.limits import Limiter
from pipeline.models.local.launch import OnDemand, Running, Serve
from pipeline.models.local.offline import Engine, Offline, engine_on_demand
from pipeline.models.local.served import Served, server_on_demand
from pipeline.models.providers.hosted import HostedModel, encoder, open_api
from pipeline.models.providers.openai import Server
from pipeline.models.traffic import Traffic
from pipeline.store import Store
from pipeline.store.blobs import BlobStore


def open_model(  # noqa: PLR0917 - what any of the kinds of models takes
    role: Role, store: Store, executor: Executor, perceiver: Perceiver, launches: Launches, traffic: Traffic
) -> Backend:
    """Return a role's model, whose failed tries are counted in `traffic`; nothing is sent and nothing heavy starts."""
    if isinstance(role, ReaderRole):
        return Reader(role.policy, perceiver)
    server: Server | HostedModel | Batched | Served | Offline
    if isinstance(role, HostedRole):
        server = open_hosted(role, store.blobs, store.directory, traffic)
    elif isinstance(role, OfflineRole):
        server = launches.offline(role, store.blobs)
    elif role.serve is not None:
        server = launches.served(role.model, role.serve, partial(_connect, role, store, traffic), role.calls_at_once)
    elif role.batch is not None:
        server = open_openai_batches(open_server(role, store, traffic), role.batch, store.directory)
    else:
        server = open_server(role, store, traffic)
    executor.close_on_exit(server.aclose)
    return server


def _connect(role: ServerRole, store: Store, traffic: Traffic, base_url: str) -> Server:
    return open_server(role.model_copy(update={"base_url": base_url, "served_name": role.model}), store, traffic)


def open_server(role: ServerRole, store: Store, traffic: Traffic) -> Server:
    """Return the client of a role's server; nothing is sent yet."""
    return Server(
        base_url=role.base_url,
        served_name=role.served_name,
        revision=f"openai/{role.model}",
        blobs=store.blobs,
        api_key_env=role.api_key_env,
        timeout_seconds=role.timeout_seconds,
        patience_seconds=role.patience_seconds,
        in_flight=role.calls_at_once,
        rpm=role.rpm,
        tpm=role.tpm,
        ignore_fingerprint=role.fingerprint == "ignore",
        traffic=traffic,
    )


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


def open_single(role: HostedRole, blobs: BlobStore, traffic: Traffic | None = None) -> HostedModel:
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
            traffic=traffic,
        ),
        encode=encoder(blobs),
    )


def open_hosted(
    role: HostedRole, blobs: BlobStore, store: Path, traffic: Traffic | None = None
) -> HostedModel | Batched:
    """Return a role's model, asked as the role says; nothing is sent yet.

    Raises:
        InfrastructureError: the store's batch journal cannot be opened.
    """
    model = open_single(role, blobs, traffic)
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
    api = open_openai_api(server.urls[0], server.api_key_env, traffic=server.traffic)
    return _batched(OpenAISingle(server, api), OpenAIBatches(api), batch, store)


def _batched(model: SingleModel, api: BatchApi, batch: BatchUse, store: Path) -> Batched:
    journal = OpenWaves(store / "batches.sqlite", model.revision)
    return Batched(model, api, journal, batch.max_wait_seconds, batch.max_requests)
