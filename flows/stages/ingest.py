"""Ingest: source rows become questions whose images are in the store; a row that cannot is quarantined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from flows.curation import Curation, Work, run_in_worker
from flows.stages.common import row_outcome
from pipeline.errors import RowError
from pipeline.records import SourceRow
from pipeline.sources import read_source
from pipeline.sources.questions import to_question
from pipeline.stage import Range, Stage, UnitInput, UnitOutput, UnitResult
from pipeline.store.blobs import BlobStore


def work(curation: Curation, stage: Stage) -> Work:
    """Read all rows once and hand each range to a worker process."""
    sources = curation.inputs.sources
    rows = limit_rows((row for source in sources for row in read_source(source)), curation.job.limit)
    directories = {source.key: source.directory for source in sources}
    run = partial(ingest_unit, directories=directories, blobs=curation.driver.blobs)

    def unit(span: Range, total: int) -> UnitResult:
        mine = UnitInput(tuple(row for row in rows if Range.of(row.id, total) == span))
        return run_in_worker(curation, stage, span, mine, run)

    return Work(len(rows), unit)


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


def limit_rows(rows: Iterable[SourceRow], limit: int | None) -> list[SourceRow]:
    """Return a stratified sample: the first `limit` rows by (rank in stratum + ½) ÷ stratum size.

    A stratum is one category of one source; ranks follow the row's id, which is a hash. The sample is
    nested (a larger limit only adds rows) and every stratum is represented in proportion.
    """
    ordered = sorted(rows, key=lambda row: row.id)
    if limit is None:
        return ordered
    strata: dict[tuple[str, str], list[SourceRow]] = defaultdict(list)
    for row in ordered:
        strata[row.source, row.category].append(row)
    placed = [
        ((rank + 0.5) / len(members), row.id, row) for members in strata.values() for rank, row in enumerate(members)
    ]
    return sorted((row for _, _, row in sorted(placed, key=lambda place: place[:2])[:limit]), key=lambda row: row.id)
