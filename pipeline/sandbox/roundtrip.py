"""One request to a session and everything that comes back for it, moved without ever blocking on the guest.

Text of strangers is on its way into a record: it leaves here bounded, valid Unicode, without control characters.
"""

from __future__ import annotations

import os
import re
import select
import socket
from typing import Final, NamedTuple

from pipeline.sandbox.inside import wire

_CHUNK = 1 << 18
_MOST_READS = 64
"""Reads in a row from one source, so that a flood on one does not starve the others and the limits."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Handles(NamedTuple):
    """What the host holds of a session."""

    channel: socket.socket
    stdout: int
    stderr: int
    status: socket.socket
    """The zygote's reports about the session."""
    process: int
    """pidfd of the session's process 1."""

    def close(self) -> None:
        """Close all of them."""
        self.channel.close()
        self.status.close()
        for descriptor in (self.stdout, self.stderr, self.process):
            os.close(descriptor)


class RoundTrip:
    """Sends the request, collects reply, stdout and stderr."""

    def __init__(self, handles: Handles, request: list[bytes], decoder: wire.Decoder, kept: int) -> None:
        self._handles = handles
        self._unsent = [memoryview(part) for part in request if part]
        self.decoder: Final = decoder
        self.stdout: Final = Collector(kept)
        self.stderr: Final = Collector(kept)
        self._open = {handles.stdout: self.stdout, handles.stderr: self.stderr}
        self.hung_up = False
        """The guest's end of the channel is closed."""

    @property
    def printed(self) -> int:
        """Bytes of stdout and stderr together."""
        return self.stdout.total + self.stderr.total

    def pump(self, seconds: float) -> None:
        """Move what can be moved, waiting at most `seconds` for anything.

        Raises:
            wire.WireError: what arrived is not the reply.
        """
        channel = self._handles.channel.fileno()
        poll = select.poll()
        poll.register(channel, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        for descriptor in self._open:
            poll.register(descriptor, select.POLLIN)
        for descriptor, events in poll.poll(seconds * 1000):
            if descriptor != channel:
                self._collect(descriptor)
                continue
            if events & select.POLLOUT:
                self._push()
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._receive()

    def check_quiet(self) -> None:
        """Check that nothing was sent that nobody asked for: it would pass for the next reply.

        Raises:
            wire.WireError: something was.
        """
        try:
            waiting = self._handles.channel.recv(1, socket.MSG_PEEK)
        except OSError:
            return  # nothing there; or the other end is gone, which the round trip will find
        if waiting:
            raise wire.WireError("a reply without a request")

    def drain(self) -> None:
        """Take what is in the pipes now; a cell's own text is there before its reply."""
        for descriptor in tuple(self._open):
            self._collect(descriptor)

    def _push(self) -> None:
        while self._unsent:
            try:
                sent = self._handles.channel.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError:
                self.hung_up = True
                return
            if sent == len(self._unsent[0]):
                self._unsent.pop(0)
            else:
                self._unsent[0] = self._unsent[0][sent:]

    def _receive(self) -> None:
        for _ in range(_MOST_READS):
            try:
                content = self._handles.channel.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                content = b""
            if not content:
                self.hung_up = True
                return
            if self._unsent:
                raise wire.WireError("a reply before the request")
            self.decoder.feed(content)

    def _collect(self, descriptor: int) -> None:
        for _ in range(_MOST_READS):
            try:
                content = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return
            if not content:
                del self._open[descriptor]  # every writer is gone
                return
            self._open[descriptor].add(content)


def clean(text: str) -> str:
    r"""Escape control characters (all but newline and tab) and lone surrogates as `\x1b`, `\ud800`."""
    return _CONTROL.sub(_escape, text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte


class Collector:
    """Keeps the head and the tail of a stream of any length."""

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0
        """Bytes that arrived."""

    def add(self, content: bytes) -> None:
        """Take bytes in."""
        self.total += len(content)
        room = self._half - len(self._head)
        self._head += content[:room]
        self._tail += content[max(room, 0) :]
        # Cut now and then, not every time: a move of the whole tail per read would be quadratic.
        if len(self._tail) > 2 * self._half:
            del self._tail[: len(self._tail) - self._half]

    @property
    def omitted(self) -> int:
        """Bytes that `text` leaves out."""
        return self.total - len(self._head) - min(len(self._tail), self._half)

    def text(self) -> str:
        """Return what was kept, a note in place of the rest."""
        tail = bytes(self._tail[max(0, len(self._tail) - self._half) :])
        if self.omitted:
            parts = [_decode(bytes(self._head)), f"\n... [{self.omitted} bytes omitted] ...\n", _decode(tail)]
            return "".join(parts)
        return _decode(bytes(self._head) + tail)


def _decode(content: bytes) -> str:
    return clean(content.decode(errors="replace"))
