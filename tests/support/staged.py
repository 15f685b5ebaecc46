"""Stages of a test's own: declared and committed without any of the product's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.engine.done import Done, Finished, RowFacts, write_rows
from pipeline.engine.running import run_stage, run_unit
from pipeline.engine.stage import Declared, Kind, Stage, StageSettings
from pipeline.engine.units import Range, Reader, Runner, UnitInput, UnitOutput, UnitResult
from pipeline.identity import Json
from pipeline.records import Record, SourceRow


class AnySettings(StageSettings):
    """Settings of any shape."""

    content: Any = None
    revision: str = ""

    @property
    def model(self) -> str:
        return self.revision


def _read(done: Done, settings: AnySettings) -> Reader:
    del done, settings
    raise AssertionError("a stage of a test is handed its input")


def _run(unit: UnitInput, settings: AnySettings, resources: object) -> UnitOutput | Awaitable[UnitOutput]:
    del unit, settings, resources
    raise AssertionError("a stage of a test is handed its work")


def declared(
    run: Path,
    name: str = "stage",
    *,
    version: int = 1,
    kind: Kind = "map",
    settings: Json = None,
    model: str = "",
    tables: Mapping[str, type[Record]] | None = None,
    upstream: tuple[str, ...] = (),
) -> Declared[AnySettings, object]:
    stage: Stage[AnySettings, object] = Stage(
        name=name,
        version=version,
        kind=kind,
        resource="cpu",
        settings=AnySettings,
        read=_read,
        run=_run,
        tables=tables or {},
    )
    return Declared(stage, AnySettings(content=settings, revision=model), upstream, run)


def begun(run: Path, rows: Iterable[SourceRow] = ()) -> Done:
    """A run directory with its rows and no stage."""
    by_id = {row.id: row for row in rows}
    write_rows(run, RowFacts.of(by_id[name].record_hash() for name in sorted(by_id)), by_id.values())
    return Done(run, {})


def after(done: Done, *finished: Finished) -> Done:
    """The same with stages that finished since."""
    return Done(done.run, {**done.stages, **{one.name: one for one in finished}})


def in_order(stage: str, unit_fn: Callable[[Range], UnitResult], spans: Iterable[Range]) -> Iterable[UnitResult]:
    """A runner: one unit after the other, here."""
    del stage
    return map(unit_fn, spans)


def run_given(
    stage: Declared[Any, Any],
    done: Done,
    unit: Callable[[Range], UnitInput],
    work: Callable[[UnitInput], UnitOutput],
    *,
    expected: int,
    runner: Runner = in_order,
) -> Finished:
    """Run a stage whose units and work are those of a test."""
    reader = Reader(expected, unit)
    return run_stage(stage, done, lambda span: run_unit(stage, reader, span, work), expected=expected, runner=runner)
