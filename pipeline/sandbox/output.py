"""Text of strangers on its way into a record: bounded, valid Unicode, without control characters. Host side."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


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
