"""What a stage has committed: parts, renamed into place, and `stage.json`, which lists those of a finished stage.

The part `outcomes` is renamed into place last: it is the commit mark, and what has no commit mark never happened.
Conservation: every input record has exactly one outcome. It is asserted per unit before the commit and over all units
before `stage.json` is written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow.compute as pc

from pipeline.engine.stage import Stage
from pipeline.engine.units import Part, Range, UnitInput, UnitOutput, UnitResult
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json, digest, parse_json
from pipeline.records import Outcome, Record
from pipeline.store.blobs import write_atomic
from pipeline.store.shards import read_columns, read_records, write_records

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class StageResult:
    """A finished stage: the parts of this run, in range order."""

    stage: Stage
    directory: Path
    parts: tuple[Part, ...]
    counts: Mapping[str, int]
    reused: int

    def paths(self, table: str) -> list[Path]:
        """Return the files of one table, in range order."""
        return [part.path(self.directory, table) for part in self.parts]

    def read(self, table: str, kind: type[R], only: Range | None = None) -> Iterator[R]:
        """Yield the records of one table, of all parts or of one range."""
        for part in self.parts:
            if only is None or part.range == only:
                yield from read_records(part.path(self.directory, table), kind)


def stage_directory(run: Path, stage: Stage) -> Path:
    """Return where the stage's parts are; another fingerprint has another directory."""
    return run / "stages" / stage.name / stage.fingerprint[:16]


def committed(directory: Path, part: Part) -> Mapping[str, int] | None:
    """Return the outcome counts of a committed unit, None if it is not committed."""
    path = part.path(directory, "outcomes")
    if not path.exists():
        return None
    column = read_columns([path], Outcome, ["outcome"])["outcome"]
    return {count["values"]: count["counts"] for count in pc.value_counts(column).to_pylist()}


def begin_unit(stage: Stage, directory: Path, span: Range, unit: UnitInput) -> tuple[Part, Mapping[str, int] | None]:
    """Return the unit's part and, when it was committed before, its counts."""
    part = Part(span, digest({"fingerprint": stage.fingerprint, "input": unit.hash()}))
    return part, committed(directory, part)


def commit_unit(stage: Stage, directory: Path, part: Part, unit: UnitInput, output: UnitOutput) -> UnitResult:
    """Check conservation, then write every table of the unit, the outcomes last.

    Raises:
        InfrastructureError: the outcomes do not match the input; nothing is written.
    """
    check_conservation(stage.name, [record_id(r) for r in unit.records], output.outcomes)
    if set(output.tables) != set(stage.tables):
        raise InfrastructureError(
            f"stage {stage.name} made tables {sorted(output.tables)}, declared {sorted(stage.tables)}"
        )
    for name, kind in stage.tables.items():
        write_records(part.path(directory, name), kind, output.tables[name])
    ordered = sorted(output.outcomes, key=lambda outcome: outcome.record_id)
    write_records(part.path(directory, "outcomes"), Outcome, ordered)
    return UnitResult(part, reused=False, counts=Counter(outcome.outcome for outcome in ordered))


def record_id(record: Record) -> str:
    """Return the id of an input record; only records with an id can be a stage's input.

    Raises:
        InfrastructureError: a stage was given evidence as input.
    """
    match record.model_dump(include={"id"}):
        case {"id": str(identity)}:
            return identity
        case _:
            raise InfrastructureError(f"{type(record).__name__} has no id and cannot be the input of a stage")


def check_conservation(stage: str, inputs: Sequence[str], outcomes: Iterable[Outcome]) -> None:
    """Require one outcome per input record and none for anything else.

    Raises:
        InfrastructureError: naming the first records that break the rule.
    """
    expected, seen = Counter(inputs), Counter(outcome.record_id for outcome in outcomes)
    if max(expected.values(), default=1) > 1:
        twice = [identity for identity, n in expected.items() if n > 1][:3]
        raise InfrastructureError(f"stage {stage}: input records with one id: {', '.join(twice)}")
    if expected != seen:
        lost = list((expected - seen).elements())[:3]
        extra = list((seen - expected).elements())[:3]
        raise InfrastructureError(
            f"stage {stage}: {expected.total()} input records, {seen.total()} outcomes; without outcome: {lost}; "
            f"unexpected: {extra}"
        )


def write_manifest(result: StageResult) -> None:
    """Write `stage.json` of a finished stage."""
    stage = result.stage
    manifest = {
        "stage": stage.name,
        "version": stage.version,
        "kind": stage.kind,
        "fingerprint": stage.fingerprint,
        "model": stage.model,
        "settings": stage.settings,
        "upstream": stage.upstream,
        "counts": dict(result.counts),
        "parts": [{"range": str(part.range), "key": part.key} for part in result.parts],
    }
    # Indented for people; key order is fixed by canonical_json.
    text = json.dumps(json.loads(canonical_json(manifest)), indent=1, ensure_ascii=False)
    write_atomic(result.directory / "stage.json", (text + "\n").encode())


class Manifest(NamedTuple):
    """A finished stage as its `stage.json` tells it."""

    name: str
    fingerprint: str
    model: str
    counts: Mapping[str, int]
    directory: Path
    parts: tuple[Part, ...]

    def paths(self, table: str) -> list[Path]:
        """Return the files of one table, in range order; a stage without that table gives none."""
        return [path for part in self.parts if (path := part.path(self.directory, table)).exists()]


def read_manifest(directory: Path) -> Manifest | None:
    """Return what `stage.json` says, None while the stage is unfinished."""
    path = directory / "stage.json"
    if not path.exists():
        return None
    content = parse_json(path.read_text())
    parts = []
    for entry in content["parts"]:
        number, total = entry["range"].split("of")
        parts.append(Part(Range(int(number), int(total)), entry["key"]))
    return Manifest(
        content["stage"], content["fingerprint"], content["model"], content["counts"], directory, tuple(parts)
    )


def load_stage(stage: Stage, run: Path) -> StageResult | None:
    """Return a stage that finished in this run directory before, None if it did not."""
    directory = stage_directory(run, stage)
    manifest = read_manifest(directory)
    if manifest is None:
        return None
    return StageResult(stage, directory, manifest.parts, manifest.counts, reused=len(manifest.parts))
