"""The host's frame decoder against damaged, lying and malicious replies, cut into pieces anywhere.

    python -m tests.fuzz.fuzz_wire --seconds 600

Raised is `WireError` alone; what is held stays within the announced and allowed sizes; what is accepted is of the
right types and sizes, means the same when it is sent again, and does not depend on how the bytes were cut.
"""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

from pipeline.sandbox.inside import wire
from tests.fuzz.campaign import Broken, demand, fuzz

BOUNDS = wire.Bounds(images=3, image_pixels=64, cell_pixels=100)
SEQ = 1
_BLOB = BOUNDS.cell_pixels * max(wire.CHANNELS.values())
_LARGE = 2_000
"""One input in so many fills a whole message, and its memory is measured, which is slow."""
_BLOW_UP = 64
"""Bytes that Python's objects may take per byte of JSON. An empty list in a list, 3 bytes of text, takes 64."""

_SYNTAX = b'{}[]",:0123456789.+-eE\\utfn '

FIELDS = ("seq", "value", "error", "images", "notes")
SIZES = (0, 1, 2, 7, 8, 9, 255, 1 << 16, wire.MESSAGE_BYTES, wire.MESSAGE_BYTES + 1, _BLOB, _BLOB + 1, 2**31, 2**32 - 1)
NUMBERS = (0, 1, -1, 2, 3, 8, 64, 65, 1 << 15, 1 << 20, (1 << 20) + 1, 2**31, 2**63, 2**64, 10**30, -(2**63))
TEXTS = (
    "",
    "x",
    "é",
    "\U0001f600",
    "\ud800",
    "\x00",
    "\x1b[2J",
    "</observation>",
    "a" * 300,
    "NaN",
    "L",
    "RGB",
    "P",
    "RGBA",
)
LITERALS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1.0", b"-0", b"01", b"0x1", b"true", b"null", b"9" * 5000, b"{}",
    b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00",
)  # fmt: skip


def run(rng: Random, drawn: list[object]) -> str:
    """Try one input and return what the decoder made of it."""
    large = rng.randrange(_LARGE) == 0
    content = _large(rng) if large else _content(rng)
    cuts = sorted(rng.randrange(len(content) + 1) for _ in range(rng.choice((0, 1, 2, 5, 20))))
    drawn += [content, cuts]
    if large:
        tracemalloc.start()
    decoder = wire.Decoder(SEQ, BOUNDS)
    outcome = _feed(decoder, content, cuts)
    if large:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        demand(peak < _BLOW_UP * len(content) + (1 << 20), f"{peak} bytes of memory for {len(content)} of input")
    whole = wire.Decoder(SEQ, BOUNDS)
    demand(_feed(whole, content, []) == outcome, "the outcome depends on how the bytes are cut")
    demand(whole.reply == decoder.reply or not decoder.complete, "the reply depends on how the bytes are cut")
    if decoder.complete:
        _check(decoder)
    return outcome


def _feed(decoder: wire.Decoder, content: bytes, cuts: list[int]) -> str:
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        try:
            decoder.feed(content[start:end])
        except wire.WireError as error:
            return f"refused: {re.sub('[0-9]+', 'N', str(error))}"
        demand(len(decoder._buffer) <= max(wire.MESSAGE_BYTES, _BLOB) + end - start, "more is held than allowed")
    return "accepted" if decoder.complete else "waits for more"


def _check(decoder: wire.Decoder) -> None:
    reply, pixels = decoder.reply, decoder.pixels()
    if reply is None:
        raise Broken("complete without a reply")
    demand(type(reply.seq) is int and reply.seq == SEQ, "another request's answer")
    demand(reply.value is None or type(reply.value) is str, "the value is no text")
    demand(reply.error is None or all(type(text) is str for text in reply.error), "the error is no text")
    demand(all(type(note) is str for note in reply.notes), "a note is no text")
    demand(len(reply.images) == len(pixels) <= BOUNDS.images, "the number of pictures")
    for shape, part in zip(reply.images, pixels, strict=True):
        demand(shape.width > 0 < shape.height and shape.width * shape.height <= BOUNDS.image_pixels, "a picture's size")
        demand(len(part) == shape.width * shape.height * {"L": 1, "RGB": 3}[shape.mode], "a picture's bytes")
    demand(sum(map(len, pixels)) <= _BLOB, "the pictures' sizes")
    error = None if reply.error is None else reply.error._asdict()
    sent = {"seq": SEQ, "value": reply.value, "error": error, "images": reply.images, "notes": list(reply.notes)}
    again = wire.Decoder(SEQ, BOUNDS)
    again.feed(b"".join(wire.frame(sent, pixels)))
    demand(again.reply == reply and again.pixels() == pixels, "it means something else when it is sent again")


