"""What is finished in a run directory, as later stages read it: rows, then stages with their committed parts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import pyarrow.compute as pc

from pipeline.engine.units import Part, Range, spans, unit_count
from pipeline.errors import InfrastructureError
from pipeline.identity import Json, canonical_json, digest, parse_json
from pipeline.records import Outcome, Record, Route, SourceRow
from pipeline.store.blobs import write_atomic
from pipeline.store.shards import RecordColumns, RecordWriters, read_columns, read_records

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Finished:
    """A finished stage as its `stage.json` tells it."""

    name: str
    version: int
    fingerprint: str
    input: str
    """Of what was done before it: it vouches for a run in which that is the same, and for no other."""
    settings: Json
    model: str
    """Revisions of the models, or of the sandbox, that it ran; empty for none."""
    counts: Mapping[str, int]
    """Outcome → records."""
    directory: Path
    parts: tuple[Part, ...]
    """In range order."""
    reused: int = 0
    """Of the parts: those that were committed before this invocation."""

    @property
    def content(self) -> str:
        """Return the identity of everything that it committed."""
        return digest([self.fingerprint, *(part.key for part in self.parts)])

    def paths(self, table: str) -> list[Path]:
        """Return the files of one table, in range order; a stage without that table gives none."""
        return [path for part in self.parts if (path := part.path(self.directory, table)).exists()]

    def records(self, table: str, kind: type[R], only: Range | None = None) -> Iterator[R]:
        """Yield the records of one table, of all parts or of one range."""
        for part in self.parts:
            if only is None or part.range == only:
                yield from read_records(part.path(self.directory, table), kind)


def read_finished(directory: Path) -> Finished | None:
    """Return what `stage.json` says, None while the stage is unfinished."""
    path = directory / "stage.json"
    if not path.exists():
        return None
    content = parse_json(path.read_text())
    return Finished(
        name=content["stage"],
        version=content["version"],
        fingerprint=content["fingerprint"],
        input=content["input"],
        settings=content["settings"],
        model=content["model"],
        counts=content["counts"],
        directory=directory,
        parts=tuple(Part(Range.parse(entry["range"]), entry["key"]) for entry in content["parts"]),
    )


@dataclass(frozen=True)
class Done:
    """What a run has done so far."""

    run: Path
    stages: Mapping[str, Finished]
    """By name, in order."""

    @property
    def input(self) -> str:
        """Return the identity of all of it: what the next stage begins from."""
        return digest([self._rows()["hash"], *(stage.content for stage in self.stages.values())])

    @property
    def row_count(self) -> int:
        """Return how many source rows the run has."""
        return int(self._rows()["rows"])

    @property
    def units(self) -> int:
        """Return the number of units of every map stage of the run."""
        return unit_count(self.row_count)

    def rows(self, span: Range) -> tuple[SourceRow, ...]:
        """Return the source rows of one range, by id."""
        return tuple(sorted(read_records(_rows_part(self.run, span), SourceRow), key=attrgetter("id")))

    def row_ids(self) -> frozenset[str]:
        """Return the ids of all source rows."""
        paths = [_rows_part(self.run, span) for span in spans(self.units)]
        return frozenset(read_columns(paths, SourceRow, ["id"])["id"].to_pylist())

    def kept(self, stage: str, route: Route | None = None) -> frozenset[str]:
        """Return the ids of the records that a stage kept, or of those that it sent one way."""
        table = read_columns(self.stages[stage].paths("outcomes"), Outcome, ["record_id", "outcome", "route"])
        chosen = pc.equal(table["outcome"], "kept") if route is None else pc.equal(table["route"], route)
        return frozenset(table.filter(chosen)["record_id"].to_pylist())

    def records(self, stage: str, table: str, kind: type[R], span: Range | None = None) -> Iterator[R]:
        """Yield the records of a finished stage, all or those of one range."""
        return self.stages[stage].records(table, kind, span)

    def columns(self, stage: str, table: str, kind: type[R]) -> RecordColumns[R]:
        """Return the records of a finished stage as columns."""
        return RecordColumns.of(kind, self.records(stage, table, kind))

    def paths(self, stage: str, table: str) -> list[Path]:
        """Return the files of one table of a finished stage."""
        return self.stages[stage].paths(table)

    def _rows(self) -> Mapping[str, Any]:
        path = self.run / "rows" / "rows.json"
        try:
            content: Mapping[str, Any] = parse_json(path.read_text())
        except FileNotFoundError as error:
            raise InfrastructureError(f"{path} is missing; run again") from error
        return content


class RowFacts(NamedTuple):
    """What tells the rows of a run from all others."""

    rows: int
    hash: str
    """Of their hashes, in the order of their ids."""

    @classmethod
    def of(cls, hashes: Iterable[str]) -> Self:
        """Return the facts of rows, given the hash of each in the order of their ids."""
        listed = [*hashes]
        return cls(len(listed), digest(listed))


def write_rows(run: Path, facts: RowFacts, rows: Iterable[SourceRow], *, again: bool = False) -> None:
    """Put a run's source rows where every process finds those of a range; what an earlier invocation put there goes.

    Rows that stand there already are not read, unless `again`. They come in any order, and few are held at a time.
    """
    text = canonical_json(facts._asdict())
    mark = run / "rows" / "rows.json"
    if mark.exists() and mark.read_text() == text and not again:
        return
    shutil.rmtree(mark.parent, ignore_errors=True)
    mark.parent.mkdir(parents=True)
    units = unit_count(facts.rows)
    with RecordWriters({str(span): _rows_part(run, span) for span in spans(units)}, SourceRow) as parts:
        for row in rows:
            parts.add(str(Range.of(row.id, units)), row, len(row.payload))
    write_atomic(mark, text.encode())


def _rows_part(run: Path, span: Range) -> Path:
    return run / "rows" / f"part-{span}.parquet"
