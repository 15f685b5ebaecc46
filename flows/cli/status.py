"""`coldforge status`: how far a run is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table, require_run

RunDir = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, such as runs/demo.")]


class StageStatus(NamedTuple):
    """A stage as its directory tells it."""

    stage: str
    state: str
    """`done`, `unfinished` (some units committed, or about to be) or `not started`."""
    units: int
    """Committed units."""
    kept: int | None
    """Counts of a finished stage."""
    rejected: int | None
    quarantined: int | None
    fingerprint: str | None


def status(run: RunDir, as_json: JsonFlag = False) -> None:
    """Tell which stages of RUN are done, and what became of their records."""
    require_run(run)
    from flows.stages.order import STAGES

    stages = [stage_status(run, name) for name in STAGES]
    if as_json:
        print_json({"run": str(run), "stages": [stage._asdict() for stage in stages]})
        return
    from flows.report.tables import Table

    columns = ("stage", "state", "units", "kept", "rejected", "quarantined")
    print_table(Table("status", "", columns, tuple(stage[: len(columns)] for stage in stages)))
    open_stages = [stage.stage for stage in stages if stage.state != "done"]
    print_line(f"{run}: next is {open_stages[0]}; `coldforge run` resumes" if open_stages else f"{run}: finished")


def stage_status(run: Path, name: str) -> StageStatus:
    """Return the status of one stage under the fingerprint that was worked on last."""
    from pipeline.engine.done import read_finished

    directory = max(_directories(run / "stages" / name), key=_last_change, default=None)
    if directory is None:
        return StageStatus(name, "not started", 0, None, None, None, None)
    manifest = read_finished(directory)
    if manifest is None:
        units = sum(1 for _ in directory.glob("part-*.outcomes.parquet"))
        return StageStatus(name, "unfinished", units, None, None, None, directory.name)
    kept, rejected, quarantined = (manifest.counts.get(key, 0) for key in ("kept", "rejected", "quarantined"))
    return StageStatus(name, "done", len(manifest.parts), kept, rejected, quarantined, manifest.fingerprint)


def _directories(stage: Path) -> Iterator[Path]:
    return (path for path in stage.iterdir() if path.is_dir()) if stage.is_dir() else iter(())


def _last_change(directory: Path) -> float:
    """Return when the stage's manifest was written last, or else its directory changed."""
    manifest = directory / "stage.json"
    return max(path.stat().st_mtime for path in (manifest, directory) if path.exists())
