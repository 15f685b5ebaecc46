"""The sandbox of another machine: a drop-in for `Pool` over a service that `coldforge sandbox serve` started."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from pipeline.errors import InfrastructureError, UsageError
from pipeline.sandbox.inside.wire import WireError
from pipeline.sandbox.result import CellResult
from pipeline.sandbox.service.link import Answer, Link, encode
from pipeline.sandbox.service.protocol import BYTES, JSON, MOST_ANSWER, VERSION, Description, decode_result

_WAIT_SECONDS = 900.0
"""For room on the service: what a client that vanished left open has met the idle limit by then."""
_LONGEST_PAUSE = 4.0
_ANSWER_SECONDS = 150.0
"""For anything but a cell: a session may wait for a zygote to start."""
_MOST_SENDS = 5
"""Of a session's images: a service that has forgotten them that often holds too little."""


class RemotePool:
    """Isolated notebooks elsewhere, for many threads. Use as a context manager: leaving it ends its sessions.

    A session's replay runs in a fresh session of the same service.
    """

    def __init__(self, url: str, token_env: str | None = None) -> None:
        """Ask the service what it is.

        Args:
            url: such as `http://127.0.0.1:8000`.
            token_env: name of the environment variable with its token; the token itself is never stored.

        Raises:
            UsageError: the address is none of a service that this version understands, or the token is not right.
            InfrastructureError: it cannot be reached.
        """
        token = os.environ.get(token_env) if token_env else None
        if token_env and not token:
            raise UsageError(f"${token_env} is not set; put the token of the sandbox service {url} into it")
        if token and not (token.isascii() and token.isprintable()):
            raise UsageError(
                f"${token_env} holds what no HTTP header can; make the token of letters and digits, there too"
            )
        self._link = Link(url, token, token_env)
        self._description = _describe(self._link)
        self._free = threading.BoundedSemaphore(self.capacity)
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._closed = threading.Event()

    @property
    def identity(self) -> str:
        """Return the service's hash of everything that shapes what a cell gives back."""
        return self._description.identity

    @property
    def workers(self) -> int:
        """Return how many cells the service runs at once."""
        return self._description.workers

    @property
    def capacity(self) -> int:
        """Return how many sessions the service holds, of all its clients together."""
        return self._description.capacity

    @property
    def open(self) -> int:
        """Return how many sessions of this client are open or being opened now."""
        return len(self._open)

    def facts(self) -> dict[str, Any]:
        """Return what isolates there, as JSON; not part of the identity."""
        return self._description.facts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> Iterator[RemoteSession]:
        """Open a session over image files as `stored` makes them; waits while too many are open, here or elsewhere.

        Raises:
            InfrastructureError: no session could be started.
            RowError: an image does not decode.
        """
        with self._free:
            session_id = secrets.token_hex(16)
            with self._lock:
                self._open.add(session_id)
            try:
                self._start(session_id, images, seed)
                yield RemoteSession(self, session_id)
            finally:
                self._end(session_id)

    def close(self) -> None:
        """End every session; a second call does nothing."""
        self._closed.set()
        with self._lock:
            left = list(self._open)
        for session_id in left:
            self._end(session_id)
        self._link.close()

    def ask(self, path: str, body: bytes, kind: str = JSON, *, seconds: float = _ANSWER_SECONDS) -> Answer:
        """Send a request with PUT, and again while the service has no room for it.

        Raises:
            InfrastructureError: there was no room for too long, or no connection.
            UsageError: the service does not let us in.
        """
        deadline, most = time.monotonic() + _WAIT_SECONDS, 1.0
        while True:
            answer = self._link.send("PUT", path, body, kind, seconds=seconds, most=MOST_ANSWER)
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"{self._link.url} had no room for {_WAIT_SECONDS:g} seconds ({answer.error}); "
                    "start it with more --sessions, or run fewer rollouts at once"
                )
            # Jitter keeps clients that were turned away together from coming back together.
            most = max(most, answer.retry_after)
            if self._closed.wait(random.uniform(0.5, 1.0) * min(most, _LONGEST_PAUSE)):  # noqa: S311
                raise InfrastructureError("sandbox: the pool is closed")
            most *= 2

    def run(self, session_id: str, number: int, code: str, seconds: float | None) -> CellResult:
        """Execute a session's cell of that number, once.

        Raises:
            InfrastructureError: the sandbox failed, or is out of reach; no outcome of the code.
        """
        body = encode({"code": code, "seconds": seconds})
        answer = self.ask(f"/sessions/{session_id}/cells/{number}", body, seconds=self._description.answer_seconds)
        if answer.status != HTTPStatus.OK:
            raise answer.failure()
        try:
            return decode_result(answer.body)
        except WireError as error:
            raise InfrastructureError(f"{self._link.url} answered what is no outcome of a cell: {error}") from error

    def _start(self, session_id: str, images: Sequence[bytes], seed: int) -> None:
        if self._closed.is_set():
            raise InfrastructureError("sandbox: the pool is closed")
        digests = [hashlib.sha256(image).hexdigest() for image in images]
        contents = dict(zip(digests, images, strict=True))
        body = encode({"images": digests, "seed": seed})
        for _ in range(_MOST_SENDS):
            answer = self.ask(f"/sessions/{session_id}", body)
            if answer.status == HTTPStatus.NO_CONTENT:
                return
            missing = answer.missing
            if not missing or not contents.keys() >= set(missing):
                raise answer.failure()
            for sha256 in missing:
                sent = self.ask(f"/blobs/{sha256}", contents[sha256], BYTES)
                if sent.status != HTTPStatus.NO_CONTENT:
                    raise sent.failure()
        raise InfrastructureError(f"{self._link.url} does not hold {len(contents)} images at once")

    def _end(self, session_id: str) -> None:
        with self._lock:
            if session_id not in self._open:
                return
            self._open.remove(session_id)
        # A service that is out of reach ends it at its idle limit; whoever needs the service next is told.
        with suppress(InfrastructureError, UsageError):
            self._link.send("DELETE", f"/sessions/{session_id}", seconds=_ANSWER_SECONDS)


