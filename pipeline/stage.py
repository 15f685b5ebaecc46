"""The engine: a stage is a pure function over hash ranges of its input, committed part by part.

A *unit* is one range of the root question's hash (map stages) or the whole input (global stages). It
is named by the stage's fingerprint and the hash of its input records, so that a unit without a new
or changed record is never run twice, whoever runs it and wherever. The part `outcomes` is renamed
into place last: it is the commit mark, and what has no commit mark never happened.

Conservation: every input record has exactly one outcome. It is asserted per unit before the commit
and over all units before `stage.json` is written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import pyarrow.compute as pc

from pipeline.errors import InfrastructureError
from pipeline.identity import Json, canonical_json, digest, parse_json
from pipeline.records import Outcome, Record
from pipeline.store.blobs import write_atomic
from pipeline.store.shards import read_columns, read_records, write_records

R = TypeVar("R", bound=Record)

Kind = Literal["map", "global"]

MIN_UNITS, MAX_UNITS = 4, 128
"""At least one unit per core of a small machine; at most what a scheduler shows as tasks of one stage."""
QUESTIONS_PER_UNIT = 32
"""Work that a kill loses stays small, and a unit still outweighs what it costs to open."""


class Range(NamedTuple):
    """Part `number` of `total` equal ranges of the root hash; `total` is a power of two."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number:03d}of{self.total:03d}"

    @classmethod
    def of(cls, root: str, total: int) -> Range:
        """Return the range of a 64-digit hexadecimal root id."""
        # 32 leading bits are far more than the 7 that 128 ranges need.
        return cls(int(root[:8], 16) * total >> 32, total)


WHOLE = Range(0, 1)


def unit_count(rows: int) -> int:
    """Return the number of units of a run: the smallest power of two with at most 32 rows per unit, within 4 to 128.

    It depends on the input alone, never on the workers, so that any machine computes the same parts.
    """
    total = MIN_UNITS
    while total < MAX_UNITS and rows > total * QUESTIONS_PER_UNIT:
        total *= 2
    return total


@dataclass(frozen=True)
class Stage:
    """What a stage is; everything here decides its fingerprint."""

    name: str
    version: int
    """Raised by hand when the stage's code changes what it writes."""
    kind: Kind
    settings: Json
    """Identity settings only: no path, URL, concurrency or secret."""
    model: str
    """Revisions of models, tools and sandbox that the stage runs; empty for none."""
    tables: Mapping[str, type[Record]]
    """What a unit writes besides its outcomes."""
    upstream: tuple[str, ...]
    """Fingerprints of the stages it reads."""

    @property
    def fingerprint(self) -> str:
        """Return the identity of the stage, data apart."""
        return digest(
            {
                "name": self.name,
                "version": self.version,
                "settings": self.settings,
                "model": self.model,
                "schemas": {"outcomes": Outcome.SCHEMA, **{name: kind.SCHEMA for name, kind in self.tables.items()}},
                "upstream": self.upstream,
            }
        )


@dataclass(frozen=True)
class UnitInput:
    """What one unit reads: `records` get one outcome each, `context` is evidence that comes with them."""

    records: tuple[Record, ...]
    context: tuple[Record, ...] = ()

    def hash(self) -> str:
        """Return the identity of the input: whole records, in no particular order."""
        return digest([sorted(r.record_hash() for r in self.records), sorted(r.record_hash() for r in self.context)])


@dataclass(frozen=True)
class UnitOutput:
    """What one unit made."""

    outcomes: tuple[Outcome, ...]
    tables: Mapping[str, tuple[Record, ...]]


class Part(NamedTuple):
    """One committed unit of a stage."""

    range: Range
    key: str

    def path(self, directory: Path, table: str) -> Path:
        """Return the file of one table."""
        return directory / f"part-{self.range}-{self.key[:16]}.{table}.parquet"


@dataclass(frozen=True)
class UnitResult:
    """A committed unit; small, so that any runner can carry it."""

    part: Part
    reused: bool
    counts: Mapping[str, int]
    """Outcome → records."""


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


Runner = Callable[[Callable[[Range], UnitResult], Sequence[Range]], Iterable[UnitResult]]
"""Runs one function over the units of a stage, in any order and anywhere, and yields the results."""


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
    _write_manifest(finished)
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


def _write_manifest(result: StageResult) -> None:
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
