"""Opening what a run acts with: the sandbox, the search and every model; closed with the executor."""

from __future__ import annotations

import asyncio

from flows.asking.resources import Stock
from flows.recipe.inputs import Inputs
from flows.recipe.recipe import Recipe, Runtime
from flows.recipe.roles import Role, family_of, role_price
from flows.run.models import Launches, open_model
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.engine.executor import Executor
from pipeline.models.samples import Meter, Metered
from pipeline.models.views import Views
from pipeline.rollout.loop import World
from pipeline.sandbox import Sandbox
from pipeline.store import Store
from pipeline.tools.python import PythonTool
from pipeline.tools.search.hits import NoSearch, SearchProvider
from pipeline.tools.search.local import LocalSearch


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
        return Metered(open_model(role, store, executor, perceiver, launches), meter, role_price(role))

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


def open_sandbox(runtime: Runtime, workers: int) -> Sandbox:
    """Return a pool of sessions; `workers` cells run at once, unless a service decides that for itself.

    Raises:
        UsageError: the guest environment is missing, or the service is none that can be used.
        InfrastructureError: the service cannot be reached.
        IsolationError: this system has no such isolation.
    """
    if runtime.sandbox is None:
        from pipeline.sandbox import Policy, Pool

        return Pool(Policy(), workers)
    from pipeline.sandbox.remote import RemotePool

    return RemotePool(runtime.sandbox.url, runtime.sandbox.token_env)
