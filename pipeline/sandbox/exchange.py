"""One request to a session and everything that comes back for it, moved without ever blocking on the guest."""

from __future__ import annotations

import os
import select
import socket
from typing import Final, NamedTuple

from pipeline.sandbox.inside import wire
from pipeline.sandbox.output import Collector

_CHUNK = 1 << 18
_MOST_READS = 64
"""Reads in a row from one source, so that a flood on one does not starve the others and the limits."""


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


class Exchange:
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
            return  # nothing there; or the other end is gone, which the exchange will find
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
