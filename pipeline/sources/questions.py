"""From a source row to a question: types, categories and images, checked row by row."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictFloat, StrictInt, StrictStr, ValidationError

from pipeline.errors import RowError
from pipeline.identity import parse_json
from pipeline.images import put_image
from pipeline.records import AnswerType, Category, ImageRef, Metric, Question, SourceImage, SourceRow
from pipeline.sources.manifest import SourceLane
from pipeline.store.blobs import BlobStore

MAX_SOLUTION = 200_000
"""Characters of a solution. Reasoning models write up to 32,768 tokens, about 130,000 characters at four each, and a
student trained with twice the usual cutoff of 20,480 could not be shown as much; what is longer is a loop, or a file
in the wrong field."""


class _Payload(BaseModel):
    """A row under coldforge's field names; a field that is not one of them is an error, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: StrictStr
    category: Category
    text: StrictStr = Field(min_length=1)
    images: tuple[StrictStr, ...] = ()
    choices: tuple[StrictStr, ...] = ()
    answers: tuple[StrictStr, ...] = Field(min_length=1)
    answer_type: AnswerType
    tolerance: StrictFloat | StrictInt | None = Field(default=None, ge=0)
    metric: Metric | None = None
    licence: StrictStr
    derivation: dict[str, JsonValue] = Field(default_factory=dict)
    solution: StrictStr | None = None
    lane: SourceLane | None = None
    """From the manifest of the source; no field of a row."""


def to_question(row: SourceRow, directory: Path, blobs: BlobStore) -> Question:
    """Check a row, put its images into the store and return the question.

    Raises:
        RowError: `row_field` (a field is missing, unknown or of the wrong type), `image_path`,
            `image_missing`, as `pipeline.images.decode`, or what does not fit the source's lane:
            `solution_without_lane`, `solution_missing`, `solution_too_long`, `long_cot_images`, `long_cot_choices`.
    """
    payload = _parse(row.payload)
    return Question.build(
        source=row.source,
        source_revision=row.source_revision,
        source_row=row.source_row,
        category=payload.category,
        text=payload.text,
        images=tuple(_put(directory, name, blobs) for name in payload.images),
        choices=payload.choices,
        answers=payload.answers,
        answer_type=payload.answer_type,
        tolerance=None if payload.tolerance is None else float(payload.tolerance),
        licence=payload.licence,
        meta=_meta(payload),
    )


def _meta(payload: _Payload) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "derivation": payload.derivation,
        "metric": payload.metric,
        "solution": payload.solution,
    }
    return {name: value for name, value in told.items() if value}


def check_row(row: SourceRow, directory: Path) -> RowError | None:
    """Return why no question can be made of a row, as far as its fields and the paths of its images tell.

    No image is read: one that is there may still turn out damaged.
    """
    try:
        for name in _parse(row.payload).images:
            _inside(directory, name)
    except RowError as error:
        return error
    return None


def image_names(row: SourceRow) -> tuple[str, ...]:
    """Return the image files that a row names, checked or not."""
    images = parse_json(row.payload).get("images")
    return tuple(name for name in images if isinstance(name, str)) if isinstance(images, list) else ()


def source_image(source: str, directory: Path, name: str) -> SourceImage:
    """Return what is at `name` in the directory of a source; nothing outside of it is opened."""
    try:
        with _inside(directory, name).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RowError):
        # Whoever makes a question of the row says why; here it only counts that there are no bytes.
        sha256 = None
    return SourceImage(source=source, path=name, sha256=sha256)


def _parse(payload: str) -> _Payload:
    try:
        row = _Payload.model_validate(parse_json(payload))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise RowError("row_field", problems) from error
    _check_lane(row)
    return row


def _check_lane(row: _Payload) -> None:
    """Check that a row brings its own solution exactly if its source says so: else it would be ignored in silence."""
    if row.lane is None:
        if row.solution is not None:
            raise RowError(
                "solution_without_lane",
                f"row {row.row!r}: `solution` would not be used; write `lane: long_cot` in the manifest of the source, "
                "or remove the field",
            )
        return
    if row.solution is None or not row.solution.strip():
        raise RowError(
            "solution_missing",
            f"row {row.row!r}: `solution` is missing, and the source's lane is long_cot; give the reasoning with its "
            "answer, or move the row to a source without `lane`",
        )
    if len(row.solution) > MAX_SOLUTION:
        raise RowError(
            "solution_too_long",
            f"row {row.row!r}: `solution` has {len(row.solution):,} characters of at most {MAX_SOLUTION:,}; leave the "
            "row out, or shorten it at its source",
        )
    if row.images:
        raise RowError(
            "long_cot_images",
            f"row {row.row!r}: `images` holds {len(row.images)}, and the lane long_cot is text alone; remove them, or "
            "move the row to a source without `lane`",
        )
    if row.choices:
        # Options are shuffled or taken away by the screen, and a solution speaks of them by their letters.
        raise RowError(
            "long_cot_choices",
            f"row {row.row!r}: `choices` holds {len(row.choices)}; write the options into `text`, and the right one's "
            "wording as the answer",
        )


def _put(directory: Path, name: str, blobs: BlobStore) -> ImageRef:
    path = _inside(directory, name)
    try:
        facts = path.stat()
        return _put_once(path, facts.st_mtime_ns, facts.st_size, blobs)
    except OSError as error:
        raise RowError("image_missing", f"{name!r} cannot be read: {error.strerror}") from error


def _inside(directory: Path, name: str) -> Path:
    """Return the file at `name`, which a row may have from a stranger: it must not lead out of the source."""
    root = directory.resolve()
    try:
        # Resolved first, so that neither `..` nor a link inside the source leads anywhere else.
        path = (root / name).resolve()
    except (OSError, ValueError) as error:
        raise RowError("image_path", f"{name!r} is no path: {error}") from error
    if not path.is_relative_to(root):
        raise RowError("image_path", f"{name!r} leads out of the source; paths are relative to its directory")
    try:
        is_file = path.is_file()
    except OSError as error:
        raise RowError("image_missing", f"{name!r} cannot be read: {error.strerror}") from error
    if not is_file:
        # Also a pipe or a device, which would be waited for without end.
        raise RowError("image_missing", f"{name!r} is no file of the source")
    return path


@lru_cache(maxsize=4096)
def _put_once(path: Path, _modified: int, _size: int, blobs: BlobStore) -> ImageRef:
    """Store an image once per process: many questions may share a sheet that takes 0.1 s to decode."""
    return put_image(blobs, path.read_bytes())
