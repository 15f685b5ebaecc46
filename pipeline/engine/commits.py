"""Committing a unit and a stage: parts renamed into place, and `stage.json`, which lists those of a finished stage.

The part `outcomes` is renamed into place last: it is the commit mark, and what has no commit mark never happened.
Conservation: every input record has exactly one outcome. It is asserted per unit before the commit and over all units
before `stage.json` is written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.done import Done, Finished, read_finished
from pipeline.engine.stage import Declared
from pipeline.engine.units import Part, Range, UnitInput, UnitOutput, UnitResult
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json, digest
from pipeline.records import Made, Outcome, Record
from pipeline.store.blobs import write_atomic
from pipeline.store.shards import RecordColumns, Together, arrow_table, read_columns, write_records, write_table


def begin_unit(stage: Declared[Any, Any], span: Range, unit: UnitInput) -> tuple[Part, Mapping[str, int] | None]:
    """Return the unit's part and, when it was committed before, its counts."""
    part = Part(span, digest({"fingerprint": stage.fingerprint, "input": unit.hash()}))
    return part, committed(stage.directory, part)


def committed(directory: Path, part: Part) -> Mapping[str, int] | None:
    """Return the outcome counts of a committed unit, None if it is not committed."""
    path = part.path(directory, "outcomes")
    if not path.exists():
        return None
    return _counts(read_columns([path], Outcome, ["outcome"]))


def commit_unit(stage: Declared[Any, Any], part: Part, unit: UnitInput, output: UnitOutput) -> UnitResult:
    """Check conservation, then write every table of the unit, the outcomes last.

    Raises:
        InfrastructureError: the outcomes do not match the input; nothing is written.
    """
    tables, directory = stage.stage.tables, stage.directory
    outcomes = _in_order(output.outcomes)
    told = outcomes.table(["record_id", "outcome"]) if isinstance(outcomes, Made) else outcomes
    if not _one_each(unit.records, told["record_id"]):
        check_conservation(stage.name, _ids(unit.records), told["record_id"].to_pylist())
    if set(output.tables) != set(tables):
        raise InfrastructureError(f"stage {stage.name} made tables {sorted(output.tables)}, declared {sorted(tables)}")
    directory.mkdir(parents=True, exist_ok=True)
    for name, kind in tables.items():
        write_records(part.path(directory, name), kind, output.tables[name])
    if isinstance(outcomes, Made):
        write_records(part.path(directory, "outcomes"), Outcome, outcomes)
    else:
        write_table(part.path(directory, "outcomes"), outcomes)
    return UnitResult(part, reused=False, counts=_counts(told))


def _counts(outcomes: pa.Table) -> Mapping[str, int]:
    return {count["values"]: count["counts"] for count in pc.value_counts(outcomes["outcome"]).to_pylist()}


def _in_order(outcomes: Iterable[Outcome]) -> Made[Outcome] | pa.Table:
    """Return outcomes in the order of their ids: what is made when it is looked at as it is, if it is in order."""
    if isinstance(outcomes, Made):
        ids = outcomes.table(["record_id"])["record_id"]
        if pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py() is not False:
            return outcomes
    return arrow_table(Outcome, outcomes).sort_by("record_id")


def _one_each(records: Collection[Record], outcomes: pa.ChunkedArray) -> bool:
    """Return whether sorted outcomes are those of records that are columns, without a Python value for each."""
    if not (isinstance(records, RecordColumns) and "id" in records.table.column_names):
        return False
    ids = records.table.select(["id"]).sort_by("id")["id"]
    return bool(ids.equals(outcomes)) and pc.any(pc.equal(ids[:-1], ids[1:])).as_py() is not True


def _ids(records: Collection[Record]) -> list[str]:
    if isinstance(records, Together):
        return [name for part in records.parts for name in _ids(part)]
    if isinstance(records, RecordColumns) and "id" in records.table.column_names:
        ids: list[str] = records.table["id"].to_pylist()
        return ids
    return [record_id(record) for record in records]


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


def check_conservation(stage: str, inputs: Sequence[str], outcomes: Sequence[str]) -> None:
    """Require one outcome per input record and none for anything else; both are named by the records' ids.

    Raises:
        InfrastructureError: naming the first records that break the rule.
    """
    if len(set(inputs)) == len(inputs) and sorted(inputs) == sorted(outcomes):
        return
    expected, seen = Counter(inputs), Counter(outcomes)
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


def commit_stage(stage: Declared[Any, Any], done: Done, units: Sequence[UnitResult]) -> Finished:
    """Write `stage.json` of a stage whose units are all committed, in range order, and return what it says."""
    counts = sum((Counter(unit.counts) for unit in units), Counter[str]())
    parts = tuple(unit.part for unit in units)
    manifest = {
        "stage": stage.name,
        "version": stage.stage.version,
        "kind": stage.stage.kind,
        "fingerprint": stage.fingerprint,
        "input": done.input,
        "model": stage.settings.model,
        "settings": stage.settings.identity(),
        "upstream": stage.upstream,
        "counts": dict(counts),
        "parts": [{"range": str(part.range), "key": part.key} for part in parts],
    }
    # Indented for people; key order is fixed by canonical_json.
    text = json.dumps(json.loads(canonical_json(manifest)), indent=1, ensure_ascii=False)
    write_atomic(stage.directory / "stage.json", (text + "\n").encode())
    return Finished(
        name=stage.name,
        version=stage.stage.version,
        fingerprint=stage.fingerprint,
        input=done.input,
        settings=stage.settings.identity(),
        model=stage.settings.model,
        counts=counts,
        directory=stage.directory,
        parts=parts,
        reused=sum(unit.reused for unit in units),
    )


def find_finished(stage: Declared[Any, Any], done: Done) -> Finished | None:
    """Return a stage that finished in this run directory on exactly what is done before it now, None if none did."""
    finished = read_finished(stage.directory)
    if finished is None or finished.input != done.input:
        return None
    if len(finished.paths("outcomes")) < len(finished.parts):
        return None
    whole = all(stage.stage.stands(stage.directory, part, stage.settings) for part in finished.parts)
    return finished if whole else None
