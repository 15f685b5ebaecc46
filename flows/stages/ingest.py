"""Ingest: source rows become questions whose images are in the store; a row that cannot is quarantined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.outcomes import Found, gathered, row_outcome
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import RowError
from pipeline.identity import Identity, Place, Revision
from pipeline.records import Outcome, Question, SourceImage, SourceRow
from pipeline.sources.questions import image_names, source_image, to_question
from pipeline.store import Store


class SourceRead(Identity):
    """A source whose rows are read."""

    key: str
    revision: Revision[str]
    directory: Place[Path] = Path()
    """Where it keeps its images."""


class IngestSettings(StageSettings):
    """What ingest sees of a recipe."""

    sources: tuple[SourceRead, ...]

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> IngestSettings:
        """Return the settings of a run."""
        del job, revisions
        sources = (SourceRead(key=s.key, revision=s.revision, directory=s.directory) for s in inputs.sources)
        return cls(sources=tuple(sources))

    @property
    def directories(self) -> Mapping[str, Path]:
        """Return where each source keeps its images."""
        return {source.key: source.directory for source in self.sources}


def read(done: Done, settings: IngestSettings) -> Reader:
    """Hand over each range of the rows, with the image files that they name."""
    directories = settings.directories

    def unit(span: Range) -> UnitInput:
        rows = done.rows(span)
        return UnitInput(rows, images_of(rows, directories))

    return Reader(done.row_count, unit)


def images_of(rows: Iterable[SourceRow], directories: Mapping[str, Path]) -> tuple[SourceImage, ...]:
    """Return each image file that the rows name, once: a file that changes or appears is new input."""
    named = {(row.source, name) for row in rows for name in image_names(row)}
    return tuple(source_image(source, directories[source], name) for source, name in sorted(named))


def run(unit: UnitInput, settings: IngestSettings, store: Store) -> UnitOutput:
    """Turn rows into questions."""
    directories = settings.directories

    def ingested(row: SourceRow) -> tuple[Outcome, Found]:
        found = Found()
        try:
            found.add("questions", to_question(row, directories[row.source], store.blobs))
        except RowError as error:
            return row_outcome("ingest", row, error), found
        return row_outcome("ingest", row, None), found

    return gathered(INGEST.tables, (ingested(row) for row in unit.records if isinstance(row, SourceRow)))


INGEST: Stage[IngestSettings, Store] = Stage(
    name="ingest",
    version=1,
    kind="map",
    resource="cpu",
    settings=IngestSettings,
    read=read,
    run=run,
    tables={"questions": Question},
    outside=True,
)
