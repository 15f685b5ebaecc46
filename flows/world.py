"""What the stages of a run act with: models, tools, views. Opened on a driver, closed with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from flows.driver import Driver
from flows.inputs import Inputs
from flows.recipe import ReaderRole, Recipe, Role, ServerRole
from pipeline.identity import canonical_json
from pipeline.models.chat import ChatModel
from pipeline.models.reader.model import Reader
from pipeline.models.reader.perceiver import Perceiver
from pipeline.models.server import Server
from pipeline.models.views import Views
from pipeline.prompts import Prompts
from pipeline.prompts import Role as Speaker
from pipeline.records import Mode, Purpose
from pipeline.rollout import Setting, World
from pipeline.sandbox import Policy, Pool
from pipeline.tools.python import PythonTool
from pipeline.tools.search.hits import SearchProvider
from pipeline.tools.search.local import LocalSearch
from pipeline.tools.search.none import NoSearch


@dataclass(frozen=True)
class Stock:
    """Everything that is opened once per invocation."""

    world: World
    base: ChatModel
    teachers: tuple[ChatModel, ...]
    replay: Pool
    """Zygotes that no rollout used; they start with the first replay."""
    slots: asyncio.Semaphore
    """Conversations in flight, over all stages."""

    async def check(self) -> None:
        """Ask every model server whether it is there, before any work.

        Raises:
            UsageError: a server does not serve the model, or refuses the key.
            InfrastructureError: a server cannot be reached.
        """
        servers = (model for model in (self.base, *self.teachers) if isinstance(model, Server))
        await asyncio.gather(*(server.check() for server in servers))


def open_stock(recipe: Recipe, inputs: Inputs, driver: Driver) -> Stock:
    """Open models and tools. Nothing heavy starts here: zygotes, recognisers and connections start when first used.

    Raises:
        UsageError: the guest environment is missing, or this machine cannot isolate a sandbox.
    """
    rule = recipe.student.view_rule
    policy = Policy()
    pool = driver.resources.enter_context(Pool(policy, driver.workers))
    replay = driver.resources.enter_context(Pool(policy, driver.workers))
    world = World(
        calls=driver.calls,
        blobs=driver.blobs,
        views=Views(driver.blobs, rule),
        python=PythonTool(pool, driver.calls, driver.blobs, rule, recipe.seed),
        search=_open_search(inputs, driver),
    )
    perceiver = Perceiver(driver.store / "perceptions", driver.blobs, driver.workers)
    driver.resources.callback(perceiver.close)
    return Stock(
        world=world,
        base=_open_model(recipe.models.base, driver, perceiver),
        teachers=tuple(_open_model(role, driver, perceiver) for role in recipe.models.teachers),
        replay=replay,
        slots=asyncio.Semaphore(recipe.runtime.rollouts),
    )


def _open_search(inputs: Inputs, driver: Driver) -> SearchProvider:
    if inputs.search is None:
        return NoSearch()
    return LocalSearch(inputs.search.directory, driver.blobs, driver.store / "search")


def _open_model(role: Role, driver: Driver, perceiver: Perceiver) -> ChatModel:
    if isinstance(role, ReaderRole):
        return Reader(role.policy, perceiver)
    server = open_server(role, driver)
    driver.close_on_exit(server.aclose)
    return server


def open_server(role: ServerRole, driver: Driver) -> Server:
    """Return the client of a role's server; nothing is sent yet."""
    return Server(
        base_url=role.base_url.rstrip("/"),
        served_name=role.served_name,
        revision=f"openai/{role.model}",
        blobs=driver.blobs,
        api_key_env=role.api_key_env,
        in_flight=role.in_flight,
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
    name = f"{asked.speaker}/{asked.mode}"
    return Setting(
        purpose=asked.purpose,
        mode=asked.mode,
        model=asked.model,
        sampling=asked.role.sampling,
        seed=recipe.seed,
        system=prompts.system(asked.speaker, asked.mode),
        user_template=prompts.user(asked.speaker, asked.mode),
        prompts=canonical_json({name: prompts.hashes()[name]}),
        limits=recipe.rollout.limits,
    )
