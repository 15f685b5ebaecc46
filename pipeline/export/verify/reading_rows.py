"""Read the rows of an export, one damaged row at a time: what cannot be read is named, the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.export.layout import Format, Shard
from pipeline.export.parquet import GROUP_ROWS
from pipeline.export.schemas import schema_of
from pipeline.identity import parse_json

GROUP_LIMIT = 2**31 - 1
"""Bytes of one column in a row group that readers can hold: Arrow's 32-bit offsets."""


class Damaged(NamedTuple):
    """A row that cannot be read, and why."""

    message: str


class FileDamaged(NamedTuple):
    """A file, or some rows of it, that cannot be read."""

    rows: int | None
    """Rows that are skipped; None where the rest of the file is not read, so that nobody knows."""
    message: str


def read_rows(path: Path, shard: Shard, kind: Format) -> Iterator[dict[str, Any] | Damaged | FileDamaged]:
    """Yield the rows of a data file in order, as their writer made them."""
    match kind:
        case "llamafactory":
            return _read_json(path)
        case "ms_swift":
            return _read_lines(path)
        case _:
            return _read_parquet(path, schema_of(shard, kind))


def _read_lines(path: Path) -> Iterator[dict[str, Any] | Damaged]:
    with path.open("rb") as file:
        for line in file:
            yield _json_row(line.removesuffix(b"\n")) if line.endswith(b"\n") else Damaged("line is not closed")


def _read_json(path: Path) -> Iterator[dict[str, Any] | Damaged | FileDamaged]:
    """Read a part with one row per line; if all lines are right, the whole is one JSON array."""
    with path.open("rb") as file:
        first, line = file.readline(), file.readline()
        if first != b"[\n" or line.strip() == b"{":
            yield FileDamaged(None, f"is not written one row a line between `[` and `]`; {_UNREAD}")
            return
        while line and line != b"]\n":
            following = file.readline()
            ending = b"\n" if following == b"]\n" else b",\n"
            yield _json_row(line.removesuffix(ending)) if line.endswith(ending) else Damaged("line is not closed")
            line = following
        if line != b"]\n" or file.read(1):
            yield FileDamaged(0, "last line is not `]`")


def _json_row(line: bytes) -> dict[str, Any] | Damaged:
    try:
        row = parse_json(line.decode())
    except (ValueError, RecursionError) as error:
        return Damaged(f"is not JSON: {error}")
    return row if isinstance(row, dict) else Damaged("is not a JSON object")


def _read_parquet(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any] | Damaged | FileDamaged]:
    """Read row group by row group, page checksums off: a changed image is then found in its row, by its hash."""
    try:
        with pq.ParquetFile(path) as file:
            wrong = list(_column_faults(file.schema_arrow, schema))
            if wrong:
                yield FileDamaged(None, f"its columns are not those of the format: {'; '.join(wrong)}; {_UNREAD}")
                return
            for number in range(file.metadata.num_row_groups):
                yield from _read_group(file, number)
    except (pa.ArrowException, OSError, ValueError) as error:
        yield FileDamaged(None, f"is not Parquet: {error}")


_UNREAD = "its rows are not looked at"


def _column_faults(found: pa.Schema, wanted: pa.Schema) -> Iterator[str]:
    """Yield what is wrong with the columns of a file; a file names list items otherwise than Arrow does."""
    for name in wanted.names:
        if name not in found.names:
            yield f"{name} is missing"
    for number, field in enumerate(found):
        if field.name not in wanted.names:
            yield f"{field.name} is no column of it"
        elif field.name in found.names[:number]:
            yield f"{field.name} stands twice"
        elif not field.type.equals((expected := wanted.field(field.name)).type):
            yield f"{field.name} is {field.type}, not {expected.type}"
        elif field.nullable != expected.nullable:
            yield f"{field.name} {'may' if field.nullable else 'may not'} be null"
    if found.names != wanted.names and sorted(found.names) == sorted(wanted.names):
        yield f"they stand in another order: {', '.join(found.names)}"
    if (found.metadata or {}).get(b"huggingface") != wanted.metadata[b"huggingface"]:
        yield "the metadata `huggingface`, by which `datasets` knows pictures, is missing or another"


def _read_group(file: pq.ParquetFile, number: int) -> Iterator[dict[str, Any] | FileDamaged]:
    group = file.metadata.row_group(number)
    largest = max((group.column(i).total_uncompressed_size for i in range(group.num_columns)), default=0)
    if group.num_rows > GROUP_ROWS or largest > GROUP_LIMIT:
        yield FileDamaged(group.num_rows, f"row group {number} has {group.num_rows} rows and {largest} bytes")
        return
    try:
        rows = file.read_row_group(number).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        yield FileDamaged(group.num_rows, f"row group {number} cannot be read: {error}")
        return
    yield from rows
