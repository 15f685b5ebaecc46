"""The permanent call cache: what was paid for once is never paid for again.

One SQLite file (WAL) holds model samples, search results, sandbox cells and what URLs led to, keyed by content. All
access goes through one thread, so that a commit covers many calls and no lock is ever contended
inside a process. Within a process equal keys in flight share one call; between processes a lease
does the same. What is stored is what everyone uses: the first answer wins, and is read back.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar

from pipeline.errors import InfrastructureError

T = TypeVar("T")

CallKind = Literal["model", "search", "cell", "fetch"]

LEASE_SECONDS = 180.0
"""An owner renews its leases three times as often, however long its calls take, so that a missed
renewal loses nothing. A dead owner's lease ends at once where it can be seen, see `_alive`; elsewhere, such as in
another container, with this."""
POLL_SECONDS = 0.2
"""Another process's call is waited for by looking; SQLite has no notification between processes."""
BATCH = 256
"""Requests served per transaction: bounds how long the first of them waits for the others."""

_TABLES = """
CREATE TABLE IF NOT EXISTS calls(
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, seconds REAL NOT NULL,
    facts TEXT NOT NULL, finished REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases(key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS too_long(
    key TEXT PRIMARY KEY, context_length INTEGER, said TEXT NOT NULL, finished REAL NOT NULL) WITHOUT ROWID;
"""
"""`too_long` stands beside `calls`: what did not fit one context may fit another, and has the same key."""


class Entry(NamedTuple):
    """One stored call."""

    value: str
    """The answer, canonical JSON."""
    seconds: float
    """As `Made.seconds`; limits on a rollout's time count this, so that resuming agrees."""


class Made(NamedTuple):
    """An answer that was just paid for."""

    value: str
    facts: str
    """Canonical JSON of what may differ between equal runs: host, versions, raw usage. Never in a record."""
    seconds: float
    """Of the one execution that succeeded, measured by whoever executed it: without queues, pauses and
    failed tries, which depend on how much runs at once."""


class _Held(NamedTuple):
    """Another process is paying for this key."""

    owner: str


@dataclass
class CallCounts:
    """Calls of this process, by kind: paid for now, and answered from the store."""

    paid: Counter[str] = field(default_factory=Counter)
    cached: Counter[str] = field(default_factory=Counter)

    def copy(self) -> CallCounts:
        """Return the counts as they are now."""
        return CallCounts(self.paid.copy(), self.cached.copy())

    def since(self, before: CallCounts) -> CallCounts:
        """Return what was counted after `before` was copied."""
        return CallCounts(self.paid - before.paid, self.cached - before.cached)


class _Job(NamedTuple):
    run: Callable[[sqlite3.Connection], Any]
    future: Future[Any]


