"""Rows that are files: pictures of a folder with what stands beside them, and samples of WebDataset archives.

Both give every file under its own name: a picture is `image` in a folder, and has the name of its extension in an
archive (`jpg`, `json`, `txt`), as the webdataset library calls it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import RowError, UsageError
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.kinds.lines import bytes_at
from pipeline.sources.values.wording import kind_of, unread

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
    for number, path in enumerate(_pictures(directory), 1):
        yield _picture_entry(directory, path, number)
    if not number:
        raise UsageError(f"{directory} holds no picture; a source of kind folder is pictures with files beside them")


def folder_entries_at(directory: Path, places: Iterable[Place]) -> Iterator[Entry]:
    """Yield the row at each place, as `folder_entries` gave it.

    Raises:
        UsageError: there are fewer pictures.
    """
    pictures = _pictures(directory)
    for place in places:
        if place.at >= len(pictures):
            raise UsageError(f"{directory} has no picture {place.row} any more; run again")
        yield _picture_entry(directory, pictures[place.at], place.row)


def _pictures(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())


def _picture_entry(directory: Path, path: Path, number: int) -> Entry:
    name, place = path.relative_to(directory).as_posix(), Place(at=number - 1, row=number)
    where = f"{name}, row {number}"
    row = {"image": name, "folder": path.parent.name, "name": path.stem}
    try:
        return Entry(number, where, {**row, **_beside(path)}, place=place)
    except (OSError, ValueError, RecursionError) as error:
        wrong = RowError(
            "row_json", f"{where}: the file beside it cannot be read ({unread(error)}); write it anew, in UTF-8"
        )
        return Entry(number, where, wrong, place=place)


def _beside(picture: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    text, fields = picture.with_suffix(".txt"), picture.with_suffix(".json")
    if text.is_file():
        found["text"] = text.read_text("utf-8-sig").strip()
    if fields.is_file():
        said = json.loads(fields.read_bytes())
        if not isinstance(said, dict):
            raise ValueError(f"{fields.name} is {kind_of(said)} and no object")
        found |= said
    return found


def archive_entries(files: Sequence[Path]) -> Iterator[Entry]:
    """Yield the samples of WebDataset archives: files that stand together and share their name up to the first dot.

    Columns: `__key__`, and each file under its extension; `.json` is read, `.txt` and `.cls` are texts, all else is
    bytes. Archives are read from front to back, compressed or not, one sample at a time.

    Raises:
        UsageError: a file is no archive, or ends in the middle.
    """
    for file, path in enumerate(files):
        with _opened(path) as archive:
            for number, (key, parts) in enumerate(_samples(archive), 1):
                yield _sample(path, key, archive, parts, Place(file, row=number))


def archive_entries_at(files: Sequence[Path], places: Iterable[Place]) -> Iterator[Entry]:
    """Yield the sample at each place, as `archive_entries` gave it; places are in the order of the samples.

    Of an archive that is not compressed only these samples are read, of another all that stand before the last.

    Raises:
        UsageError: as `archive_entries`, or an archive has no such sample.
    """
    for file, here in groupby(places, key=lambda place: place.file):
        path = files[file]
        if _is_plain(path):
            for place, content in bytes_at(files, here):
                with _opened(path, BytesIO(content)) as archive:
                    yield from (_sample(path, key, archive, parts, place) for key, parts in _samples(archive))
            continue
        with _opened(path) as archive:
            numbered = enumerate(_samples(archive), 1)
            for place in here:
                found = next(((key, parts) for number, (key, parts) in numbered if number == place.row), None)
                if found is None:
                    raise UsageError(f"{path} has no sample {place.row} any more; run again")
                key, parts = found
                yield _sample(path, key, archive, parts, place)


@contextmanager
def _opened(path: Path, content: BytesIO | None = None) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r|*") if content is None else tarfile.open(fileobj=content, mode="r|") as archive:
            yield archive
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UsageError(f"{path} cannot be read as a tar archive ({error}); get the file again") from error


def _is_plain(path: Path) -> bool:
    """Return whether an archive is not compressed: then places in it are places in the file."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:"):
            return True
    except (OSError, tarfile.TarError):
        return False


def _samples(archive: tarfile.TarFile) -> Iterator[tuple[str, Iterator[tarfile.TarInfo]]]:
    return groupby((member for member in archive if member.isfile()), _key)


def _key(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    return (path.parent / path.name.partition(".")[0]).as_posix()


def _sample(path: Path, key: str, archive: tarfile.TarFile, parts: Iterator[tarfile.TarInfo], place: Place) -> Entry:
    """Return a sample; where it stands is what `place` says, or, where that says nothing, where its members do."""
    where = f"{path.name}, row {place.row}"
    row: dict[str, Any] = {"__key__": key}
    wrong: RowError | None = None
    begins, ends = place.at, place.at + place.size
    for member in parts:
        if not place.size:
            begins = member.offset if not ends else begins
            ends = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        extension = PurePosixPath(member.name).name.partition(".")[2].lower()
        if member.size > _LARGEST:
            wrong = RowError("row_json", f"{where}: {member.name} has {member.size:,} bytes")
            continue
        file = archive.extractfile(member)
        content = b"" if file is None else file.read()
        try:
            row[extension] = _content(extension, content)
        except (ValueError, RecursionError) as error:
            wrong = RowError(
                "row_json", f"{where}: {member.name} cannot be read ({unread(error)}); write it anew, in UTF-8"
            )
    stands = place._replace(at=begins, size=ends - begins)
    return Entry(place.row, where, wrong or row, key.encode() if wrong else b"", place=stands)


def _content(extension: str, content: bytes) -> Any:
    match extension.rpartition(".")[2]:
        case "json":
            return json.loads(content)
        case "txt" | "text" | "cls":
            return content.decode("utf-8-sig").strip()
        case _:
            return content
