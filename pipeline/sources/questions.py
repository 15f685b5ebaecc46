"""From a source row to a question: types, categories and images, checked row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from unicodedata import normalize

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictFloat,
    StrictStr,
    ValidationError,
)

from pipeline.errors import InfrastructureError, RowError
from pipeline.identity import parse_json
from pipeline.images import put_image
from pipeline.records import EDITED_FROM, AnswerType, Category, ImageRef, Metric, Question, SourceImage, SourceRow
from pipeline.sources.manifest import SourceLane
from pipeline.sources.values.coercion import flag, lettered, number, scalar_text, texts
from pipeline.sources.values.image_marks import without_marks
from pipeline.sources.values.pictures import CALLED
from pipeline.sources.values.wording import quoted, wrong_fields
from pipeline.store.blobs import BlobStore
from pipeline.store.hashes import hash_file

MAX_SOLUTION = 200_000
"""Characters of a solution. Reasoning models write up to 32,768 tokens, about 130,000 characters at four each, and a
student trained with twice the usual cutoff of 20,480 could not be shown as much; what is longer is a loop, or a file
in the wrong field."""


RESERVED = frozenset({"shuffled_from", "kept_from", "converted_from", "source_meta", EDITED_FROM})
"""Names in `meta` under which it is said what a question was made from; no column has them."""

Key = Annotated[StrictStr, BeforeValidator(scalar_text)]
Texts = Annotated[tuple[StrictStr, ...], BeforeValidator(texts)]
Choices = Annotated[Texts, BeforeValidator(lettered)]
Flag = Annotated[StrictBool | None, BeforeValidator(flag)]
Number = Annotated[StrictFloat | None, BeforeValidator(number)]


class _Payload(BaseModel):
    """A row under coldforge's field names, without nulls."""

    model_config = ConfigDict(frozen=True, extra="allow")

    row: Key
    category: Category
    text: StrictStr = Field(pattern=r"\S")
    images: Texts = ()
    image_sha256: Texts = ()
    """What the data set says the bytes of each picture are; none: it does not say."""
    choices: Choices = ()
    answers: Texts = Field(min_length=1)
    answer_type: AnswerType
    tolerance: Number = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    metric: Metric | None = None
    licence: StrictStr
    redistributable: Flag = None
    derivation: dict[str, JsonValue] = Field(default_factory=dict)
    solution: StrictStr | None = None
    lane: SourceLane | None = None
    """From the manifest of the source; no field of a row."""

    @property
    def columns(self) -> dict[str, Any]:
        """Return what a source has beside our fields."""
        return self.model_extra or {}


_MEANT = {
    **dict.fromkeys(CALLED, "images"),
    **dict.fromkeys(("question", "problem", "query"), "text"),
    "answer": "answers",
    "options": "choices",
    "type": "answer_type",
    "license": "licence",
}
"""What other layouts call our fields. Where the field is missing such a column is a mistake, and none to carry along in
silence: a question would be asked without its picture."""


LedTo = Callable[[str], SourceImage]
"""What a URL of a row led to."""


def to_question(
    row: SourceRow,
    directory: Path,
    blobs: BlobStore,
    others: Sequence[Path] = (),
    led_to: LedTo | None = None,
    *,
    edited_from: Mapping[str, JsonValue] | None = None,
) -> Question:
    """Check a row, put its images into the store and return the question; `edited_from` says by whom it was corrected.

    Images lie in `directory`, or in one of the `others` (`Source.others`); where they were fetched by URL, `led_to`
    tells of each what came.

    Scalars are read where one reading exists (`values.coercion`), columns that are no fields of ours go into `meta`,
    and image marks out of the text (`values.image_marks`).

    Raises:
        RowError: `row_field` (a field is missing, misnamed or of the wrong type), `image_marks`, `image_path`,
            `image_missing`, `image_fetch` (its URL led to none, or to another), `image_hash` (the file is another), as
            `pipeline.images.decode`, what `read_source` found of the line, or what does not fit the
            source's lane: `solution_without_lane`, `solution_missing`, `solution_too_long`, `long_cot_images`,
            `long_cot_choices`.
    """
    payload, text = _parse(row)
    return Question.build(
        source=row.source,
        source_revision=row.source_revision,
        source_row=row.source_row,
        category=payload.category,
        text=text,
        images=tuple(_images(payload, blobs, (directory, *others), led_to)),
        choices=payload.choices,
        answers=payload.answers,
        answer_type=payload.answer_type,
        tolerance=payload.tolerance,
        licence=payload.licence,
        meta=_meta(payload) | ({} if edited_from is None else {EDITED_FROM: dict(edited_from)}),
    )


