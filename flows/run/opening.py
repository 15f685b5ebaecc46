"""Opening what a run acts with: the sandbox, the search and every model; closed with the executor."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from flows.asking.formed import Formed
from flows.asking.resources import Resources
from flows.asking.work import Work
from flows.cost.prices import in_batches
from flows.recipe.inputs import Inputs
from flows.recipe.recipe import Recipe, Runtime
from flows.recipe.roles import calls_at_once, role_price
from flows.run.models import Launches, open_model
from flows.run.searching import open_search
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.engine.executor import Executor
from pipeline.engine.stage import Stage
from pipeline.errors import InfrastructureError
from pipeline.models.refusals import Takes
from pipeline.models.samples import Meter, Metered
from pipeline.models.traffic import Traffic
from pipeline.models.views import Views
from pipeline.rollout.loop import Tools
from pipeline.sandbox import Notebook, Sandbox
from pipeline.store import Store
from pipeline.tools.python import PythonTool


def open_resources(
    recipe: Recipe, inputs: Inputs, store: Store, executor: Executor, stages: Iterable[Stage[Any, Any]] | None = None
) -> Resources:
    """Open the models and tools that some stages, by default all, act with.

    Nothing heavy starts here: zygotes, recognisers and connections start when first used.

    Raises:
        UsageError, InfrastructureError, IsolationError: there is no sandbox, as `open_sandbox`; or no search, as
            `open_search`.
    """
    acting = None if stages is None else [stage for stage in stages if stage.resource == "model"]
    asked = None if acting is None else frozenset[str]().union(*(stage.asks for stage in acting))
    alone = acting is not None and not acting
    traffic = defaultdict[str, Traffic](Traffic)
    pool, replay = (NoSandbox() if alone else _open_sandbox(recipe, executor) for _ in range(2))
    tools = Tools(
        calls=store.calls,
        blobs=store.blobs,
        views=Views(store.blobs),
        python=PythonTool(pool, store.calls, store.blobs, recipe.student.view_rule, recipe.seed),
        search=None if alone else open_search(recipe.search, inputs, store, executor, traffic["search"]),
    )
    perceiver = Perceiver(store.directory / "perceptions", store.blobs, executor.workers)
    executor.resources.callback(perceiver.close)
    meter, launches = Meter(recipe.runtime.budget.budget), Launches()
    named = recipe.models.roles().items()
    roles = {name: role for name, role in named if asked is None or name.partition(".")[0] in asked}
    backends = {
        name: open_model(role, store, executor, perceiver, launches, traffic[name]) for name, role in roles.items()
    }
    runtime = recipe.runtime

    def metered(name: str) -> Metered:
        takes = Takes(f"models.{name}", runtime.max_rejected, runtime.min_requests)
        return Metered(backends[name], meter, role_price(roles[name]), takes, traffic[name])

    return Resources(
        store=store,
        tools=tools,
        models={name: metered(name) for name in roles},
        backends=backends,
        meter=meter,
        tokens=inputs.tokens,
        replay=replay,
        slots=asyncio.Semaphore(recipe.rollouts),
        questions=asyncio.Semaphore(-(-recipe.rollouts // recipe.gate.k)),
        replays=asyncio.Semaphore(executor.workers),
        formed=Formed(recipe.gate.max_malformed, recipe.gate.k),
        work=Work(in_workers=lambda: executor.counted),
        traffic=dict(traffic),
        limits={name: n for name, role in roles.items() if (n := calls_at_once(role)) and not in_batches(role)},
    )


class NoSandbox:
    """In place of a sandbox where no stage runs a cell, so that none has to be there."""

    identity = ""
    workers = capacity = open = 0

    def facts(self) -> dict[str, Any]:
        """Return nothing: nothing isolates."""
        return {}

    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> AbstractContextManager[Notebook]:
        """Refuse.

        Raises:
            InfrastructureError: always.
        """
        raise InfrastructureError(f"no sandbox was opened (session {seed} over {len(images)} images); run again")

    def close(self) -> None:
        """Do nothing."""


def _open_sandbox(recipe: Recipe, executor: Executor) -> Sandbox:
    sandbox = open_sandbox(recipe.runtime, executor.workers)
    executor.resources.callback(sandbox.close)
    return sandbox


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
    from pipeline.sandbox.service.client import RemotePool

    return RemotePool(runtime.sandbox.url, runtime.sandbox.token_env)
