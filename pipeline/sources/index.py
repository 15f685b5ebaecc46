"""The index of a source: of each row its identity and its place, and nothing of what it holds.

A source is read once to find out which rows there are; the index is kept in the store for as long as its files have the
same size and time of change. Rows are then read again, from their places, where a run works on them. A row that is not
what it was when the index was made is an error: whatever follows from the index would be of another data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import RowError, UsageError
from pipeline.identity import digest
from pipeline.records import SourceRow
from pipeline.sources.kinds.archives import PICTURES
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.rows import entries_at, no_row, placed_rows, row_files, row_of
from pipeline.sources.source import Source
from pipeline.store.blobs import BlobStore, write_atomic
from pipeline.store.hashes import Stamp

VERSION = 3
"""It rises whenever rows, or what the index says of them, come out otherwise."""
INDEX = pa.schema(
    [
        ("id", pa.binary(32)),
        ("hash", pa.binary(32)),
        ("category", pa.string()),
        ("number", pa.int64()),
        ("part", pa.int32()),
        ("file", pa.int32()),
        ("at", pa.int64()),
        ("size", pa.int64()),
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("pictures", pa.list_(pa.binary(32))),
    ]
)
"""A row, in about 150 bytes: its id and its `record_hash`; `number`, `part` and place as `Entry` has them; why it is no
row, null for a row; the sha256 of pictures that stand in it."""
_BATCH = 16_384
"""Rows of the index that are Python values at a time."""


def index_of(source: Source, store: Path) -> pa.Table:
    """Return the index of a source, in the order of its files; it is made if the store has none of these files.

    Raises:
        UsageError: a file cannot be read, lacks a column of the manifest, or changes meanwhile.
    """
    stamps = stamps_of(source)
    cached = store / "indexes" / f"{_name(source, stamps)}.parquet"
    # One that is damaged is made again.
    with suppress(OSError, pa.ArrowException), pq.ParquetFile(cached, page_checksum_verification=True) as file:
        return file.read()
    table = pa.Table.from_batches(_batches(source), INDEX)
    require_same(source, stamps)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_atomic(cached, memoryview(sink.getvalue()))
    return table


def stamps_of(source: Source) -> Mapping[Path, Stamp]:
    """Look at every file that decides about the rows of a source; of a data set of the Hub its commit does.

    Raises:
        UsageError: one is not there.
    """
    files = row_files(source)
    if source.kind == "folder":
        beside = {*PICTURES, ".json", ".txt"}
        files = tuple(path for path in source.directory.rglob("*") if path.suffix.lower() in beside and path.is_file())
    if source.kind == "hf" and source.hub is not None and not source.hub.revision:
        files = tuple(path for path in Path(source.hub.name).rglob("*") if path.is_file())
    try:
        return {path: Stamp.of(path) for path in files}
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read ({error.strerror}); a source needs this file") from error


def require_same(source: Source, stamps: Mapping[Path, Stamp]) -> None:
    """Require that no file has changed since `stamps_of` looked at it.

    Raises:
        UsageError: one has.
    """
    now = stamps_of(source)
    changed = sorted({path for path, _ in now.items() ^ stamps.items()})
    if changed:
        raise _changed(source, str(changed[0]))


def _changed(source: Source, what: str) -> UsageError:
    return UsageError(
        f"source {source.key}: {what} changes while it is read; run again once nobody writes to it, and state a new "
        "`revision`"
    )


def _name(source: Source, stamps: Mapping[Path, Stamp]) -> str:
    read_as = {name: value for name, value in source._asdict().items() if name in _READ_AS}
    # Where listings are kept is a place.
    read_as["hub"] = None if source.hub is None else source.hub._replace(listings=None)
    columns = None if source.columns is None else source.columns.model_dump(mode="json", by_alias=True)
    files = sorted((str(path.resolve()), *stamp) for path, stamp in stamps.items())
    return digest({"version": VERSION, **read_as, "columns": columns, "files": files})


_READ_AS = frozenset({"key", "revision", "licence", "metric", "lane", "kind", "turns", "hub", "needs_pictures"})
"""What of a source, beside columns and files, decides what a row is."""


@dataclass(frozen=True)
class _Named(BlobStore):
    """Names pictures, and keeps none."""

    names: list[str] = field(default_factory=list)

    def put(self, content: bytes) -> str:
        self.names.append(sha256(content).hexdigest())
        return self.names[-1]


def _batches(source: Source) -> Iterator[pa.RecordBatch]:
    named = None if source.blobs is None else _Named(source.blobs)
    found = placed_rows(source, named)
    names: list[str] = [] if named is None else named.names

    def indexed() -> Iterator[tuple[Any, ...]]:
        for entry, row in found:
            yield _indexed(entry, row, names)
            names.clear()

    lines = indexed()
    while batch := [*islice(lines, _BATCH)]:
        columns = zip(INDEX, zip(*batch, strict=True), strict=True)
        yield pa.record_batch([pa.array(values, column.type) for column, values in columns], INDEX)


def _indexed(entry: Entry, row: SourceRow, names: Sequence[str]) -> tuple[Any, ...]:
    told = (row.reason, row.detail) if row.reason else (None, None)
    pictures = [] if row.reason else [bytes.fromhex(name) for name in names]
    identity = (bytes.fromhex(row.id), bytes.fromhex(row.record_hash()))
    return (*identity, row.category, entry.number, entry.part, *entry.place, *told, pictures)


def rows_at(source: Source, index: pa.Table) -> Iterator[SourceRow]:
    """Read the rows of an index, or of a part of it in its order, from their places; pictures are put into the store.

    Raises:
        UsageError: a file cannot be read, or a row is not what it was when the index was made.
    """
    blobs = None if source.blobs is None else BlobStore(source.blobs)
    wanted = (line for batch in index.to_batches(_BATCH) for line in batch.drop_columns(["pictures"]).to_pylist())
    by_place = ((place, [*lines]) for place, lines in groupby(wanted, key=_place))
    ahead: list[tuple[Place, list[dict[str, Any]]]] = []

    def places() -> Iterator[Place]:
        for place, lines in by_place:
            ahead.append((place, lines))
            yield place

    for place, entries in groupby(entries_at(source, places()), key=lambda entry: entry.place):
        parts = {entry.part: entry for entry in entries}
        was, lines = ahead.pop(0)
        if place != was:
            raise _changed(source, _where(source, was))
        for line in lines:
            yield _row_at(source, parts.get(line["part"]), line, blobs)
    if ahead or next(by_place, None) is not None:
        raise _changed(source, _where(source, ahead[0][0]) if ahead else "a file")


def _row_at(source: Source, entry: Entry | None, line: Mapping[str, Any], blobs: BlobStore | None) -> SourceRow:
    if entry is not None:
        entry = entry._replace(number=line["number"])
        try:
            row = _as_told(source, entry, line, blobs)
        except RowError as error:
            row = no_row(source, entry, error)
        if row.record_hash() == line["hash"].hex():
            return row
    raise _changed(source, _where(source, _place(line)))


def _as_told(source: Source, entry: Entry, line: Mapping[str, Any], blobs: BlobStore | None) -> SourceRow:
    if line["reason"] is not None:
        raise RowError(line["reason"], line["detail"])
    return row_of(source, entry, blobs)[0]


def _place(line: Mapping[str, Any]) -> Place:
    return Place(line["file"], line["at"], line["size"], line["row"])


def _where(source: Source, place: Place) -> str:
    files = row_files(source)
    return f"{files[place.file] if place.file < len(files) else source.directory}, row {place.row},"
