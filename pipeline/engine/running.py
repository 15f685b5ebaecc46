"""Running a stage: unit by unit, committed part by part.

A *unit* is one range of the root question's hash (map stages) or the whole input (global stages). It is named by the
stage's fingerprint and the hash of its input records, so that a unit without a new or changed record is never run
twice, whoever runs it and wherever.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from pipeline.engine.commits import begin_unit, commit_stage, commit_unit, committed, find_finished
from pipeline.engine.done import Done, Finished
from pipeline.engine.stage import Declared
from pipeline.engine.units import WHOLE, Part, Range, Reader, Runner, UnitInput, UnitOutput, UnitResult, spans
from pipeline.errors import InfrastructureError
from pipeline.records import Outcome
from pipeline.store.shards import read_columns


def run_unit(
    stage: Declared[Any, Any], reader: Reader, span: Range, work: Callable[[UnitInput], UnitOutput]
) -> UnitResult:
    """Read, run and commit one unit; what was committed before is returned as it is. There is no other way to run one.

    Args:
        stage: what is run.
        reader: of the stage in this run.
        span: which unit.
        work: the stage's `run` on its settings and resources, to its end.
    """
    with _rarely_collected() if stage.stage.kind == "global" else nullcontext():
        return _run_unit(stage, reader, span, work)


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Look for cycles among new objects seldom, and among old ones hardly ever.

    What a stage over the whole run holds are a million values without cycles. To look through all of them whenever a
    quarter more have come took a tenth of its time, more of a larger run.
    """
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run_unit(
    stage: Declared[Any, Any], reader: Reader, span: Range, work: Callable[[UnitInput], UnitOutput]
) -> UnitResult:
    unit = reader.unit(span)
    part, before = begin_unit(stage, span, unit)
    if before is not None and stage.stage.stands(stage.directory, part, stage.settings):
        if not _again(stage, part, before):
            return UnitResult(part, reused=True, counts=before)
        part.path(stage.directory, "outcomes").unlink()  # the mark: its tables are about to be written anew
    return commit_unit(stage, part, unit, work(unit))


def _again(stage: Declared[Any, Any], part: Part, counts: Mapping[str, int]) -> bool:
    """Return whether a committed unit holds an outcome that is no property of its row, see `Stage.again`."""
    if not stage.stage.again or not counts.get("quarantined"):
        return False
    reasons = read_columns([part.path(stage.directory, "outcomes")], Outcome, ["reason"])["reason"].to_pylist()
    return not stage.stage.again.isdisjoint(reasons)


LOOKED_AT_HERE = 8_192
"""Records of a stage that are read here to see that nothing has changed: about 0.2 ms each, while each worker process
that would be started for them takes a second of CPU before its first."""


def reused_units(stage: Declared[Any, Any], done: Done, reader: Reader) -> list[UnitResult]:
    """Return the units of a stage that finished on exactly what is done before it now; none if it has to run.

    Of a stage that reads outside the run directory the units are read, to see whether it is as it was there; one of
    very many records runs, which is the same look by several processes.
    """
    finished = find_finished(stage, done)
    if finished is None:
        return []
    if stage.stage.outside:
        return _read_again(stage, finished.parts, reader) if reader.expected <= LOOKED_AT_HERE else []
    return [UnitResult(part, reused=True, counts=committed(stage.directory, part) or {}) for part in finished.parts]


def _read_again(stage: Declared[Any, Any], parts: Sequence[Part], reader: Reader) -> list[UnitResult]:
    """Return the units that read what they read before; none if one does not."""
    found = []
    for before in parts:
        part, counts = begin_unit(stage, before.range, reader.unit(before.range))
        if part != before or counts is None or _again(stage, part, counts):
            return []
        found.append(UnitResult(part, reused=True, counts=counts))
    return found


def run_stage(
    stage: Declared[Any, Any],
    done: Done,
    unit_fn: Callable[[Range], UnitResult],
    *,
    expected: int,
    runner: Runner,
    on_unit: Callable[[UnitResult], None] = lambda _: None,
    at_end: Callable[[], None] = lambda: None,
) -> Finished:
    """Run every unit of a stage that is not committed, then write `stage.json`.

    `unit_fn` runs one range (`run_unit`), here or elsewhere; `expected` is the number of records that were routed to
    the stage. `on_unit` sees each result as it arrives; `at_end` may raise before the stage counts as
    finished.

    Raises:
        InfrastructureError: a unit failed; the others that finished stay committed and `run` resumes.
    """
    # An earlier invocation's would go on telling of other rows if this one stops half-way.
    (stage.directory / "stage.json").unlink(missing_ok=True)
    ranges = [WHOLE] if stage.stage.kind == "global" else spans(done.units)
    results = []
    for result in runner(stage.name, unit_fn, ranges):
        on_unit(result)
        results.append(result)
    results.sort(key=lambda result: result.part.range)
    if [result.part.range for result in results] != ranges:
        raise InfrastructureError(f"stage {stage.name}: {len(results)} of {len(ranges)} units came back; run again")
    counts = sum((Counter(result.counts) for result in results), Counter[str]())
    if counts.total() != expected:
        raise InfrastructureError(f"stage {stage.name}: {expected} records in, {counts.total()} outcomes; run again")
    at_end()
    return commit_stage(stage, done, results)
