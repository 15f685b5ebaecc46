"""The HTTP service against requests of every shape, sent as raw bytes over the loopback.

    python -m tests.fuzz.fuzz_service --seconds 600

It answers with a status that its protocol knows or hangs up on what is no request; never 500 (an exception nobody
expected) nor 503 (the sandbox failed: nothing here makes it), never without the token, and it goes on. What the
cells do is not the matter here (that is `fuzz_guest`): their code is harmless.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from pipeline.sandbox import Limits, Policy
from pipeline.sandbox.service.server import Options, serving
from tests.fuzz.campaign import demand, fuzz

TOKEN = "open-sesame"  # noqa: S105 - of a service that lives as long as this script
# Above the service's patrol, or a cell would meet a session that the pool ends under it.
POLICY = Policy(Limits(cell_seconds=1.0, grace_seconds=0.3, idle_seconds=6.0))
"""Short idle times: what a lost request has opened makes room for the next."""
STATUSES = {200, 204, 400, 404, 405, 409, 410, 411, 413, 415, 417, 422, 429}
"""With a token: those of `protocol`, 405 for a method that a path does not have, 417 for `Expect`."""
REFUSALS = {400, 401, 403, 417}
"""Without one: what is no HTTP is 400 before anybody looks for a token."""
_PATIENCE = 20.0
"""Seconds until a whole request must be answered: a cell and its session's end, on a busy machine."""
_IMPATIENCE = 0.05
"""For an answer to what may be no whole request."""
_CHECKED = 50
_CONTINUE = 100
"""Said at once to `Expect: 100-continue`; the answer follows."""

IMAGE = b"\x89PNG\r\n\x1a\nno picture"
IDS = ("0" * 32, "1" * 32, "f" * 32, "g" * 32, "0" * 31, "", "../../etc/passwd", "%00", "é", "0" * 5000)
NUMBERS = ("1", "2", "3", "0", "-1", "01", "999999999", "9" * 40, "x", "1/..", "")
CODES: tuple[Any, ...] = (
    "1 + 1",
    "1 / 0",
    "",
    "\x00",
    "\ud800",
    "print('é\U0001f600')",
    "x" * 1000,
    "\r\n",
    None,
    1,
    [],
    {},
)
VALUES: tuple[Any, ...] = (None, True, 0, 1, -1, 0.5, 1e308, 10**400, "", "x", "\ud800", [], {}, [None], {"a": {}})
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "put", "BREW")
HOSTS = ("127.0.0.1", "localhost", "[::1]", "evil.example", "", "localhost:", "127.0.0.1:99999", "a b", "\xff")


EXTRAS = (
    "Content-Encoding: gzip",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Expect: x",
    "Upgrade: websocket",
    "Content-Length: 5",
    "Range: bytes=0-",
    "X: " + "a" * 9000,
    "Cookie: \xff",
)


class Service:
    """Tries requests on one running service."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address: Final = (str(parts.hostname), int(parts.port or 0))
        self._since_check = 0

    def run(self, rng: Random, drawn: list[object]) -> str:
        """Send one request, or a few over one connection; the outcome is the first answer's status."""
        self._since_check += 1
        if self._since_check >= _CHECKED:
            self._since_check = 0
            answer, _ = self._send(_request("GET", "/pool", b"", TOKEN), whole=True)
            demand(answer == [200], f"the service answers an honest request with {answer}")
        shown = rng.choice((TOKEN, TOKEN, TOKEN, TOKEN, None, "", "open-sesam", TOKEN.upper(), "\xe9", TOKEN + " x"))
        what, content, whole = _draw(rng, shown)
        if rng.random() < 0.2:
            what, content, whole = f"{what}, damaged", _damage(rng, content), False
        drawn += [shown, content]
        statuses, received = self._send(content, whole=whole)
        # Damage may by chance have repaired nothing: it never makes a token.
        allowed = STATUSES | REFUSALS if shown == TOKEN else REFUSALS
        demand(set(statuses) <= allowed, f"statuses {statuses}, with token {shown!r}: {received[-300:]!r}")
        return f"{what}: {statuses[0] if statuses else 'hangs up or waits'}"

    def _send(self, content: bytes, *, whole: bool) -> tuple[list[int], bytes]:
        """Return all answers, statuses first; after what may be no whole request, hang up instead of waiting."""
        received = bytearray()
        with socket.create_connection(self._address, timeout=_PATIENCE) as connection:
            try:
                connection.sendall(content)
                if not whole:
                    connection.settimeout(_IMPATIENCE)
                while part := connection.recv(1 << 16):
                    received += part
            except (ConnectionResetError, BrokenPipeError):
                pass  # refused before all of it was read
            except TimeoutError:
                demand(not whole, "a whole request is not answered")
        statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]
        return [status for status in statuses if status != _CONTINUE], bytes(received)


