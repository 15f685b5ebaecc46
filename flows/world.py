"""What the stages of a run act with: models, tools, views. Opened on a driver, closed with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from flows.driver import Driver
from flows.hosted import HostedRole, open_hosted, open_openai_batches
from flows.inputs import Inputs
from flows.recipe import ReaderRole, Recipe, Role, ServerRole, calls_by_api
from flows.sandboxes import open_sandbox
from flows.served import Launches, OfflineRole
from pipeline.dialects import by_name
from pipeline.identity import canonical_json
from pipeline.models.batches import Batched
from pipeline.models.chat import ChatModel
from pipeline.models.hosted_model import HostedModel
from pipeline.models.meter import Meter, Metered, Price
from pipeline.models.offline import Offline
from pipeline.models.reader.model import Reader
from pipeline.models.reader.perceiver import Perceiver
from pipeline.models.served import Served
from pipeline.models.server import Server
from pipeline.models.views import Views
from pipeline.prompts import Prompts
from pipeline.prompts import Role as Speaker
from pipeline.records import Mode, Purpose
from pipeline.rollout import Setting, World
from pipeline.sandbox import Sandbox
from pipeline.tools.python import PythonTool
from pipeline.tools.search.hits import SearchProvider
from pipeline.tools.search.local import LocalSearch
from pipeline.tools.search.none import NoSearch


@dataclass(frozen=True)
class Stock:
    """Everything that is opened once per invocation."""

    world: World
    base: Metered
    teachers: tuple[Metered, ...]
    meter: Meter
    """Counts what all models cost."""
    replay: Sandbox
    """Zygotes that no rollout used; they start with the first replay. A service's sessions are fresh ones."""
    slots: asyncio.Semaphore
    """Conversations in flight, over all stages."""

    async def check(self) -> None:
        """Ask every model server whether it is there, before any work.

        Raises:
            UsageError: a server does not serve the model, or refuses the key.
            InfrastructureError: a server cannot be reached.
        """
        models = (metered.model for metered in (self.base, *self.teachers))
        servers = (model for model in models if isinstance(model, Server | HostedModel | Batched | Served | Offline))
        await asyncio.gather(*(server.check() for server in servers))

    async def stop_unasked(self, stage: str) -> None:
        """Stop the model servers of ours that a stage does not ask: others may need their GPUs."""
        asked = {"gate1": (self.base,), "gate2": (self.base,), "synthesize": self.teachers}.get(stage, ())
        needed = {of.model.launch for of in asked if isinstance(of.model, Served | Offline)}
        for of in (self.base, *self.teachers):
            if isinstance(of.model, Served | Offline) and of.model.launch not in needed:
                await of.model.aclose()


def open_stock(recipe: Recipe, inputs: Inputs, driver: Driver) -> Stock:
    """Open models and tools. Nothing heavy starts here: zygotes, recognisers and connections start when first used.

    Raises:
        UsageError, InfrastructureError, IsolationError: there is no sandbox, as `open_sandbox`.
    """
    rule = recipe.student.view_rule
    pool, replay = _open_sandbox(recipe, driver), _open_sandbox(recipe, driver)
    world = World(
        calls=driver.calls,
        blobs=driver.blobs,
        views=Views(driver.blobs, rule),
        python=PythonTool(pool, driver.calls, driver.blobs, rule, recipe.seed),
        search=_open_search(inputs, driver),
    )
    perceiver = Perceiver(driver.store / "perceptions", driver.blobs, driver.workers)
    driver.resources.callback(perceiver.close)
    meter = Meter(recipe.runtime.budget.budget)
    launches = Launches()

    def metered(role: Role) -> Metered:
        return Metered(_open_model(role, driver, perceiver, launches), meter, role_price(role))

    return Stock(
        world=world,
        base=metered(recipe.models.base),
        teachers=tuple(metered(role) for role in recipe.models.teachers),
        meter=meter,
        replay=replay,
        slots=asyncio.Semaphore(recipe.runtime.rollouts),
    )


