"""sha256 of files, computed once for each path, size and time of change: a cache that may be lost at any time."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from pipeline.errors import InfrastructureError

_WAIT = 60.0
"""Seconds that one process waits for another's transaction, which is a unit's new files."""


class Stamp(NamedTuple):
    """What tells, without reading it, that a file is still the same."""

    size: int
    modified: int
    """Nanoseconds."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at a file.

        Raises:
            OSError: there is none.
        """
        facts = path.stat()
        return cls(facts.st_size, facts.st_mtime_ns)


def hash_file(path: Path) -> str:
    """Read a file whole and return its sha256.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class FileHashes:
    """The cache of one store. Any process may use it at any time."""

    file: Path

    def of(self, paths: Iterable[Path]) -> Mapping[Path, str]:
        """Return the sha256 of each file that can be read; only what is not known yet is read.

        Raises:
            InfrastructureError: the cache cannot be used.
        """
        stamps = {path: stamp for path in paths if (stamp := _stamp(path)) is not None}
        if not stamps:
            return {}
        try:
            return self._of(stamps)
        except sqlite3.Error as error:
            raise InfrastructureError(f"{self.file} cannot be used ({error}); delete it, and run again") from error

    def _of(self, stamps: Mapping[Path, Stamp]) -> Mapping[Path, str]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.file, timeout=_WAIT)) as db:
            # No WAL: of those that open a new file at once, all but one would be refused its switch without waiting.
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS files "
                "(path TEXT PRIMARY KEY, size INTEGER, modified INTEGER, sha256 TEXT) WITHOUT ROWID"
            )
            known = {path: found for path, stamp in stamps.items() if (found := _known(db, path, stamp)) is not None}
            new = {path: found for path in stamps.keys() - known.keys() if (found := _hashed(path)) is not None}
            rows = [(str(path.resolve()), *stamps[path], found) for path, found in sorted(new.items())]
            if rows:
                with db:
                    db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)
        return {**known, **new}


def _known(db: sqlite3.Connection, path: Path, stamp: Stamp) -> str | None:
    row = db.execute(
        "SELECT sha256 FROM files WHERE path = ? AND size = ? AND modified = ?", (str(path.resolve()), *stamp)
    ).fetchone()
    return None if row is None else str(row[0])


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path)
    except OSError:
        return None


def _hashed(path: Path) -> str | None:
    try:
        return hash_file(path)
    except OSError:
        return None
