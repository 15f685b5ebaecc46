"""How an export comes to be: whole, or not at all.

It is built row by row beside its target and renamed over it once every export of a run is built. If it would hold what
is there already, nothing is touched. Nothing that grows with the rows is held, but for what a row left out leaves.
"""

from __future__ import annotations

import filecmp
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, get_args

from pipeline.errors import UsageError
from pipeline.export.layout import (
    IMAGES,
    MANIFEST,
    ROWS,
    SCHEMA,
    ContentHash,
    ExportFile,
    Facts,
    Format,
    Manifest,
    MixPart,
    Published,
    RowKey,
    Shard,
    file_hash,
    file_name,
    stem,
)
from pipeline.export.rows import Split
from pipeline.export.summary import Summary
from pipeline.identity import canonical_json, parse_json
from pipeline.store.blobs import sync

SYNCING = 16
"""Files that are brought to the disk at a time."""


class DataFile(NamedTuple):
    """A data file that is written and has no name yet."""

    path: Path
    sha256: str
    nbytes: int
    rows: int


class DataFiles(Protocol):
    """The files of one folder and split."""

    def add(self, row: dict[str, Any]) -> None:
        """Write a row."""

    def close(self) -> list[DataFile]:
        """Return the files, in the order of the rows."""


class Place(NamedTuple):
    """Where a row stands; in this order its files are read."""

    folder: str
    split: Split


class Beside(NamedTuple):
    """What stands beside the rows."""

    summary: Summary
    files: Mapping[str, bytes]
    """The card, and what a trainer needs, by path."""


class _Open(NamedTuple):
    files: DataFiles
    keys: IO[str]
    """Of its rows, in order, with an index that does not count."""


