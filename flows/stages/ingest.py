"""Ingest: source rows become questions whose images are in the store; a row that cannot is quarantined.

A row that stands in its source before, key and content alike, is rejected: nothing is lost with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from pydantic import Field

from flows.asking.edited import STALE, edited_from, edited_rows
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.outcomes import Found, gathered, row_outcome
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import InfrastructureError, RowError
from pipeline.fetch.recorded import Fetch, fetched
from pipeline.identity import Identity, Place, Revision
from pipeline.images import PIXEL_RECIPE, reads_heic
from pipeline.records import EDITED, Edit, ImageOrigin, Outcome, Question, SourceImage, SourceRow
from pipeline.sources.questions import image_file, image_names, is_url, to_question
from pipeline.store import Store


class SourceRead(Identity):
    """A source whose rows are read."""

    key: str
    revision: Revision[str]
    directory: Place[Path] = Path()
    """Where it keeps its images."""
    others: Place[tuple[Path, ...]] = ()
    """Where else they may lie."""
    fetch: Fetch | None = None
    """Whether those that are named by URL are fetched."""


class IngestSettings(StageSettings):
    """What ingest sees of a recipe."""

    sources: tuple[SourceRead, ...]
    pixels: Revision[str] = PIXEL_RECIPE
    heic: Revision[bool] = Field(default_factory=reads_heic)
    """Whether the extra for HEIC is installed: once it is, rows that were refused are read."""
    store: Place[Path] = Path()
    """Which records what URLs led to and what files hash to, and holds the pictures of tables."""
    edits: Place[tuple[Edit, ...]] = ()
    """What people corrected: each unit is handed those of its rows, so that others stay as they are."""

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> IngestSettings:
        """Return the settings of a run."""
        del revisions
        sources = (
            SourceRead(key=s.key, revision=s.revision, directory=s.directory, others=s.others, fetch=use.fetch)
            for s, use in zip(inputs.sources, job.recipe.sources, strict=True)
        )
        return cls(sources=tuple(sources), store=job.store.resolve(), edits=inputs.edits)

    @property
    def by_key(self) -> Mapping[str, SourceRead]:
        """Return the sources by their keys."""
        return {source.key: source for source in self.sources}


async def prepare(done: Done, settings: IngestSettings, store: Store, tell: Callable[[str], None]) -> None:
    """Fetch the pictures that rows name by URL, of the sources that are to be fetched."""
    for source in settings.sources:
        if source.fetch is not None:
            from pipeline.fetch.pictures import fetch_pictures

            spans = (Range(number, done.units) for number in range(done.units))
            images = {name for span in spans for key, name in named(done.rows(span)) if key == source.key}
            urls = filter(is_url, images)
            await fetch_pictures(urls, source.fetch, store, tell=tell)


def read(done: Done, settings: IngestSettings) -> Reader:
    """Hand over each range of the rows, with those that people made of them, and the images that they name."""
    sources, store = settings.by_key, Store(settings.store)
    changes = _by_row(settings.edits)

    def unit(span: Range) -> UnitInput:
        rows = done.rows(span)
        own = {row.id for row in rows}
        edits = tuple(edit for edit in settings.edits if edit.root in own)
        read = (*images_of(rows, sources, store), *fetched_of(rows, sources, store))
        return UnitInput(tuple(edited_rows(rows, changes)), (*read, *edits))

    roots = done.row_ids() if changes else frozenset()
    return Reader(done.row_count + sum(edit.root in roots for edit in changes.values()), unit)


def _by_row(edits: Iterable[Edit]) -> Mapping[str, Edit]:
    return {edit.row: edit for edit in edits if edit.unit == "question"}


def named(rows: Iterable[SourceRow]) -> set[tuple[str, str]]:
    """Return the images that the rows name, each with the key of its source."""
    return {(row.source, name) for row in rows for name in image_names(row)}


def images_of(rows: Iterable[SourceRow], sources: Mapping[str, SourceRead], store: Store) -> tuple[SourceImage, ...]:
    """Return each image file that the rows name, once: a file that changes or appears is new input.

    A file that is as it was when it was last hashed is not read. What stands in the store has its hash as its name.
    """
    wanted = [(key, name) for key, name in sorted(named(rows)) if sources[key].fetch is None or not is_url(name)]
    files = {(key, name): image_file(name, sources[key].directory, sources[key].others) for key, name in wanted}
    blobs = store.blobs.root.resolve()
    hashes = store.hashes.of({file for file in files.values() if file is not None and file.parent.parent != blobs})

    def found(file: Path | None) -> str | None:
        return None if file is None else file.name if file.parent.parent == blobs else hashes.get(file)

    return tuple(SourceImage(source=key, path=name, sha256=found(file)) for (key, name), file in files.items())


def fetched_of(rows: Iterable[SourceRow], sources: Mapping[str, SourceRead], store: Store) -> tuple[SourceImage, ...]:
    """Return what each URL of the rows led to, where it was to be fetched: another picture, or failure, is new input.

    Raises:
        InfrastructureError: one is not recorded.
    """
    urls = defaultdict[str, list[str]](list)
    for key, name in sorted(named(rows)):
        if sources[key].fetch is not None and is_url(name):
            urls[key].append(name)
    found = list[SourceImage]()
    for key, names in urls.items():
        known = fetched(store, sources[key].fetch or Fetch(), names)
        for name in names:
            if name not in known:
                raise InfrastructureError(f"source {key}: {name} was not fetched; run again")
            sha256, failure = known[name]
            found.append(SourceImage(source=key, path=name, sha256=sha256 or None, failure=failure))
    return tuple(found)


def _led_to(images: Mapping[tuple[str, str], SourceImage], source: str, url: str) -> SourceImage:
    return images[source, url]


def run(unit: UnitInput, settings: IngestSettings, store: Store) -> UnitOutput:
    """Turn rows into questions. A row that a person corrected is rejected: what he made of it is a row of its own."""
    sources = settings.by_key
    images = {(image.source, image.path): image for image in unit.context if isinstance(image, SourceImage)}
    edits = [edit for edit in unit.context if isinstance(edit, Edit)]
    changes, made_by = _by_row(edits), {edit.id: edit for edit in edits}
    rows = [row for row in unit.records if isinstance(row, SourceRow)]
    made: dict[str, Question | RowError] = {}

    def question_of(row: SourceRow) -> Question | RowError:
        source, edit = sources[row.source], made_by.get(row.id)
        if edit is not None and not _is_of(edit, made[edit.row]):
            return RowError(STALE, f"the row is not the one that {edit.annotator} corrected; correct it again")
        led_to = None if source.fetch is None else partial(_led_to, images, row.source)
        told = None if edit is None else edited_from(edit)
        try:
            return to_question(row, source.directory, store.blobs, source.others, led_to, edited_from=told)
        except RowError as error:
            return error

    def ingested(row: SourceRow) -> tuple[Outcome, Found]:
        found, question, edit = Found(), made[row.id], changes.get(row.id)
        found.add("edits", *(one for one in edits if one.root == row.id))
        if edit is not None and _is_of(edit, question):
            question = RowError(EDITED, f"corrected by {edit.annotator}, see {edit.id}")
        if isinstance(question, RowError):
            return row_outcome("ingest", row, question), found
        found.add("questions", question)
        found.add("origins", *_origins(row, question, images))
        return row_outcome("ingest", row, None), found

    # Whatever was made of a row stands behind it.
    for row in rows:
        made[row.id] = question_of(row)
    return gathered(INGEST.tables, map(ingested, rows))


def _is_of(edit: Edit, question: Question | RowError) -> bool:
    """Return whether this is the question that was corrected."""
    return isinstance(question, Question) and question.id == edit.ingested


def _origins(
    row: SourceRow, question: Question, files: Mapping[tuple[str, str], SourceImage]
) -> tuple[ImageOrigin, ...]:
    """Return which files the pictures of a question were made of, where those are not stored as they are."""
    named = zip(image_names(row), question.images, strict=False)
    pairs = {(image.sha256, files[row.source, name].sha256) for name, image in named if (row.source, name) in files}
    return tuple(
        ImageOrigin(question_id=question.id, sha256=kept, file=file)
        for kept, file in sorted((kept, file) for kept, file in pairs if file not in {None, kept})
    )


INGEST: Stage[IngestSettings, Store] = Stage(
    name="ingest",
    version=6,
    kind="map",
    resource="cpu",
    settings=IngestSettings,
    read=read,
    run=run,
    tables={"questions": Question, "origins": ImageOrigin, "edits": Edit},
    outside=True,
    prepare=prepare,
)