class CallCache:
    """The cache of one store. Use as a context manager, from one event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = f"{_place()}:{os.getpid()}:{_start_time(os.getpid())}"
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._flying: dict[str, asyncio.Future[Entry]] = {}
        self._closed = False
        self.counts = CallCounts()
        self._thread = threading.Thread(target=self._serve, name="call-cache", daemon=True)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open(self.path)
        except sqlite3.Error as error:
            raise InfrastructureError(f"call cache {self.path} cannot be opened: {error}") from error
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    async def once(
        self,
        kind: CallKind,
        key: str,
        make: Callable[[], Awaitable[Made]],
        slot: AbstractAsyncContextManager[object] | None = None,
    ) -> Entry:
        """Return the stored answer for `key`, paying for it with `make` if nobody has.

        `slot` is held from before `make` until the answer is durable, so that what a kill loses is bounded by the
        slots there are, on a slow disk as well.

        Raises:
            InfrastructureError: the store cannot be used; or whatever `make` raises, and then nothing is stored.
        """
        flying = self._flying.get(key)
        if flying is not None:
            self.counts.cached[kind] += 1
            return await asyncio.shield(flying)
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._flying[key] = future
        try:
            entry = await self._find_or_make(kind, key, make, slot or nullcontext())
        except BaseException as error:
            # Followers get the error too; a cancelled leader must not leave them waiting.
            cause = InfrastructureError("call was cancelled") if isinstance(error, asyncio.CancelledError) else error
            future.set_exception(cause)
            future.exception()  # marked as seen: there may be no follower
            raise
        else:
            future.set_result(entry)
            return entry
        finally:
            del self._flying[key]

    async def stored(self, kind: CallKind, key: str) -> Entry | None:
        """Return the stored answer for `key`, None where nobody has paid for it.

        Raises:
            InfrastructureError: the store cannot be used.
        """
        found = await self._submit(lambda db: _find(db, key))
        if found is not None:
            self.counts.cached[kind] += 1
        return found

    async def too_long(self, key: str, context_length: int | None) -> str | None:
        """Return what the server said when the call `key` did not fit a context of this length, or of a larger one.

        None where it was never asked, or under a smaller context. A length that is not known is like itself alone.

        Raises:
            InfrastructureError: the store cannot be used.
        """
        row = await self._submit(
            lambda db: db.execute("SELECT context_length, said FROM too_long WHERE key = ?", (key,)).fetchone()
        )
        if row is None:
            return None
        asked, said = row
        known = asked is not None and context_length is not None
        return str(said) if (known and asked >= context_length) or asked == context_length else None

    async def keep_too_long(self, key: str, context_length: int | None, said: str) -> None:
        """Store that the call `key` does not fit a context, in place of what was stored of it under another one.

        Raises:
            InfrastructureError: the store cannot be used.
        """
        row = (key, context_length, said, time.time())
        await self._submit(lambda db: db.execute("INSERT OR REPLACE INTO too_long VALUES (?, ?, ?, ?)", row).close())

    async def _find_or_make(
        self,
        kind: CallKind,
        key: str,
        make: Callable[[], Awaitable[Made]],
        slot: AbstractAsyncContextManager[object],
    ) -> Entry:
        try:
            while isinstance(found := await self._submit(lambda db: _find_or_lease(db, key, self._owner)), _Held):  # noqa: ASYNC110 - the holder is another process
                await asyncio.sleep(POLL_SECONDS)
            if isinstance(found, Entry):
                self.counts.cached[kind] += 1
                return found
            async with slot:
                made = await make()
                self.counts.paid[kind] += 1
                return await self._submit(lambda db: _store(db, kind, key, made, self._owner))
        except BaseException:
            with suppress(InfrastructureError):  # a lease that cannot be released is not renewed, either
                await self._submit(lambda db: _release(db, key, self._owner))
            raise

    async def _submit(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Have a job done, and return when it is: also where the caller is cancelled, for it may hold a slot for it."""
        if self._closed:
            raise InfrastructureError(f"call cache {self.path} is closed")
        future: Future[T] = Future()
        self._jobs.put(_Job(job, future))
        done, cancelled = asyncio.wrap_future(future), False
        while not done.done():
            try:
                await asyncio.wait((done,))
            except asyncio.CancelledError:
                cancelled = True
        error = done.exception()
        if cancelled:
            raise asyncio.CancelledError
        if isinstance(error, sqlite3.Error):
            raise InfrastructureError(f"call cache {self.path}: {error}; check the disk, then run again") from error
        return done.result()

    def _serve(self) -> None:
        """Serve jobs in batches, each batch one transaction, until a None arrives; renew leases meanwhile."""
        last, renewal = False, time.monotonic() + LEASE_SECONDS / 3
        try:
            while not last:
                batch, last = self._batch(renewal - time.monotonic())
                _serve_batch(self._db, batch)
                if time.monotonic() >= renewal:
                    # Nobody waits for its result: should it fail, the next one comes before a lease ends.
                    _serve_batch(self._db, [_Job(lambda db: _renew(db, self._owner, list(self._flying)), Future())])
                    renewal = time.monotonic() + LEASE_SECONDS / 3
            # Whoever still waited for an answer has been given up by now, and nobody should wait for it.
            _serve_batch(self._db, [_Job(lambda db: _renew(db, self._owner, ()), Future())])
        finally:
            self._db.close()

    def _batch(self, seconds: float) -> tuple[list[_Job], bool]:
        """Return the jobs that wait, and whether they are the last; none if none comes within `seconds`."""
        batch: list[_Job] = []
        try:
            job = self._jobs.get(timeout=max(0.0, seconds))
            while job is not None:
                batch.append(job)
                if len(batch) == BATCH:
                    return batch, False
                job = self._jobs.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True


