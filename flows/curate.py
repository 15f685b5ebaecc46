"""A curation run: the stages in order, grouped as they can be scheduled, and the ledger at the end."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from flows.curation import Curation, Work
from flows.driver import Driver
from flows.inputs import Job, find_inputs
from flows.journal import Journal
from flows.progress import Progress
from flows.runners.local import local
from flows.stages import decontaminate, dedup, gate, ingest, publish, screen, selection, synthesize, validate
from flows.wiring import GROUPS, ORDER, declare
from flows.world import open_stock
from pipeline.errors import InfrastructureError, UsageError
from pipeline.processes import cores, tree_cpu_seconds
from pipeline.stage import Runner, Stage, StageResult, UnitResult, load_stage, run_stage, unit_count
from pipeline.store.calls import CallCounts
from pipeline.store.ledger import Shard, StageCost

__all__ = ["Job", "RunSummary", "curate", "open_curation", "run_groups"]

WORK: Mapping[str, Callable[[Curation, Stage], Work]] = {
    "ingest": ingest.work,
    "screen": screen.work,
    "dedup": dedup.work,
    "decontaminate": decontaminate.work,
    "gate1": gate.gate1_work,
    "gate2": gate.gate2_work,
    "synthesize": synthesize.work,
    "validate": validate.work,
    "select": selection.work,
    "publish": publish.work,
}


@dataclass(frozen=True)
class RunSummary:
    """What one invocation did."""

    run: Path
    stages: tuple[StageResult, ...]
    shards: tuple[Shard, ...]
    seconds: float
    calls: CallCounts


def curate(job: Job, progress: Progress, runner: Runner = local) -> RunSummary:
    """Run every stage that is not finished, then rebuild the ledger.

    Raises:
        UsageError: the recipe or something it names is wrong; nothing was done.
        InfrastructureError: something failed that may work when `run` is called again.
    """
    with open_curation(job, progress, runner) as curation:
        return run_groups(curation, tuple(GROUPS))


@contextmanager
def open_curation(job: Job, progress: Progress, runner: Runner) -> Iterator[Curation]:
    """Check the recipe's references, lock the run directory and open models and tools."""
    inputs = find_inputs(job)
    workers = job.recipe.runtime.workers or cores()
    with Driver(job.store, workers=workers) as driver:
        stock = open_stock(job.recipe, inputs, driver)
        driver.wait(stock.check())
        with _locked(job.out):
            stages = declare(job.recipe, inputs, stock)
            journal = Journal.begin(job, inputs, stock)
            yield Curation(job, inputs, driver, stock, stages, progress, journal, runner)


def run_groups(curation: Curation, groups: Sequence[str]) -> RunSummary:
    """Run some groups of stages, in order; the groups before them must have finished in this run directory.

    Raises:
        UsageError: a group before them has not finished.
    """
    began = monotonic()
    first = tuple(GROUPS).index(groups[0])
    for name in (stage for group in tuple(GROUPS)[:first] for stage in GROUPS[group]):
        curation.done[name] = _load(curation, name)
    try:
        for name in (stage for group in groups for stage in GROUPS[group]):
            curation.done[name] = _run(curation, name)
    finally:
        # Also after a failure: what was committed can be looked at.
        curation.journal.write_ledger(list(curation.done.values()))
    return RunSummary(
        run=curation.job.out,
        stages=tuple(curation.done.values()),
        shards=tuple(curation.journal.shards()),
        seconds=monotonic() - began,
        calls=curation.driver.calls.counts,
    )


def _load(curation: Curation, name: str) -> StageResult:
    result = load_stage(curation.stages[name], curation.job.out)
    if result is None:
        group = next(group for group, stages in GROUPS.items() if name in stages)
        raise UsageError(f"{curation.job.out}: stage {name} has not finished for this recipe; run `{group}` first")
    return result


def _run(curation: Curation, name: str) -> StageResult:
    stage = curation.stages[name]
    work = WORK[name](curation, stage)
    total = unit_count(work.expected) if name == ORDER[0] else len(curation.done[ORDER[0]].parts)
    began, before, units = monotonic(), _Spent.until_now(curation), list[UnitResult]()
    curation.progress.stage_started(name, 1 if stage.kind == "global" else total, work.expected)

    def on_unit(unit: UnitResult) -> None:
        units.append(unit)
        curation.progress.unit_done(name, unit)

    try:
        result = run_stage(
            stage,
            curation.job.out,
            lambda span: work.unit(span, total),
            units=total,
            expected=work.expected,
            runner=curation.runner,
            on_unit=on_unit,
        )
    finally:
        # A stage that stopped has spent, too.
        curation.journal.record(_cost(curation, name, units, monotonic() - began, before))
    curation.progress.stage_done(name, result, monotonic() - began)
    return result


class _Spent(NamedTuple):
    """What this process and its children have used and paid for since they started."""

    cpu_seconds: float
    calls: CallCounts

    @classmethod
    def until_now(cls, curation: Curation) -> _Spent:
        return cls(tree_cpu_seconds(), curation.driver.calls.counts.copy())


def _cost(curation: Curation, name: str, units: Sequence[UnitResult], seconds: float, before: _Spent) -> StageCost:
    spent = curation.driver.calls.counts.since(before.calls)
    return StageCost(
        invocation=curation.journal.invocation,
        stage=name,
        wall_seconds=round(seconds, 3),
        cpu_seconds=round(tree_cpu_seconds() - before.cpu_seconds, 3),
        units=len(units),
        reused_units=sum(unit.reused for unit in units),
        model_calls=spent.paid["model"],
        search_calls=spent.paid["search"],
        cells=spent.paid["cell"],
        cached_calls=spent.cached.total(),
    )


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Hold the run directory: two processes would tear each other's ledger."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InfrastructureError(
                f"{run} is in use by another `coldforge run`; wait for it or give --out"
            ) from error
        yield
