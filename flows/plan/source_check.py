"""What becomes of every row of a source before any model is asked: ingest, screen and dedup, without a run."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from filters.dedup.clusters import DedupSettings
from filters.rights.rules import RightsSettings
from filters.screen.images import ImageSettings
from filters.screen.questions import QuestionSettings
from flows.stages import dedup, ingest, screen
from flows.stages.dedup import DedupStageSettings
from flows.stages.fetching import key_of, picture_key
from flows.stages.ingest import IngestSettings, SourceRead
from flows.stages.screen import ScreenSettings
from pipeline.engine.units import UnitInput
from pipeline.errors import RowError
from pipeline.fetch.recorded import Fetch
from pipeline.records import ImageFacts, Outcome, PictureKey, Question, QuestionKey, SourceRow
from pipeline.sources import Source
from pipeline.sources.kinds.entries import Entry
from pipeline.sources.questions import image_names, is_url
from pipeline.sources.rows import placed_rows
from pipeline.sources.values.pictures import holds_picture
from pipeline.store import Store
from pipeline.students.family import FAMILIES, Size, Student

ROWS_AT_ONCE = 256
"""As many rows, with the facts of their pictures, are held at a time."""
SHRUNK = ((1, "as it is"), (2, "up to 2 times"), (10, "2 to 10 times"), (float("inf"), "more than 10 times"))
"""Steps of how many pixels of a picture are one of what the student sees."""


class Detail(NamedTuple):
    """A row that is lost, and what is said of it."""

    where: str
    """File and row."""
    row: str
    """Its key."""
    detail: str
    """What the stage says of it, and where it was asked as a question, that question."""


class Loss(NamedTuple):
    """Rows that are lost for one reason."""

    stage: str
    reason: str
    rows: int
    details: tuple[Detail, ...]
    """Each of them in their order, but no more than `LISTED`."""

    @property
    def different(self) -> tuple[Detail, ...]:
        """Return the first few of which something else is said, whatever their numbers and quotations are."""
        first: dict[str, Detail] = {}
        for one in self.details:
            first.setdefault(_VARYING.sub("", one.detail.removeprefix(one.where)), one)
        return tuple(first.values())[:_DIFFERENT]


LISTED = 10_000
"""Lost rows of a reason that are told one by one: what a person or a script looks through, and a few megabytes."""
_DIFFERENT = 3
"""Rows of a reason in a table."""
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+")
"""What differs from row to row, though the same is wrong with them."""


class Looked(NamedTuple):
    """What a source holds."""

    rows: int
    losses: tuple[Loss, ...]
    kinds: dict[tuple[str, str], int]
    """(category, answer type) → questions that are kept."""
    licences: dict[str, int]
    pictures: int
    """Different ones, of the questions that are kept or repeat one of these."""
    shared: int
    """Of these, how many more than one question shows."""
    unmapped: tuple[str, ...]
    """Columns that hold pictures of which no field comes."""
    bare: int
    """Questions that are kept and have no picture."""
    sizes: dict[str, int]
    """How many pixels are one of what the student sees → pictures."""

    @property
    def kept(self) -> int:
        """Return how many questions a run would go on with."""
        return sum(self.kinds.values())

    @property
    def shrunk(self) -> int:
        """Return how many pictures the student sees smaller than they are."""
        return self.pictures - self.sizes.get(SHRUNK[0][1], 0)


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
    """Read every row and decode every picture of a source, as ingest, screen and dedup do.

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
    screening = ScreenSettings(
        images=ImageSettings().bounds(family.patch, family.max_aspect), questions=QuestionSettings(),
        rights=RightsSettings(), views=student.view_rules, cutoff_len=student.cutoff_len, tokenizer=student.tokenizer,
    )  # fmt: skip
    read = SourceRead(
        key=source.key, revision=source.revision, directory=source.directory, others=source.others,
        fetch=None if fetching is None else fetching.fetch,
    )  # fmt: skip
    reading = IngestSettings(sources=(read,), store=store)
    rows, lost, asked, facts = 0, _Lost(), dict[str, _Asked](), dict[str, PictureKey]()
    unmapped = set[str]()
    with Store(store) as opened, asyncio.Runner() as loop:
        left = placed_rows(source)
        while batch := tuple(islice(left, ROWS_AT_ONCE)):
            rows += len(batch)
            unmapped |= {name for entry, _ in batch for name in _unmapped_pictures(source, entry)}
            if fetching is not None:
                loop.run(fetching.pictures(tuple(row for _, row in batch), opened))
            found = _screened(batch, reading, screening, opened)
            lost.add(found.lost)
            asked |= {one.key.id: one for one in found.asked}
            facts |= found.pictures
        keys = tuple(one.key for one in asked.values())
        unit = UnitInput(keys, tuple(facts.values()))
        made = dedup.run(unit, DedupStageSettings(dedup=DedupSettings()), opened)
    repeated = [outcome for outcome in made.outcomes if outcome.outcome != "kept"]
    lost.add((outcome, asked[outcome.record_id].detail) for outcome in repeated)
    again = {outcome.record_id for outcome in repeated}
    kept = [one for name, one in asked.items() if name not in again]
    shown = Counter(image for key in keys for image in dict.fromkeys(key.images))
    pictures = {name: _times(student, Size(key.width, key.height)) for name, key in facts.items() if name in shown}
    return Looked(
        rows=rows,
        losses=lost.told(),
        kinds=dict(Counter((str(one.key.category), str(one.key.answer_type)) for one in kept)),
        licences=dict(Counter(one.licence for one in kept)),
        pictures=len(pictures),
        shared=sum(n > 1 for n in shown.values()),
        unmapped=tuple(sorted(unmapped)),
        bare=sum(not one.key.images for one in kept),
        sizes=dict(Counter(pictures.values())),
    )


