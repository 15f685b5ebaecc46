"""The same stages as Prefect flows: `curate`, and each group of stages on its own.

Prefect schedules and observes. It sees one task per unit of a stage and decides nothing: what is
finished is told by the committed parts, so a flow that runs again, anywhere, resumes. Tasks are
threads of the flow's process, which owns the event loop, the worker pool and the call cache, as
under the local runner. Nothing is cached or persisted by Prefect, and its serialiser (pickle by
default) never sees a result.
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

from prefect import Flow, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.recipe.inputs import Job, make_job
from flows.run.curate import RunSummary, open_run, run_groups
from flows.run.progress import Progress, SilentProgress
from flows.runners.local import OPEN_UNITS
from flows.stages.order import GROUPS
from pipeline.engine.units import Range, UnitResult
from pipeline.errors import InfrastructureError


def with_prefect(unit_fn: Callable[[Range], UnitResult], units: Sequence[Range]) -> Iterator[UnitResult]:
    """Run each unit as a Prefect task of the current flow and yield the results as they finish.

    The first failure stops the stage: units that wait for a thread then find `stopped` set and do nothing,
    since Prefect waits for all of its tasks before a flow can fail.
    """
    stopped = threading.Event()

    @task(name="unit", task_run_name="unit-{span}", cache_policy=NO_CACHE, persist_result=False)
    def unit(span: str, number: int) -> UnitResult:
        del span  # names the task run
        if stopped.is_set():
            raise InfrastructureError("another unit of this stage failed; run again")
        return unit_fn(units[number])

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

    @flow(name="curate", task_runner=_threads(), persist_result=False)
    def curate_here(recipe: str, out: str) -> RunSummary:
        del recipe, out  # what Prefect shows of the run
        return _run(job, tuple(GROUPS), progress)

    return curate_here(str(job.recipe_path), str(job.out))


def _flow_of(name: str, groups: Sequence[str]) -> Flow[..., None]:
    """Return the flow that runs some groups of stages; its parameters are what a deployment states."""

    @flow(name=name, task_runner=_threads(), persist_result=False)
    def run_stages(
        recipe: str,
        out: str | None = None,
        store: str | None = None,
        limit: int | None = None,
        changes: Sequence[str] = (),
    ) -> None:
        job = make_job(
            Path(recipe),
            out=Path(out) if out else None,
            store=Path(store) if store else None,
            limit=limit,
            changes=changes,
            runner="prefect",
        )
        _run(job, groups, SilentProgress())

    return run_stages


curate = _flow_of("curate", tuple(GROUPS))
"""All stages."""
gather = _flow_of("gather", ("gather",))
"""Ingest to decontaminate."""
gate = _flow_of("gate", ("gate",))
"""Both gates, over what `gather` kept."""
synthesize = _flow_of("synthesize", ("synthesize",))
"""Synthesize and validate, over what `gate` left unsolved."""
publish = _flow_of("publish", ("publish",))
"""Select and publish, over what is valid."""


def _run(job: Job, groups: Sequence[str], progress: Progress) -> RunSummary:
    with open_run(job, progress, with_prefect) as run:
        return run_groups(run, groups)
