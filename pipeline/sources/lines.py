"""Lines of JSON: `rows.jsonl`, and files that hold an object on every line."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import RowError, UsageError
from pipeline.identity import parse_json
from pipeline.sources.coercion import DEEPEST, too_deep
from pipeline.sources.entries import Entry


def line_entries(path: Path) -> Iterator[Entry]:
    """Yield what each line that is not blank holds: an object, or why it is none (`row_json`).

    Raises:
        UsageError: the file cannot be read.
    """
    for number, line in read_lines(path):
        where = f"{path.name}, line {number}"
        try:
            yield Entry(number, where, _object(where, line), line)
        except RowError as error:
            yield Entry(number, where, error, line)


def object_entries(path: Path) -> Iterator[Entry]:
    """Yield what each item of a JSON list holds, each line of JSON lines, or the one object that a file is.

    An item that is no object is `row_json`. A list is read whole: data sets that are one file of JSON have up to some
    hundred megabytes of it.

    Raises:
        UsageError: the file cannot be read, or begins as a list and is none.
    """
    if not _is_whole(path):
        yield from line_entries(path)
        return
    try:
        content = json.loads(path.read_bytes().removeprefix(BOM_UTF8))
        items = content if isinstance(content, list) else [content]
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as a JSON list ({error}); get it again, or write lines") from error
    for number, item in enumerate(items, 1):
        where = f"{path.name}, row {number}"
        wrong = RowError("row_json", f"{where}: JSON of a {type(item).__name__}; write a list of objects")
        yield Entry(number, where, item if isinstance(item, dict) else wrong)


def _is_whole(path: Path) -> bool:
    """Return whether a file is one JSON value over several lines, and not an object on each."""
    try:
        with path.open("rb") as file:
            first = file.readline(_FIRST_LINE).removeprefix(BOM_UTF8).strip()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); a source needs this file") from error
    return path.suffix.lower() == ".json" and not (first.startswith(b"{") and first.endswith(b"}"))


_FIRST_LINE = 1 << 26
"""Bytes of the first line that are looked at."""


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
        raise RowError("row_json", f"{where}: not as JSON should be ({error}); write one object in UTF-8") from error
    if deep:
        raise RowError("row_json", f"{where}: JSON nested more than {DEEPEST} times; flatten it")
    if not isinstance(row, dict):
        raise RowError("row_json", f"{where}: JSON of a {type(row).__name__}; write one object per line")
    return row


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
