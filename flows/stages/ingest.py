"""Ingest: source rows become questions whose images are in the store; a row that cannot is quarantined.

A row that stands in its source before, key and content alike, is rejected: nothing is lost with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field

from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.outcomes import Found, gathered, row_outcome
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import RowError
from pipeline.identity import Identity, Place, Revision
from pipeline.images import PIXEL_RECIPE, reads_heic
from pipeline.records import Outcome, Question, SourceImage, SourceRow
from pipeline.sources.questions import image_names, source_image, to_question
from pipeline.store import Store


class SourceRead(Identity):
    """A source whose rows are read."""

    key: str
    revision: Revision[str]
    directory: Place[Path] = Path()
    """Where it keeps its images."""
    others: Place[tuple[Path, ...]] = ()
    """Where else they may lie."""


class IngestSettings(StageSettings):
    """What ingest sees of a recipe."""

    sources: tuple[SourceRead, ...]
    pixels: Revision[str] = PIXEL_RECIPE
    heic: Revision[bool] = Field(default_factory=reads_heic)
    """Whether the extra for HEIC is installed: once it is, rows that were refused are read."""

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> IngestSettings:
        """Return the settings of a run."""
        del job, revisions
        sources = (
            SourceRead(key=s.key, revision=s.revision, directory=s.directory, others=s.others) for s in inputs.sources
        )
        return cls(sources=tuple(sources))

    @property
    def by_key(self) -> Mapping[str, SourceRead]:
        """Return the sources by their keys."""
        return {source.key: source for source in self.sources}


def read(done: Done, settings: IngestSettings) -> Reader:
    """Hand over each range of the rows, with the image files that they name."""
    sources = settings.by_key

    def unit(span: Range) -> UnitInput:
        rows = done.rows(span)
        return UnitInput(rows, images_of(rows, sources))

    return Reader(done.row_count, unit)


def images_of(rows: Iterable[SourceRow], sources: Mapping[str, SourceRead]) -> tuple[SourceImage, ...]:
    """Return each image file that the rows name, once: a file that changes or appears is new input."""
    named = {(row.source, name) for row in rows for name in image_names(row)}
    return tuple(source_image(key, name, sources[key].directory, sources[key].others) for key, name in sorted(named))


def run(unit: UnitInput, settings: IngestSettings, store: Store) -> UnitOutput:
    """Turn rows into questions."""
    sources = settings.by_key

    def ingested(row: SourceRow) -> tuple[Outcome, Found]:
        found, source = Found(), sources[row.source]
        try:
            found.add("questions", to_question(row, source.directory, store.blobs, source.others))
        except RowError as error:
            return row_outcome("ingest", row, error), found
        return row_outcome("ingest", row, None), found

    return gathered(INGEST.tables, (ingested(row) for row in unit.records if isinstance(row, SourceRow)))


INGEST: Stage[IngestSettings, Store] = Stage(
    name="ingest",
    version=3,
    kind="map",
    resource="cpu",
    settings=IngestSettings,
    read=read,
    run=run,
    tables={"questions": Question},
    outside=True,
)