def _unmapped_pictures(source: Source, entry: Entry) -> Iterator[str]:
    """Yield the columns of a row that hold pictures and of which no field comes."""
    if source.columns is None or isinstance(entry.found, RowError):
        return
    used = {name.partition(".")[0] for name in source.columns.used}
    yield from (name for name, value in entry.found.items() if name not in used and holds_picture(value))


class _Asked(NamedTuple):
    """A question that the screen keeps."""

    key: QuestionKey
    licence: str
    detail: Detail
    """Where it is from, and its text."""


class _Screened(NamedTuple):
    lost: list[tuple[Outcome, Detail]]
    asked: list[_Asked]
    pictures: dict[str, PictureKey]
    """By sha256."""


def _screened(
    batch: Sequence[tuple[Entry, SourceRow]], reading: IngestSettings, screening: ScreenSettings, store: Store
) -> _Screened:
    """Return what is lost of some rows, and what is kept as it would be asked."""
    read = tuple(row for _, row in batch)
    made = ingest.run(UnitInput(read, ingest.fetched_of(read, reading.by_key, store)), reading, store)
    questions = {record.id: record for record in made.tables["questions"] if isinstance(record, Question)}
    passed = screen.run(UnitInput(tuple(questions.values())), screening, store)
    place = {row.id: (entry.where, row.source_row) for entry, row in batch}
    place |= {question.id: place[question.root_id] for question in questions.values()}
    lost = []
    for outcome in (*made.outcomes, *passed.outcomes):
        if outcome.outcome != "kept":
            asked = questions.get(outcome.record_id)
            told = (outcome.detail, "" if asked is None else _shown(asked))
            lost.append((outcome, Detail(*place[outcome.record_id], "; ".join(filter(None, told)))))
    kept = [record for record in passed.tables["questions"] if isinstance(record, Question)]
    facts = [record for record in passed.tables["facts"] if isinstance(record, ImageFacts)]
    return _Screened(
        lost,
        [
            _Asked(
                key_of(question.to_row()), question.licence, Detail(*place[question.root_id], question.text[:_SHOWN])
            )
            for question in kept
        ],
        {key.sha256: key for key in map(picture_key, facts) if key is not None},
    )


def _shown(question: Question) -> str:
    """Return a question as a table quotes it: the screen's reasons name a rule, and this what it was held to."""
    pictures = ", ".join(f"{image.width} x {image.height}" for image in question.images) or "none"
    told = f"{question.text} = {' | '.join(question.answers)}"
    return f"{told if len(told) <= _SHOWN else f'{told[:_SHOWN]}…'}; pictures: {pictures}"


_SHOWN = 120
"""Characters of a question in a table."""


class _Lost:
    """What is lost so far, by stage and reason."""

    def __init__(self) -> None:
        self._rows = Counter[tuple[str, str]]()
        self._details = defaultdict[tuple[str, str], list[Detail]](list)

    def add(self, lost: Iterable[tuple[Outcome, Detail]]) -> None:
        for outcome, detail in lost:
            name = (outcome.stage, outcome.reason)
            self._rows[name] += 1
            if self._rows[name] <= LISTED:
                self._details[name].append(detail)

    def told(self) -> tuple[Loss, ...]:
        found = (Loss(*name, rows, tuple(self._details[name])) for name, rows in self._rows.items())
        return tuple(sorted(found, key=lambda loss: (-loss.rows, loss.stage, loss.reason)))


def _times(student: Student, size: Size) -> str:
    """Return how many pixels of a picture are one of what the student sees, as a step of `SHRUNK`."""
    seen = student.view_rule.size(size)
    times = size.width * size.height / (seen.width * seen.height)
    return next(said for most, said in SHRUNK if times <= most)