class RemoteSession:
    """A live notebook elsewhere; cells run one after the other."""

    def __init__(self, pool: RemotePool, session_id: str) -> None:
        self._pool = pool
        self._id = session_id
        self._number = 0
        self._lock = threading.Lock()
        self._ended = False

    def run(self, code: str, seconds: float | None = None) -> CellResult:
        """Execute one cell and return its outcome, whatever the code did.

        Args:
            code: Python, executed as it is.
            seconds: a limit for this cell that is shorter than the policy's; a longer one changes nothing.

        Raises:
            InfrastructureError: the sandbox failed, or the session had ended; no outcome of the code.
        """
        with self._lock:
            if self._ended:
                raise InfrastructureError("sandbox: the session has ended")
            self._number += 1
            try:
                result = self._pool.run(self._id, self._number, code, seconds)
            except BaseException:
                self._ended = True  # what the code did is not known
                raise
            self._ended = result.ended
            return result


def _describe(link: Link) -> Description:
    answer = link.send("GET", "/pool", seconds=_ANSWER_SECONDS)
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise answer.failure()
    protocol = answer.fields.get("protocol")
    if isinstance(protocol, int) and protocol != VERSION:
        raise UsageError(
            f"{link.url} speaks version {protocol} of the sandbox protocol, this coldforge version {VERSION}; "
            "install the same release on both sides"
        )
    try:
        return Description.model_validate_json(answer.body)
    except ValidationError as error:
        raise UsageError(
            f"{link.url}/pool does not answer like a sandbox service (status {answer.status}); correct the address, "
            "or start one there with `coldforge sandbox serve`"
        ) from error
