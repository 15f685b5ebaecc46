"""A curation run: the stages in order, grouped as they can be scheduled, and the ledger at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from flows.asking.formed import MalformedError
from flows.asking.resources import Resources
from flows.cost.estimate import estimate, rows_of
from flows.ledger.snapshot import Shard, StageCost
from flows.recipe.inputs import Job, find_inputs
from flows.run.beat import beating
from flows.run.figures import Working
from flows.run.held import held
from flows.run.journal import Journal
from flows.run.losses import Losses, begin_again, take_back
from flows.run.opening import open_resources
from flows.run.progress import Progress, noted
from flows.runners.local import local
from flows.stages.order import GROUPS, announce, declare, stages_of, work_unit
from pipeline.commands import command
from pipeline.engine.commits import find_finished
from pipeline.engine.done import Done, Finished, write_rows
from pipeline.engine.executor import Executor
from pipeline.engine.running import reused_units, run_stage, run_unit
from pipeline.engine.stage import Declared
from pipeline.engine.units import Range, Reader, Runner, UnitInput, UnitOutput, UnitResult
from pipeline.errors import CheckError, UsageError
from pipeline.models.samples import Spent
from pipeline.processes import cores, tree_cpu_seconds
from pipeline.store import Store
from pipeline.store.calls import CallCounts


@dataclass(frozen=True)
class RunSummary:
    """What one invocation did."""

    run: Path
    stages: tuple[Finished, ...]
    shards: tuple[Shard, ...]
    seconds: float
    calls: CallCounts
    spent: Spent
    """What the model calls cost."""
    until: str | None = None
    """The stage after which it stopped as asked; None: it ran all."""

    def require_rows(self) -> None:
        """Refuse a run without a row: whoever trains on its exports, or schedules it, has to know.

        Raises:
            CheckError: every export is empty, or nothing is left after the stage at which it was to stop.
        """
        if self.until is not None and self.stages and not self.stages[-1].counts.get("kept", 0):
            raise CheckError(
                f"{self.run}: no row is left after {self.until}; `{command('stats', self.run)}` tells why "
                "records stopped"
            )
        if self.shards and not any(shard.n_rows for shard in self.shards):
            raise CheckError(
                f"{self.run}: no row came out, no export is written; `{command('stats', self.run)}` tells why records "
                "stopped"
            )


@dataclass(frozen=True)
class Run:
    """One invocation: what stages are run with, and what is done so far. No stage sees it."""

    job: Job
    resources: Resources
    executor: Executor
    declared: Mapping[str, Declared[Any, Any]]
    progress: Progress
    journal: Journal
    runner: Runner
    finished: dict[str, Finished] = field(default_factory=dict)
    """Stages by name, in order."""

    @property
    def done(self) -> Done:
        """Return what the next stage reads."""
        return Done(self.job.out, dict(self.finished))


def curate(job: Job, progress: Progress, runner: Runner = local) -> RunSummary:
    """Run every stage that is not finished, then rebuild the ledger.

    Raises:
        UsageError: the recipe or something it names is wrong; nothing was done.
        InfrastructureError: something failed that may work when `run` is called again.
        LimitError: a limit of the recipe's was reached.
    """
    with open_run(job, progress, runner) as run:
        return run_groups(run, tuple(GROUPS))


@contextmanager
def open_run(job: Job, progress: Progress, runner: Runner) -> Iterator[Run]:
    """Check the recipe's references, lock the run directory and open models and tools."""
    inputs = find_inputs(job)
    workers = job.recipe.runtime.workers or cores()
    with Store(job.store) as store, Executor(workers) as executor:
        stages = stages_of(job)
        resources = open_resources(job.recipe, inputs, store, executor, stages)
        executor.wait(resources.check())
        with held(job.out), noted(progress):
            declared = declare(job, inputs, resources.revisions)
            expected = estimate(job.recipe, inputs.prompts, rows_of(inputs))
            lines = [line._asdict() for line in expected if line.stage in declared]
            journal = Journal.begin(job, inputs, resources, lines)
            write_rows(job.out, inputs.rows.facts(), inputs.rows.read(), again=inputs.rows.lacks_pictures(store.blobs))
            yield Run(job, resources, executor, declared, progress, journal, runner)


def run_groups(run: Run, groups: Sequence[str]) -> RunSummary:
    """Run some groups of stages, in order, as far as the job goes; those before must have finished in this directory.

    Raises:
        UsageError: a group before them has not finished on the rows and the stages that there are now.
    """
    began, before = monotonic(), run.resources.meter.spent
    first = tuple(GROUPS).index(groups[0])
    for name in (stage for group in tuple(GROUPS)[:first] for stage in GROUPS[group]):
        run.finished[name] = _found(run, name)
    try:
        for name in (stage for group in groups for stage in GROUPS[group] if stage in run.declared):
            run.finished[name] = _run(run, name)
        # A worker that saw all rows at once keeps as much memory as making the ledger takes.
        run.executor.release()
    finally:
        # Also after a failure: what was committed can be looked at.
        run.journal.write_ledger(list(run.finished.values()))
    return RunSummary(
        run=run.job.out,
        stages=tuple(run.finished.values()),
        # Of a run that stops before, those that stand there are of another invocation.
        shards=tuple(run.journal.shards(published=True)) if run.job.until is None else (),
        seconds=monotonic() - began,
        calls=run.resources.store.calls.counts,
        spent=run.resources.meter.spent.since(before),
        until=run.job.until,
    )


