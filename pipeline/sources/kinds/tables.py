"""Rows of tables: Parquet by row group, CSV and TSV by line; no more than a batch is held at a time."""

from __future__ import annotations

import csv
import json
import math
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import RowError, UsageError
from pipeline.identity import canonical_json
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.kinds.lines import bytes_at, require_text
from pipeline.sources.values.columns import Columns

BATCH = 64
"""Rows that are read at once. A row of a data set may hold ten pictures of 10 MB; and a batch that stays below 2 GiB
is read even where the column of its row group is larger, which Arrow reads in no other way (nested binary columns)."""

_BUFFER = 1 << 20
"""Bytes of a column that are read from its file at once; without it Arrow reads a row group's whole column, pictures
and all, before the first row."""


def parquet_entries(files: Sequence[Path], columns: Columns | None) -> Iterator[Entry]:
    """Yield each row of Parquet files.

    Raises:
        UsageError: a file is no Parquet file, or lacks a column of the map.
    """
    for file, path in enumerate(files):
        number = 0
        with _opened(path, columns) as table:
            classes = class_features(table.schema_arrow)
            for group in range(table.num_row_groups):
                for first, batch in _batches(table, group):
                    for row, found in enumerate(batch.to_pylist(), first):
                        number += 1
                        yield _table_entry(path, Place(file, group, row, number), found, classes)


def parquet_entries_at(files: Sequence[Path], columns: Columns | None, places: Iterable[Place]) -> Iterator[Entry]:
    """Yield the row at each place, as `parquet_entries` gave it; only row groups that hold one are read.

    Raises:
        UsageError: as `parquet_entries`, or the file has no such row.
    """
    for file, in_file in groupby(places, key=lambda place: place.file):
        with _opened(files[file], columns) as table:
            for group, in_group in groupby(in_file, key=lambda place: place.at):
                yield from _rows_at(files[file], table, group, in_group)


def _rows_at(path: Path, table: pq.ParquetFile, group: int, places: Iterator[Place]) -> Iterator[Entry]:
    place, classes = next(places, None), class_features(table.schema_arrow)
    for first, batch in _batches(table, group):
        here: list[Place] = []
        while place is not None and place.size < first + batch.num_rows:
            here.append(place)
            place = next(places, None)
        found = batch.take([one.size - first for one in here]).to_pylist() if here else []
        for one, row in zip(here, found, strict=True):
            yield _table_entry(path, one, row, classes)
        if place is None:
            return
    raise UsageError(f"{path} has no row {place.row if place else 0} any more; run again")


@contextmanager
def _opened(path: Path, columns: Columns | None) -> Iterator[pq.ParquetFile]:
    """Open a file, and put what is wrong with it into words."""
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER) as table:
            check_columns(path, table.schema_arrow.names, columns)
            yield table
    except (OSError, pa.ArrowException, IndexError) as error:
        raise UsageError(f"{path} cannot be read as Parquet ({error}); get the file again") from error


