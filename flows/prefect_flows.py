"""The same stages as Prefect flows: `curate`, and each group of stages on its own.

Prefect schedules and observes. It sees one task per unit of a stage and decides nothing: what is
finished is told by the committed parts, so a flow that runs again, anywhere, resumes. Tasks are
threads of the flow's process, which owns the event loop, the worker pool and the call cache, as
under the local runner. Nothing is cached or persisted by Prefect, and its serialiser (pickle by
default) never sees a result.

The five flows are functions of this module, because a deployment names them (`flows/prefect_flows.py:curate`) and
another process imports them by that name. Their parameters are what a deployment states, of built-in types: a flow that
is served is sent to another process by value, where names that this module imports for annotations are unknown.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# Read when prefect is imported. Nothing is sent anywhere, and a server that starts on a busy machine
# needs more than the 20 s it is given by default.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run
from prefect.states import Cancelled
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.recipe.file import load_recipe
from flows.recipe.inputs import Job, make_job
from flows.run.curate import RunSummary, open_run, run_groups
from flows.run.progress import Progress, SilentProgress
from flows.runners.local import OPEN_UNITS
from flows.stages.order import GROUPS
from pipeline.engine.units import Range, UnitResult
from pipeline.errors import InfrastructureError, UsageError


def with_prefect(stage: str, unit_fn: Callable[[Range], UnitResult], units: Sequence[Range]) -> Iterator[UnitResult]:
    """Run each unit as a Prefect task of the current flow and yield the results as they finish.

    The first failure stops the stage: units that wait for a thread then find `stopped` set and do nothing, since
    Prefect waits for all of its tasks before a flow can fail. What was open ends as cancelled: the flow says why.
    """
    stopped = threading.Event()

    @task(name=stage, task_run_name=f"{stage}-{{span}}", cache_policy=NO_CACHE, persist_result=False)
    def unit(span: str, number: int) -> Any:
        del span  # names the task run
        try:
            return Cancelled() if stopped.is_set() else unit_fn(units[number])
        except InfrastructureError:
            if stopped.is_set():
                return Cancelled()
            raise

    futures = [unit.submit(str(span), number) for number, span in enumerate(units)]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        stopped.set()


def _threads() -> TaskRunner[PrefectFuture[Any]]:
    """Return as many threads as the local runner opens units."""
    runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=OPEN_UNITS)
    return runner


def curate_with_prefect(job: Job, progress: Progress) -> RunSummary:
    """Run the flow `curate` in this process; what `coldforge run --runner prefect` does.

    Raises:
        ColdforgeError: as `flows.run.curate.curate`.
    """

    @flow(name="curate", flow_run_name=job.recipe.name, task_runner=_threads(), persist_result=False)
    def curate_here(recipe: str, out: str) -> RunSummary:
        del recipe, out  # what Prefect shows of the run
        return _run(job, tuple(GROUPS), progress)

    return curate_here(str(job.recipe_path), str(job.out))


def _recipe_name() -> str:
    """Return what a flow run is called: the recipe's name, or its file's where that says none."""
    path = Path(str(flow_run.parameters["recipe"]))
    try:
        return load_recipe(path, tuple(flow_run.parameters.get("changes") or ())).name
    except UsageError:
        return path.stem  # the flow itself says what is wrong


@flow(name="curate", flow_run_name=_recipe_name, task_runner=_threads(), persist_result=False)
def curate(
    recipe: str,
    out: str | None = None,
    store: str | None = None,
    limit: int | None = None,
    changes: list[str] | None = None,
) -> None:
    """Curate what a recipe asks for: all stages.

    Args:
        recipe: path of the recipe.
        out: the run directory; default: `runs/<name of the recipe>`.
        store: images and paid calls; default: `.store` beside the run directory.
        limit: rows of a stratified sample; default: all.
        changes: fields of the recipe to change, each as `FIELD=VALUE`.
    """
    _run_groups(tuple(GROUPS), recipe, out, store, limit, changes)


@flow(name="gather", flow_run_name=_recipe_name, task_runner=_threads(), persist_result=False)
def gather(
    recipe: str,
    out: str | None = None,
    store: str | None = None,
    limit: int | None = None,
    changes: list[str] | None = None,
) -> None:
    """Ingest to decontaminate. Parameters are those of `curate`."""
    _run_groups(("gather",), recipe, out, store, limit, changes)


@flow(name="gate", flow_run_name=_recipe_name, task_runner=_threads(), persist_result=False)
def gate(
    recipe: str,
    out: str | None = None,
    store: str | None = None,
    limit: int | None = None,
    changes: list[str] | None = None,
) -> None:
    """Both gates, over what `gather` kept. Parameters are those of `curate`."""
    _run_groups(("gate",), recipe, out, store, limit, changes)


@flow(name="synthesize", flow_run_name=_recipe_name, task_runner=_threads(), persist_result=False)
def synthesize(
    recipe: str,
    out: str | None = None,
    store: str | None = None,
    limit: int | None = None,
    changes: list[str] | None = None,
) -> None:
    """Synthesize and validate, over what `gate` left unsolved. Parameters are those of `curate`."""
    _run_groups(("synthesize",), recipe, out, store, limit, changes)


@flow(name="publish", flow_run_name=_recipe_name, task_runner=_threads(), persist_result=False)
def publish(
    recipe: str,
    out: str | None = None,
    store: str | None = None,
    limit: int | None = None,
    changes: list[str] | None = None,
) -> None:
    """Select and publish, over what is valid. Parameters are those of `curate`."""
    _run_groups(("publish",), recipe, out, store, limit, changes)


def _run_groups(  # noqa: PLR0917 - the parameters of a flow, handed on
    groups: Sequence[str],
    recipe: str,
    out: str | None,
    store: str | None,
    limit: int | None,
    changes: Sequence[str] | None,
) -> None:
    job = make_job(
        Path(recipe),
        out=Path(out) if out else None,
        store=Path(store) if store else None,
        limit=limit,
        changes=changes or (),
        runner="prefect",
    )
    summary = _run(job, groups, SilentProgress())
    if "publish" in groups:
        summary.require_rows()


def _run(job: Job, groups: Sequence[str], progress: Progress) -> RunSummary:
    with open_run(job, progress, with_prefect) as run:
        return run_groups(run, groups)
