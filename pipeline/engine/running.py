"""Running a stage: unit by unit, committed part by part.

A *unit* is one range of the root question's hash (map stages) or the whole input (global stages). It is named by the
stage's fingerprint and the hash of its input records, so that a unit without a new or changed record is never run
twice, whoever runs it and wherever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from pipeline.engine.commits import StageResult, begin_unit, commit_unit, stage_directory, write_manifest
from pipeline.engine.stage import Stage
from pipeline.engine.units import WHOLE, Range, Runner, UnitInput, UnitOutput, UnitResult
from pipeline.errors import InfrastructureError
from pipeline.records import Outcome


def run_unit(
    stage: Stage, run: Path, span: Range, unit: UnitInput, work: Callable[[UnitInput], UnitOutput]
) -> UnitResult:
    """Run and commit one unit, or return what was committed before."""
    directory = stage_directory(run, stage)
    part, before = begin_unit(stage, directory, span, unit)
    if before is not None:
        return UnitResult(part, reused=True, counts=before)
    return commit_unit(stage, directory, part, unit, work(unit))


async def run_unit_async(
    stage: Stage, run: Path, span: Range, unit: UnitInput, work: Callable[[UnitInput], Awaitable[UnitOutput]]
) -> UnitResult:
    """Do as `run_unit` for work that waits on models and tools."""
    directory = stage_directory(run, stage)
    part, before = begin_unit(stage, directory, span, unit)
    if before is not None:
        return UnitResult(part, reused=True, counts=before)
    return commit_unit(stage, directory, part, unit, await work(unit))


def run_stage(
    stage: Stage,
    run: Path,
    unit_fn: Callable[[Range], UnitResult],
    *,
    units: int,
    expected: int,
    runner: Runner,
    on_unit: Callable[[UnitResult], None] = lambda _: None,
) -> StageResult:
    """Run every unit of a stage that is not committed, then write `stage.json`.

    `unit_fn` reads, runs and commits one range (`begin_unit`, `commit_unit`); `units` is ignored by
    global stages, which have one; `expected` is the number of records that were routed to the stage.
    `on_unit` sees each result as it arrives.

    Raises:
        InfrastructureError: a unit failed; the others that finished stay committed and `run` resumes. Or every
            record was quarantined; then nothing of the stage stays committed.
    """
    directory = stage_directory(run, stage)
    directory.mkdir(parents=True, exist_ok=True)
    spans = [WHOLE] if stage.kind == "global" else [Range(number, units) for number in range(units)]
    results = []
    for result in runner(unit_fn, spans):
        on_unit(result)
        results.append(result)
    results.sort(key=lambda result: result.part.range)
    if [result.part.range for result in results] != spans:
        raise InfrastructureError(f"stage {stage.name}: {len(results)} of {len(spans)} units came back; run again")
    counts = sum((Counter(result.counts) for result in results), Counter[str]())
    if counts.total() != expected:
        raise InfrastructureError(f"stage {stage.name}: {expected} records in, {counts.total()} outcomes; run again")
    finished = StageResult(
        stage=stage,
        directory=directory,
        parts=tuple(result.part for result in results),
        counts=counts,
        reused=sum(result.reused for result in results),
    )
    if expected and counts["quarantined"] == expected:
        _refuse_total_quarantine(finished, expected)
    write_manifest(finished)
    return finished


def _refuse_total_quarantine(result: StageResult, expected: int) -> None:
    """Take back a stage in which no record could be worked on: that is no property of the records.

    A source in another layout, or a server that refuses whatever it is asked, would else end as a finished
    run without a row, and stay so after it was put right.
    """
    example = next(iter(result.read("outcomes", Outcome)))
    for path in result.paths("outcomes"):
        path.unlink()
    raise InfrastructureError(
        f"stage {result.stage.name}: none of its {expected} records could be worked on; such as "
        f"{example.record_id[:12]}: {example.reason}: {example.detail[:500]}; put that right and run again"
    )