def _draw(rng: Random, token: str | None) -> tuple[str, bytes, bool]:
    """Return a kind of request, its bytes, and whether they are all that it announces."""
    what = rng.choice(("pool", "blob", "session", "cell", "end", "jupyter", "nowhere"))
    method, path, body = {
        "pool": ("GET", "/pool", b""),
        "blob": ("PUT", f"/blobs/{rng.choice((hashlib.sha256(IMAGE).hexdigest(), 'a' * 64, 'x'))}", IMAGE),
        "session": ("PUT", f"/sessions/{_id(rng)}", _json(rng, {"images": _digests(rng), "seed": 0})),
        "cell": (
            "PUT",
            f"/sessions/{_id(rng)}/cells/{rng.choice(NUMBERS) if rng.random() < 0.3 else 1}",
            _json(rng, _cell(rng)),
        ),
        "end": ("DELETE", f"/sessions/{_id(rng)}", b""),
        "jupyter": ("POST", "/jupyter_sandbox", _json(rng, _turn(rng))),
        "nowhere": ("GET", rng.choice(("/", "//", "*", "/pool/../pool", "/%", "/" + "a" * 9000)), b""),
    }[what]
    if rng.random() < 0.1:
        method = rng.choice(METHODS)
    kinds = ("application/octet-stream",) if what == "blob" else ("application/json",)
    kind = rng.choice((*kinds * 30, "text/plain", "", "application/json; charset=utf-7", "multipart/form-data"))
    extra = rng.choice(EXTRAS) if rng.random() < 0.1 else ""
    host = rng.choice(HOSTS if rng.random() < 0.1 else HOSTS[:2])
    length = len(body) if rng.random() < 0.9 else rng.choice((0, -1, len(body) + 1, 10**12, 10**30, "x", "1e3"))
    content = _request(method, path, body, token, host=host, kind=kind, length=length, extra=extra)
    return what, content, length == len(body) and not extra


def _request(
    method: str,
    path: str,
    body: bytes,
    token: str | None,
    *,
    host: str = "127.0.0.1",
    kind: str = "application/json",
    length: object = None,
    extra: str = "",
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Type: {kind}", "Connection: close"]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if extra:
        lines.append(extra)
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass") + body


def _id(rng: Random) -> str:
    return rng.choice(IDS if rng.random() < 0.2 else IDS[:3])


def _digests(rng: Random) -> Any:
    digests: tuple[list[str], ...] = (
        [],
        [],
        [],
        [],
        ["a" * 64],
        [hashlib.sha256(IMAGE).hexdigest()],
        ["A" * 64],
        ["a" * 64] * 65,
    )
    return rng.choice(VALUES if rng.random() < 0.1 else digests)


def _cell(rng: Random) -> dict[str, Any]:
    return {"code": rng.choice(CODES), "seconds": rng.choice(VALUES if rng.random() < 0.2 else (None, 1, 0.5))}


def _turn(rng: Random) -> dict[str, Any]:
    session = rng.choice(("a", "a", "a", "b", "\ud800", "", "x" * 257, 1))
    return {
        "session_id": session,
        "code": rng.choice(CODES),
        "timeout": rng.choice(VALUES if rng.random() < 0.2 else (1, 0.5)),
    }


def _json(rng: Random, value: dict[str, Any]) -> bytes:
    """Return the object as JSON, at times with a field gone or of another type, at times as something else."""
    if rng.random() < 0.15:
        value[rng.choice((*value, "extra"))] = rng.choice(VALUES)
    if rng.random() < 0.05:
        value.pop(rng.choice(list(value)))
    text = json.dumps(value).encode()
    if rng.random() < 0.1:
        text = rng.choice((b"", b"[]", b"null", b"NaN", b"[" * 9000, b'{"a":' * 9000, b"\xff", b"9" * 9000, text * 2))
    return text


def _damage(rng: Random, content: bytes) -> bytes:
    """Change a few bytes; what a token is made of is left alone, so that it is not made by chance."""
    at = rng.randrange(len(content) + 1)
    piece = rng.choice((b"", b"\r\n", b"\n", b"\0", b" ", b":", rng.randbytes(3), content[at : at + 20]))
    return content[:at] + piece + content[at + rng.choice((0, 0, 1, 5)) :]


@contextmanager
def _service() -> Iterator[str]:
    """Serve in a thread of its own; yields the URL."""
    started: threading.Event = threading.Event()
    urls: list[str] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        options = Options(token=TOKEN, workers=1, sessions=4)
        async with serving(options, POLICY, POLICY) as url:
            urls.append(url)
            started.set()
            await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            started.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


if __name__ == "__main__":
    with _service() as url:
        fuzz("HTTP service", Service(url).run)
