"""Whether a role is answered at all: for how long it has not been, who is told of it, and when its calls are given up.

A role is silent while calls are open and no replica has answered one: since the first of them was sent, or since the
last answer. A long thought is silence, too; a failure is no answer. Calls that wait for their turn (`rpm`, `tpm`) are
not in the air, and make no silence.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipeline.errors import GivenUpError, RowError, UsageError
from pipeline.models.replicas import BusyError

TELL_SECONDS = 3.0
"""After a first failure: one dropped connection is no news, and nobody should look at a still terminal for longer."""
TELL_SILENT_SECONDS = 60.0
"""Without an answer and without a failure, such as while a model thinks."""
TELL_AGAIN_SECONDS = 30.0
LEAST_SILENCE_SECONDS = 10.0
"""Without a failure no patience is shorter: every model needs some time for a message."""
LOOK_SECONDS = 0.5

LOG = logging.getLogger("pipeline.models")
"""A run shows what is logged here beside its progress."""


@dataclass(eq=False)
class Call:
    """One call that is open."""

    limit: asyncio.Timeout
    failed: bool = False
    """Whether its last try failed."""


@dataclass
class Patience:
    """The clock of one role. Use from one event loop."""

    of: str
    """Whose calls these are, for people."""
    seconds: float
    _open: set[Call] = field(default_factory=set, init=False)
    _in_air: int = field(default=0, init=False)
    _silent_since: float | None = field(default=None, init=False)
    """None while nothing is waited for."""
    _failing_since: float | None = field(default=None, init=False)
    _last_error: str = field(default="", init=False)
    _told: float | None = field(default=None, init=False)
    _watching: asyncio.Task[None] | None = field(default=None, init=False)
    _given_up: str = field(default="", init=False)
    """Why, once it was."""
    _answered_at: float | None = field(default=None, init=False)

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Call]:
        """Hold a call open.

        Raises:
            GivenUpError: no call of the role was answered for as long as its patience lasts.
        """
        if self._given_up:
            # What waited for a slot is not sent to a server that is given up.
            raise GivenUpError(self._given_up)
        call = Call(asyncio.timeout(None))
        self._open.add(call)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            async with call.limit:
                yield call
        except TimeoutError as error:
            if not call.limit.expired():
                raise
            raise GivenUpError(self._given_up) from error
        finally:
            self._open.discard(call)

    def sent(self) -> None:
        """Count a try as in the air."""
        self._in_air += 1
        if self._silent_since is None:
            self._silent_since = time.monotonic()

    def ended(self, call: Call, error: BaseException | None) -> None:
        """Count how a try of `call` ended; whatever is no failure of the server's is its answer."""
        self._in_air -= 1
        match error:
            case None | RowError() | UsageError():
                self._answered(call)
            case Exception():
                if isinstance(error, BusyError):
                    self._silent_since = time.monotonic()  # it is there
                self._failed(call, str(error))
            case _ if not self._in_air and self._failing_since is None:
                self._silent_since = None  # cancelled, which says nothing of the server

    def answered_within(self, seconds: float) -> bool:
        """Return whether any call of the role was answered in the last `seconds`."""
        return self._answered_at is not None and time.monotonic() - self._answered_at <= seconds

    def _answered(self, call: Call) -> None:
        call.failed = False
        self._answered_at = time.monotonic()
        self._silent_since = time.monotonic() if self._in_air else None
        if any(other.failed for other in self._open):
            return
        self._failing_since = None
        if self._told is not None:
            LOG.warning("%s answers again", self.of)
            self._told = None

    def _failed(self, call: Call, error: str) -> None:
        call.failed = True
        self._last_error = error
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    async def _watch(self) -> None:
        while self._open:
            await asyncio.sleep(min(LOOK_SECONDS, max(0.05, self.seconds / 10)))
            now = time.monotonic()
            self._tell(now)
            if self._is_over(now):
                self._given_up = self._story(now)
                for call in self._open:
                    if call.limit.when() is None:
                        call.limit.reschedule(asyncio.get_running_loop().time())
                return

    def _is_over(self, now: float) -> bool:
        if self._silent_since is None:
            return False
        seconds = self.seconds
        if self._failing_since is None:
            # No patience at all is none with failures.
            seconds = max(seconds, LEAST_SILENCE_SECONDS) if seconds else float("inf")
        return now - self._silent_since > seconds

    def _tell(self, now: float) -> None:
        failing = self._failing_since is not None and now - self._failing_since >= TELL_SECONDS
        silent = self._silent_since is not None and now - self._silent_since >= TELL_SILENT_SECONDS
        if (failing or silent) and (self._told is None or now - self._told >= TELL_AGAIN_SECONDS):
            self._told = now
            LOG.warning("%s", self._news(now))

    def _news(self, now: float) -> str:
        count = len(self._open)
        failing = sum(call.failed for call in self._open)
        if not failing:
            return f"{self.of}: none of {count:,} open calls was answered for {now - (self._silent_since or now):.0f} s"
        seconds = now - (self._failing_since or now)
        return f"{self.of}: {failing:,} of {count:,} open calls fail, for {seconds:.0f} s: {self._last_error}"

    def _story(self, now: float) -> str:
        why = "mend the server, or raise it, then run again"
        return f"{self._news(now)}; that is longer than its `patience_seconds` of {self.seconds:g}: {why}"