def _serve_batch(db: sqlite3.Connection, batch: Sequence[_Job]) -> None:
    """Run the jobs; answer only after their commit: an answer that was seen is never lost."""
    if not batch:
        return
    try:
        db.execute("BEGIN IMMEDIATE")
        results = [job.run(db) for job in batch]
        db.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - whoever waits for the jobs gets it; the thread has to go on
        _roll_back(db)
        if len(batch) > 1 and not isinstance(error, sqlite3.Error):
            # One job is at fault, such as by a text that is no UTF-8; the calls of the others are paid for.
            for job in batch:
                _serve_batch(db, [job])
            return
        for job in batch:
            job.future.set_exception(error)
        return
    for job, result in zip(batch, results, strict=True):
        job.future.set_result(result)


def _roll_back(db: sqlite3.Connection) -> None:
    # If even this fails, so does the BEGIN of the next batch, and says so.
    with suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    # 60 s: another process holds the lock for one batch only.
    db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    # NORMAL survives a killed process; only a power cut may lose the last commits, and then they are paid again.
    db.execute("PRAGMA synchronous=NORMAL")
    db.executescript(_TABLES)
    return db


def _find(db: sqlite3.Connection, key: str) -> Entry | None:
    row = db.execute("SELECT value, seconds FROM calls WHERE key = ?", (key,)).fetchone()
    return None if row is None else Entry(*row)


def _find_or_lease(db: sqlite3.Connection, key: str, owner: str) -> Entry | _Held | None:
    found = _find(db, key)
    if found is not None:
        return found
    now = time.time()
    lease = db.execute("SELECT owner, expires FROM leases WHERE key = ?", (key,)).fetchone()
    if lease is not None and lease[0] != owner and lease[1] > now and _alive(lease[0]):
        return _Held(lease[0])
    db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (key, owner, now + LEASE_SECONDS))
    return None


def _renew(db: sqlite3.Connection, owner: str, flying: Sequence[str]) -> None:
    """Extend the leases of the calls that `owner` is paying for, and end those of calls that it is not, any more."""
    held = {key for (key,) in db.execute("SELECT key FROM leases WHERE owner = ?", (owner,))}
    db.executemany("DELETE FROM leases WHERE key = ? AND owner = ?", [(key, owner) for key in held.difference(flying)])
    db.execute("UPDATE leases SET expires = ? WHERE owner = ?", (time.time() + LEASE_SECONDS, owner))


def _release(db: sqlite3.Connection, key: str, owner: str) -> None:
    # Only one's own: a lease that ran out may be another's by now.
    db.execute("DELETE FROM leases WHERE key = ? AND owner = ?", (key, owner))


def _store(db: sqlite3.Connection, kind: str, key: str, made: Made, owner: str) -> Entry:
    db.execute(
        "INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?)",
        (key, kind, made.value, round(made.seconds, 3), made.facts, time.time()),
    )
    _release(db, key, owner)
    return Entry(*db.execute("SELECT value, seconds FROM calls WHERE key = ?", (key,)).fetchone())


def _start_time(pid: int) -> str:
    """Return when a process started, in ticks; with the pid it names the process for good on this boot."""
    # Field 22 of /proc/<pid>/stat, counted after the command, which may hold spaces and any bytes (proc(5)).
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]


def _place() -> str:
    """Return where this process's number means something: this boot of this machine, and the container's namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"


def _alive(owner: str) -> bool:
    """Return whether the owner of a lease still runs; one that cannot be asked is believed until its lease ends."""
    place, _, process = owner.rpartition(":")[0].rpartition(":")
    started = owner.rpartition(":")[2]
    try:
        # Of another machine or container nothing can be seen from here; its own renewals tell of it.
        return place != _place() or _start_time(int(process)) == started
    except (FileNotFoundError, ProcessLookupError):
        return False
    except (OSError, ValueError, IndexError):
        return True


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Run `work` here and return its result with the seconds it took; hand this to a thread, not the wait for one."""
    began = time.monotonic()
    result = work()
    return result, time.monotonic() - began
