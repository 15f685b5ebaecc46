"""Parquet parts: the files that stages commit and read.

A part is written once, in a fixed order and with fixed settings, so equal records give equal bytes. Pages
carry checksums, so that a damaged disk is noticed and not read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InfrastructureError
from pipeline.identity import digest
from pipeline.records import Made, Record
from pipeline.store.blobs import naming, sync, write_atomic

R = TypeVar("R", bound=Record)

ROW_GROUP = 4096
"""Rows per group: trajectories of about 20 KB stay below 100 MB decoded, far from the 2 GiB limit of a column."""


class RecordColumns(Collection[R]):
    """Records as Arrow columns, for what reads a whole run.

    They have a fifth of their size as Python values, which are made anew each time that they are looked at.
    """

    def __init__(self, kind: type[R], table: pa.Table) -> None:
        self.kind, self.table = kind, table

    @classmethod
    def of(cls, kind: type[R], records: Iterable[R]) -> Self:
        """Return records, of which few are held at a time, as columns."""
        return cls(kind, arrow_table(kind, records))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[R]:
        return map(self.kind.from_row, rows_of(self.table))

    def __contains__(self, record: object) -> bool:
        return any(record == one for one in self)


class Together(Collection[Record]):
    """Records of several kinds, one kind after the other."""

    def __init__(self, *parts: Collection[Record]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.parts)

    def __contains__(self, record: object) -> bool:
        return any(record in part for part in self.parts)


def columns_of(kind: type[R], records: Iterable[Record]) -> RecordColumns[R]:
    """Return records of one kind as columns, as which they mostly come.

    Raises:
        TypeError: one is of another kind.
    """
    if isinstance(records, RecordColumns) and records.kind is kind:
        return records

    def checked() -> Iterator[R]:
        for record in records:
            if not isinstance(record, kind):
                raise TypeError(f"{type(record).__name__} among records that have to be {kind.__name__}")
            yield record

    return RecordColumns.of(kind, checked())


def record_hashes(records: Collection[Record]) -> Iterator[str]:
    """Yield `Record.record_hash` of each; of columns without making records of them, for a row is what is hashed."""
    match records:
        case Together():
            for part in records.parts:
                yield from record_hashes(part)
        case RecordColumns():
            yield from map(digest, rows_of(records.table))
        case _:
            yield from (record.record_hash() for record in records)


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as Python values, a batch of them at a time."""
    for batch in table.to_batches(ROW_GROUP):
        yield from batch.to_pylist()


def arrow_table(kind: type[R], records: Iterable[R]) -> pa.Table:
    """Return `records` as a table of `kind.ARROW`, in their order (also for no records); few are held at a time."""
    if isinstance(records, RecordColumns):
        return records.table
    return pa.Table.from_batches(_batches(kind, records), kind.ARROW).combine_chunks()


def _batches(kind: type[R], records: Iterable[R]) -> Iterator[pa.RecordBatch]:
    """Yield the row groups of a part; no records are one without rows."""
    if isinstance(records, Made):
        for begin in range(0, max(1, len(records)), ROW_GROUP):
            yield records.batch(begin, min(begin + ROW_GROUP, len(records)))
        return
    left = iter(records)
    rows = [record.to_row() for record in islice(left, ROW_GROUP)]
    while True:
        yield pa.RecordBatch.from_pylist(rows, schema=kind.ARROW)
        rows = [record.to_row() for record in islice(left, ROW_GROUP)]
        if not rows:
            return


def write_records(path: Path, kind: type[R], records: Iterable[R]) -> None:
    """Write a part atomically; few records are held at a time. Equal records in equal order give equal bytes."""
    if isinstance(records, RecordColumns):
        write_table(path, records.table)
        return
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, kind.ARROW, compression="zstd", write_page_checksum=True) as writer:
        for batch in _batches(kind, records):
            writer.write_batch(batch)
    write_atomic(path, memoryview(sink.getvalue()))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a part whose records are columns already, as `write_records` does."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=ROW_GROUP, write_page_checksum=True)
    write_atomic(path, memoryview(sink.getvalue()))


class RecordWriters(Generic[R]):
    """Writes records into several parts at once, in the order in which they come. Use as a context manager.

    A part is whole once the block has ended; whoever reads parts has to know that from elsewhere.
    """

    def __init__(self, paths: Mapping[str, Path], kind: type[R]) -> None:
        self._paths, self._kind = paths, kind
        self._held: dict[str, list[R]] = {name: [] for name in paths}
        self._rows, self._bytes = 0, 0
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> Self:
        for name, path in self._paths.items():
            with naming(path):
                self._writers[name] = pq.ParquetWriter(
                    path, self._kind.ARROW, compression="zstd", write_page_checksum=True
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._write()
        for name, writer in self._writers.items():
            with naming(self._paths[name]):
                writer.close()
                if error is None:
                    sync(self._paths[name])

    def add(self, part: str, record: R, nbytes: int) -> None:
        """Write a record, of about so many bytes, into a part; no more are held than `HELD_ROWS` and `HELD_BYTES`."""
        self._held[part].append(record)
        self._rows, self._bytes = self._rows + 1, self._bytes + nbytes
        if self._rows >= HELD_ROWS or self._bytes >= HELD_BYTES:
            self._write()

    def _write(self) -> None:
        for name, records in self._held.items():
            if records:
                with naming(self._paths[name]):
                    self._writers[name].write_table(arrow_table(self._kind, records))
                records.clear()
        self._rows, self._bytes = 0, 0


HELD_ROWS = 32_768
"""Records that are held before they are written: 256 in each of 128 parts; as Python values about 60 MB."""
HELD_BYTES = 16 << 20


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of a part that cannot be read what it is and what helps.

    Raises:
        InfrastructureError: the file is damaged or was written by another schema version.
    """
    try:
        yield
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise InfrastructureError(
            f"{path} cannot be read ({error}); delete its stage directory and run again"
        ) from error


def require_readable(paths: Iterable[Path]) -> None:
    """Read parts whole, checksums included, for whoever cannot say which of them is damaged.

    Raises:
        InfrastructureError: one is; the message names it.
    """
    for path in paths:
        with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches(batch_size=ROW_GROUP):
                pass


def read_records(path: Path, kind: type[R]) -> Iterator[R]:
    """Yield the records of a part, one row group in memory at a time.

    Raises:
        InfrastructureError: the file is damaged or was written by another schema version.
    """
    with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(batch_size=ROW_GROUP):
            for row in batch.to_pylist():
                yield kind.from_row(row)


def read_columns(paths: Iterable[Path], kind: type[Record], columns: Sequence[str]) -> pa.Table:
    """Return some columns of several parts as one table; no part gives an empty table.

    Raises:
        InfrastructureError: a file is damaged.
    """
    schema = pa.schema([kind.ARROW.field(name) for name in columns])
    tables = []
    for path in paths:
        # Not `read_table`, which imports pandas: a quarter of a second of CPU in every process.
        with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            tables.append(file.read(columns=list(columns)).cast(schema))
    return pa.concat_tables(tables) if tables else schema.empty_table()
