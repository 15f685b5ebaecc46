"""What the stages of a run act with: models, tools, views. Opened on an executor, closed with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from flows.hosted import HostedRole, open_hosted, open_openai_batches
from flows.inputs import Inputs
from flows.judging import Judge
from flows.recipe import Recipe
from flows.roles import ReaderRole, Role, ServerRole, calls_by_api, family_of
from flows.sandboxes import open_sandbox
from flows.served import Launches, OfflineRole
from pipeline.demo.reader.model import Reader
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.dialects import Dialect, by_name
from pipeline.engine.executor import Executor
from pipeline.identity import canonical_json
from pipeline.models.batch.waves import Batched
from pipeline.models.chat import ChatModel
from pipeline.models.local.offline import Offline
from pipeline.models.local.served import Served
from pipeline.models.providers.hosted import HostedModel
from pipeline.models.providers.openai import Server
from pipeline.models.samples import Meter, Metered, Price
from pipeline.models.views import Views
from pipeline.prompts.judge_prompts import load_judge_prompts
from pipeline.prompts.sets import Prompts
from pipeline.prompts.sets import Role as Speaker
from pipeline.records import Arm, Mode, Purpose
from pipeline.rollout.loop import Setting, World
from pipeline.sandbox import Sandbox
from pipeline.store import Store
from pipeline.tools.python import PythonTool
from pipeline.tools.search.hits import NoSearch, SearchProvider
from pipeline.tools.search.local import LocalSearch


@dataclass(frozen=True)
class Stock:
    """Everything that is opened once per invocation."""

    world: World
    base: Metered
    teachers: tuple[Metered, ...]
    stronger: Metered | None
    judge: Metered | None
    families: Mapping[str, str]
    """Of each model's revision that attempts questions."""
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
        models = (metered.model for metered in self._models())
        servers = (model for model in models if isinstance(model, Server | HostedModel | Batched | Served | Offline))
        await asyncio.gather(*(server.check() for server in servers))

    async def stop_unasked(self, stage: str) -> None:
        """Stop the model servers of ours that a stage does not ask: others may need their GPUs."""
        by_stage: Mapping[str, tuple[Metered | None, ...]] = {
            "gate1": (self.base, self.stronger, self.judge),
            "gate2": (self.base, self.judge),
            "synthesize": (*self.teachers, self.judge),
        }
        asked = [of for of in by_stage.get(stage, ()) if of is not None]
        needed = {of.model.launch for of in asked if isinstance(of.model, Served | Offline)}
        for of in self._models():
            if isinstance(of.model, Served | Offline) and of.model.launch not in needed:
                await of.model.aclose()

    def _models(self) -> tuple[Metered, ...]:
        return tuple(of for of in (self.base, *self.teachers, self.stronger, self.judge) if of is not None)


def open_stock(recipe: Recipe, inputs: Inputs, store: Store, executor: Executor) -> Stock:
    """Open models and tools. Nothing heavy starts here: zygotes, recognisers and connections start when first used.

    Raises:
        UsageError, InfrastructureError, IsolationError: there is no sandbox, as `open_sandbox`.
    """
    rule = recipe.student.view_rule
    pool, replay = _open_sandbox(recipe, executor), _open_sandbox(recipe, executor)
    world = World(
        calls=store.calls,
        blobs=store.blobs,
        views=Views(store.blobs, rule),
        python=PythonTool(pool, store.calls, store.blobs, rule, recipe.seed),
        search=_open_search(inputs, store),
    )
    perceiver = Perceiver(store.directory / "perceptions", store.blobs, executor.workers)
    executor.resources.callback(perceiver.close)
    meter = Meter(recipe.runtime.budget.budget)
    launches = Launches()

    def metered(role: Role) -> Metered:
        return Metered(_open_model(role, store, executor, perceiver, launches), meter, role_price(role))

    models = recipe.models
    base, teachers = metered(models.base), tuple(metered(role) for role in models.teachers)
    families = {base.revision: family_of(models.base)}
    families |= {of.revision: family_of(role) for of, role in zip(teachers, models.teachers, strict=True)}
    return Stock(
        world=world,
        base=base,
        teachers=teachers,
        stronger=metered(models.stronger) if models.stronger is not None else None,
        judge=metered(models.judge) if models.judge is not None else None,
        families=families,
        meter=meter,
        replay=replay,
        slots=asyncio.Semaphore(recipe.runtime.rollouts),
    )


def _open_sandbox(recipe: Recipe, executor: Executor) -> Sandbox:
    sandbox = open_sandbox(recipe.runtime, executor.workers)
    executor.resources.callback(sandbox.close)
    return sandbox


def _open_search(inputs: Inputs, store: Store) -> SearchProvider:
    if inputs.search is None:
        return NoSearch()
    return LocalSearch(inputs.search.directory, store.blobs, store.directory / "search")


def role_price(role: Role) -> Price:
    """Return what a role's calls cost."""
    if isinstance(role, ReaderRole) or role.price is None:
        return Price()
    return role.price.price(batch=not isinstance(role, OfflineRole) and role.batch is not None)


