"""Check every row of an export against its recorded hash and against what trainers stop at, drop or misread."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import RowError
from pipeline.export.layout import ExportFile, Manifest, RowKey, named_as, row_hash
from pipeline.export.tombstones import Tombstones
from pipeline.export.verify.file_checks import Fault, check_content, plain_file
from pipeline.export.verify.format_checks import check_mix, content_key, dataset_info_faults, row_faults, view_row
from pipeline.export.verify.reading_rows import Damaged, FileDamaged, read_rows
from pipeline.identity import IdentityError
from pipeline.images import decode, pixel_hash
from pipeline.students.tokens import TokenCounter


@dataclass(frozen=True)
class ImageChecks:
    """Which images decode. Exports share most of them, and each is decoded once."""

    errors: dict[str, str | None] = field(default_factory=dict)
    """sha256 → why it does not decode, None if it does."""
    pixels: dict[str, str] = field(default_factory=dict)
    """sha256 → that of its pixels, of images that decode."""

    def error(self, content: bytes, sha256: str) -> str | None:
        """Return why an image does not decode; its sha256 is that of `content`."""
        if sha256 not in self.errors:
            try:
                self.pixels[sha256] = pixel_hash(decode(content))
                self.errors[sha256] = None
            except RowError as error:
                self.errors[sha256] = str(error)
        return self.errors[sha256]


@dataclass(frozen=True)
class OpenExport:
    """An export whose manifest and row index could be read."""

    directory: Path
    manifest: Manifest
    keys: Sequence[RowKey | None]
    """Lines of `rows.jsonl`, None where one cannot be read."""
    images: ImageChecks
    tombstones: Tombstones
    counter: TokenCounter | None
    """Counts the manifest's tokens; None where its tokenizer was not given."""
    contents: dict[int, str] = field(default_factory=dict)
    """Row → `content_key`, of every row that `check_rows` found as it was recorded."""
    pictures: set[str] = field(default_factory=set)
    """sha256 of every picture that `check_rows` has seen."""
    taken: set[str] = field(default_factory=set)
    """Marks of the tombstones that a row matches which `check_rows` has seen."""


def check_rows(export: OpenExport) -> Iterator[Fault]:
    """Yield what is wrong with the rows, in their order."""
    yield from check_content(export.manifest, export.keys)
    yield from check_mix(export.manifest, export.keys)
    if export.manifest.format == "llamafactory":
        yield from dataset_info_faults(export.directory, export.manifest)
    start = 0
    for file in export.manifest.data:
        yield from _check_file(export, file, start)
        start += file.rows or 0


def _check_file(export: OpenExport, file: ExportFile, start: int) -> Iterator[Fault]:
    try:
        path = plain_file(export.directory, file.path)
    except ValueError:
        return  # `check_files` names it
    index = start
    for row in read_rows(path, export.manifest.shard, export.manifest.format):
        match row:
            case FileDamaged(rows=0):
                yield Fault(file.path, None, row.message)
            case FileDamaged():
                yield Fault(file.path, index, f"rows {index} to {index + row.rows - 1}: {row.message}")
                index += row.rows
            case Damaged():
                yield Fault(file.path, index, row.message)
                index += 1
            case _:
                yield from (Fault(file.path, index, text) for text in _check_row(export, file, row, index))
                index += 1
    if index - start != file.rows:
        yield Fault(file.path, None, f"holds {index - start} rows, the manifest says {file.rows}")


def _check_row(export: OpenExport, file: ExportFile, row: dict[str, Any], index: int) -> Iterator[str]:
    key = export.keys[index] if index < len(export.keys) else None
    if key is None:
        yield "has no readable line in rows.jsonl"
        return
    named = named_as(file.path)
    if named is not None and named[0] != key.split:
        yield f"stands among the rows of {named[0]}, rows.jsonl says {key.split}"
    try:
        view = view_row(row, export.manifest.format, export.directory)
        if row_hash(view.canonical) != key.sha256:
            yield "was changed: its sha256 is not the one in rows.jsonl"
        elif (asked := content_key(view, export.manifest)) is not None:
            export.contents[index] = asked
    except (ValueError, IdentityError) as error:
        yield str(error)
        return
    names = set(key.files)
    for number, content in enumerate(view.images):
        sha256 = hashlib.sha256(content).hexdigest()
        export.pictures.add(sha256)
        reason = export.images.error(content, sha256)
        if reason is not None:
            yield f"image {number} does not open: {reason}"
        names |= {sha256, export.images.pixels.get(sha256, sha256)}
    taken = export.tombstones.found(key.question_id, key.source, key.source_row, names)
    export.taken.update(entry.mark for entry in taken)
    if taken:
        way = taken[0].way
        yield f"was taken down by its {way} (tombstones); `coldforge export` or `run` writes the exports without it"
    yield from row_faults(row, view, export.manifest, key, export.counter)
