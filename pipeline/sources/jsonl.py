"""The layout of a source on disk, and reading its rows.

A directory with
- `rows.jsonl`: one object per line with the fields `row` (a key that stays with the row), `category`, `text`,
  `images` (paths in the directory), `choices`, `answers`, `answer_type`, `tolerance`, `licence`, `derivation`, and
  `solution` where the source's lane is `long_cot`; other columns are carried along;
- the images;
- optionally `source.json`: `{"key", "revision", "files": {path: sha256}}`, as generated sources have it.

Only a file that cannot be read stops a source. A line that is no row (no JSON, no key, a key twice) becomes a row with
a reason, which ingest writes down, as it does what is wrong with the fields of a row (`pipeline.sources.questions`).
"""

from __future__ import annotations

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from pipeline.errors import RowError, UsageError
from pipeline.identity import IdentityError, canonical_json, parse_json
from pipeline.records import DUPLICATE_ROW, Metric, SourceRow, line_id, root_id
from pipeline.sources.coercion import DEEPEST, scalar_text, too_deep
from pipeline.sources.manifest import SourceLane

ROWS = "rows.jsonl"
DESCRIPTION = "source.json"


class Source(NamedTuple):
    """A source that was opened: its bytes are on disk and checked."""

    key: str
    revision: str
    directory: Path
    licence: str
    """For rows that name none."""
    licence_images: str = ""
    source_url: str = ""
    redistributable: bool = False
    """Whether images may be passed on."""
    metric: Metric | None = None
    """The benchmark's own way to grade its answers."""
    lane: SourceLane | None = None
    """`long_cot`: rows bring their own reasoning."""
    image_root: Path | None = None
    """Where images may lie beside `directory`, as links in it lead there."""

    @property
    def terms(self) -> str:
        """Return a sentence for the card of an export: from where, under which terms."""
        parts = [self.source_url, f"licence {self.licence}"]
        parts.append(f"images: {self.licence_images}" if self.licence_images else "")
        # The lane is text alone.
        unfree = not self.redistributable and self.lane != "long_cot"
        parts.append(f"images of source {self.key} may not be redistributed" if unfree else "")
        return "; ".join(part for part in parts if part)


