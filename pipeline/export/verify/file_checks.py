"""Check the files of an export against its manifest, and read the manifest and the row index."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, get_args

from pydantic import ValidationError

from pipeline.dialects import DialectName
from pipeline.export.building import CACHED
from pipeline.export.layout import (
    CARD,
    MANIFEST,
    ROWS,
    SCHEMA,
    ContentHash,
    Manifest,
    RowKey,
    file_hash,
    is_data_file,
    named_as,
    rl_mode,
)
from pipeline.export.told import has_slots
from pipeline.identity import parse_json


class Fault(NamedTuple):
    """A problem inside one export."""

    file: str
    row: int | None
    message: str


def read_manifest(directory: Path) -> Manifest | str:
    """Return the manifest, or why it cannot be read."""
    try:
        text = plain_file(directory, MANIFEST).read_text("utf-8")
        parse_json(text)  # which refuses a name that stands twice
        manifest = Manifest.model_validate_json(text, strict=True)
    except (OSError, ValueError, RecursionError) as error:
        return f"cannot be read: {_short(error)}"
    if manifest.schema_ != SCHEMA:
        return f"has schema {manifest.schema_}, this version reads {SCHEMA}"
    return manifest


def read_row_index(directory: Path) -> tuple[list[RowKey | None], list[Fault]]:
    """Return the lines of `rows.jsonl` (None for one that cannot be read) and what is wrong with them."""
    try:
        content = plain_file(directory, ROWS).read_bytes()
    except (OSError, ValueError) as error:
        return [], [Fault(ROWS, None, f"cannot be read: {error}")]
    keys: list[RowKey | None] = []
    faults = []
    for number, line in enumerate(content.splitlines()):
        try:
            parse_json(line.decode())
            key = RowKey.model_validate_json(line, strict=True)
        except (ValueError, RecursionError) as error:
            keys.append(None)
            faults.append(Fault(ROWS, number, f"line cannot be read: {_short(error)}"))
            continue
        keys.append(key)
        if key.index != number:
            faults.append(Fault(ROWS, number, f"line says it is row {key.index}"))
    return keys, [*faults, *_repeated(keys)]


def _repeated(keys: list[RowKey | None]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for number, key in enumerate(keys):
        if key is not None and first.setdefault(key.record_id, number) != number:
            yield Fault(ROWS, number, f"record {key.record_id} is row {first[key.record_id]} as well")


def check_files(directory: Path, manifest: Manifest) -> Iterator[Fault]:
    """Yield what is missing, extra, linked, misnamed or changed, and counts that do not add up."""
    yield from _manifest_faults(manifest)
    listed = {file.path: file for file in manifest.files if is_inside(file.path)}
    present = dict(_entries(directory))
    for name in sorted(present.keys() - listed.keys() - {MANIFEST}):
        yield Fault(name, None, "is not in the manifest")
    for name, file in sorted(listed.items()):
        mode = present.get(name)
        if mode is None:
            yield Fault(name, None, "is missing")
        elif not stat.S_ISREG(mode):
            yield Fault(name, None, "is not a regular file")
        elif (directory / name).lstat().st_size != file.nbytes or file_hash(directory / name) != file.sha256:
            yield Fault(name, None, "was changed: its size or sha256 is not the recorded one")


def _manifest_faults(manifest: Manifest) -> Iterator[Fault]:
    """Yield what is wrong in the manifest itself."""
    paths = [file.path for file in manifest.files]
    for path in (path for path in paths if not is_inside(path)):
        yield Fault(MANIFEST, None, f"lists {path!r}, which is not a plain path inside the export")
    for path in sorted({path for path, count in Counter(paths).items() if count > 1}):
        yield Fault(MANIFEST, None, f"lists {path} twice")
    for name in sorted({CARD, ROWS} - set(paths)):
        yield Fault(MANIFEST, None, f"does not list {name}")
    yield from _name_faults(manifest)
    rows = sum(file.rows or 0 for file in manifest.files)
    if rows != manifest.rows:
        yield Fault(MANIFEST, None, f"says {manifest.rows} rows, its files add up to {rows}")
    if manifest.image_max_pixels != manifest.student.max_pixels:
        yield Fault(MANIFEST, None, "image_max_pixels is not the student's max_pixels")
    yield from _told_faults(manifest)
    if manifest.dialect not in get_args(DialectName):
        yield Fault(MANIFEST, None, f"names the dialect {manifest.dialect!r}, which this version cannot read")


def _name_faults(manifest: Manifest) -> Iterator[Fault]:
    """Yield files that are or are not data files against their names."""
    for file in manifest.files:
        if (file.rows is not None) != is_data_file(manifest.format, file.path):
            yield Fault(MANIFEST, None, f"{file.path}: data files have a number of rows, others have none")
    for file in manifest.data:
        named = named_as(file.path)
        if named is None or not manifest.content.startswith(named[1]):
            yield Fault(MANIFEST, None, f"{file.path}: a data file is named by split and content hash")


def _told_faults(manifest: Manifest) -> Iterator[Fault]:
    """Yield texts that rows are told which are not those of the hashes, or which no row could be traced back to."""
    if not manifest.told:
        yield Fault(MANIFEST, None, "names no prompt that its rows are told")
    for prompt in manifest.told:
        if manifest.prompts.get(prompt.name) != prompt.sha256:
            yield Fault(MANIFEST, None, f"the text of {prompt.name} is not the one whose sha256 is in prompts")
        if not has_slots(prompt.user):
            yield Fault(MANIFEST, None, f"the user text of {prompt.name} has not each slot once")
        if manifest.shard == "rl" and prompt.mode != rl_mode(manifest.format):
            yield Fault(MANIFEST, None, f"{prompt.name} is the prompt of mode {prompt.mode}, which no row here is told")


def check_content(manifest: Manifest, keys: Sequence[RowKey | None]) -> Iterator[Fault]:
    """Yield a row index that does not belong to the manifest."""
    if len(keys) != manifest.rows:
        yield Fault(ROWS, None, f"has {len(keys)} rows, the manifest says {manifest.rows}")
    elif None not in keys and _content(keys) != manifest.content:
        yield Fault(ROWS, None, "its row hashes do not have the content hash of the manifest")


def _content(keys: Iterable[RowKey | None]) -> str:
    content = ContentHash()
    for key in keys:
        if key is not None:
            content.add(key.sha256)
    return content.hexdigest()


def is_inside(path: str) -> bool:
    """Return whether a path of a manifest names a file inside the export and nothing else."""
    pure = PurePosixPath(path)
    plain = str(pure) == path and "\\" not in path and "\0" not in path
    return plain and not pure.is_absolute() and bool(pure.parts) and ".." not in pure.parts


def _entries(directory: Path) -> Iterator[tuple[str, int]]:
    """Yield (relative path, mode) of everything that is not a directory; links are entries, never followed."""
    for place, directories, files in os.walk(directory):
        if CACHED in directories and not (Path(place) / CACHED).is_symlink():
            directories.remove(CACHED)  # whoever imported a program of the kit has left it there
        links = [name for name in directories if (Path(place) / name).is_symlink()]
        for name in (*files, *links):
            path = Path(place) / name
            yield path.relative_to(directory).as_posix(), path.lstat().st_mode


def plain_file(directory: Path, name: str) -> Path:
    """Return the path of a file inside the export.

    Raises:
        ValueError: it is not there, leads through a link, or is no regular file (a pipe would block its reader).
    """
    path = directory / name
    if not is_inside(name) or not path.exists():
        raise ValueError(f"{name} is not a file of this export")
    if path.resolve() != directory.resolve() / name or not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{name} is a link or no regular file")
    return path


def _short(error: Exception) -> str:
    """Return the first line of an error, with the field where pydantic names one."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error).splitlines()[0][:300]
