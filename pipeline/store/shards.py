"""Parquet parts: the files that stages commit and read.

A part is written once, in a fixed order and with fixed settings, so equal records give equal bytes. Pages
carry checksums, so that a damaged disk is noticed and not read.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InfrastructureError
from pipeline.records import Record
from pipeline.store.blobs import write_atomic

R = TypeVar("R", bound=Record)

ROW_GROUP = 4096
"""Rows per group: trajectories of about 20 KB stay below 100 MB decoded, far from the 2 GiB limit of a column."""


def arrow_table(kind: type[R], records: Sequence[R]) -> pa.Table:
    """Return `records` as a table of `kind.ARROW`, in their order (also for no records)."""
    return pa.Table.from_pylist([record.to_row() for record in records], schema=kind.ARROW)


def write_records(path: Path, kind: type[R], records: Sequence[R]) -> None:
    """Write a part atomically. Equal records in equal order give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(
        arrow_table(kind, records), buffer, compression="zstd", row_group_size=ROW_GROUP, write_page_checksum=True
    )
    write_atomic(path, buffer.getvalue())


def read_records(path: Path, kind: type[R]) -> Iterator[R]:
    """Yield the records of a part, one row group in memory at a time.

    Raises:
        InfrastructureError: the file is damaged or was written by another schema version.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP):
                for row in batch.to_pylist():
                    yield kind.from_row(row)
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise InfrastructureError(
            f"{path} cannot be read ({error}); delete its stage directory and run again"
        ) from error


def read_columns(paths: Iterable[Path], kind: type[Record], columns: Sequence[str]) -> pa.Table:
    """Return some columns of several parts as one table; no part gives an empty table.

    Raises:
        InfrastructureError: a file is damaged.
    """
    schema = pa.schema([kind.ARROW.field(name) for name in columns])
    tables = []
    for path in paths:
        try:
            tables.append(pq.read_table(path, columns=list(columns), page_checksum_verification=True).cast(schema))
        except (pa.ArrowInvalid, OSError) as error:
            raise InfrastructureError(f"{path} cannot be read ({error}); delete its stage and run again") from error
    return pa.concat_tables(tables) if tables else schema.empty_table()
