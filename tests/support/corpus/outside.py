"""What guests must not reach: canaries on the host, and sockets that nobody may come to."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.sandbox import CellResult, Limits
from pipeline.sandbox.inside.policy import MIB

LIMITS = Limits(
    cell_seconds=8.0,  # on a busy machine a harmless cell waits for its turn
    grace_seconds=0.5,
    cell_cpu_seconds=4.0,  # pip out of its archive takes 2.2 on a slow machine
    memory=600 * MIB,
    data=500 * MIB,
    address_space=1024 * MIB,
    processes=48,
    disk=32 * MIB,
)
CANARY = r"WALR[U]S-[0-9a-f]{32}"
"""Finds canaries in memory without finding itself."""
VARIABLE = "COLDFORGE_TEST_CANARY"


class Outside(NamedTuple):
    file: Path
    """Holds a canary; cells know its path."""
    canaries: tuple[bytes, ...]
    """In the file, in our environment, and here: in our memory."""
    stream: socket.socket
    datagrams: socket.socket
    """At an abstract address."""

    def fill(self, code: str) -> str:
        """Put the places where things are into a cell."""
        port, name = self.stream.getsockname()[1], self.datagrams.getsockname()[1:].decode()
        return (
            code.replace("OUTSIDE_FILE", str(self.file))
            .replace("OUTSIDE_PORT", str(port))
            .replace("OUTSIDE_NAME", name)
        )

    def leaked(self, result: CellResult) -> list[bytes]:
        """Return the canaries in anything that came back."""
        content = everything(result)
        return [canary for canary in self.canaries if canary in content]

    def touched(self) -> list[str]:
        """Return what came to the sockets."""
        seen = []
        with suppress(BlockingIOError):
            seen.append(f"connection from {self.stream.accept()[1]}")
        with suppress(BlockingIOError):
            seen.append(f"datagram {self.datagrams.recv(99)!r}")
        return seen


def everything(result: CellResult) -> bytes:
    """Return every byte of a result."""
    error = result.error
    texts = [result.stdout, result.stderr, result.value or "", *result.notes]
    texts += [error.type, error.message, error.traceback] if error else []
    return b"\0".join([*(text.encode(errors="surrogatepass") for text in texts), *(i.pixels for i in result.images)])


@contextmanager
def outside(directory: Path) -> Iterator[Outside]:
    """Lay out canaries and listen."""
    file, variable, memory = (f"WALRUS-{secrets.token_hex(16)}" for _ in range(3))
    with ExitStack() as stack:
        stream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        datagrams.bind(f"\0coldforge-{secrets.token_hex(8)}")
        for listener in (stream, datagrams):
            listener.setblocking(False)
        path = directory / "secret.txt"
        path.write_text(file)
        os.environ[VARIABLE] = variable
        stack.callback(os.environ.pop, VARIABLE)
        yield Outside(path, (file.encode(), variable.encode(), memory.encode()), stream, datagrams)
