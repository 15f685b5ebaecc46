"""Frames between host and session: two big-endian 32-bit lengths, a JSON message, raw bytes. Stdlib only.

The guest holds its end of the socket and can forge every byte, so the host's decoder checks lengths
before it reads on, and types, names and sizes before it keeps anything. Nothing here is evaluated.
"""

from __future__ import annotations

import _socket
import json
import json.encoder
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

HEADER = struct.Struct(">II")
MESSAGE_BYTES = 1 << 20
"""A reply holds a cut value, a cut traceback and a few notes; a request holds one cell's code."""
CHANNELS = {"L": 1, "RGB": 3}
"""Bytes per pixel of the modes in which pixels travel."""

MAX_SIDE = 1 << 20
"""Pixels of a picture's longer side."""
MAX_TEXT = 20_000
"""Characters of a value, and of a traceback: both, each escaped as twelve bytes, fit a message with all else."""
MAX_NOTES = 16
"""Notes of a reply."""
MAX_NOTE = 500
"""Characters of a note."""

# Bound here, down to the C functions (which the types do not know), so that guest code which patches `json` or
# `socket` cannot bend a reply, nor miss a request.
_make, _escape = (getattr(json.encoder, name) for name in ("c_make_encoder", "c_encode_basestring_ascii"))
_encode = _make(None, repr, _escape, None, ":", ",", False, False, False)
_decode: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_pack, _unpack, _header = HEADER.pack, HEADER.unpack, HEADER.size
_send_all, _receive_into = _socket.socket.sendall, _socket.socket.recv_into


class WireError(Exception):
    """What arrived is not a reply."""


class Shape(NamedTuple):
    """One picture in a reply's raw bytes."""

    mode: str
    width: int
    height: int

    @property
    def nbytes(self) -> int:
        """Size of its pixels."""
        return self.width * self.height * CHANNELS[self.mode]


class Failure(NamedTuple):
    """An exception, as text."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Reply:
    """What a session says about one request."""

    seq: int
    value: str | None
    error: Failure | None
    images: tuple[Shape, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Bounds:
    """What the host accepts of pictures, per reply."""

    images: int
    image_pixels: int
    cell_pixels: int


def send(channel: socket.socket, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
    """Send one frame, waiting until it is taken.

    Raises:
        OSError: the other end is gone.
    """
    for part in frame(message, blobs):
        _send_all(channel, part)


def frame(message: dict[str, Any], blobs: Sequence[bytes] = ()) -> list[bytes]:
    """Return a frame's pieces."""
    text = "".join(_encode(message, 0)).encode()
    return [_pack(len(text), sum(map(len, blobs))) + text, *blobs]


def receive(channel: socket.socket) -> tuple[dict[str, Any], bytearray]:
    """Return the next request (guest side; the host is trusted).

    Raises:
        EOFError: the host closed the channel.
    """
    size, blob_size = _unpack(_exactly(channel, _header))
    message: dict[str, Any] = _decode(_exactly(channel, size).decode(), 0)[0]
    return message, _exactly(channel, blob_size)


def _exactly(channel: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        got = _receive_into(channel, view)
        if got == 0:
            raise EOFError
        view = view[got:]
    return content


class Decoder:
    """Collects exactly one reply from bytes as they arrive, holding no more than its bounds allow."""

    def __init__(self, seq: int, bounds: Bounds) -> None:
        self._seq = seq
        self._bounds = bounds
        self._buffer = bytearray()
        self._sizes: tuple[int, int] | None = None
        self.reply: Reply | None = None
        """The message, once its own bytes are complete and valid; its pixels may still be under way."""
        self.complete = False

    def feed(self, content: bytes) -> None:
        """Take bytes in.

        Raises:
            WireError: they are not the reply that is waited for, or there is something after it.
        """
        self._buffer += content
        if self._sizes is None and len(self._buffer) >= HEADER.size:
            self._sizes = self._checked(*HEADER.unpack_from(self._buffer))
            del self._buffer[: HEADER.size]
        if self._sizes is None:
            return
        size, blob_size = self._sizes
        if self.reply is None and len(self._buffer) >= size:
            self.reply = parse_reply(bytes(self._buffer[:size]), self._seq, self._bounds)
            del self._buffer[:size]
            if sum(shape.nbytes for shape in self.reply.images) != blob_size:
                raise WireError("the pictures' sizes do not add up to the bytes announced")
        if self.reply is not None:
            if len(self._buffer) > blob_size:
                raise WireError("bytes after the reply")
            self.complete = len(self._buffer) == blob_size

    def pixels(self) -> list[bytes]:
        """Return the raw pixels of each picture of a complete reply."""
        if self.reply is None or not self.complete:
            raise ValueError("the reply is not complete")
        view, parts, start = memoryview(self._buffer), [], 0
        for shape in self.reply.images:
            parts.append(bytes(view[start : start + shape.nbytes]))
            start += shape.nbytes
        return parts

    def _checked(self, size: int, blob_size: int) -> tuple[int, int]:
        if size > MESSAGE_BYTES or blob_size > self._bounds.cell_pixels * max(CHANNELS.values()):
            raise WireError(f"a frame of {size} + {blob_size} bytes")
        return size, blob_size


def parse_reply(text: bytes, seq: int, bounds: Bounds) -> Reply:
    """Return the reply in a message.

    Raises:
        WireError: it is not strict JSON of exactly the expected fields and types, answers another
            request, or announces more pictures than `bounds` allows.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_refuse)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not a message: {type(error).__name__}") from error
    fields = _fields(value, {"seq", "value", "error", "images", "notes"})
    if type(fields["seq"]) is not int or fields["seq"] != seq:
        raise WireError("an answer to another request")
    return Reply(
        seq=seq,
        value=None if fields["value"] is None else _text(fields["value"]),
        error=None if fields["error"] is None else _failure(fields["error"]),
        images=_images(fields["images"], bounds),
        notes=tuple(_text(note) for note in _list(fields["notes"], MAX_NOTES)),
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a repeated key")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"not an integer: {text[:20]}")


def _fields(value: Any, names: set[str]) -> dict[str, Any]:
    if type(value) is not dict or set(value) != names:
        raise WireError("other fields than those of a reply")
    return value


def _list(value: Any, longest: int) -> list[Any]:
    if type(value) is not list or len(value) > longest:
        raise WireError("not a list, or too long a one")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise WireError("not a text")
    return value


def _failure(value: Any) -> Failure:
    fields = _fields(value, {"type", "message", "traceback"})
    return Failure(_text(fields["type"]), _text(fields["message"]), _text(fields["traceback"]))


def _images(value: Any, bounds: Bounds) -> tuple[Shape, ...]:
    shapes = tuple(_shape(item) for item in _list(value, bounds.images))
    pixels = [shape.width * shape.height for shape in shapes]
    if max(pixels, default=0) > bounds.image_pixels or sum(pixels) > bounds.cell_pixels:
        raise WireError("more pixels than allowed")
    return shapes


def _shape(value: Any) -> Shape:
    match value:
        case [str(mode), int(width), int(height)] if mode in CHANNELS:
            if type(width) is int and type(height) is int and 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE:
                return Shape(mode, width, height)
    raise WireError("not a picture")
