"""`coldforge status`: what of a run is running, and how far it is; what came out is told by `coldforge stats`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table, require_run

if TYPE_CHECKING:
    from flows.run.beat import Beat

RunDir = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, such as runs/demo.")]

State = Literal["done", "running", "unfinished", "not started"]


class StageStatus(NamedTuple):
    """A stage as its directory tells it."""

    stage: str
    state: State
    """`unfinished` is one that was begun, of a run in which nobody works now."""
    units: int
    """Committed units."""
    of: int | None
    """Units that there are; None where no row is known yet."""
    records: int
    """Records that have an outcome by now."""
    fingerprint: str | None
    """Under which it was worked on last."""
    changed: float | None
    """When something was committed last, in seconds of the clock (epoch)."""


def status(run: RunDir, as_json: JsonFlag = False) -> None:
    """Tell whether RUN is being worked on, which stages are done, and how far the others are."""
    require_run(run)
    from flows.run.beat import read_beat
    from pipeline.processes import holder

    process = holder(run / ".lock")
    stages = run_status(run, working=process is not None)
    # At once: libraries load before and after it, which takes seconds where a machine is busy.
    beat, now = read_beat(run), time.time()
    if as_json:
        working = None if beat is None else beat.model_dump(mode="json")
        told = {"run": str(run), "process": process, "stages": [stage._asdict() for stage in stages]}
        print_json({**told, "working": working})
        return
    from flows.report.tables import Table

    columns = ("stage", "state", "units", "of", "records")
    print_table(Table("status", "", columns, tuple(stage[: len(columns)] for stage in stages)))
    print_line(_told(process, stages))
    opened = next((stage.stage for stage in stages if stage.state != "done"), None)
    if process is None and opened is not None and (paid := _paid(run, opened)):
        print_line(paid)
    if beat is not None:
        _print_figures(beat, now - beat.time)


def run_status(run: Path, *, working: bool) -> Sequence[StageStatus]:
    """Return the status of every stage, under the fingerprint that it was worked on last.

    `working`: some process works in the run; it is at the first stage that is not done, once its rows are known.
    """
    from flows.stages.order import STAGES
    from pipeline.engine.done import Done
    from pipeline.errors import InfrastructureError

    try:
        total: int | None = Done(run, {}).units
    except (OSError, InfrastructureError):  # the latter until its rows are written down
        total = None
    stages = [_stage_status(run, name, total if stage.kind == "map" else 1) for name, stage in STAGES.items()]
    begun = next((number for number, stage in enumerate(stages) if stage.state != "done"), None)
    if working and begun is not None and total is not None:
        stages[begun] = stages[begun]._replace(state="running")
    return stages


def _told(process: int | None, stages: Sequence[StageStatus]) -> str:
    """Return in a line who works at what, or what comes next."""
    opened = next((stage for stage in stages if stage.state != "done"), None)
    changed = max((stage.changed for stage in stages if stage.changed is not None), default=None)
    ago = "" if changed is None else f"; last commit {_ago(time.time() - changed)} ago"
    if process is not None:
        at = "is ending" if opened is None else f"is at {opened.stage}"
        if opened is not None and opened.of is None:
            at = "is preparing the run: it writes down the rows of its sources"
        return f"process {process} {at}{ago}"
    if opened is None:
        return f"finished{ago}; `coldforge stats` tells what came out"
    return f"nobody works here{ago}; next is {opened.stage}, `coldforge run` resumes"


def _paid(run: Path, stage: str) -> str:
    """Return what a stage that is not done has paid for by now, empty of nothing."""
    from flows.ledger.journal import read_journal
    from flows.ledger.snapshot import stage_costs
    from pipeline.amounts import counted

    journal = read_journal(run)
    spent = [cost for cost in stage_costs(journal) if cost.stage == stage] if journal is not None else []
    calls = sum(cost.model_calls for cost in spent)
    tokens = sum(cost.prompt_tokens + cost.completion_tokens for cost in spent)
    paid = f"{counted(calls, 'model call')} ({counted(tokens, 'token')})"
    return f"{stage} has paid for {paid}: they are in the store, and not paid for again" if calls else ""


def _print_figures(beat: Beat, age: float) -> None:
    """Print what the process that works here told last, and since when it has told nothing if that is long."""
    from flows.cli.figures import clock, far, left, parts
    from flows.run.beat import STALE_SECONDS

    figures = beat.figures
    if age > STALE_SECONDS:
        print_line(f"process {beat.process} told this {_ago(age)} ago and nothing since: it was killed or is stopped")
    beside = ", ".join(filter(None, (far(figures), clock(figures.seconds), left(figures))))
    for line in (f"{figures.stage}: {beside}", *(f"  {part}" for part in parts(figures))):
        print_line(line)


def _ago(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _stage_status(run: Path, name: str, total: int | None) -> StageStatus:
    from pipeline.engine.done import read_finished

    directory = max(_directories(run / "stages" / name), key=_last_change, default=None)
    if directory is None:
        return StageStatus(name, "not started", 0, total, 0, None, None)
    changed = _last_change(directory)
    manifest = read_finished(directory)
    if manifest is not None:
        units, records = len(manifest.parts), sum(manifest.counts.values())
        return StageStatus(name, "done", units, units, records, manifest.fingerprint, changed)
    parts = list(directory.glob("part-*.outcomes.parquet"))
    return StageStatus(name, "unfinished", len(parts), total, sum(map(_rows, parts)), directory.name, changed)


def _rows(part: Path) -> int:
    from pyarrow.parquet import read_metadata

    from pipeline.store.shards import reading

    with reading(part):
        return int(read_metadata(part).num_rows)


def _directories(stage: Path) -> Iterator[Path]:
    return (path for path in stage.iterdir() if path.is_dir()) if stage.is_dir() else iter(())


def _last_change(directory: Path) -> float:
    """Return when the stage's manifest was written last, or else its directory changed."""
    manifest = directory / "stage.json"
    return max(path.stat().st_mtime for path in (manifest, directory) if path.exists())
