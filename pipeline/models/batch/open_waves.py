"""Which request waits in which batch of a provider: what keeps a killed run from paying twice.

One SQLite file of a store. A wave is written down before it is submitted, and its batch's id as soon as the
provider has said it; between the two, whether the batch exists is the provider's to say. Who may ask for a
key is decided by the leases of the call cache, so two processes never submit the same request.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import InfrastructureError

KEPT_SECONDS = 30 * 24 * 3600.0
"""No provider keeps results longer (Anthropic 29 days, OpenAI 30): older waves cannot be fetched any more."""

_TABLES = """
CREATE TABLE IF NOT EXISTS waves(
    wave TEXT PRIMARY KEY, model TEXT NOT NULL, batch TEXT NOT NULL, began REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items(key TEXT PRIMARY KEY, wave TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_of_wave ON items(wave);
"""


class Wave(NamedTuple):
    """Requests that were submitted together."""

    wave: str
    batch: str
    """The provider's id of the batch; empty where it is not known whether it was ever made."""
    began: float
    """Seconds since the epoch, by this machine's clock."""


class OpenWaves:
    """The waves of one model in a store. Use from one thread; other processes may use the same file."""

    def __init__(self, path: Path, model: str) -> None:
        self._model = model
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # 60 s: another process holds the lock for one small transaction only. Opened by the driver's thread,
            # used by its loop's.
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            # FULL: an id that a power cut takes away is money; there are few of them.
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
            self._forget_old(time.time() - KEPT_SECONDS)
        except (OSError, sqlite3.Error) as error:
            raise InfrastructureError(f"batch journal {path} cannot be opened: {error}") from error

    def find(self, keys: Iterable[str]) -> dict[str, Wave]:
        """Return the wave of each key that is in one."""
        query = "SELECT wave, batch, began FROM items JOIN waves USING (wave) WHERE key = ? AND model = ?"
        rows = ((key, self._db.execute(query, (key, self._model)).fetchone()) for key in keys)
        return {key: Wave(*row) for key, row in rows if row is not None}

    def begin(self, keys: Sequence[str]) -> Wave:
        """Write down that `keys` are about to be submitted together."""
        wave = Wave(secrets.token_hex(16), "", time.time())
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT INTO waves VALUES (?, ?, ?, ?)", (wave.wave, self._model, "", wave.began))
            self._db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?)", [(key, wave.wave) for key in keys])
        return wave

    def submitted(self, wave: Wave, batch: str) -> Wave:
        """Write down the provider's id of a wave's batch."""
        self._db.execute("UPDATE waves SET batch = ? WHERE wave = ?", (batch, wave.wave))
        return wave._replace(batch=batch)

    def keys(self, wave: Wave) -> frozenset[str]:
        """Return the requests of a wave."""
        return frozenset(key for (key,) in self._db.execute("SELECT key FROM items WHERE wave = ?", (wave.wave,)))

    def batches(self) -> frozenset[str]:
        """Return the ids of all known batches."""
        return frozenset(batch for (batch,) in self._db.execute("SELECT batch FROM waves WHERE batch != ''"))

    def lost(self, keys: Iterable[str]) -> None:
        """Write down that these requests got no answer and never will: they may be submitted again."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM items WHERE key = ?", [(key,) for key in keys])

    def drop(self, wave: Wave) -> None:
        """Write down that a wave was never made, or is gone."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM items WHERE wave = ?", (wave.wave,))
            self._db.execute("DELETE FROM waves WHERE wave = ?", (wave.wave,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _forget_old(self, before: float) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM items WHERE wave IN (SELECT wave FROM waves WHERE began < ?)", (before,))
            self._db.execute("DELETE FROM waves WHERE began < ?", (before,))
