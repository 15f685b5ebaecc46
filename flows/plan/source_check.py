"""What becomes of every row of a source before any model is asked: ingest and screen, without a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from filters.screen.images import ImageSettings
from filters.screen.questions import QuestionSettings
from flows.stages import ingest, screen
from flows.stages.ingest import IngestSettings, SourceRead
from flows.stages.screen import ScreenSettings
from pipeline.engine.units import UnitInput
from pipeline.fetch.recorded import Fetch
from pipeline.records import Question, SourceRow
from pipeline.sources import Source, read_source
from pipeline.sources.questions import image_names, is_url
from pipeline.store import Store
from pipeline.students.family import FAMILIES, Size, Student

ROWS_AT_ONCE = 256
"""As many rows, with the facts of their pictures, are held at a time."""


class Loss(NamedTuple):
    """Rows that are lost for one reason, and the first of them."""

    stage: str
    reason: str
    rows: int
    row: str
    detail: str


class Looked(NamedTuple):
    """What a source holds."""

    rows: int
    losses: tuple[Loss, ...]
    kinds: dict[tuple[str, str], int]
    """(category, answer type) → questions that are kept."""
    licences: dict[str, int]
    pictures: int
    """Different ones, of the questions that are kept."""
    shrunk: int
    """Of these, how many the student sees smaller than they are."""

    @property
    def kept(self) -> int:
        """Return how many questions a run would go on with."""
        return sum(self.kinds.values())


class Fetching(NamedTuple):
    """How the pictures of a source are fetched."""

    fetch: Fetch
    again: bool
    """Whether those that did not come before are asked for anew."""
    tell: Callable[[str], None]

    async def pictures(self, rows: tuple[SourceRow, ...], store: Store) -> None:
        """Fetch those of some rows."""
        from pipeline.fetch.pictures import fetch_pictures

        urls = [name for row in rows for name in image_names(row) if is_url(name)]
        await fetch_pictures(urls, self.fetch, store, tell=self.tell, again=self.again)


def look_through(source: Source, student: Student, store: Path, fetching: Fetching | None = None) -> Looked:
    """Read every row and decode every picture of a source, as ingest and screen do.

    Args:
        source: opened.
        student: whose view and length the screen goes by.
        store: a directory where pictures are put; it may be thrown away.
        fetching: how pictures are fetched which rows name by URL; None: they are not.

    Raises:
        UsageError: a file of the source cannot be read.
        InfrastructureError: pictures cannot be fetched for want of a network or a server.
    """
    family = FAMILIES[student.family]
    bounds = ImageSettings().bounds(family.patch, family.max_aspect)
    settings = ScreenSettings(
        images=bounds, questions=QuestionSettings(), views=student.view_rules, cutoff_len=student.cutoff_len,
        tokenizer=student.tokenizer,
    )  # fmt: skip
    rows, lost, kinds, licences = 0, dict[tuple[str, str], Loss](), Counter[tuple[str, str]](), Counter[str]()
    pictures: dict[str, bool] = {}
    read = SourceRead(
        key=source.key, revision=source.revision, directory=source.directory, others=source.others,
        fetch=None if fetching is None else fetching.fetch,
    )  # fmt: skip
    reading = IngestSettings(sources=(read,), store=store)
    with Store(store) as opened, asyncio.Runner() as loop:
        left = read_source(source)
        while batch := tuple(islice(left, ROWS_AT_ONCE)):
            rows += len(batch)
            if fetching is not None:
                loop.run(fetching.pictures(batch, opened))
            losses, questions = _decided(batch, reading, settings, opened)
            for loss in losses:
                before = lost.get((loss.stage, loss.reason))
                lost[loss.stage, loss.reason] = loss if before is None else before._replace(rows=before.rows + 1)
            kinds.update((question.category, question.answer_type) for question in questions)
            licences.update(question.licence for question in questions)
            for image in (image for question in questions for image in question.images):
                seen = student.view_rule.size(Size(image.width, image.height))
                pictures[image.sha256] = seen.width * seen.height < image.width * image.height
    ordered = sorted(lost.values(), key=lambda loss: (-loss.rows, loss.stage, loss.reason))
    return Looked(rows, tuple(ordered), dict(kinds), dict(licences), len(pictures), sum(pictures.values()))


def _decided(
    rows: tuple[SourceRow, ...], reading: IngestSettings, screening: ScreenSettings, store: Store
) -> tuple[list[Loss], list[Question]]:
    """Return what is lost of some rows, and the questions as they would be asked."""
    made = ingest.run(UnitInput(rows, ingest.fetched_of(rows, reading.by_key, store)), reading, store)
    questions = tuple(record for record in made.tables["questions"] if isinstance(record, Question))
    passed = screen.run(UnitInput(questions), screening, store)
    named = {row.id: row.source_row for row in rows} | {question.id: question.source_row for question in questions}
    lost = [
        Loss(outcome.stage, outcome.reason, 1, named[outcome.record_id], outcome.detail)
        for outcome in (*made.outcomes, *passed.outcomes)
        if outcome.outcome != "kept"
    ]
    return lost, [record for record in passed.tables["questions"] if isinstance(record, Question)]