class Description(BaseModel):
    """What `source.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    revision: str
    files: dict[str, str]
    """Path in the source → sha256."""


def read_description(directory: Path) -> Description:
    """Return what `source.json` says.

    Raises:
        UsageError: it is missing or damaged.
    """
    path = directory / DESCRIPTION
    try:
        return Description.model_validate(parse_json(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be used: {error}; delete {directory} to have a generated source made again, "
            "or get the source again"
        ) from error


def check_files(directory: Path, hashes: Mapping[str, str], named_by: Path, fix: str) -> None:
    """Check that every file of `hashes`, named by the file `named_by`, is there with its sha256.

    `fix` says what to do if not.

    Raises:
        UsageError: a file is missing, damaged or outside of `directory`.
    """
    for name, sha256 in hashes.items():
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            raise UsageError(f"{named_by}: {name} is outside of {directory}; name files inside the source")
        if not path.is_file():
            raise UsageError(f"{named_by}: {path} is missing; {fix}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise UsageError(
                f"{path} is not the file that {named_by} describes: its sha256 is {found}, not {sha256}; {fix}"
            )


def read_source(source: Source) -> Iterator[SourceRow]:
    """Yield the rows of a source in file order: one for each line that is not blank.

    A line that is no row has a `reason`: `row_json` (no JSON object in UTF-8, or one without a canonical form: NaN,
    half a character, a name twice), `row_key` (no key), `row_lane` (a lane, which the manifest has to name),
    `row_key_reused` (another row has its key) or `duplicate_row` (the same row again).

    Raises:
        UsageError: the file cannot be read.
    """
    seen: dict[str, tuple[int, bytes]] = {}
    for number, line in read_lines(source.directory / ROWS):
        try:
            yield _row(source, number, line, seen)
        except RowError as error:
            yield _no_row(source, number, line, error)


def _row(source: Source, number: int, line: bytes, seen: dict[str, tuple[int, bytes]]) -> SourceRow:
    """Return the row of a line. `seen` holds number and content of the lines before, by key.

    Raises:
        RowError: as `read_source` tells.
    """
    where = f"{ROWS}, line {number}"
    row, payload = _read(source, where, line)
    key = row_key(row)
    if key is None:
        raise RowError("row_key", f"{where}: the field `row` is {quoted(row.get('row'))}; give each row a key, as text")
    if row.get("lane") is not None:
        raise RowError(
            "row_lane", f"{where}: the field `lane` is not a row's; remove it, and write `lane` in the manifest"
        )
    content = hashlib.sha256(payload.encode()).digest()
    before, same = seen.setdefault(key, (number, content))
    if before != number:
        twice = f"{where}: row {quoted(key)} is also in line {before}"
        if content == same:
            raise RowError(DUPLICATE_ROW, f"{twice}, with the same content")
        raise RowError("row_key_reused", f"{twice}, with other content; give each row a key of its own")
    return SourceRow(
        id=root_id(source.key, source.revision, key),
        source=source.key,
        source_revision=source.revision,
        source_row=key,
        category=_category(row),
        payload=payload,
    )


def _no_row(source: Source, number: int, line: bytes, error: RowError) -> SourceRow:
    """Return what is known of a line that is no row: also its key and category, where they can be made out."""
    text = line.decode(errors="backslashreplace")
    row = _lenient(text)
    return SourceRow(
        id=line_id(source.key, source.revision, number),
        source=source.key,
        source_revision=source.revision,
        source_row=row_key(row) or f"line {number}",
        category=_category(row),
        payload=text,
        reason=error.reason,
        detail=error.detail,
    )


def _read(source: Source, where: str, line: bytes) -> tuple[dict[str, Any], str]:
    """Return the object of a line, and its payload with what a row has from its source.

    Raises:
        RowError: `row_json`.
    """
    try:
        row = parse_json(line.decode())
        deep = too_deep(row)
        payload = "" if deep or not isinstance(row, dict) else canonical_json({**_of_source(source), **_telling(row)})
    except json.JSONDecodeError as error:
        told = f"{error.msg}, column {error.colno}"
        raise RowError("row_json", f"{where}: not JSON ({told}); write one object per line") from error
    except RecursionError:
        row, payload, deep = None, "", True
    except (ValueError, IdentityError) as error:
        raise RowError("row_json", f"{where}: not as JSON should be ({error}); write one object in UTF-8") from error
    if deep:
        raise RowError("row_json", f"{where}: JSON nested more than {DEEPEST} times; flatten it")
    if not isinstance(row, dict):
        raise RowError("row_json", f"{where}: JSON of a {type(row).__name__}; write one object per line")
    return row, payload


def _lenient(text: str) -> dict[str, Any]:
    """Return the object that Python reads in a text, though it is not as JSON should be; an empty one for none."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def row_key(row: Mapping[str, Any]) -> str | None:
    """Return the key of a row, None if it has none; a number is the text that spells it."""
    key = row.get("row")
    text = key if isinstance(key, bool) else scalar_text(key)
    return text if isinstance(text, str) and text and _is_unicode(text) else None


def _category(row: Mapping[str, Any]) -> str:
    category = row.get("category")
    return category if isinstance(category, str) and _is_unicode(category) else ""


def _is_unicode(text: str) -> bool:
    """Return whether a text has an encoding: half a surrogate pair has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _telling(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without nulls and empty texts where its source tells something, which they would hide."""
    return {name: value for name, value in row.items() if value not in (None, "") or name not in _FROM_SOURCE}


_FROM_SOURCE = frozenset({"licence", "metric", "lane"})


def _of_source(source: Source) -> dict[str, str]:
    """Return what a row has from its source; a field without a value is left out, so that old rows keep their hash."""
    told = {"licence": source.licence, "metric": source.metric, "lane": source.lane}
    return {name: value for name, value in told.items() if value is not None}


def quoted(value: object) -> str:
    """Return a value of a row as a message quotes it: on one line, and no longer than one."""
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


_LONGEST_QUOTE = 120


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of every line that is not blank, without byte order marks.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                # Files that were joined have a mark in the middle.
                if content := line.removeprefix(BOM_UTF8).strip():
                    yield number, content
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); a source needs this file") from error


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and object of every line that is not blank: of files in which no line may be wrong.

    Raises:
        UsageError: the file cannot be read, or a line is no JSON object.
    """
    for number, line in read_lines(path):
        try:
            value = parse_json(line.decode())
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{path}, line {number}: not JSON ({error}); write one object per line, in UTF-8"
            ) from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}, line {number}: a {type(value).__name__}; write one JSON object per line")
        yield number, value
