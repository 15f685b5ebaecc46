"""Stored calls as processes read them that do not own the cache; and how one is forgotten, to be made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.errors import InfrastructureError

_AT_ONCE = 500
"""Keys of one statement: SQLite takes 999 in its older builds."""


def stored_calls(path: Path, keys: Iterable[str]) -> dict[str, str]:
    """Return the answer of each call that is stored in the cache at `path`, by its key.

    Raises:
        InfrastructureError: the cache cannot be read.
    """
    if not path.exists():
        return {}
    wanted, found = list(keys), dict[str, str]()
    with _opened(path) as db:
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            found.update(db.execute(f"SELECT key, value FROM calls WHERE key IN ({marks})", part))  # noqa: S608 - marks
    return found


def forget_calls(path: Path, keys: Iterable[str]) -> None:
    """Remove calls from the cache at `path`.

    Raises:
        InfrastructureError: the cache cannot be written.
    """
    if path.exists():
        with _opened(path) as db, db:
            db.executemany("DELETE FROM calls WHERE key = ?", [(key,) for key in keys])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        # As patient as the cache itself: another process holds the lock for one batch of calls.
        with closing(sqlite3.connect(path, timeout=60)) as db:
            yield db
    except sqlite3.Error as error:
        raise InfrastructureError(f"call cache {path}: {error}; check the disk, then run again") from error