def _open_sandbox(recipe: Recipe, driver: Driver) -> Sandbox:
    sandbox = open_sandbox(recipe.runtime, driver.workers)
    driver.resources.callback(sandbox.close)
    return sandbox


def _open_search(inputs: Inputs, driver: Driver) -> SearchProvider:
    if inputs.search is None:
        return NoSearch()
    return LocalSearch(inputs.search.directory, driver.blobs, driver.store / "search")


def role_price(role: Role) -> Price:
    """Return what a role's calls cost."""
    if isinstance(role, ReaderRole) or role.price is None:
        return Price()
    return role.price.price(batch=not isinstance(role, OfflineRole) and role.batch is not None)


def _open_model(role: Role, driver: Driver, perceiver: Perceiver, launches: Launches) -> ChatModel:
    if isinstance(role, ReaderRole):
        return Reader(role.policy, perceiver)
    server: Server | HostedModel | Batched | Served | Offline
    if isinstance(role, HostedRole):
        server = open_hosted(role, driver.blobs, driver.store)
    elif isinstance(role, OfflineRole):
        server = launches.offline(role, driver.blobs)
    elif role.serve is not None:
        server = launches.served(role.model, role.serve, partial(_connect, role, driver))
    elif role.batch is not None:
        server = open_openai_batches(open_server(role, driver), role.batch, driver.store)
    else:
        server = open_server(role, driver)
    driver.close_on_exit(server.aclose)
    return server


def _connect(role: ServerRole, driver: Driver, base_url: str) -> Server:
    return open_server(role.model_copy(update={"base_url": base_url, "served_name": role.model}), driver)


def open_server(role: ServerRole, driver: Driver) -> Server:
    """Return the client of a role's server; nothing is sent yet."""
    return Server(
        base_url=role.base_url,
        served_name=role.served_name,
        revision=f"openai/{role.model}",
        blobs=driver.blobs,
        api_key_env=role.api_key_env,
        timeout_seconds=role.timeout_seconds,
        patience_seconds=role.patience_seconds,
        in_flight=role.in_flight,
        rpm=role.rpm,
        tpm=role.tpm,
        ignore_fingerprint=role.fingerprint == "ignore",
    )


def gate_setting(recipe: Recipe, inputs: Inputs, stock: Stock, mode: Mode) -> Setting:
    """Return how the base model is asked in a gate."""
    asked = _Asked(stock.base, recipe.models.base, "base", "gate", mode)
    return _setting(recipe, inputs.prompts, asked)


def teacher_settings(recipe: Recipe, inputs: Inputs, stock: Stock) -> tuple[Setting, ...]:
    """Return how each teacher is asked, in the recipe's order."""
    pairs = zip(stock.teachers, recipe.models.teachers, strict=True)
    asked = (_Asked(model, role, "teacher", "synthesis", "tools") for model, role in pairs)
    return tuple(_setting(recipe, inputs.prompts, one) for one in asked)


class _Asked(NamedTuple):
    """Which model is asked, as whom and for what."""

    model: ChatModel
    role: Role
    speaker: Speaker
    purpose: Purpose
    mode: Mode


def _setting(recipe: Recipe, prompts: Prompts, asked: _Asked) -> Setting:
    dialect, native = by_name(recipe.dialect), calls_by_api(asked.role)
    text_hash = prompts.hash(asked.speaker, asked.mode, native=native)
    return Setting(
        purpose=asked.purpose,
        mode=asked.mode,
        dialect=dialect,
        tools=dialect.tools if native and asked.mode == "tools" else "",
        model=asked.model,
        sampling=asked.role.sampling,
        seed=recipe.seed,
        system=prompts.system(asked.speaker, asked.mode, native=native),
        user_template=prompts.user(asked.speaker, asked.mode),
        prompts=canonical_json({f"{asked.speaker}/{asked.mode}": text_hash}),
        limits=recipe.rollout.limits,
    )
