"""Check every row of an export against its recorded hash and against what trainers stop at, drop or misread."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import RowError
from pipeline.export.layout import ExportFile, Manifest, RowKey, named_as, row_hash
from pipeline.export.tombstones import Tombstones
from pipeline.export.verify.file_checks import Fault, check_content, plain_file
from pipeline.export.verify.format_checks import (
    check_mix,
    content_key,
    dataset_info_faults,
    named,
    row_faults,
    view_row,
)
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
    places = {key.record_id: number for number, key in enumerate(export.keys) if key is not None}
    start = 0
    for file in export.manifest.data:
        yield from _check_file(export, file, start, places)
        start += file.rows or 0


def _check_file(export: OpenExport, file: ExportFile, start: int, places: Mapping[str, int]) -> Iterator[Fault]:
    """Yield what is wrong with the rows of a file, which begin at row `start`; `places` has the row of each record.

    A row is held to the line of its own record. Where one is missing, more or elsewhere, that is said once, and not of
    all that stand behind it.
    """
    try:
        path = plain_file(export.directory, file.path)
    except ValueError:
        return  # `check_files` names it
    index, unread = start, False
    moved: tuple[int, int] | None = None
    for row in read_rows(path, export.manifest.shard, export.manifest.format):
        match row:
            case FileDamaged(rows=int(rows)) if rows:
                yield Fault(file.path, index, f"rows {index} to {index + rows - 1}: {row.message}")
                index += rows
            case FileDamaged():
                unread |= row.rows is None
                yield Fault(file.path, None, row.message)
            case Damaged():
                yield Fault(file.path, index, row.message)
                index += 1
            case _:
                place = _place(row, places, index)
                if moved is None and place != index:
                    moved = index, place
                yield from (Fault(file.path, index, text) for text in _check_row(export, file, row, index, place))
                index += 1
    counted = f"holds {index - start} rows, the manifest says {file.rows}"
    wrong = index - start != file.rows and not unread
    if moved is not None:
        text = (
            f"is the record of row {moved[1]} in rows.jsonl: from here on rows are missing, more, or in another order"
        )
        yield Fault(file.path, moved[0], f"{text}; {file.path} {counted}" if wrong else text)
    elif wrong:
        yield Fault(file.path, None, counted)


def _place(row: dict[str, Any], places: Mapping[str, int], index: int) -> int:
    """Return the row that the index has for the record of a row; the one at which it stands where it knows none."""
    try:
        return places.get(named(row), index)
    except (KeyError, TypeError):
        return index


def _check_row(export: OpenExport, file: ExportFile, row: dict[str, Any], index: int, place: int) -> Iterator[str]:
    """Yield what is wrong with a row that stands at `index`; `place` is that of its record in the row index."""
    key = export.keys[place] if place < len(export.keys) else None
    if key is None:
        yield "has no readable line in rows.jsonl"
        return
    at = export.keys[index] if index < len(export.keys) else None
    split = named_as(file.path)
    if split is not None and split[0] != key.split:
        yield f"stands among the rows of {split[0]}, rows.jsonl says {key.split}"
    try:
        view = view_row(row, export.manifest.format, export.directory)
        # A line may have the hash of what stands at its place, and the name of another record.
        if row_hash(view.canonical) not in {one.sha256 for one in (key, at) if one is not None}:
            yield "was changed: its sha256 is not the one in rows.jsonl"
        elif (asked := content_key(view, export.manifest)) is not None:
            export.contents[place] = asked
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
