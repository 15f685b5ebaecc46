"""Reading the rows of a source: each gets its key and identity, and what is no row a reason.

Only a file that cannot be read stops a source. What is no row (no JSON, no key, a key twice) becomes a row with a
reason, which ingest writes down, as it does what is wrong with the fields of a row (`pipeline.sources.questions`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.errors import RowError, UsageError
from pipeline.identity import IdentityError, canonical_json, digest, is_unicode
from pipeline.records import DUPLICATE_ROW, SourceRow, line_id, root_id
from pipeline.sources.conversations import COLUMNS, conversation_entries, conversation_entries_at
from pipeline.sources.files import CONVERSATIONS
from pipeline.sources.kinds.archives import archive_entries, archive_entries_at, folder_entries, folder_entries_at
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.kinds.items import object_entries, object_entries_at
from pipeline.sources.kinds.lines import line_entries, line_entries_at
from pipeline.sources.kinds.tables import csv_entries, csv_entries_at, parquet_entries, parquet_entries_at, shown
from pipeline.sources.source import ROWS, HubData, Source
from pipeline.sources.values.coercion import scalar_text
from pipeline.sources.values.columns import Columns, has_picture, mapped
from pipeline.sources.values.pictures import picture_names
from pipeline.sources.values.wording import flaws, quoted, unread
from pipeline.store.blobs import BlobStore


def read_source(source: Source) -> Iterator[SourceRow]:
    """Yield the rows of a source in file order.

    What is no row has a `reason`: `row_json` (no JSON object in UTF-8, or one without a canonical form: NaN, half a
    character, a name twice), `row_column` (it does not fit the map of the manifest), `row_turns` (no conversation of
    questions and answers), `row_key` (no key), `row_lane` (a lane, which the manifest has to name), `row_key_reused`
    (another row has its key), `image_absent` (no picture, where each row has one), `duplicate_row` (the same row
    again), `later_turn` (a later question of a conversation), or `row_field` (pictures that the map does not name).

    Raises:
        UsageError: a file cannot be read, or lacks a column that the manifest names.
    """
    return (row for _, row in placed_rows(source))


def placed_rows(source: Source, blobs: BlobStore | None = None) -> Iterator[tuple[Entry, SourceRow]]:
    """Yield the rows of a source as `read_source`, each with what its file has.

    Pictures that stand in rows are put into `blobs`, by default those of the source.

    Raises:
        UsageError: as `read_source`.
    """
    seen = Seen()
    if blobs is None and source.blobs is not None:
        blobs = BlobStore(source.blobs)
    for entry in entries(source):
        try:
            row, content = row_of(source, entry, blobs)
            seen.add(row.source_row, content, entry.where)
            yield entry, row
        except RowError as error:
            yield entry, no_row(source, entry, error)


def row_files(source: Source) -> tuple[Path, ...]:
    """Return the files that hold the rows of a source, in their order; none of what is read in another way."""
    if source.kind in {"demo", "jsonl"}:
        return source.files or (source.directory / ROWS,)
    return source.files


def entries(source: Source) -> Iterator[Entry]:
    """Yield what the files of a source hold, under their own names.

    Raises:
        UsageError: as `read_source`.
    """
    files = row_files(source)
    match source.kind:
        case "demo" | "jsonl":
            found: Iterator[Entry] = chain.from_iterable(line_entries(path, file) for file, path in enumerate(files))
        case "json":
            found = chain.from_iterable(object_entries(path, file) for file, path in enumerate(files))
        case "parquet":
            found = parquet_entries(files, source.columns)
        case "csv" | "tsv":
            found = csv_entries(files, source.columns, _SEPARATORS[source.kind])
        case "llava" | "sharegpt" | "messages":
            found = conversation_entries(files, source.turns)
        case "folder":
            found = folder_entries(source.directory)
        case "webdataset":
            found = archive_entries(files)
        case "hf":
            # Late: the library takes seconds to import.
            from pipeline.sources.kinds.hub import hub_entries

            found = hub_entries(_hub(source), source.columns)
    return found if len(files) < 2 else _counted(found)  # noqa: PLR2004 - of one file numbers are unique


def entries_at(source: Source, places: Iterable[Place]) -> Iterator[Entry]:
    """Yield what stands at some places of a source, in their order, which is that of `entries`.

    A conversation gives all of its questions. Numbers of entries are those of their file.

    Raises:
        UsageError: as `read_source`, or there is no such place.
    """
    files = row_files(source)
    match source.kind:
        case "demo" | "jsonl":
            return line_entries_at(files, places)
        case "json":
            return object_entries_at(files, places)
        case "parquet":
            return parquet_entries_at(files, source.columns, places)
        case "csv" | "tsv":
            return csv_entries_at(files, _SEPARATORS[source.kind], places)
        case "llava" | "sharegpt" | "messages":
            return conversation_entries_at(files, source.turns, places)
        case "folder":
            return folder_entries_at(source.directory, places)
        case "webdataset":
            return archive_entries_at(files, places)
        case "hf":
            from pipeline.sources.kinds.hub import hub_entries_at

            return hub_entries_at(_hub(source), source.columns, places)


_SEPARATORS = {"csv": ",", "tsv": "\t"}


def _hub(source: Source) -> HubData:
    if source.hub is None:
        raise UsageError(f"source {source.key}: kind hf, and no data set is named")
    return source.hub


def _counted(entries: Iterator[Entry]) -> Iterator[Entry]:
    for number, entry in enumerate(entries, 1):
        yield entry._replace(number=number)


class Seen:
    """The keys of a source's rows so far, with content and place of each: about 170 bytes a row."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}

    def add(self, key: str, content: bytes, where: str) -> None:
        """Take note of a row; `content` is its sha256.

        Raises:
            RowError: `duplicate_row` or `row_key_reused`, where an earlier row has its key.
        """
        name = hashlib.sha256(key.encode()).digest()[:_SEEN]
        place = _place(where).encode(errors="backslashreplace")
        before = self._rows.setdefault(name, told := content[:_SEEN] + place)
        if before is told:
            return
        twice = f"{where}: row {quoted(key)} is also in {before[_SEEN:].decode()}"
        if before[:_SEEN] == content[:_SEEN]:
            raise RowError(DUPLICATE_ROW, f"{twice}, with the same content")
        raise RowError("row_key_reused", f"{twice}, with other content; give each row a key of its own")