def _batches(table: pq.ParquetFile, group: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the first row and all rows of each batch of a row group."""
    first = 0
    for batch in table.iter_batches(batch_size=BATCH, row_groups=[group]):
        yield first, batch
        first += batch.num_rows


def _table_entry(path: Path, place: Place, found: Mapping[str, Any], classes: Mapping[str, Any]) -> Entry:
    return Entry(place.row, f"{path.name}, row {place.row}", named(plain(found), classes), place=place)


def class_features(schema: pa.Schema) -> dict[str, Any]:
    """Return what `datasets` tells of each column that holds numbers of classes (`ClassLabel`), at whatever depth."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if '"ClassLabel"' in json.dumps(feature)}
    except (LookupError, ValueError, AttributeError, TypeError):
        return {}


def named(value: Any, feature: Any) -> Any:
    """Return a value with the names of its classes; a number that is none, such as -1, says that there is no class.

    `feature` is as `datasets` writes it: a type, a list of one, or a struct of several.
    """
    match value, feature:
        case int(), {"_type": "ClassLabel", "names": list(names)}:
            return names[value] if 0 <= value < len(names) else None
        case list(), {"_type": str(), "feature": inner}:
            return [named(item, inner) for item in value]
        case dict(), {"_type": str(), "feature": inner}:
            return named(value, inner)  # `Sequence` of structs is a struct of lists
        case list(), {"_type": "ClassLabel"}:
            return [named(item, feature) for item in value]
        case dict(), dict():
            return {name: named(part, feature.get(name)) for name, part in value.items()}
        case _:
            return value


def csv_entries(files: Sequence[Path], columns: Columns | None, separator: str) -> Iterator[Entry]:
    """Yield each row of CSV files with a header; every cell is text as it stands, and an empty one is absent.

    A row with more or fewer cells than the header is none (`row_cells`).

    Raises:
        UsageError: a file cannot be read, has no header, or lacks a column of the map.
    """
    for file, path in enumerate(files):
        require_text(path)
        records = _records(path, _separator(path, separator))
        _, _, header = next(records, (0, 0, []))
        check_columns(path, header, columns)
        for number, (at, size, cells) in enumerate(records, 1):
            yield _row(path, Place(file, at, size, number), header, cells)


def csv_entries_at(files: Sequence[Path], separator: str, places: Iterable[Place]) -> Iterator[Entry]:
    """Yield the row at each place, as `csv_entries` gave it.

    Raises:
        UsageError: a file cannot be read.
    """
    for file, here in groupby(places, key=lambda place: place.file):
        used = _separator(files[file], separator)
        _, _, header = next(_records(files[file], used), (0, 0, []))
        for place, content in bytes_at(files, here):
            cells = next(csv.reader(_lines([content]), delimiter=used), [])
            yield _row(files[file], place, header, cells)


def _separator(path: Path, usual: str) -> str:
    """Return what separates the cells of a file: spreadsheets write semicolons where a comma is the decimal point."""
    try:
        with path.open("rb") as file:
            header = file.readline()
    except OSError:
        return usual  # told by whoever reads it
    return ";" if usual == "," and b";" in header and b"," not in header else usual


def _records(path: Path, separator: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield first byte, number of bytes and cells of each record that is not blank.

    Raises:
        UsageError: the file cannot be read.
    """
    # Cells may hold a picture in base64; the default of the module is 128 KiB.
    csv.field_size_limit(sys.maxsize)
    read = 0

    def counted(lines: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal read
        for line in lines:
            # A reader asks for the next line when it has handed out what stands on those before.
            for part in line.splitlines(keepends=True):
                read += len(part)
                yield part

    try:
        with path.open("rb") as file:
            at = 0
            for cells in csv.reader(_lines(counted(file)), delimiter=separator, strict=False):
                if cells:
                    yield at, read - at, cells
                at = read
    except (OSError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV ({error}); write it with a header, in UTF-8") from error


def _lines(parts: Iterable[bytes]) -> Iterator[str]:
    """Yield lines as text; what is not UTF-8 as half characters, which no row may hold: one bad cell is one bad row."""
    for number, part in enumerate(parts):
        content = part if number else part.removeprefix(BOM_UTF8)
        yield from (line.decode(errors="surrogateescape") for line in content.splitlines(keepends=True))


def _row(path: Path, place: Place, header: Sequence[str], cells: Sequence[str]) -> Entry:
    where = f"{path.name}, row {place.row}"
    row = {name: cell or None for name, cell in zip(header, cells, strict=False)}
    if len(cells) == len(header):
        return Entry(place.row, where, row, place=place)
    told = f"{where}: {len(cells)} cells under {len(header)} columns ({', '.join(header)})"
    lines = max((cell.count("\n") for cell in cells), default=0)
    told += f"; one of them goes over {lines + 1} lines: is a quote not closed?" if lines else "; quote what holds one"
    return Entry(place.row, where, RowError("row_cells", told), canonical_line(cells), place=place)


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
        told = (
            f"columns {', '.join(twice)} stand twice; rename one of both" if twice else "there is no header; write one"
        )
        raise UsageError(f"{path}: {told}, in the file")
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
