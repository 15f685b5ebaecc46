"""Reading the rows of a source: each gets its key and identity, and what is no row a reason.

Only a file that cannot be read stops a source. What is no row (no JSON, no key, a key twice) becomes a row with a
reason, which ingest writes down, as it does what is wrong with the fields of a row (`pipeline.sources.questions`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from pipeline.errors import RowError, UsageError
from pipeline.identity import IdentityError, canonical_json, digest
from pipeline.records import DUPLICATE_ROW, SourceRow, line_id, root_id
from pipeline.sources.archives import archive_entries, folder_entries
from pipeline.sources.coercion import quoted, scalar_text
from pipeline.sources.columns import mapped
from pipeline.sources.conversations import conversation_entries
from pipeline.sources.entries import Entry
from pipeline.sources.lines import line_entries, object_entries
from pipeline.sources.pictures import picture_names
from pipeline.sources.source import ROWS, Source
from pipeline.sources.tables import csv_entries, parquet_entries, shown
from pipeline.store.blobs import BlobStore


def read_source(source: Source) -> Iterator[SourceRow]:
    """Yield the rows of a source in file order.

    What is no row has a `reason`: `row_json` (no JSON object in UTF-8, or one without a canonical form: NaN, half a
    character, a name twice), `row_column` (it does not fit the map of the manifest), `row_turns` (no conversation of
    questions and answers), `row_key` (no key), `row_lane` (a lane, which the manifest has to name), `row_key_reused`
    (another row has its key) or `duplicate_row` (the same row again).

    Raises:
        UsageError: a file cannot be read, or lacks a column that the manifest names.
    """
    return (row for _, row in placed_rows(source))


def placed_rows(source: Source) -> Iterator[tuple[Entry, SourceRow]]:
    """Yield the rows of a source as `read_source`, each with what its file has.

    Raises:
        UsageError: as `read_source`.
    """
    seen: dict[str, tuple[str, bytes]] = {}
    for entry in entries(source):
        try:
            yield entry, _row(source, entry, seen)
        except RowError as error:
            yield entry, _no_row(source, entry, error)


def entries(source: Source) -> Iterator[Entry]:
    """Yield what the files of a source hold, under their own names.

    Raises:
        UsageError: as `read_source`.
    """
    match source.kind:
        case "demo" | "jsonl":
            files = source.files or (source.directory / ROWS,)
            found: Iterator[Entry] = chain.from_iterable(map(line_entries, files))
        case "json":
            found = chain.from_iterable(map(object_entries, source.files))
        case "parquet":
            found = parquet_entries(source.files, source.columns)
        case "csv" | "tsv":
            found = csv_entries(source.files, source.columns, "," if source.kind == "csv" else "\t")
        case "llava" | "sharegpt" | "messages":
            found = conversation_entries(source.files, source.turns)
        case "folder":
            found = folder_entries(source.directory)
        case "webdataset":
            found = archive_entries(source.files)
        case "hf":
            # Late: the library takes seconds to import.
            from pipeline.sources.hub import hub_entries

            if source.hub is None:
                raise UsageError(f"source {source.key}: kind hf, and no data set is named")
            found = hub_entries(source.hub, source.columns)
    return found if len(source.files) < 2 else _counted(found)  # noqa: PLR2004 - of one file numbers are unique


def _counted(entries: Iterator[Entry]) -> Iterator[Entry]:
    for number, entry in enumerate(entries, 1):
        yield entry._replace(number=number)


def _row(source: Source, entry: Entry, seen: dict[str, tuple[str, bytes]]) -> SourceRow:
    """Return the row of an entry. `seen` holds place and content of the rows before, by key.

    Raises:
        RowError: as `read_source` tells.
    """
    try:
        row = _fields(source, entry)
        payload = canonical_json({**_of_source(source), **_telling(row)})
    except (ValueError, IdentityError) as error:
        told = f"{entry.where}: not as JSON should be ({error}); write one object in UTF-8"
        raise RowError("row_json", told) from error
    key = row_key(row)
    if key is None:
        raise RowError(
            "row_key", f"{entry.where}: the field `row` is {quoted(row.get('row'))}; give each row a key, as text"
        )
    if row.get("lane") is not None:
        raise RowError(
            "row_lane", f"{entry.where}: the field `lane` is not a row's; remove it, and write `lane` in the manifest"
        )
    content = hashlib.sha256(payload.encode()).digest()
    before, same = seen.setdefault(key, (entry.where, content))
    if before != entry.where:
        twice = f"{entry.where}: row {quoted(key)} is also in {before.rpartition(', ')[2]}"
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


def _fields(source: Source, entry: Entry) -> dict[str, Any]:
    """Return a row under our names and with a key; pictures that stand in it are put into the store and named.

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
        if "images" in row and source.blobs is not None:
            row["images"] = picture_names(row["images"], BlobStore(source.blobs))
    except RowError as error:
        raise RowError(error.reason, f"{entry.where}: {error.detail}") from error
    if source.columns.row is None:
        row["row"] = digest(row)[:_HASH_KEY]
    elif entry.part > 1 and row_key(row) is not None:
        row["row"] = f"{row_key(row)}#{entry.part}"
    return row


_HASH_KEY = 20
"""Hex digits of a row's content that are its key: 80 bits tell apart all rows there are."""


def _no_row(source: Source, entry: Entry, error: RowError) -> SourceRow:
    """Return what is known of an entry that is no row: also its key and category, where they can be made out."""
    text = entry.line.decode(errors="backslashreplace") if entry.line else shown(entry.found)
    row = _lenient(text)
    return SourceRow(
        id=line_id(source.key, source.revision, entry.number),
        source=source.key,
        source_revision=source.revision,
        source_row=row_key(row) or entry.where.rpartition(", ")[2],
        category=_category(row),
        payload=text,
        reason=error.reason,
        detail=error.detail,
    )


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
