"""Rows as JSON text beside a folder of pictures, for trainers that read paths.

Every file holds one row per line, so that a damaged row can be named although the whole may be one document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.export.building import DataFile
from pipeline.export.formats.huggingface import Bytes
from pipeline.export.layout import IMAGES
from pipeline.export.shipped import ExportImage
from pipeline.identity import canonical_json

PART_BYTES = 400 * 10**6
"""Per file: LLaMA-Factory reads one as a single JSON document."""


class JsonFiles:
    """The files of one split: each a JSON array, or one object per line."""

    def __init__(self, directory: Path, *, array: bool) -> None:
        self._directory = directory
        self._first, self._between, self._last = (b"[\n", b",\n", b"\n]\n") if array else (b"", b"\n", b"\n")
        self._file: _File | None = None
        self._made: list[DataFile] = []

    def add(self, row: dict[str, Any]) -> None:
        """Write a row."""
        line = canonical_json(row).encode()
        if self._file is not None and self._file.nbytes + len(line) > PART_BYTES:
            self._end()
        if self._file is None:
            self._file = _File(self._directory / str(len(self._made)))
        self._file.write((self._between if self._file.rows else self._first) + line)
        self._file.rows += 1

    def close(self) -> list[DataFile]:
        """Return the files, in the order of the rows."""
        self._end()
        return self._made

    def _end(self) -> None:
        if self._file is not None:
            self._file.write(self._last)
            self._made.append(self._file.close())
            self._file = None


class _File:
    """A file that is hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self._path, self._file, self._hash = path, path.open("wb"), hashlib.sha256()
        self.nbytes, self.rows = 0, 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._hash.update(content)
        self.nbytes += len(content)

    def close(self) -> DataFile:
        self._file.close()
        return DataFile(self._path, self._hash.hexdigest(), self.nbytes, self.rows)


def write_images(directory: Path, images: Sequence[ExportImage]) -> list[str]:
    """Write the pictures of a row that are not there yet; return their paths within the export."""
    (directory / IMAGES).mkdir(exist_ok=True)
    for image in images:
        path = directory / IMAGES / image.name
        if not path.exists():
            path.write_bytes(image.content)
    return [f"{IMAGES}/{image.name}" for image in images]


def canonical_row(row: dict[str, Any], contents: Sequence[Bytes]) -> dict[str, Any]:
    """Return the row with the bytes that its paths lead to, so that its hash covers both."""
    images = [{"path": path, "bytes": content} for path, content in zip(row["images"], contents, strict=True)]
    return {**row, "images": images}