def _meta(payload: _Payload) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "derivation": payload.derivation,
        "metric": payload.metric,
        "solution": payload.solution,
    }
    return (
        payload.columns
        | {name: value for name, value in told.items() if value}
        | ({} if payload.redistributable is None else {"redistributable": payload.redistributable})
    )


def check_row(row: SourceRow, directory: Path, others: Sequence[Path] = (), fetching: bool = False) -> RowError | None:
    """Return why no question can be made of a row, as far as its fields and the paths of its images tell.

    No image is read: one that is there may still turn out damaged, and one that is to be fetched may not come.
    """
    try:
        for name in _parse(row)[0].images:
            if not (fetching and is_url(name)):
                _inside(name, (directory, *others))
    except RowError as error:
        return error
    return None


def image_names(row: SourceRow) -> tuple[str, ...]:
    """Return the image files that a row names, checked or not."""
    if row.reason:
        return ()
    images = texts(parse_json(row.payload).get("images"))
    return tuple(name for name in images if isinstance(name, str)) if isinstance(images, tuple) else ()


def image_file(name: str, directory: Path, others: Sequence[Path] = ()) -> Path | None:
    """Return the file at `name` in the directory of a source, None for none; nothing outside of it and `others` is.

    Whoever makes a question of the row says why there is none.
    """
    try:
        return _inside(name, (directory, *others))
    except RowError:
        return None


def _parse(row: SourceRow) -> tuple[_Payload, str]:
    """Return a checked row, and its text without image marks."""
    if row.reason:
        raise RowError(row.reason, row.detail)
    fields = _fields(parse_json(row.payload))
    wrong = _misnamed(fields)
    if wrong:
        raise RowError("row_field", "; ".join(wrong))
    try:
        payload = _Payload.model_validate(fields)
    except ValidationError as error:
        raise RowError("row_field", "; ".join([*wrong_fields(error, fields)][:_LISTED])) from error
    _check_lane(payload)
    return payload, without_marks(payload.text, len(payload.images), payload.choices)


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without its nulls, and without our fields that are empty texts, as tables write them."""
    return {
        name: value
        for name, value in row.items()
        if value is not None and (value != "" or name not in _Payload.model_fields)
    }


_LISTED = 5
"""Problems of one row in a message."""


def _misnamed(fields: dict[str, Any]) -> list[str]:
    """Return what is wrong with the names of a row's columns."""
    ours = _Payload.model_fields
    wrong = [f"{name}: a name of coldforge's own; rename the column" for name in sorted(RESERVED.intersection(fields))]
    for name, value in fields.items():
        meant = name.strip().lower()
        meant = meant if meant in ours else _MEANT.get(meant, "")
        if name not in ours and value and meant and not fields.get(meant):
            fix = f"rename it to `{meant}`, or map it (`{meant}: {name}`)"
            wrong.append(f"{meant}: missing, and there is a column {quoted(name)}; {fix}")
    return wrong[:_LISTED]


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


def _images(payload: _Payload, blobs: BlobStore, places: tuple[Path, ...], led_to: LedTo | None) -> Iterator[ImageRef]:
    stated = payload.image_sha256 or (None,) * len(payload.images)
    if len(stated) != len(payload.images):
        raise RowError(
            "row_field", f"image_sha256: {len(stated)} for {len(payload.images)} images; state each, or none"
        )
    for name, sha256 in zip(payload.images, stated, strict=True):
        if led_to is not None and is_url(name):
            yield _put(_fetched(led_to(name), blobs), name, blobs, sha256, "image_fetch")
        else:
            yield _put(_inside(name, places), name, blobs, sha256, "image_hash")


def _fetched(image: SourceImage, blobs: BlobStore) -> Path:
    """Return where the bytes are that a URL led to.

    Raises:
        RowError: it led to none.
        InfrastructureError: they are gone from the store.
    """
    if image.sha256 is None:
        raise RowError("image_fetch", f"{quoted(image.path)}: {image.failure}")
    if image.sha256 not in blobs:
        raise InfrastructureError(f"{image.path} was fetched, and is gone from {blobs.root}; run again")
    return blobs.path(image.sha256)


