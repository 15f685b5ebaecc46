"""Files that hold the questions of a benchmark: JSON, JSON lines, Parquet, CSV, TSV, and pictures on their own.

Only texts and pictures are read, and nothing is kept of them: a manifest of a benchmark holds hashes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import RowError, UsageError
from pipeline.sources.kinds.archives import PICTURES
from pipeline.sources.kinds.entries import Entry
from pipeline.sources.kinds.items import object_entries
from pipeline.sources.kinds.lines import line_entries
from pipeline.sources.kinds.tables import csv_entries, parquet_entries
from pipeline.sources.values.chats import ASKS, said
from pipeline.sources.values.columns import Record

TEXT_FIELDS = ("question", "text", "query", "problem", "prompt", "instruction")
"""Where the question is looked for, the first that a row has."""
IMAGE_FIELDS = ("images", "image", "image_path", "img", "picture", "decoded_image")

_SHORTEST_BASE64 = 64
"""Characters of an encoded picture at least; names of files are shorter or have a dot."""


class BenchmarkRow(NamedTuple):
    """One question, or pictures alone."""

    where: str
    """File and row, for messages."""
    text: str | None
    images: tuple[bytes, ...]
    """Contents of picture files."""


class Fields(NamedTuple):
    """Which fields of a row are read; None looks for the usual names."""

    text: str | None = None
    images: str | None = None
    image_root: Path | None = None
    """Where paths of pictures start; None: at the file that names them."""


def read_benchmark_file(path: Path, fields: Fields) -> Iterator[BenchmarkRow]:
    """Yield the questions of a file, or the one picture that it is.

    Raises:
        UsageError: the file cannot be read, has no such field or holds a row without question and picture; the message
            names file, row and fix.
    """
    if path.suffix.lower() in PICTURES:
        yield BenchmarkRow(str(path), None, (_content(path, str(path)),))
        return
    for entry in _entries(path):
        if isinstance(entry.found, RowError):
            raise UsageError(f"{path} cannot be read: {entry.found.detail}")
        yield _read(entry.found, f"{path}, row {entry.number}", path, fields)


def _entries(path: Path) -> Iterator[Entry]:
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return line_entries(path)
        case ".json":
            return object_entries(path)
        case ".parquet":
            return parquet_entries((path,), None)
        case ".csv":
            return csv_entries((path,), None, ",")
        case ".tsv":
            return csv_entries((path,), None, "\t")
        case other:
            raise UsageError(f"{path}: {other or 'no'} suffix; give .jsonl, .json, .parquet, .csv, .tsv or pictures")


def _read(row: Record, where: str, path: Path, fields: Fields) -> BenchmarkRow:
    text = _asked(_field(row, fields.text, TEXT_FIELDS, where))
    pictures = _field(row, fields.images, IMAGE_FIELDS, where)
    listed = pictures if isinstance(pictures, list | tuple) else [pictures]
    root = path.parent if fields.image_root is None else fields.image_root
    images = tuple(_image(picture, root, where) for picture in listed if picture is not None and picture != "")
    said = None if text is None or not str(text).strip() else str(text)
    if said is None and not images:
        raise UsageError(
            f"{where} has neither question nor picture in its fields {', '.join(map(str, row))}; "
            "name them with --text and --images"
        )
    return BenchmarkRow(where, said, images)


def _asked(value: Any) -> Any:
    """Return the question of a chat, where a field holds one."""
    turns = [said(turn) for turn in value] if isinstance(value, list) else []
    return next((text for speaker, text in filter(None, turns) if speaker in ASKS), value)


def _field(row: Record, name: str | None, usual: Sequence[str], where: str) -> Any:
    if name is not None:
        if name not in row:
            raise UsageError(f"{where} has no field {name}; it has {', '.join(map(str, row))}")
        return row[name]
    return next((row[field] for field in usual if row.get(field) is not None), None)


def _image(value: Any, root: Path, where: str) -> bytes:
    match value:
        case bytes():
            return value
        case {"bytes": bytes() as content}:
            return content
        case {"path": str() as name} | {"image": str() as name} | {"url": str() as name}:
            return _image(name, root, where)
        case str():
            # Too long for a name: what a table has in its cells is base64.
            if len(value) >= _SHORTEST_BASE64 and not Path(value).suffix:
                return _decoded(value, where)
            return _content(root / value, where)
        case _:
            raise UsageError(f"{where}: a picture is {type(value).__name__}; give a path, bytes, or base64")


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix("data:").partition("base64,")[2] or text, validate=True)
    except binascii.Error as error:
        raise UsageError(f"{where}: a picture is neither a path nor base64: {error}") from error


def _content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{where}: picture {path} cannot be read: {error.strerror}; --image-root says where it starts"
        ) from error
