"""The rows of a release: what each asks, shows, accepts and says, as hashes, so that two releases can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

from filters.dedup.key import question_key
from flows.report.lookup import finished_stages
from pipeline.engine.done import Done
from pipeline.errors import UsageError
from pipeline.export.layout import MANIFEST, ROWS, Manifest, RowKey
from pipeline.export.verify.file_checks import read_manifest
from pipeline.export.verify.format_checks import RowView, asked, view_row
from pipeline.export.verify.reading_rows import read_rows
from pipeline.identity import digest
from pipeline.records import IMAGE_MARK, ImageFacts, Question, Record


class ReleasedRow(Record):
    """One row of a release. Everything but the ids is a hash: a release record shows nobody's data."""

    KEY: ClassVar[tuple[str, ...]] = ("shard", "record_id")

    shard: str
    split: str
    record_id: str
    question_id: str
    cluster_id: str
    source: str
    source_row: str
    question_key: str
    """Of the question's key: equal for two spellings of one question (`filters.dedup.key`)."""
    images: tuple[str, ...]
    """sha256 of each picture of the question, as it ships."""
    phashes: tuple[str, ...]
    """Perceptual hash of each that the screen has measured, 16 hexadecimal digits."""
    question: str
    """Of what is asked, as it is written."""
    prompt: str
    """Of the texts that the row is told."""
    answers: str
    """Of all accepted answers, with type, tolerance and options."""
    transcript: str
    """Of every message after the question, and of the pictures in them; of none for a question to reinforce."""


class LeftOut(Record):
    """A row that an export left out, as its manifest says."""

    KEY: ClassVar[tuple[str, ...]] = ("shard", "record_id")

    shard: str
    record_id: str
    question_id: str
    reason: str


PARTS = ("split", "cluster_id", "question", "images", "prompt", "answers", "transcript")
"""What of a row can change under one id."""


class Shipped(NamedTuple):
    """An export of a run."""

    directory: Path
    manifest: Manifest


def shipped(run: Path) -> dict[str, Shipped]:
    """Return the export of each shard that is read for its rows: the plain one, else the first by name.

    Raises:
        UsageError: the run has none, or a manifest cannot be read.
    """
    found: dict[str, Shipped] = {}
    for path in sorted((run / "export").glob(f"*/*/{MANIFEST}"), key=lambda p: (p.parent.name != "huggingface", p)):
        manifest = read_manifest(path.parent)
        if isinstance(manifest, str):
            raise UsageError(f"{path} {manifest}; `coldforge run` writes the exports of a run again")
        found.setdefault(manifest.shard, Shipped(path.parent, manifest))
    if not found:
        raise UsageError(f"{run} holds no export; `coldforge run` writes them")
    return found


def released_rows(run: Path) -> Iterator[ReleasedRow]:
    """Yield every row of a run's exports, by shard and then in their order; few are in memory.

    Raises:
        UsageError: the run has no export, or a stage that is read is gone.
        InfrastructureError: a row cannot be read; `coldforge verify` says which.
    """
    questions, phashes = _known(run)
    for _, export in sorted(shipped(run).items()):
        for key, view in zip(_keys(export), _views(export), strict=True):
            yield _row(key, view, export.manifest, questions[key.question_id], phashes)


def left_out_rows(run: Path) -> list[LeftOut]:
    """Return what the exports that are read for a run's rows left out, by shard and then in their order.

    Raises:
        UsageError: as `shipped`.
    """
    return [
        LeftOut(shard=shard, record_id=row.record_id, question_id=row.question_id, reason=row.reason)
        for shard, export in sorted(shipped(run).items())
        for row in export.manifest.refused
    ]


def _keys(export: Shipped) -> Iterator[RowKey]:
    with (export.directory / ROWS).open(encoding="utf-8") as lines:
        yield from map(RowKey.model_validate_json, lines)


def _views(export: Shipped) -> Iterator[RowView]:
    for file in export.manifest.data:
        for row in read_rows(export.directory / file.path, export.manifest.shard, export.manifest.format):
            if not isinstance(row, dict):
                raise UsageError(f"{export.directory / file.path}: {row.message}; `coldforge verify` says more")
            yield view_row(row, export.manifest.format, export.directory)


def _row(key: RowKey, view: RowView, manifest: Manifest, question: Question, phashes: Mapping[str, str]) -> ReleasedRow:
    told = asked(view, manifest)
    shown = view.messages[1]["content"].count(IMAGE_MARK)
    images = tuple(hashlib.sha256(content).hexdigest() for content in view.images)
    said = [[message["role"], message["content"]] for message in view.messages[2:]]
    accepted = [question.answers, question.answer_type, question.tolerance, question.choices]
    return ReleasedRow(
        shard=manifest.shard,
        split=key.split,
        record_id=key.record_id,
        question_id=key.question_id,
        cluster_id=key.cluster_id,
        source=key.source,
        source_row=key.source_row,
        question_key=digest(question_key(question.text)),
        images=images[:shown],
        phashes=tuple(phashes[image.sha256] for image in question.images if image.sha256 in phashes),
        question="" if told is None else digest(told.question),
        prompt="" if told is None else told.prompt.sha256,
        answers=digest(accepted),
        transcript=digest([said, images[shown:], sorted(view.unlearnt)]) if said else "",
    )


def _known(run: Path) -> tuple[Mapping[str, Question], Mapping[str, str]]:
    """Return the screened questions by id, and the perceptual hash of each picture that was measured."""
    stages = finished_stages(run)
    if "screen" not in stages:
        raise UsageError(f"{run}/stages holds no screened questions any more; run `coldforge run` again")
    done = Done(run, stages)
    wanted = {key.question_id for export in shipped(run).values() for key in _keys(export)}
    questions = {q.id: q for q in done.records("screen", "questions", Question) if q.id in wanted}
    facts = (fact for fact in done.records("screen", "facts", ImageFacts) if fact.question_id in wanted)
    return questions, {fact.sha256: f"{fact.phash:016x}" for fact in facts if fact.phash is not None}
