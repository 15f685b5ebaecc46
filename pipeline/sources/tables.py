"""Rows of tables: Parquet by row group, CSV and TSV by line; no more than a batch is held at a time."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import RowError, UsageError
from pipeline.identity import canonical_json
from pipeline.sources.columns import Columns
from pipeline.sources.entries import Entry

BATCH = 64
"""Rows that are read at once. A row of a data set may hold ten pictures of 10 MB; and a batch that stays below 2 GiB
is read even where the column of its row group is larger, which Arrow reads in no other way (nested binary columns)."""


def parquet_entries(files: Sequence[Path], columns: Columns | None) -> Iterator[Entry]:
    """Yield each row of Parquet files.

    Raises:
        UsageError: a file is no Parquet file, or lacks a column of the map.
    """
    for path in files:
        try:
            with pq.ParquetFile(path) as table:
                check_columns(path, table.schema_arrow.names, columns)
                number = 0
                for batch in table.iter_batches(batch_size=BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield Entry(number, f"{path.name}, row {number}", plain(row))
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{path} cannot be read as Parquet ({error}); get the file again") from error


def csv_entries(files: Sequence[Path], columns: Columns | None, separator: str) -> Iterator[Entry]:
    """Yield each row of CSV files with a header; every cell is text as it stands, and an empty one is absent.

    A row with more or fewer cells than the header is none (`row_cells`).

    Raises:
        UsageError: a file cannot be read, has no header, or lacks a column of the map.
    """
    # Cells may hold a picture in base64; the default of the module is 128 KiB.
    csv.field_size_limit(sys.maxsize)
    for path in files:
        try:
            # What is not UTF-8 becomes half characters, which no row may hold: one bad cell is one bad row.
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                lines = csv.reader(file, delimiter=separator, strict=False)
                header = next(lines, [])
                check_columns(path, header, columns)
                for number, cells in enumerate((cells for cells in lines if cells), 1):
                    yield _row(f"{path.name}, row {number}", number, header, cells)
        except (OSError, csv.Error) as error:
            raise UsageError(f"{path} cannot be read as CSV ({error}); write it with a header, in UTF-8") from error


def _row(where: str, number: int, header: Sequence[str], cells: Sequence[str]) -> Entry:
    row = {name: cell or None for name, cell in zip(header, cells, strict=False)}
    if len(cells) == len(header):
        return Entry(number, where, row)
    told = f"{where}: {len(cells)} cells under {len(header)} columns ({', '.join(header)})"
    return Entry(number, where, RowError("row_cells", told), canonical_line(cells))


def canonical_line(cells: Sequence[str]) -> bytes:
    """Return the cells of a line that fits no header, to be shown."""
    return "\t".join(cells).encode(errors="backslashreplace")


def check_columns(path: Path, names: Sequence[str], columns: Columns | None) -> None:
    """Check that a table has the columns of a map.

    Raises:
        UsageError: it lacks one, or has one twice.
    """
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice or not names:
        raise UsageError(f"{path}: {'columns ' + ', '.join(twice) + ' stand twice' if twice else 'there is no header'}")
    used = columns.used if columns is not None else frozenset[str]()
    missing = sorted(name for name in used if name not in names and name.partition(".")[0] not in names)
    if missing:
        raise UsageError(
            f"{path}: no column {', '.join(missing)}, which `columns` of the manifest names; it has {', '.join(names)}"
        )


def plain(value: Any) -> Any:
    """Return a value of a table as JSON has it: dates as ISO texts, NaN as null; bytes stay, for they are pictures."""
    match value:
        case Mapping():
            return {name: plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | timedelta():
            return str(value)
        case _:
            return value


def shown(found: object) -> str:
    """Return a row of a table as it is quoted: bytes by their number."""
    return canonical_json(_without_bytes(found)) if isinstance(found, Mapping) else str(found)


def _without_bytes(value: object) -> object:
    match value:
        case bytes():
            return f"<{len(value):,} bytes>"
        case str():
            return value.encode(errors="backslashreplace").decode()
        case Mapping():
            return {name: _without_bytes(inner) for name, inner in value.items()}
        case list():
            return [_without_bytes(inner) for inner in value]
        case _:
            return value
