"""A helper process of ours, such as a model server: it ends with us, and its last words are in our errors."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

from pipeline.errors import InfrastructureError
from pipeline.models.local import lifeline

T = TypeVar("T")

GRACE_SECONDS = 20.0
"""To end by itself: vLLM lets its engine processes free their memory first, which takes it a few seconds."""
_KEPT_BYTES = 64 * 1024
"""Of the log: the tracebacks of three processes, one after the other, as vLLM writes when its engine fails."""
_LAST_LINES = 6
_FIRST_ERRORS = 4
"""The cause stands far above the last lines, in the traceback of the process that failed first."""
_ERROR = re.compile(r"(?:^|[\s\]])(?:[\w.]+\.)?\w+(?:Error|Exception): \S")


class Supervised:
    """One process group. Use from one event loop; `stop` it, or it ends with this process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, alive: int, echo: BinaryIO | None) -> None:
        self.name = name
        self._process = process
        self._lifeline = alive
        self._echo = echo
        self._log = b""
        self._ended = asyncio.create_task(self._until_end())

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], environment: Mapping[str, str], echo: BinaryIO | None = None
    ) -> Self:
        """Start `command`; what it writes is kept for errors, and copied to `echo` as it comes."""
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(Path(lifeline.__file__)), str(GRACE_SECONDS), *command),
                stdin=theirs,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(name, process, ours, echo)

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, but no longer than the process lives.

        Raises:
            InfrastructureError: the process ended; the message has its last lines.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._ended), return_when=asyncio.FIRST_COMPLETED)
            # Its end of a connection closes before the process has ended.
            lost = task.done() and not task.cancelled() and isinstance(task.exception(), ConnectionError)
            if lost:
                await asyncio.wait((self._ended,), timeout=GRACE_SECONDS)
            if task.done() and not (lost and self._ended.done()):
                return task.result()
        finally:
            task.cancel()
        with suppress(asyncio.CancelledError, ConnectionError, InfrastructureError):
            await task  # what it says of a lost connection says less than the log does
        raise self.failure(f"ended with status {self._ended.result()}")

    def failure(self, what: str) -> InfrastructureError:
        """Return an error that tells what happened and the last lines of the log."""
        lines = self._log.decode(errors="replace").replace("\r", "\n").splitlines()
        said = [line for line in lines if line.strip()]
        before, last = said[:-_LAST_LINES], said[-_LAST_LINES:]
        errors = list(dict.fromkeys(line for line in before if _ERROR.search(line)))[:_FIRST_ERRORS]
        return InfrastructureError("\n  ".join([f"{self.name} {what}; it said last:", *errors, *last]))

    async def stop(self) -> None:
        """End the whole group and wait until it is gone: SIGTERM first, SIGKILL after `GRACE_SECONDS`."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        await self._ended

    async def wait(self) -> None:
        """Wait until the process ends.

        Raises:
            InfrastructureError: it ended without being stopped.
        """
        status = await asyncio.shield(self._ended)
        if self._lifeline >= 0:
            raise self.failure(f"ended with status {status}")

    async def _until_end(self) -> int:
        log = self._process.stdout
        if log is None:
            raise AssertionError("the log is a pipe")
        # Read to its end or it would block the writer; a process that left the group may hold it open, though.
        reading = asyncio.create_task(self._read(log))
        status = await self._process.wait()
        await asyncio.wait((reading,), timeout=1.0)
        reading.cancel()
        return status

    async def _read(self, log: asyncio.StreamReader) -> None:
        while chunk := await log.read(64 * 1024):
            self._log = (self._log + chunk)[-_KEPT_BYTES:]
            if self._echo is not None:
                self._echo.write(chunk)
                self._echo.flush()
