"""The frame decoder against everything a hostile session can send."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sandbox.inside import wire

BOUNDS = wire.Bounds(images=3, image_pixels=64, cell_pixels=100)


def message(**changes: Any) -> dict[str, Any]:
    return {"seq": 1, "value": None, "error": None, "images": [], "notes": [], **changes}


def frame(text: bytes, blob: bytes = b"") -> bytes:
    return struct.pack(">II", len(text), len(blob)) + text + blob


def decode(content: bytes, chunk: int = 1 << 20) -> wire.Decoder:
    decoder = wire.Decoder(1, BOUNDS)
    for start in range(0, len(content), chunk):
        decoder.feed(content[start : start + chunk])
    return decoder


shapes = st.tuples(st.sampled_from(["L", "RGB"]), st.integers(1, 8), st.integers(1, 4))
texts = st.text(max_size=40)
failures = st.fixed_dictionaries({"type": texts, "message": texts, "traceback": texts})
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.none() | texts,
    st.none() | failures,
    st.lists(shapes, max_size=3),
    st.lists(texts, max_size=4),
    st.integers(1, 64),
    st.randoms(use_true_random=False),
)
def test_every_reply_arrives_whole_however_it_is_cut(  # noqa: PLR0917 - drawn by hypothesis, not called
    value: str | None,
    error: dict[str, str] | None,
    images: list[tuple[str, int, int]],
    notes: list[str],
    chunk: int,
    random: Any,
) -> None:
    pixels = [random.randbytes(width * height * wire.CHANNELS[mode]) for mode, width, height in images]
    sent = message(value=value, error=error, images=images, notes=notes)
    decoder = decode(b"".join(wire.frame(sent, pixels)), chunk)
    assert decoder.complete
    assert decoder.reply is not None
    assert decoder.reply.value == value
    assert decoder.reply.error == (None if error is None else wire.Failure(**error))
    assert decoder.reply.images == tuple(wire.Shape(*image) for image in images)
    assert decoder.reply.notes == tuple(notes)
    assert decoder.pixels() == pixels


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_any_bytes_are_refused_or_waited_for(parts: list[bytes]) -> None:
    decoder = wire.Decoder(1, BOUNDS)
    try:
        for part in parts:
            decoder.feed(part)
    except wire.WireError:
        return
    assert not decoder.complete


@given(json_values)
def test_any_json_is_a_reply_or_refused(value: Any) -> None:
    with pytest.raises(wire.WireError):
        decode(frame(json.dumps(value).encode()))


@given(st.sampled_from(sorted(message())), json_values)
def test_any_value_in_any_field_is_typed_or_refused(field: str, value: Any) -> None:
    try:
        decoder = decode(frame(json.dumps(message(**{field: value})).encode()))
    except wire.WireError:
        return
    assert decoder.reply is not None
    assert isinstance(decoder.reply.value, str | None)
    assert decoder.reply.seq == 1


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_frame_never_does_more_than_be_refused(data: st.DataObject) -> None:
    good = bytearray(b"".join(wire.frame(message(value="x", images=[["L", 2, 2]]), [b"abcd"])))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    decoder = wire.Decoder(1, BOUNDS)
    try:
        decoder.feed(bytes(good))
    except wire.WireError:
        return
    if decoder.complete:
        assert decoder.reply is not None
        assert [len(pixels) for pixels in decoder.pixels()] == [shape.nbytes for shape in decoder.reply.images]


REFUSED = {
    "4 GiB announced": struct.pack(">II", 0xFFFFFFFF, 0),
    "4 GiB of pixels": struct.pack(">II", 2, 0xFFFFFFFF),
    "no JSON": frame(b"not json"),
    "deep JSON": frame(b"[" * 200_000),
    "deep objects": frame(b'{"a":' * 100_000),
    "long number": frame(b'{"seq":' + b"9" * 10_000 + b"}"),
    "repeated key": frame(b'{"seq":1,"seq":1,"value":null,"error":null,"images":[],"notes":[]}'),
    "NaN": frame(json.dumps(message(value=float("nan"))).encode()),
    "Infinity": frame(json.dumps(message(seq=float("inf"))).encode()),
    "fraction": frame(json.dumps(message(seq=1.0)).encode()),
    "bool for a number": frame(json.dumps(message(seq=True)).encode()),
    "missing field": frame(b'{"seq":1}'),
    "unknown field": frame(json.dumps(message(extra=1)).encode()),
    "another number": frame(json.dumps(message(seq=2)).encode()),
    "not UTF-8": frame(b"\xff\xfe"),
    "a frame too many": frame(json.dumps(message()).encode()) * 2,
    "too many pictures": frame(json.dumps(message(images=[["L", 1, 1]] * 4)).encode(), bytes(4)),
    "10^9 pixels": frame(json.dumps(message(images=[["L", 1 << 15, 1 << 15]])).encode()),
    "pixels over all": frame(json.dumps(message(images=[["L", 8, 8]] * 2)).encode(), bytes(128)),
    "bool for a side": frame(json.dumps(message(images=[["L", True, 1]])).encode(), bytes(1)),
    "negative side": frame(json.dumps(message(images=[["L", -1, -1]])).encode(), bytes(1)),
    "unknown mode": frame(json.dumps(message(images=[["P", 1, 1]])).encode(), bytes(1)),
    "fewer bytes than pixels": frame(json.dumps(message(images=[["L", 2, 2]])).encode(), bytes(3)),
    "bytes without a picture": frame(json.dumps(message()).encode(), bytes(3)),
    "too many notes": frame(json.dumps(message(notes=[""] * 33)).encode()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(wire.WireError):
        decode(REFUSED[name])


def test_an_announcement_is_refused_before_its_bytes_arrive() -> None:
    decoder = wire.Decoder(1, BOUNDS)
    with pytest.raises(wire.WireError):
        decoder.feed(struct.pack(">II", wire.MESSAGE_BYTES + 1, 0))
