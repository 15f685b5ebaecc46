"""What is decided of a record, and what a stage did with it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pipeline.records.base import Int32, Record
from pipeline.records.words import Route


class Decision(Record):
    """What one filter says about one record; `reason` is from the filter's closed set."""

    KEY: ClassVar[tuple[str, ...]] = ("record_id", "filter")

    record_id: str
    filter: str
    version: Int32
    outcome: Literal["keep", "reject", "unknown"]
    reason: str
    score: float | None


class Outcome(Record):
    """What a stage did with one input record. Exactly one per input record and stage."""

    KEY: ClassVar[tuple[str, ...]] = ("record_id",)

    stage: str
    unit: Literal["row", "question", "trajectory"]
    record_id: str
    question_id: str
    """The question (or, at ingest, the source row) that the record belongs to."""
    source: str
    category: str
    outcome: Literal["kept", "rejected", "quarantined"]
    route: Route | None
    """Where a kept record goes; None when it was not kept."""
    reason: str
    """Empty when kept; a stable code otherwise."""
    detail: str
    payload: str
    """The whole record as canonical JSON when quarantined; empty otherwise."""
    score: float | None


class PartRead(Record):
    """A part of an earlier stage that a stage over the whole input reads as a file."""

    KEY: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    """Of the stage's directory and the file."""
    sha256: str


class ExportWritten(Record):
    """An export that publishing wrote."""

    KEY: ClassVar[tuple[str, ...]] = ("shard", "format")

    shard: str
    format: str
    manifest: str
    """sha256 of its `manifest.json`, which has those of all other files."""
