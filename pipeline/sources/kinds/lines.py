"""Lines of JSON: `rows.jsonl`, and files that hold an object on every line."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import RowError, UsageError
from pipeline.identity import parse_json
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.values.coercion import DEEPEST, too_deep
from pipeline.sources.values.wording import kind_of, unread


def line_entries(path: Path, file: int = 0) -> Iterator[Entry]:
    """Yield what each line that is not blank holds: an object, or why it is none (`row_json`).

    `file` is which of its source's files it is.

    Raises:
        UsageError: the file cannot be read.
    """
    require_text(path)
    for place, line in _placed_lines(path, file):
        yield _line_entry(path, place, line)


_NO_TEXT = {
    b"\xff\xfe": "is in UTF-16; save it as UTF-8 (`iconv -f UTF-16 -t UTF-8`)",
    b"\xfe\xff": "is in UTF-16; save it as UTF-8 (`iconv -f UTF-16 -t UTF-8`)",
    b"\x1f\x8b": "is packed with gzip; unpack it (`gunzip`)",
    b"\x28\xb5\x2f\xfd": "is packed with Zstandard; unpack it (`unzstd`)",
    b"BZh": "is packed with bzip2; unpack it (`bunzip2`)",
    b"\xfd7zXZ": "is packed with xz; unpack it (`unxz`)",
    b"PK\x03\x04": "is a zip archive, or a spreadsheet; unpack it, or save it as CSV",
    b"PAR1": "is Parquet; write `kind: parquet`",
}
"""How files begin that are no text in UTF-8 (RFC 1952, 8878; Unicode 16, 2.6), and what helps."""


def require_text(path: Path) -> None:
    """Refuse a file of another encoding, or a packed one, of which each line would be no row.

    Raises:
        UsageError: it is one, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(8)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); a source needs this file") from error
    told = next((told for mark, told in _NO_TEXT.items() if begins.startswith(mark)), None)
    if told is not None:
        raise UsageError(f"{path} {told}, then name that file")


def line_entries_at(files: Sequence[Path], places: Iterable[Place]) -> Iterator[Entry]:
    """Yield the entry at each place, as `line_entries` gave it.

    Raises:
        UsageError: a file cannot be read.
    """
    for place, content in bytes_at(files, places):
        yield _line_entry(files[place.file], place, _content(content))


def _line_entry(path: Path, place: Place, line: bytes) -> Entry:
    where = f"{path.name}, line {place.row}"
    try:
        return Entry(place.row, where, _object(where, line), line, place=place)
    except RowError as error:
        return Entry(place.row, where, error, line, place=place)


def bytes_at(files: Sequence[Path], places: Iterable[Place]) -> Iterator[tuple[Place, bytes]]:
    """Yield the bytes at each place; places of one file stand together.

    Raises:
        UsageError: a file cannot be read.
    """
    opened, current = None, -1
    try:
        for place in places:
            if opened is None or place.file != current:
                if opened is not None:
                    opened.close()
                opened, current = files[place.file].open("rb"), place.file
            opened.seek(place.at)
            yield place, opened.read(place.size)
    except OSError as error:
        raise UsageError(f"{files[current]} cannot be read ({error.strerror}); a source needs this file") from error
    finally:
        if opened is not None:
            opened.close()


def _object(where: str, line: bytes) -> dict[str, Any]:
    try:
        row = parse_json(line.decode())
        deep = too_deep(row)
    except json.JSONDecodeError as error:
        told = f"{error.msg}, column {error.colno}"
        raise RowError("row_json", f"{where}: not JSON ({told}); write one object per line") from error
    except RecursionError:
        row, deep = None, True
    except ValueError as error:
        raise RowError(
            "row_json", f"{where}: not as JSON should be ({unread(error)}); write one object in UTF-8"
        ) from error
    if deep:
        raise RowError("row_json", f"{where}: JSON nested more than {DEEPEST} times; flatten it")
    if not isinstance(row, dict):
        raise RowError("row_json", f"{where}: {kind_of(row)}; write one object per line")
    return row


def _placed_lines(path: Path, file: int) -> Iterator[tuple[Place, bytes]]:
    at = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if content := _content(line):
                    yield Place(file, at, len(line), number), content
                at += len(line)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); a source needs this file") from error


def _content(line: bytes) -> bytes:
    # Files that were joined have a mark in the middle.
    return line.removeprefix(BOM_UTF8).strip()


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and object of every line that is not blank: of files in which no line may be wrong.

    Raises:
        UsageError: the file cannot be read, or a line is no JSON object.
    """
    for place, line in _placed_lines(path, 0):
        number = place.row
        try:
            value = parse_json(line.decode())
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{path}, line {number}: not JSON ({unread(error)}); write one object per line, in UTF-8"
            ) from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}, line {number}: {kind_of(value)}; write one JSON object per line")
        yield number, value
