"""A curation run: the stages in order, grouped as they can be scheduled, and the ledger at the end."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from flows.recipe.inputs import Job, find_inputs
from flows.recipe.recipe import Runtime
from flows.run.journal import Journal
from flows.run.opening import open_stock
from flows.run.progress import Progress
from flows.runners.local import local
from flows.stages import decontaminate, dedup, gate, ingest, publish, screen, selection, synthesize, validate
from flows.stages.curation import Curation, Work
from flows.stages.wiring import GROUPS, ORDER, declare
from pipeline.engine.commits import StageResult, load_stage
from pipeline.engine.executor import Executor
from pipeline.engine.running import run_stage
from pipeline.engine.stage import Stage
from pipeline.engine.units import Runner, UnitResult, unit_count
from pipeline.errors import InfrastructureError, LimitError, UsageError
from pipeline.models.samples import Spent
from pipeline.processes import cores, tree_cpu_seconds
from pipeline.store import Store
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
    spent: Spent
    """What the model calls cost."""


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
    with Store(job.store) as store, Executor(workers) as executor:
        stock = open_stock(job.recipe, inputs, store, executor)
        executor.wait(stock.check())
        with _locked(job.out):
            stages = declare(job.recipe, inputs, stock)
            journal = Journal.begin(job, inputs, stock)
            yield Curation(job, inputs, store, executor, stock, stages, progress, journal, runner)


def run_groups(curation: Curation, groups: Sequence[str]) -> RunSummary:
    """Run some groups of stages, in order; the groups before them must have finished in this run directory.

    Raises:
        UsageError: a group before them has not finished.
    """
    began, before = monotonic(), curation.stock.meter.spent
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
        calls=curation.store.calls.counts,
        spent=curation.stock.meter.spent.since(before),
    )


def _load(curation: Curation, name: str) -> StageResult:
    result = load_stage(curation.stages[name], curation.job.out)
    if result is None:
        group = next(group for group, stages in GROUPS.items() if name in stages)
        raise UsageError(f"{curation.job.out}: stage {name} has not finished for this recipe; run `{group}` first")
    return result


def _run(curation: Curation, name: str) -> StageResult:
    stage = curation.stages[name]
    curation.executor.wait(curation.stock.stop_unasked(name))
    work = WORK[name](curation, stage)
    total = unit_count(work.expected) if name == ORDER[0] else len(curation.done[ORDER[0]].parts)
    began, before, units = monotonic(), _Used.until_now(curation), list[UnitResult]()
    curation.progress.stage_started(name, 1 if stage.kind == "global" else total, work.expected)

    def on_unit(unit: UnitResult) -> None:
        units.append(unit)
        curation.progress.unit_done(name, unit)
        _stop_losses(name, units, curation.job.recipe.runtime)

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


def _stop_losses(name: str, units: Sequence[UnitResult], runtime: Runtime) -> None:
    """Raise `LimitError` when a stage loses more than the recipe allows it to."""
    most = {str(stage): share for stage, share in runtime.abort_above.items()}.get(name)
    counts = sum((Counter(unit.counts) for unit in units), Counter[str]())
    lost = counts.total() - counts["kept"]
    if most is not None and counts.total() >= runtime.abort_min_rows and lost > most * counts.total():
        raise LimitError(
            f"stage {name} lost {lost:,} of {counts.total():,} records; runtime.abort_above.{name} is {most:g}. "
            f"`coldforge stats` tells why; raise the limit (--set runtime.abort_above.{name}=...) to go on"
        )


class _Used(NamedTuple):
    """What this process and its children have used and paid for since they started."""

    cpu_seconds: float
    calls: CallCounts
    models: Spent

    @classmethod
    def until_now(cls, curation: Curation) -> _Used:
        return cls(tree_cpu_seconds(), curation.store.calls.counts.copy(), curation.stock.meter.spent)


def _cost(curation: Curation, name: str, units: Sequence[UnitResult], seconds: float, before: _Used) -> StageCost:
    calls = curation.store.calls.counts.since(before.calls)
    spent = curation.stock.meter.spent.since(before.models)
    return StageCost(
        invocation=curation.journal.invocation,
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
