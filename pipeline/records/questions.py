"""Source rows, questions and their images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pipeline.identity import canonical_json, digest, parse_json
from pipeline.records.base import Int32, Record
from pipeline.records.words import AnswerType, Category, Scaling


class ImageRef(Record):
    """An image in the content-addressed store; the bytes live only there."""

    sha256: str
    """Of the stored bytes, not of the pixels: the file's own, or those of a PNG where readers would not agree on the
    file (`pipeline.images.stored`)."""
    mime: Literal["image/png", "image/jpeg", "image/webp"]
    width: Int32
    """Pixels, after EXIF orientation."""
    height: Int32
    nbytes: int
    frames: Int32 = 1
    """Pictures in the file; the first is the image."""
    scaling: Scaling = "none"
    """How the file's values became 8 bits."""

    SCHEMA: ClassVar[int] = 2


class SourceRow(Record):
    """One row as a source adapter read it, before anything was checked."""

    id: str
    """`root_id(source, source_revision, source_row)`: the root of all records made from this row. Of a line that is no
    row: `line_id`."""
    source: str
    source_revision: str
    source_row: str
    """The row's key, or `line 8` where there is none."""
    category: str
    """Empty where the line does not tell."""
    payload: str
    """Canonical JSON of the row under coldforge's field names (see `pipeline/sources`). Of a line that is no row: the
    line as it stands, bytes that are no UTF-8 as `\\xff`."""
    reason: str = ""
    """Why the line is no row, as a stable code; empty for a row."""
    detail: str = ""
    """The same for people, with the number of the line; empty for a row, which may move within its file."""

    SCHEMA: ClassVar[int] = 2


DUPLICATE_ROW = "duplicate_row"
"""`SourceRow.reason` of a row that stands in its source before, key and content alike: nothing is lost with it."""
LATER_TURN = "later_turn"
"""`SourceRow.reason` of a later question of a conversation whose manifest takes the first alone."""
EDITED = "edited"
"""`Outcome.reason` of a row that a person has corrected: the record that was made of it stands in its place."""
BY_RULE = frozenset({DUPLICATE_ROW, LATER_TURN, EDITED})
"""Reasons of rows with which nothing is wrong: they are rejected, and not quarantined."""


EDITED_FROM = "edited_from"
"""Key in `meta` of a question that a person has corrected, and of all that is made of it: `id`, the question that he
saw, which is its parent; `edit`, the id of his `Edit`; and which `fields` he changed."""


def root_id(source: str, source_revision: str, source_row: str) -> str:
    """Return the identity of a source row; its leading bits choose the unit of every record made from it."""
    return digest({"source": source, "revision": source_revision, "row": source_row})


def line_id(source: str, source_revision: str, number: int, part: int = 1) -> str:
    """Return the identity of a line, or of a part of it, that is no row; no row has it, whatever its key."""
    said = {"source": source, "revision": source_revision, "line": number}
    return digest(said if part == 1 else {**said, "part": part})


class Question(Record):
    """One question over zero or more images, with the answers that count as right."""

    id: str
    source: str
    source_revision: str
    source_row: str
    category: Category
    text: str
    images: tuple[ImageRef, ...]
    choices: tuple[str, ...]
    answers: tuple[str, ...]
    """Every spelling that is right; not part of `id`, so that a corrected answer keeps its question."""
    answer_type: AnswerType
    tolerance: float | None
    """Relative, as stated in the question (0.02 accepts 2 %); None asks for the exact value."""
    licence: str
    meta: str
    """Canonical JSON: derivation of the answer, and whatever a source wants to carry along."""

    SCHEMA: ClassVar[int] = 2

    @classmethod
    def build(
        cls,
        *,
        source: str,
        source_revision: str,
        source_row: str,
        category: Category,
        text: str,
        images: tuple[ImageRef, ...],
        choices: tuple[str, ...] = (),
        answers: tuple[str, ...],
        answer_type: AnswerType,
        tolerance: float | None = None,
        licence: str,
        meta: object = None,
    ) -> Question:
        """Make a question; `id` covers source, revision, row key, text, choices and image hashes.

        What a person has corrected (`EDITED_FROM` in `meta`) is another question than its parent, were it by its
        answers alone.
        """
        edited = {EDITED_FROM: meta[EDITED_FROM]} if isinstance(meta, Mapping) and EDITED_FROM in meta else {}
        identity = {
            "source": source,
            "revision": source_revision,
            "row": source_row,
            "text": text,
            "choices": choices,
            "images": [image.sha256 for image in images],
            **edited,
        }
        return cls(
            id=digest(identity),
            source=source,
            source_revision=source_revision,
            source_row=source_row,
            category=category,
            text=text,
            images=images,
            choices=choices,
            answers=answers,
            answer_type=answer_type,
            tolerance=tolerance,
            licence=licence,
            meta=canonical_json(meta if meta is not None else {}),
        )

    @property
    def root_id(self) -> str:
        """Identity of the source row this question came from."""
        return root_id(self.source, self.source_revision, self.source_row)

    @property
    def edited_from(self) -> Mapping[str, str] | None:
        """Return the `id` of its parent and the `edit` by which it was made; None where nobody corrected it."""
        meta = parse_json(self.meta) if EDITED_FROM in self.meta else None
        found = meta.get(EDITED_FROM) if isinstance(meta, dict) else None
        return None if found is None else {name: str(found[name]) for name in ("id", "edit")}


class QuestionKey(Record):
    """The columns of a question that stages over the whole input read."""

    id: str
    source: str
    category: Category
    text: str
    images: tuple[str, ...]
    """sha256 of each image."""
    answers: tuple[str, ...]
    """What they say: the text of an option where the question stores its letter."""
    answer_type: AnswerType
    tolerance: float | None = None
    choices: tuple[str, ...] = ()
    """The texts of the options it is asked with."""
    offered: tuple[str, ...] = ()
    """The texts of those that its source offers, where it is asked without them."""

    SCHEMA: ClassVar[int] = 4


class SourceImage(Record):
    """An image that a source row names, as it was found: the row says only where it is."""

    source: str
    path: str
    """As the row writes it."""
    sha256: str | None
    """None where there is no such file inside the source, or its URL led to none."""
    failure: str = ""
    """What the URL led to instead, for people; empty for a file."""

    SCHEMA: ClassVar[int] = 2


class ImageOrigin(Record):
    """Which file of a source a picture was made of, where what is stored are other bytes."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id", "sha256", "file")

    question_id: str
    """As ingest made it."""
    sha256: str
    """Of the stored picture (`ImageRef`)."""
    file: str
    """sha256 of the source's file."""
