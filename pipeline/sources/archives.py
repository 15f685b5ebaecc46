"""Rows that are files: pictures of a folder with what stands beside them, and samples of WebDataset archives.

Both give every file under its own name: a picture is `image` in a folder, and has the name of its extension in an
archive (`jpg`, `json`, `txt`), as the webdataset library calls it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import RowError, UsageError
from pipeline.sources.entries import Entry

PICTURES = frozenset(
    {
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
        ".mpo",
        ".heic",
        ".heif",
    }
)
_LARGEST = 1 << 30
"""Bytes of a member of an archive; more is no picture and no text of a row."""


def folder_entries(directory: Path) -> Iterator[Entry]:
    """Yield a row for each picture below a folder, in the order of their paths.

    Columns: `image` (its path), `folder` (the name of the one that holds it, often a class), `name` (without
    extension), and what stands beside it under the same name: the fields of a `.json`, the text of a `.txt` as `text`.

    Raises:
        UsageError: there is no picture.
    """
    number = 0
    for path in sorted(path for path in directory.rglob("*") if path.suffix.lower() in PICTURES and path.is_file()):
        number += 1
        name = path.relative_to(directory).as_posix()
        where = f"{name}, row {number}"
        row = {"image": name, "folder": path.parent.name, "name": path.stem}
        try:
            yield Entry(number, where, {**row, **_beside(path)})
        except (OSError, ValueError, RecursionError) as error:
            yield Entry(number, where, RowError("row_json", f"{where}: the file beside it cannot be read ({error})"))
    if not number:
        raise UsageError(f"{directory} holds no picture; a source of kind folder is pictures with files beside them")


def _beside(picture: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    text, fields = picture.with_suffix(".txt"), picture.with_suffix(".json")
    if text.is_file():
        found["text"] = text.read_text("utf-8-sig").strip()
    if fields.is_file():
        said = json.loads(fields.read_bytes())
        if not isinstance(said, dict):
            raise ValueError(f"{fields.name} is a {type(said).__name__}; write one JSON object")
        found |= said
    return found


def archive_entries(files: Sequence[Path]) -> Iterator[Entry]:
    """Yield the samples of WebDataset archives: files that stand together and share their name up to the first dot.

    Columns: `__key__`, and each file under its extension; `.json` is read, `.txt` and `.cls` are texts, all else is
    bytes. Archives are read from front to back, compressed or not, one sample at a time.

    Raises:
        UsageError: a file is no archive, or ends in the middle.
    """
    for path in files:
        try:
            with tarfile.open(path, "r|*") as archive:
                members = (member for member in archive if member.isfile())
                for number, (key, parts) in enumerate(groupby(members, _key), 1):
                    yield _sample(f"{path.name}, row {number}", number, key, archive, parts)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise UsageError(f"{path} cannot be read as a tar archive ({error}); get the file again") from error


def _key(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    return (path.parent / path.name.partition(".")[0]).as_posix()


def _sample(where: str, number: int, key: str, archive: tarfile.TarFile, parts: Iterator[tarfile.TarInfo]) -> Entry:
    row: dict[str, Any] = {"__key__": key}
    wrong: RowError | None = None
    for member in parts:
        extension = PurePosixPath(member.name).name.partition(".")[2].lower()
        if member.size > _LARGEST:
            wrong = RowError("row_json", f"{where}: {member.name} has {member.size:,} bytes")
            continue
        file = archive.extractfile(member)
        content = b"" if file is None else file.read()
        try:
            row[extension] = _content(extension, content)
        except (ValueError, RecursionError) as error:
            wrong = RowError("row_json", f"{where}: {member.name} cannot be read ({error}); write it in UTF-8")
    return Entry(number, where, wrong or row, key.encode() if wrong else b"")


def _content(extension: str, content: bytes) -> Any:
    match extension.rpartition(".")[2]:
        case "json":
            return json.loads(content)
        case "txt" | "text" | "cls":
            return content.decode("utf-8-sig").strip()
        case _:
            return content
