"""Ingest: source rows become questions whose images are in the store; a row that cannot is quarantined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache, partial
from pathlib import Path

from flows.stages.common import row_outcome
from flows.stages.curation import Curation, Work, run_in_worker
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.errors import RowError
from pipeline.records import SourceImage, SourceRow
from pipeline.sources.questions import image_names, source_image, to_question
from pipeline.store.blobs import BlobStore


def work(curation: Curation, stage: Stage) -> Work:
    """Hand each range of the rows to a worker process."""
    rows = curation.inputs.rows
    directories = {source.key: source.directory for source in curation.inputs.sources}
    run = partial(ingest_unit, directories=directories, blobs=curation.store.blobs)

    @cache
    def by_range(total: int) -> Mapping[Range, list[SourceRow]]:
        ranges: dict[Range, list[SourceRow]] = defaultdict(list)
        for row in rows:
            ranges[Range.of(row.id, total)].append(row)
        return ranges

    def unit(span: Range, total: int) -> UnitResult:
        mine = tuple(by_range(total).get(span, ()))
        return run_in_worker(curation, stage, span, UnitInput(mine, images_of(mine, directories)), run)

    return Work(len(rows), unit)


def images_of(rows: Iterable[SourceRow], directories: Mapping[str, Path]) -> tuple[SourceImage, ...]:
    """Return each image file that the rows name, once: a file that changes or appears is new input."""
    named = {(row.source, name) for row in rows for name in image_names(row)}
    return tuple(source_image(source, directories[source], name) for source, name in sorted(named))


def ingest_unit(unit: UnitInput, directories: Mapping[str, Path], blobs: BlobStore) -> UnitOutput:
    """Turn rows into questions; `directories` is where each source keeps its images."""
    outcomes, questions = [], []
    for row in unit.records:
        assert isinstance(row, SourceRow)  # noqa: S101 - tells mypy what the wiring guarantees
        try:
            questions.append(to_question(row, directories[row.source], blobs))
        except RowError as error:
            outcomes.append(row_outcome("ingest", row, error))
        else:
            outcomes.append(row_outcome("ingest", row, None))
    questions.sort(key=lambda question: question.id)
    return UnitOutput(tuple(outcomes), {"questions": tuple(questions)})
