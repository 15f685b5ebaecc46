"""Whatever stands beside the pixels, damaged or huge, the pixels are not lost to it; and nothing is inflated for it."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from pipeline.images import decode, open_picture, pixel_hash, put_image
from pipeline.store.blobs import BlobStore
from tests.support.pictures import COLOURS, chunk, encoded

PICTURE = Image.fromarray(COLOURS)
PNG, JPEG = encoded(PICTURE, "PNG"), encoded(PICTURE, "JPEG")
AFTER_HEADER, BEFORE_END = 33, len(PNG) - 12
"""Bytes of signature and IHDR; before IEND."""
BOMB = zlib.compress(bytes(80_000_000))
BODIES = {"bomb": BOMB, "damaged": b"\x78\x9c no stream", "empty": b"", "large": bytes(range(256)) * 20_000}
CHUNKS = {
    b"iCCP": b"profile\0\0",
    b"zTXt": b"Comment\0\0",
    b"iTXt": b"Comment\0\1\0\0\0",
    b"tEXt": b"Comment\0",
    b"eXIf": b"",
    b"gAMA": b"",
    b"cHRM": b"",
    b"pHYs": b"",
    b"sRGB": b"",
    b"sBIT": b"",
    b"bKGD": b"",
    b"tIME": b"",
    b"sPLT": b"palette\0",
    b"acTL": b"",
    b"prVt": b"",
}


def shows_the_picture(content: bytes, like: bytes) -> bool:
    return pixel_hash(decode(content)) == pixel_hash(decode(like))


@pytest.mark.parametrize("place", [AFTER_HEADER, BEFORE_END])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("kind", "head"), CHUNKS.items(), ids=[kind.decode() for kind in CHUNKS])
def test_a_chunk_beside_the_pixels_of_a_png_does_not_cost_them(
    kind: bytes, head: bytes, body: bytes, place: int
) -> None:
    for damaged in (False, True):
        content = PNG[:place] + chunk(kind, head + body, damaged=damaged) + PNG[place:]
        assert shows_the_picture(content, PNG)


def test_text_is_not_inflated_beyond_the_bound() -> None:
    content = PNG[:AFTER_HEADER] + chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + BOMB) + PNG[AFTER_HEADER:]
    tracemalloc.start()
    decode(content)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20_000_000


def test_many_texts_within_the_bound_of_each_do_not_cost_the_pixels() -> None:
    texts = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000))) * 80
    assert shows_the_picture(PNG[:AFTER_HEADER] + texts + PNG[AFTER_HEADER:], PNG)


def test_what_a_plain_reader_would_refuse_is_stored_as_what_it_opens(tmp_path: Path) -> None:
    content = PNG[:AFTER_HEADER] + chunk(b"zTXt", b"Comment\0\0" + BOMB) + PNG[AFTER_HEADER:]
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"), Image.open(io.BytesIO(content)) as image:
        image.load()
    blobs = BlobStore(tmp_path)
    with Image.open(io.BytesIO(blobs.get(put_image(blobs, content).sha256))) as image:
        assert pixel_hash(image) == pixel_hash(decode(PNG))


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
        chunk(b"eXIf", b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
    ],
    ids=["text", "packed text", "EXIF"],
)
@pytest.mark.parametrize("beside", [b"", chunk(b"zTXt", b"Comment\0\0" + BOMB)], ids=["alone", "beside a bomb"])
def test_an_orientation_is_found_beside_what_is_left_out(text: bytes, beside: bytes) -> None:
    content = PNG[:AFTER_HEADER] + beside + text + PNG[AFTER_HEADER:]
    assert decode(content).size == (PICTURE.height, PICTURE.width)


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def segments() -> Iterator[bytes]:
    for head in (
        b"JFIF\0",
        b"Exif\0\0",
        b"ICC_PROFILE\0",
        b"MPF\0",
        b"Photoshop 3.0\x008BIM",
        b"http://ns.adobe.com/xap/1.0/\0",
    ):
        for body in (b"", b"\xff", b"\0" * 9, bytes(range(256)) * 250):
            for marker in (0xE0, 0xE1, 0xE2, 0xED):
                yield segment(marker, head + body)


def test_a_segment_beside_the_pixels_of_a_jpeg_does_not_cost_them() -> None:
    for extra in segments():
        assert shows_the_picture(JPEG[:2] + extra + JPEG[2:], JPEG), extra[:40]


def test_megabytes_of_segments_do_not_cost_the_pixels() -> None:
    profile = b"".join(segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65_000)) for n in range(1, 256))
    comments = segment(0xFE, bytes(65_000)) * 255
    assert shows_the_picture(JPEG[:2] + profile + comments + JPEG[2:], JPEG)


@given(st.sampled_from([0xE0, 0xE1, 0xE2, 0xEC, 0xED, 0xFE]), st.binary(max_size=60))
def test_no_segment_of_an_application_can_stop_a_jpeg(marker: int, body: bytes) -> None:
    picture = open_picture(JPEG[:2] + segment(marker, body) + JPEG[2:])
    assert sorted(picture.image.size) == sorted(PICTURE.size)


@given(st.sampled_from(sorted(CHUNKS)), st.binary(max_size=60), st.booleans())
def test_no_chunk_of_metadata_can_stop_a_png(kind: bytes, body: bytes, damaged: bool) -> None:
    picture = open_picture(PNG[:AFTER_HEADER] + chunk(kind, body, damaged=damaged) + PNG[AFTER_HEADER:])
    assert sorted(picture.image.size) == sorted(PICTURE.size)


LARGE = bytes(range(256)) * 20_000


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_large_profile_does_not_cost_the_pixels(form: str) -> None:
    assert shows_the_picture(encoded(PICTURE, form, icc_profile=LARGE), encoded(PICTURE, form))


@pytest.mark.parametrize("form", ["WEBP", "AVIF"])
def test_large_xmp_does_not_cost_the_pixels(form: str) -> None:
    assert shows_the_picture(encoded(PICTURE, form, xmp=LARGE), encoded(PICTURE, form))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_an_orientation_among_megabytes_of_exif_is_applied(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 3_000_000
    assert decode(encoded(PICTURE, form, exif=exif)).size == (PICTURE.height, PICTURE.width)


def test_large_and_odd_tags_of_a_tiff_do_not_cost_the_pixels() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[700], tags[33723], tags[34675] = "x" * 2_000_000, LARGE, b"\xff" * 500, LARGE
    assert shows_the_picture(encoded(PICTURE, "TIFF", tiffinfo=tags), encoded(PICTURE, "TIFF"))


def test_a_large_comment_of_a_gif_does_not_cost_the_pixels() -> None:
    assert shows_the_picture(encoded(PICTURE, "GIF", comment=b"x" * 3_000_000), encoded(PICTURE, "GIF"))