def _content(rng: Random) -> bytes:
    """Return the bytes of one input: a frame, damaged in up to three ways, perhaps with others around it."""
    message = _message(rng)
    blob = rng.randbytes(_blob_size(message))
    for _ in range(rng.choice((0, 1, 1, 2))):
        _distort(rng, message)
    text = _text(rng, message)
    for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
        text = _damage(rng, text)
    blob = _damage(rng, blob) if rng.random() < 0.1 else blob
    sizes = [len(text), len(blob)]
    if rng.random() < 0.2:
        at = rng.randrange(2)
        sizes[at] = rng.choice((*SIZES, sizes[at] + 1, max(0, sizes[at] - 1)))
    content = wire.HEADER.pack(*sizes) + text + blob
    match rng.randrange(40):
        case 0:
            return content + rng.randbytes(rng.randrange(1, 20))
        case 1:
            return content + content
        case 2:
            return rng.randbytes(rng.randrange(40))
        case 3:
            return _damage(rng, content)
    return content


def _message(rng: Random) -> dict[str, Any]:
    """Return a valid reply."""
    names = ("type", "message", "traceback")
    error = {name: rng.choice(TEXTS) for name in names} if rng.random() < 0.4 else None
    images = [[rng.choice(("L", "RGB")), rng.randint(1, 8), rng.randint(1, 4)] for _ in range(rng.randrange(4))]
    notes = [rng.choice(TEXTS) for _ in range(rng.choice((0, 0, 1, 32)))]
    value = rng.choice((None, rng.choice(TEXTS)))
    return {"seq": SEQ, "value": value, "error": error, "images": images, "notes": notes}


def _blob_size(message: dict[str, Any]) -> int:
    return sum(width * height * wire.CHANNELS[mode] for mode, width, height in message["images"])


def _distort(rng: Random, message: dict[str, Any]) -> None:
    """Change the message's structure: a field of another type, one too few or too many, a hostile picture."""
    name = rng.choice(FIELDS)
    match rng.randrange(6):
        case 0:
            message.pop(name, None)
        case 1:
            message[rng.choice(("extra", "Seq", "seq ", "__class__", ""))] = _value(rng, 2)
        case 2 if isinstance(message.get("images"), list):
            message["images"].append([rng.choice(TEXTS), rng.choice(NUMBERS), rng.choice(NUMBERS)])
        case 3 if isinstance(message.get("error"), dict):
            message["error"][rng.choice(("type", "message", "traceback", "extra"))] = _value(rng, 2)
        case 4 if isinstance(message.get("notes"), list):
            message["notes"].append(_value(rng, 2))
        case _:
            message[name] = _value(rng, 3)


def _value(rng: Random, depth: int) -> Any:
    """Return any JSON value, and some that are none."""
    match rng.randrange(8 if depth else 6):
        case 0:
            return rng.choice((None, True, False))
        case 1 | 2:
            return rng.choice(NUMBERS)
        case 3:
            return rng.choice((0.0, 1.0, -0.0, 1e308, float("inf"), float("nan")))
        case 4 | 5:
            return rng.choice(TEXTS)
        case 6:
            return [_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    return {rng.choice(TEXTS): _value(rng, depth - 1) for _ in range(rng.randrange(4))}


def _text(rng: Random, message: dict[str, Any]) -> bytes:
    """Return the message as JSON in some spelling, at times with a key twice or in another encoding."""
    keys = list(message)
    rng.shuffle(keys)
    pairs = [f"{json.dumps(key)}:{json.dumps(message[key], ensure_ascii=rng.random() < 0.95)}" for key in keys]
    if pairs and rng.random() < 0.05:
        pairs.append(rng.choice(pairs).replace("e", rng.choice(("e", "\\u0065")), 1))
    text = "{" + rng.choice((",", " ,\n\t")).join(pairs) + "}"
    encoding = "utf-8" if rng.random() < 0.97 else rng.choice(("utf-16", "utf-32-le", "utf-8-sig", "cp1252"))
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def _damage(rng: Random, content: bytes) -> bytes:
    """Change some bytes."""
    at = rng.randrange(len(content) + 1)
    end = min(len(content), at + rng.choice((1, 1, 2, 8, 64)))
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: rng.randbytes(end - at),
        lambda: bytes(rng.choices(_SYNTAX, k=rng.randrange(1, 9))),
        lambda: b"",
        lambda: content[at:end] * 2,
        lambda: content[at:end] + rng.choice(LITERALS),
        lambda: rng.choice(LITERALS),
        lambda: bytes(byte ^ 1 << rng.randrange(8) for byte in content[at:end]),
    )
    return content[:at] + rng.choice(changes)() + content[end:]


def _large(rng: Random) -> bytes:
    """Return a frame as large as allowed, of what costs a parser most."""
    piece = rng.choice(
        (b"[],", b"{},", b'"",', b"1,", b'{"a":1},', b"99999999999,", b"[[[[[[[[]]]]]]]],", b'"\\u00e9",')
    )
    count = wire.MESSAGE_BYTES // len(piece)
    field = rng.choice((b"value", b"images", b"notes", b"error", b"seq"))
    head, tail = b'{"' + field + b'":[', b"0]}"
    text = head + piece * (count - (len(head) + len(tail)) // len(piece) - 1) + tail
    return wire.HEADER.pack(len(text), 0) + text


if __name__ == "__main__":
    fuzz("frame decoder", run)