class Building:
    """An export that is being written."""

    def __init__(self, target: Path, kind: Format, open_files: Callable[[Path], DataFiles]) -> None:
        """Begin beside `target`; `open_files` opens the files of one place in a directory of their own."""
        self.directory = _staging(target)
        self._target, self._kind, self._open_files = target, kind, open_files
        self._parts = self.directory / ".parts"
        self._open: dict[Place, _Open] = {}
        self.manifest: Manifest | None = None
        """What it says once it is closed; None where there is no row."""

    def add(self, place: Place, row: dict[str, Any], key: RowKey) -> None:
        """Write a row; its index is counted at the end."""
        if place not in self._open:
            own = self._parts / str(len(self._open))
            own.mkdir(parents=True)
            self._open[place] = _Open(self._open_files(own), (own / "keys").open("w+", encoding="utf-8"))
        files, keys = self._open[place]
        files.add(row)
        keys.write(key.model_dump_json() + "\n")

    @property
    def places(self) -> list[Place]:
        """Return where rows stand, in the order of their paths."""
        return sorted(self._open, key=lambda place: (f"{place.folder}/", place.split))

    def close(self, facts: Facts, mix: Sequence[MixPart], tell: Callable[[Sequence[str]], Beside]) -> Published:
        """Name the data files and write what stands beside them; the export waits for `put`.

        `tell` is given the data files.
        Without a row nothing is written.
        """
        if not self._open:
            return Published(facts.shard, facts.format, 0, 0, self._target, facts.refused)
        content = self._write_index()
        files = [file for place in self.places for file in self._named(place, content)]
        beside = tell([file.path for file in files])
        for path, text in beside.files.items():
            write_file(self.directory / path, text)
        shutil.rmtree(self._parts, ignore_errors=True)
        known = {file.path for file in files}
        others = sorted(p.relative_to(self.directory).as_posix() for p in self.directory.rglob("*") if p.is_file())
        files += [_described(self.directory, name) for name in others if name not in known]
        self.manifest = manifest = Manifest(
            schema_=SCHEMA,
            name=facts.name,
            shard=facts.shard,
            format=facts.format,
            rows=sum(file.rows or 0 for file in files),
            content=content,
            dialect=facts.dialect,
            prompts=dict(facts.prompts),
            told=facts.told,
            mix=tuple(mix),
            tokens=facts.tokens,
            student=facts.student,
            image_max_pixels=facts.student.max_pixels,
            validation=facts.validation,
            sources=dict(facts.sources),
            corpus=facts.corpus,
            benchmarks=dict(facts.benchmarks),
            summary=beside.summary,
            refused=facts.refused,
            files=tuple(sorted(files, key=lambda file: file.path)),
        )
        # For people as well; two spaces, keys in the order of the model.
        write_file(self.directory / MANIFEST, (manifest.model_dump_json(by_alias=True, indent=2) + "\n").encode())
        nbytes = sum(file.nbytes for file in files)
        return Published(facts.shard, facts.format, manifest.rows, nbytes, self._target, facts.refused)

    def require_place(self) -> None:
        """Refuse to take the place of what is not an export's.

        Raises:
            UsageError: something stands there that the manifest there does not name, such as a model that was trained.
        """
        require_listed(self._target)

    def put(self) -> None:
        """Put the export in its place, unless the same stands there."""
        if not _same_tree(self.directory, self._target):
            _sync(self.directory)
            _swap(self.directory, self._target)

    def discard(self) -> None:
        """Remove what is not in its place."""
        for files, keys in self._open.values():
            files.close()
            keys.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write_index(self) -> str:
        """Write `rows.jsonl`; return the content hash."""
        content, index = ContentHash(), count()
        with (self.directory / ROWS).open("w", encoding="utf-8") as rows:
            for place in self.places:
                keys = self._open[place].keys
                keys.seek(0)
                for line in keys:
                    key = {**json.loads(line), "index": next(index)}
                    content.add(key["sha256"])
                    rows.write(canonical_json(key) + "\n")
        return content.hexdigest()

    def _named(self, place: Place, content: str) -> Iterator[ExportFile]:
        begin, made = stem(self._kind, place.split, content, place.folder), self._open[place].files.close()
        for number, file in enumerate(made):
            path = file_name(self._kind, begin, number, len(made))
            (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
            file.path.rename(self.directory / path)
            yield ExportFile(path=path, sha256=file.sha256, nbytes=file.nbytes, rows=file.rows)


def require_listed(export: Path) -> None:
    """Refuse an export that holds what its manifest does not name: whoever replaces or removes it would lose that.

    Raises:
        UsageError: it does.
    """
    try:
        said = parse_json((export / MANIFEST).read_text("utf-8"))
        listed = {MANIFEST, *(file["path"] for file in said["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return  # no export of ours, or what is left of one
    for path in sorted(export.rglob("*")):
        name = path.relative_to(export)
        if path.is_file() and name.as_posix() not in listed and CACHED not in name.parts:
            raise UsageError(f"{path} is not of the export that stands there, and would be lost; move it elsewhere")


CACHED = "__pycache__"
"""What Python writes beside programs that were imported."""


def write_file(path: Path, content: bytes) -> None:
    """Write a file of a directory that nobody reads yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _described(directory: Path, name: str) -> ExportFile:
    path = directory / name
    # A picture was hashed when it was read, and is named so.
    sha256 = path.stem if name.startswith(f"{IMAGES}/") else file_hash(path)
    return ExportFile(path=name, sha256=sha256, nbytes=path.stat().st_size, rows=None)


def _staging(target: Path) -> Path:
    """Return an empty directory beside `target`; those of killed runs are gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(stale)
    directory = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    # mkdtemp makes it private; an export is shared like any other directory.
    directory.chmod(0o755)
    return directory


def is_staging(path: Path) -> bool:
    """Return whether `path` is named like a directory in which an export is being made; see `_staging`."""
    return path.parent.name in get_args(Shard) and path.name.startswith(tuple(f".{kind}." for kind in get_args(Format)))


def _sync(directory: Path) -> None:
    """Bring every file and directory entry to the disk, so that the rename never precedes what it names."""
    # Several at a time: a file system brings those that wait to the disk together.
    with ThreadPoolExecutor(SYNCING) as pool:
        list(pool.map(sync, (directory, *directory.rglob("*"))))


def _swap(directory: Path, target: Path) -> None:
    """Rename `directory` to `target`; what was there survives until the new one is in place."""
    if target.exists():
        old = directory.with_name(directory.name + ".old")
        target.rename(old)
        directory.rename(target)
        shutil.rmtree(old)
    else:
        directory.rename(target)


def _same_tree(left: Path, right: Path) -> bool:
    names = [sorted(p.relative_to(root).as_posix() for p in root.rglob("*")) for root in (left, right)]
    if names[0] != names[1]:
        return False
    files = [name for name in names[0] if (left / name).is_file()]
    return not any(filecmp.cmpfiles(left, right, files, shallow=False)[1:])
