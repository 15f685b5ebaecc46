"""Sandbox sessions for many threads at once, on a few zygotes that are replaced when they are lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import InfrastructureError
from pipeline.sandbox import cgroup, guest, probe
from pipeline.sandbox.inside.policy import Limits, Policy
from pipeline.sandbox.session import Session
from pipeline.sandbox.zygote_process import ZygoteProcess

_SESSIONS_PER_ZYGOTE = 16
"""Live sessions: most of them wait for a model. An idle one costs 5 to 8 MB, one with large images a hundred."""
_START_TRIES = 3
"""A session that was lost while it started has run nothing, so it is simply asked for again."""
_RECYCLE_AFTER = 2000
"""Sessions of one zygote; a fresh one starts with a clean heap."""
_PATROL_SECONDS = 1.0


class Pool:
    """Isolated notebooks. A zygote starts with the first session that needs it.

    Use as a context manager: leaving it ends every session and zygote.
    """

    def __init__(self, policy: Policy | None = None, workers: int | None = None, sessions: int | None = None) -> None:
        """Check that sessions can be run at all; nothing is started.

        Args:
            policy: what sessions may use.
            workers: zygotes; default: one per core.
            sessions: how many may be open at once; default: 16 per zygote.

        Raises:
            UsageError: the guest environment is missing.
            IsolationError: this system has no such isolation.
        """
        probe.check_platform()
        policy = policy or Policy()
        directory, groups = guest.require(), cgroup.find()
        if groups is not None:
            cgroup.sweep(groups)
        self._slots = [_Slot(directory, policy.limits, groups) for _ in range(workers or os.cpu_count() or 1)]
        self.capacity: int = sessions or len(self._slots) * _SESSIONS_PER_ZYGOTE
        """How many sessions can be open at once."""
        self._free = threading.BoundedSemaphore(self.capacity)
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._closed = threading.Event()
        self._warden: threading.Thread | None = None
        self._taken = threading.Event()
        """A session was taken: its zygote has one spare less."""
        self._facts: dict[str, Any] | None = None
        self.identity: str = guest.identity(policy)
        """Hash of everything that shapes what a cell gives back: guest environment and policy."""

    @property
    def workers(self) -> int:
        """Return how many cells can run at once without taking time from each other: one per zygote."""
        return len(self._slots)

    @property
    def open(self) -> int:
        """Return how many sessions are open or being opened now."""
        return sum(slot.live for slot in self._slots)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def facts(self) -> dict[str, Any]:
        """Return what isolates on this machine, as JSON; not part of the identity."""
        if self._facts is None:
            self._facts = probe.facts()
        return self._facts

    @contextmanager
    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> Iterator[Session]:
        """Open a session over image files as `stored` makes them; waits while too many are open.

        Raises:
            InfrastructureError: no session could be started, or it could not be taken apart.
            IsolationError: this machine does not allow the isolation.
            RowError: an image does not decode.
        """
        with self._free:
            slot, zygote, session = self._open(images, seed)
            try:
                yield session
            finally:
                with self._lock:
                    self._sessions.discard(session)
                try:
                    session.close()
                finally:
                    self._release(slot, zygote)

    def close(self) -> None:
        """End every session and zygote; a second call does nothing."""
        self._closed.set()
        self._taken.set()
        with ExitStack() as ends:  # backwards, and all of them, also if one does not go away
            with self._lock:
                if self._warden is not None:
                    ends.callback(self._warden.join)
            ends.callback(self._close_sessions)
            for slot in self._slots:
                ends.callback(slot.close)

    def _close_sessions(self) -> None:
        with ExitStack() as ends, self._lock:
            for session in self._sessions:
                ends.callback(session.close)

    def _open(self, images: Sequence[bytes], seed: int) -> tuple[_Slot, ZygoteProcess, Session]:
        """Start a session on the slot with the fewest; the slot counts it until `_release`."""
        tries = _START_TRIES
        while True:
            tries -= 1
            with self._lock:
                slot = min(self._slots, key=lambda slot: slot.live)
                slot.live += 1
            zygote = None
            try:
                zygote = slot.take()
                return slot, zygote, self._start(zygote, images, seed)
            except InfrastructureError:
                if zygote is not None:
                    zygote.lose()
                self._release(slot, zygote)
                if tries == 0 or self._closed.is_set():
                    raise
            except BaseException:
                self._release(slot, zygote)
                raise

    def _release(self, slot: _Slot, zygote: ZygoteProcess | None) -> None:
        with self._lock:
            slot.live -= 1
        if zygote is not None:
            slot.give_back(zygote)

    def _start(self, zygote: ZygoteProcess, images: Sequence[bytes], seed: int) -> Session:
        session = zygote.session()
        try:
            session.prepare(images, seed)
        except BaseException:
            session.close()
            raise
        with self._lock:
            self._sessions.add(session)
            if self._warden is None:
                self._warden = threading.Thread(target=self._watch, name="sandbox-warden", daemon=True)
                self._warden.start()
        self._taken.set()
        return session

    def _watch(self) -> None:
        """Keep spare sessions ready, and sessions that wait for a cell within their limits, until the pool closes."""
        patrol = time.monotonic()
        while not self._closed.is_set():
            self._taken.wait(max(0.0, patrol - time.monotonic()))
            self._taken.clear()
            # What fails here fails again for whoever needs it next, and is reported there.
            for slot in self._slots:
                with suppress(InfrastructureError):
                    slot.stock()
            if time.monotonic() >= patrol:
                self._patrol()
                patrol = time.monotonic() + _PATROL_SECONDS

    def _patrol(self) -> None:
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            # One that does not go away is reported to whoever uses it next.
            with suppress(InfrastructureError):
                session.check_idle()


class _Slot:
    """A zygote and, once that is lost or worn out, its successor."""

    def __init__(self, directory: Path, limits: Limits, groups: cgroup.Place | None) -> None:
        self._make = (directory, limits, groups)
        self._starting = threading.Lock()
        """Held while a zygote starts, which takes seconds; nobody who gives one back waits for it."""
        self._lock = threading.Lock()
        self._current: ZygoteProcess | None = None
        self._users: dict[ZygoteProcess, int] = {}
        self._closed = False
        self.live = 0
        """Sessions that are open or being opened; the pool's to count."""

    def take(self) -> ZygoteProcess:
        """Return a living zygote for one session.

        Raises:
            InfrastructureError: none could be started, or the pool is closed.
            IsolationError: as `ZygoteProcess`.
        """
        with self._starting:
            if self._closed:
                raise InfrastructureError("sandbox: the pool is closed")
            zygote = self._current
            if zygote is None or not zygote.alive or zygote.started >= _RECYCLE_AFTER:
                zygote = ZygoteProcess(*self._make)
            with self._lock:
                self._current = zygote
                self._users[zygote] = self._users.get(zygote, 0) + 1
                self._end_unused()
            return zygote

    def give_back(self, zygote: ZygoteProcess) -> None:
        """End of a session; the last one of a replaced zygote ends that as well."""
        with self._lock:
            self._users[zygote] -= 1
            self._end_unused()

    def stock(self) -> None:
        """Fork sessions ahead, if there is a zygote.

        Raises:
            InfrastructureError: it is gone or refuses.
        """
        with self._lock:
            zygote = self._current
        if zygote is not None:
            zygote.stock()

    def close(self) -> None:
        """End all zygotes."""
        with self._starting, self._lock:
            self._closed = True
            for zygote in self._users:
                zygote.close()

    def _end_unused(self) -> None:
        for zygote in [w for w, users in self._users.items() if users == 0 and w is not self._current]:
            zygote.close()
            del self._users[zygote]
