"""The stages of a run in order, their groups, and how any process runs one of their units by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.decontaminate import DECONTAMINATE
from flows.stages.dedup import DEDUP
from flows.stages.gate import GATE1, GATE2
from flows.stages.ingest import INGEST
from flows.stages.publish import PUBLISH
from flows.stages.screen import SCREEN
from flows.stages.selection import SELECT
from flows.stages.synthesize import SYNTHESIZE
from flows.stages.validate import VALIDATE
from pipeline.engine.done import Done, read_finished
from pipeline.engine.running import run_unit
from pipeline.engine.stage import Declared, Stage
from pipeline.engine.units import Range, UnitResult
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json, parse_json
from pipeline.store import Store
from pipeline.store.blobs import write_atomic

STAGES: Mapping[str, Stage[Any, Any]] = {
    stage.name: stage
    for stage in (
        *(INGEST, SCREEN, DEDUP, DECONTAMINATE, GATE1, GATE2),
        *(SYNTHESIZE, VALIDATE, SELECT, PUBLISH),
    )
}

GROUPS: Mapping[str, tuple[str, ...]] = {
    "gather": ("ingest", "screen", "dedup", "decontaminate"),
    "gate": ("gate1", "gate2"),
    "synthesize": ("synthesize", "validate"),
    "publish": ("select", "publish"),
}
"""Stages in order, by the flow that runs them; each group can be scheduled on its own."""


def stages_of(job: Job) -> tuple[Stage[Any, Any], ...]:
    """Return the stages that an invocation runs, in order: all, or those up to `until`."""
    names = [*STAGES]
    return tuple(STAGES[name] for name in (names if job.until is None else names[: names.index(job.until) + 1]))


def declare(job: Job, inputs: Inputs, revisions: Revisions) -> Mapping[str, Declared[Any, Any]]:
    """Return the stages of an invocation by name; each fingerprint covers those before it."""
    declared: dict[str, Declared[Any, Any]] = {}
    upstream: tuple[str, ...] = ()
    for stage in stages_of(job):
        settings = stage.settings.of(job, inputs, revisions)
        declared[stage.name] = Declared(stage, settings, upstream, job.out)
        upstream = (declared[stage.name].fingerprint,)
    return declared


def announce(stage: Declared[Any, Any], done: Done, store: Path) -> None:
    """Put into the run directory what `work_unit` needs of a stage that is about to run."""
    content = {
        "settings": stage.settings.model_dump(mode="json"),
        "upstream": list(stage.upstream),
        "done": {name: finished.fingerprint for name, finished in done.stages.items()},
        "store": str(store.resolve()),
    }
    path = _announcement(stage.run, stage.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, canonical_json(content).encode())


def work_unit(run: Path, name: str, span: Range) -> UnitResult:
    """Read, run and commit one unit of a cpu stage: all that it takes is in the run directory.

    Raises:
        InfrastructureError: a stage that is read is not there; or as the stage.
    """
    stage = STAGES[name]
    content = parse_json(_announcement(run, name).read_text())
    settings = stage.settings.model_validate(content["settings"])
    declared = Declared(stage, settings, tuple(content["upstream"]), run)
    finished = {}
    for before, fingerprint in content["done"].items():
        found = read_finished(run / "stages" / before / fingerprint[:16])
        if found is None:
            raise InfrastructureError(f"{run}: stage {before} is gone; run again")
        finished[before] = found
    reader = stage.read(Done(run, finished), settings)
    store = Store(Path(content["store"]))

    def work(unit: Any) -> Any:
        return stage.run(unit, settings, store)

    return run_unit(declared, reader, span, work)


def _announcement(run: Path, name: str) -> Path:
    return run / "stages" / name / "running.json"