def _open_model(role: Role, store: Store, executor: Executor, perceiver: Perceiver, launches: Launches) -> ChatModel:
    if isinstance(role, ReaderRole):
        return Reader(role.policy, perceiver)
    server: Server | HostedModel | Batched | Served | Offline
    if isinstance(role, HostedRole):
        server = open_hosted(role, store.blobs, store.directory)
    elif isinstance(role, OfflineRole):
        server = launches.offline(role, store.blobs)
    elif role.serve is not None:
        server = launches.served(role.model, role.serve, partial(_connect, role, store), role.in_flight)
    elif role.batch is not None:
        server = open_openai_batches(open_server(role, store), role.batch, store.directory)
    else:
        server = open_server(role, store)
    executor.close_on_exit(server.aclose)
    return server


def _connect(role: ServerRole, store: Store, base_url: str) -> Server:
    return open_server(role.model_copy(update={"base_url": base_url, "served_name": role.model}), store)


def open_server(role: ServerRole, store: Store) -> Server:
    """Return the client of a role's server; nothing is sent yet."""
    return Server(
        base_url=role.base_url,
        served_name=role.served_name,
        revision=f"openai/{role.model}",
        blobs=store.blobs,
        api_key_env=role.api_key_env,
        timeout_seconds=role.timeout_seconds,
        patience_seconds=role.patience_seconds,
        in_flight=role.in_flight,
        rpm=role.rpm,
        tpm=role.tpm,
        ignore_fingerprint=role.fingerprint == "ignore",
    )


class _Asked(NamedTuple):
    """Which model is asked, as whom and for what."""

    model: ChatModel
    role: Role
    speaker: Speaker
    purpose: Purpose
    arm: Arm
    mode: Mode


def gate_setting(recipe: Recipe, inputs: Inputs, stock: Stock, arm: Arm, mode: Mode) -> Setting:
    """Return how the base model is asked in an arm of a gate; in `stronger`, how that model is."""
    model, role = stock.base, recipe.models.base
    if arm == "stronger":
        if stock.stronger is None or recipe.models.stronger is None:
            raise AssertionError("there is no stronger model to ask")
        model, role = stock.stronger, recipe.models.stronger
    return _setting(recipe, inputs.prompts, _Asked(model, role, "base", "gate", arm, mode))


TaughtLane = Literal["tools", "no_call", "plain_cot"]
"""Lanes in which teachers are asked; the texts of `long_cot` bring their solution along."""

TAUGHT: Mapping[TaughtLane, tuple[Speaker, Mode]] = {
    "tools": ("teacher", "tools"),
    "no_call": ("no_call", "tools"),
    "plain_cot": ("teacher", "plain"),
}
"""Under which prompts teachers are asked."""


def teacher_settings(recipe: Recipe, inputs: Inputs, stock: Stock, lane: TaughtLane) -> tuple[Setting, ...]:
    """Return how each teacher is asked in a lane, in the recipe's order."""
    speaker, mode = TAUGHT[lane]
    pairs = zip(stock.teachers, recipe.models.teachers, strict=True)
    asked = (_Asked(model, role, speaker, "synthesis", lane, mode) for model, role in pairs)
    return tuple(_setting(recipe, inputs.prompts, one) for one in asked)


class PlainPrompt(NamedTuple):
    """Under which prompts a student is trained on a text that has its solution."""

    system: str
    user_template: str
    prompts: str
    """Canonical JSON: role → sha256."""
    dialect: Dialect
    view: str
    """Canonical JSON, as of any rollout."""
    seed: int
    count: Callable[[str], int]
    """Returns the tokens of a text."""


def plain_prompt(recipe: Recipe, inputs: Inputs) -> PlainPrompt:
    """Return what a student without tools is told."""
    prompts, rule = inputs.prompts, recipe.student.view_rule
    return PlainPrompt(
        system=prompts.system("export", "plain"),
        user_template=prompts.user("export", "plain"),
        prompts=canonical_json({"export/plain": prompts.hash("export", "plain")}),
        dialect=by_name(recipe.dialect),
        view=canonical_json({"family": rule.family, "max_pixels": rule.max_pixels, "policy": rule.policy, "seen": []}),
        seed=recipe.seed,
        count=inputs.tokens.count,
    )


def open_judge(recipe: Recipe, stock: Stock) -> Judge | None:
    """Return the judge of a recipe, None where it names none.

    Raises:
        UsageError: its prompts or its sampling are wrong.
    """
    role = recipe.models.judge
    if role is None or stock.judge is None:
        return None
    return Judge(
        model=stock.judge,
        sampling=role.sampling,
        seed=recipe.seed,
        calls=stock.world.calls,
        views=stock.world.views,
        prompts=load_judge_prompts(),
        settings=recipe.judge,
    )


def _setting(recipe: Recipe, prompts: Prompts, asked: _Asked) -> Setting:
    dialect, native = by_name(recipe.dialect), calls_by_api(asked.role)
    text_hash = prompts.hash(asked.speaker, asked.mode, native=native)
    return Setting(
        purpose=asked.purpose,
        arm=asked.arm,
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