_SEEN = 16
"""Bytes of a digest that tell apart all rows there are."""


def row_of(source: Source, entry: Entry, blobs: BlobStore | None) -> tuple[SourceRow, bytes]:
    """Return the row of an entry, and the sha256 of what it holds; pictures that stand in it are put into `blobs`.

    Raises:
        RowError: as `read_source` tells, but for rows whose key another has.
    """
    if entry.left_out is not None:
        raise entry.left_out
    try:
        row = _fields(source, entry, blobs)
        payload = canonical_json({**_of_source(source), **_telling(row)})
    except (ValueError, IdentityError) as error:
        fix = "save the table as UTF-8" if source.kind in _SEPARATORS else "write one object in UTF-8"
        found = next(flaws(entry.found), None) if not isinstance(entry.found, RowError) else None
        raise RowError("row_json", f"{entry.where}: {found or unread(error)}; {fix}") from error
    key = row_key(row)
    if key is None:
        raise RowError(
            "row_key", f"{entry.where}: the field `row` is {quoted(row.get('row'))}; give each row a key, as text"
        )
    if row.get("lane") is not None:
        raise RowError(
            "row_lane", f"{entry.where}: the field `lane` is not a row's; remove it, and write `lane` in the manifest"
        )
    made = SourceRow(
        id=root_id(source.key, source.revision, key),
        source=source.key,
        source_revision=source.revision,
        source_row=key,
        category=_category(row),
        payload=payload,
    )
    return made, hashlib.sha256(payload.encode()).digest()


def _fields(source: Source, entry: Entry, blobs: BlobStore | None) -> dict[str, Any]:
    """Return a row under our names and with a key; pictures that stand in it are put into `blobs` and named.

    Raises:
        RowError: it does not fit the map.
        IdentityError: as `canonical_json`.
    """
    if isinstance(entry.found, RowError):
        raise entry.found
    if source.columns is None:
        return dict(entry.found)
    try:
        row = mapped(entry.found, source.columns)
        if "images" in row and blobs is not None:
            row["images"] = picture_names(row["images"], blobs)
    except RowError as error:
        raise RowError(error.reason, f"{entry.where}: {error.detail}") from error
    if source.kind in CONVERSATIONS and "answers" not in row and entry.found.get("answer", "") is None:
        raise RowError("row_turns", f"{entry.where}: nobody answers; a turn of `gpt` or `assistant` is the answer")
    if source.needs_pictures and not has_picture(row):
        raise RowError(
            "image_absent",
            f"{entry.where}: no picture, which each row of the source has; get it, or write `pictures: some` into the "
            "manifest, where some rows have none",
        )
    if source.columns.row is None or ("row" not in row and source.columns == COLUMNS):
        row["row"] = digest(row)[:_HASH_KEY]
    elif entry.part > 1 and row_key(row) is not None:
        row["row"] = f"{row_key(row)}#{entry.part}"
    return row


def _stated_key(source: Source, entry: Entry) -> str | None:
    """Return the key that an entry has by the map of its source, None for none."""
    if isinstance(entry.found, RowError) or source.columns is None or source.columns.row is None:
        return None
    try:
        key = row_key(mapped(entry.found, Columns(row=source.columns.row, meta=())))
    except RowError:
        return None
    return key if key is None or entry.part == 1 else f"{key}#{entry.part}"


_HASH_KEY = 20
"""Hex digits of a row's content that are its key: 80 bits tell apart all rows there are."""


def no_row(source: Source, entry: Entry, error: RowError) -> SourceRow:
    """Return what is known of an entry that is no row: also its key and category, where they can be made out."""
    text = entry.line.decode(errors="backslashreplace") if entry.line else shown(entry.found)
    row = _lenient(text)
    return SourceRow(
        id=line_id(source.key, source.revision, entry.number, entry.part),
        source=source.key,
        source_revision=source.revision,
        source_row=row_key(row) or _stated_key(source, entry) or _place(entry.where),
        category=_category(row),
        payload=text,
        reason=error.reason,
        detail=error.detail,
    )


def _place(where: str) -> str:
    """Return where an entry stands in its file: what `Entry.where` says behind the file's name."""
    place = re.search(r"(?:line|row) [0-9]+(?:, question [0-9]+)?\Z", where)
    return place[0] if place else where


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
    return text if isinstance(text, str) and text and is_unicode(text) else None


def _category(row: Mapping[str, Any]) -> str:
    category = row.get("category")
    return category if isinstance(category, str) and is_unicode(category) else ""


def _telling(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without nulls and empty texts where its source tells something, which they would hide."""
    return {name: value for name, value in row.items() if value not in (None, "") or name not in _FROM_SOURCE}


_FROM_SOURCE = frozenset({"licence", "metric", "lane"})


def _of_source(source: Source) -> dict[str, str]:
    """Return what a row has from its source; a field without a value is left out, so that old rows keep their hash."""
    told = {"licence": source.licence, "metric": source.metric, "lane": source.lane}
    return {name: value for name, value in told.items() if value is not None}