def _put(path: Path, name: str, blobs: BlobStore, stated: str | None, reason: str) -> ImageRef:
    """Store an image. `stated` is its sha256, if the data set says it, and `reason` what it is if that is another."""
    try:
        if stated is not None:
            _require_same(path, stated, reason)
        facts = path.stat()
        return _put_once(path, facts.st_mtime_ns, facts.st_size, blobs)
    except OSError as error:
        raise RowError("image_missing", f"{_called(name)} cannot be read: {error.strerror}") from error
    except RowError as error:
        raise RowError(error.reason, f"{_called(name)}: {error.detail}") from error


_STORED = re.compile(r"[0-9a-f]{2}/(?P<sha256>[0-9a-f]{64})")


def _called(name: str) -> str:
    """Return what a message calls a picture: its path, or that it stands in the row and lies in the store."""
    stored = _STORED.fullmatch(name)
    return quoted(name) if stored is None else f"the picture that stands in the row, sha256 {stored['sha256'][:12]}…"


def _require_same(path: Path, stated: str, reason: str) -> None:
    found = hash_file(path)
    if found != stated.strip().lower():
        raise RowError(reason, f"another picture than the data set had: sha256 {found}, not {stated}")


_STAY_INSIDE = (
    "paths are relative to its directory. If a link in it leads to a folder of pictures, name that folder as "
    "`image_root` in the manifest"
)
_LONGEST_PATH = 4096
"""Characters: `PATH_MAX` of Linux."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)


def is_url(name: str) -> bool:
    """Return whether a row names an image by URL, of whatever scheme, and not by path."""
    return _URL.match(name) is not None


def _inside(name: str, places: tuple[Path, ...]) -> Path:
    """Return the file at `name`, which a row may have from a stranger: it must not lead out of the source.

    A path begins at the first of `places` that has it. Wherever it begins, the file lies in one of them once every
    link is followed. Where there is none, back-slashes are those of Windows, and letters with marks are one character
    or two, as file systems keep them.
    """
    if len(name) > _LONGEST_PATH or name.startswith("data:"):
        raise RowError(
            "image_path",
            f"{quoted(name)} is no path; if it is a picture in base64, map it so "
            "(`images: {from: COLUMN, as: base64}`)",
        )
    if is_url(name) and not name.lower().startswith(("http://", "https://")):
        raise RowError("image_path", f"{quoted(name)} is a URL that nobody fetches; write the path of the file")
    if is_url(name):
        raise RowError(
            "image_path",
            f"{quoted(name)} is a URL, and nothing is fetched; write `fetch: {{}}` beside the source in the recipe, or "
            "get the file and name its path",
        )
    roots = _roots(tuple(place.absolute() for place in places))
    outside = False
    spellings = (name, name.replace("\\", "/"), normalize("NFC", name), normalize("NFD", name))
    for spelt in dict.fromkeys(spellings):
        for root in roots:
            path = _resolved(root, spelt)
            if not any(path.is_relative_to(allowed) for allowed in roots):
                outside = True
            elif _is_file(path, name):
                return path
    if outside:
        raise RowError("image_path", f"{quoted(name)} leads out of the source; {_STAY_INSIDE}")
    raise RowError(
        "image_missing", f"{quoted(name)} is no file of the source; paths begin at its folder, or at `image_root`"
    )


@lru_cache(maxsize=64)
def _roots(places: tuple[Path, ...]) -> tuple[Path, ...]:
    """Follow the links of a source's directories once: they are the same for all of its rows."""
    return tuple(root.resolve() for root in places)


def _resolved(root: Path, name: str) -> Path:
    try:
        # Resolved first, so that neither `..` nor a link inside the source leads anywhere else.
        return (root / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # the last for links in a circle
        raise RowError("image_path", f"{quoted(name)} is no path; write that of a file") from error


def _is_file(path: Path, name: str) -> bool:
    try:
        # Neither a pipe nor a device, which would be waited for without end.
        return path.is_file()
    except OSError as error:
        raise RowError("image_missing", f"{quoted(name)} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=16_384)
def _put_once(path: Path, _modified: int, _size: int, blobs: BlobStore) -> ImageRef:
    """Store an image once per process: many questions may share a sheet that takes 0.1 s to decode. About 1 KB each."""
    return put_image(blobs, path.read_bytes())