_MANY = 100_000
"""Records from which it pays to start worker processes again, which takes two CPU seconds each."""


def _found(run: Run, name: str) -> Finished:
    finished = find_finished(run.declared[name], run.done)
    if finished is None:
        group = next(group for group, stages in GROUPS.items() if name in stages)
        raise UsageError(
            f"{run.job.out}: stage {name} has not finished for this recipe and these rows; run `{group}` first"
        )
    return finished


def _run(run: Run, name: str) -> Finished:
    declared, done = run.declared[name], run.done
    run.executor.wait(run.resources.stop_unasked(declared.stage.asks))
    run.executor.wait(declared.stage.prepare(done, declared.settings, run.resources.store, run.progress.note))
    reader = declared.stage.read(done, declared.settings)
    if declared.stage.kind == "global" and reader.expected > _MANY:
        # It works in one process, beside which the others would keep what the last stage took.
        run.executor.release()
    begin_again(declared)
    began, before, units = monotonic(), _Used.until_now(run), list[UnitResult]()
    losses = Losses(declared, run.job.recipe.runtime)
    takes = [
        model.takes for role, model in run.resources.models.items() if role.partition(".")[0] in declared.stage.asks
    ]
    for one in takes:
        one.begin_stage()
    working = Working(name, reader.expected, declared.stage.asks, run.resources)
    run.progress.stage_started(name, working.figures)

    def on_unit(unit: UnitResult) -> None:
        units.append(unit)
        if unit.reused:
            # Each of its records was asked about once at least: what is left of a stage is no smaller for it.
            for one in takes:
                one.asked += sum(unit.counts.values())
        working.add(unit)
        run.progress.unit_done(name, unit)
        losses.add(unit)

    def at_end() -> None:
        for one in takes:
            one.require_few()

    reused = {unit.part.range: unit for unit in reused_units(declared, done, reader)}
    try:
        with beating(run.job.out, working, run.progress.tick):
            result = run_stage(
                declared,
                done,
                reused.__getitem__ if reused else _unit_function(run, declared, reader),
                expected=reader.expected,
                runner=run.runner,
                on_unit=on_unit,
                at_end=at_end,
            )
    except MalformedError:
        # Else a stage would pass unit by unit, stop after stop, over answers of a model that was not fit.
        take_back(declared)
        raise
    finally:
        # A stage that stopped has spent, too.
        run.journal.record(_cost(run, name, units, monotonic() - began, before))
    run.progress.stage_done(name, result, monotonic() - began)
    return result


def _unit_function(run: Run, declared: Declared[Any, Any], reader: Reader) -> Callable[[Range], UnitResult]:
    """Return what runs a unit of a stage: in a worker process that finds all it needs by name, or on the loop here."""
    stage = declared.stage
    if stage.resource == "cpu":
        announce(declared, run.done, run.job.store)
        return lambda span: run.executor.cpu(work_unit, run.job.out, stage.name, span)

    def work(unit: UnitInput) -> UnitOutput:
        return run.executor.wait(_awaited(stage.run(unit, declared.settings, run.resources)))

    return lambda span: run_unit(declared, reader, span, work)


async def _awaited(work: Any) -> UnitOutput:
    output: UnitOutput = await work
    return output


class _Used(NamedTuple):
    """What this process and its children have used and paid for since they started."""

    cpu_seconds: float
    calls: CallCounts
    models: Spent

    @classmethod
    def until_now(cls, run: Run) -> _Used:
        return cls(tree_cpu_seconds(), run.resources.store.calls.counts.copy(), run.resources.meter.spent)


def _cost(run: Run, name: str, units: Sequence[UnitResult], seconds: float, before: _Used) -> StageCost:
    calls = run.resources.store.calls.counts.since(before.calls)
    spent = run.resources.meter.spent.since(before.models)
    return StageCost(
        invocation=run.journal.invocation,
        stage=name,
        wall_seconds=round(seconds, 3),
        cpu_seconds=round(tree_cpu_seconds() - before.cpu_seconds, 3),
        units=len(units),
        reused_units=sum(unit.reused for unit in units),
        model_calls=calls.paid["model"],
        search_calls=calls.paid["search"],
        cells=calls.paid["cell"],
        cached_calls=calls.cached.total(),
        prompt_tokens=spent.prompt_tokens,
        cached_tokens=spent.cached_tokens,
        completion_tokens=spent.completion_tokens,
        reasoning_tokens=spent.reasoning_tokens,
        cut_characters=spent.cut_characters,
        cost=round(spent.cost, 6),
    )
