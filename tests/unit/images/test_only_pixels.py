"""What is kept and ships of a picture are its pixels: nothing that anybody wrote beside them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from pipeline.errors import RowError
from pipeline.export.shipped import export_image
from pipeline.images import decode, encode_png, only_pixels, pixel_hash, put_image, stored
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore
from tests.support.pictures import COLOURS, chunk, encoded

OWNER = "Jane Doe of Elm Street"
TOLD = OWNER.encode()
PICTURE = Image.fromarray(COLOURS)
TURNS = range(1, 9)


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x0112], made[0x013B], made[0x010E] = orientation, OWNER, OWNER
    made.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0), 29: OWNER[:11]})
    made.get_ifd(0x8769).update({0xA430: OWNER, 0xA431: OWNER, 0x9286: TOLD, 0x927C: TOLD})
    return made


XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>{OWNER}</dc:creator></x:xmpmeta>'.encode()


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def png(*chunks: bytes, behind: bytes = b"") -> bytes:
    """Chunks before the pixels and before the end."""
    plain = encoded(PICTURE, "PNG")
    return plain[:33] + b"".join(chunks) + plain[33:-12] + b"".join(chunks) + plain[-12:] + behind


def jpeg(*segments: bytes, behind: bytes = b"", **options: Any) -> bytes:
    plain = encoded(PICTURE, "JPEG", quality=92, **options)
    return plain[:2] + b"".join(segments) + plain[2:] + behind


def webp(*extra: tuple[bytes, bytes], behind: bytes = b"") -> bytes:
    plain = encoded(PICTURE, "WEBP", lossless=True)

    def riff(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    size = struct.pack("<I", PICTURE.width - 1)[:3] + struct.pack("<I", PICTURE.height - 1)[:3]
    body = b"WEBP" + riff(b"VP8X", b"\x04\0\0\0" + size) + plain[12:] + b"".join(riff(*one) for one in extra)
    return b"RIFF" + struct.pack("<I", len(body)) + body + behind


def tiff() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[315], tags[700], tags[33723] = OWNER, OWNER, XMP, TOLD
    return encoded(PICTURE, "TIFF", tiffinfo=tags)


def mpo() -> bytes:
    """Two pictures in one file, each with what its camera wrote."""
    other = PICTURE.transpose(Image.Transpose.ROTATE_180)
    other.encoderinfo = {"exif": exif()}
    return encoded(PICTURE, "MPO", save_all=True, append_images=[other], exif=exif(), quality=92)


def jfif_with_thumbnail() -> bytes:
    plain = jpeg()
    body = plain[6:18] + b"\x08\x01" + TOLD.ljust(24)[:24]
    return plain[:2] + segment(0xE0, body) + plain[20:]


KEPT: Mapping[str, bytes] = {
    "PNG EXIF with a place": encoded(PICTURE, "PNG", exif=exif()),
    "PNG tEXt": png(chunk(b"tEXt", b"Author\0" + TOLD)),
    "PNG zTXt": png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(TOLD, 0))),
    "PNG iTXt": png(chunk(b"iTXt", b"Comment\0\0\0\0\0" + TOLD)),
    "PNG XMP": png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
    "PNG profile": encoded(PICTURE, "PNG", icc_profile=TOLD),
    "PNG time": png(chunk(b"tIME", b"\x07\xea\x0b\x1e\x0a\x00\x00")),
    "PNG private chunks": png(chunk(b"prVt", TOLD), chunk(b"caBX", TOLD)),
    "PNG palette by name": png(chunk(b"sPLT", TOLD + b"\0\x08")),
    "PNG trailer": png(behind=TOLD),
    "JPEG EXIF with a place": encoded(PICTURE, "JPEG", exif=exif(), quality=92),
    "JPEG XMP": jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
    "JPEG IPTC": jpeg(segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\x1b\x1c\x02\x50" + TOLD)),
    "JPEG comment": jpeg(comment=TOLD),
    "JPEG profile": jpeg(icc_profile=TOLD),
    "JPEG of every application": jpeg(*(segment(marker, TOLD) for marker in range(0xE0, 0xF0))),
    "JPEG thumbnail": jfif_with_thumbnail(),
    "JPEG behind Adobe's": jpeg(segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01" + TOLD)),
    "JPEG trailer": jpeg(behind=b"SEFH" + TOLD + jpeg(comment=TOLD)),
    "JPEG in several scans": jpeg(segment(0xFE, TOLD), progressive=True),
    "JPEG filled between segments": jpeg(b"\xff\xff\xff" + segment(0xFE, TOLD)),
    "MPO": mpo(),
    "WebP EXIF with a place": encoded(PICTURE, "WEBP", exif=exif(), lossless=True),
    "WebP XMP": encoded(PICTURE, "WEBP", xmp=XMP, lossless=True),
    "WebP profile": encoded(PICTURE, "WEBP", icc_profile=TOLD, lossless=True),
    "WebP unknown chunks": webp((b"XMP ", XMP), (b"NAME", TOLD)),
    "WebP trailer": webp(behind=TOLD),
}
"""Files that are kept but for what stands beside the pixels."""
REMADE: Mapping[str, bytes] = {
    "TIFF tags": tiff(),
    "TIFF EXIF": encoded(PICTURE, "TIFF", exif=exif()),
    "AVIF": encoded(PICTURE, "AVIF", exif=exif(), xmp=XMP, quality=100),
    "GIF comment": encoded(PICTURE.convert("P"), "GIF", comment=TOLD),
    "JPEG with words between segments": jpeg()[:20] + TOLD + jpeg()[20:],
    **{f"{form} turned": encoded(PICTURE, form, exif=exif(6)) for form in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")},
}
"""Files of which a PNG is made."""


@pytest.mark.parametrize("name", [*KEPT, *REMADE])
def test_of_a_picture_nothing_but_its_pixels_is_kept(name: str, tmp_path: Path) -> None:
    content = {**KEPT, **REMADE}[name]
    blobs = BlobStore(tmp_path)
    reference = put_image(blobs, content)
    for kept in (blobs.get(reference.sha256), export_image(reference, blobs).content):
        assert_bare(kept)
        assert pixel_hash(decode(kept)) == pixel_hash(decode(content))
    assert name not in KEPT or len(blobs.get(reference.sha256)) < len(content)
    assert Image.MIME[opened(content).format or ""] == reference.mime or name in {*REMADE, "MPO"}


def assert_bare(kept: bytes) -> None:
    assert TOLD not in kept
    with opened(kept) as image:
        assert dict(image.getexif()) == {}
        assert not {"exif", "xmp", "icc_profile", "comment", "photoshop", "XML:com.adobe.xmp"} & set(image.info)
        assert getattr(image, "text", {}) == {}
        assert getattr(image, "n_frames", 1) == 1


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_picture_keeps_its_right_way_up_without_what_said_so(form: str, orientation: int) -> None:
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    content = encoded(PICTURE, form, exif=exif(orientation), **options)
    kept, picture = stored(content)
    with opened(kept) as plain:
        assert plain.size == picture.image.size == (PICTURE.size if orientation < 5 else PICTURE.size[::-1])
        assert pixel_hash(plain.convert("RGB")) == pixel_hash(decode(content))
    assert TOLD not in kept


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_file_of_pixels_alone_is_kept_byte_by_byte(form: str) -> None:
    content = encoded(PICTURE, form)
    assert only_pixels(content) == content
    assert stored(content)[0] == content


def test_a_picture_that_was_stored_with_its_metadata_ships_without(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    for name, content in KEPT.items():
        mime = "image/jpeg" if name.startswith(("JPEG", "MPO")) else f"image/{name[:4].lower().strip()}"
        old = ImageRef.model_validate(
            {"sha256": blobs.put(content), "mime": mime, "width": 84, "height": 56, "nbytes": len(content)}
        )
        shipped = export_image(old, blobs)
        assert_bare(shipped.content)
        assert old.sha256 not in shipped.name


def test_a_png_of_ours_holds_no_profile_of_the_file_that_it_was_read_from() -> None:
    with opened(encoded(PICTURE, "PNG", icc_profile=TOLD)) as image:
        image.load()
        assert encode_png(image) == encode_png(PICTURE)


def _pieces(draw: random.Random) -> Iterator[bytes]:
    while draw.random() < 0.7:
        marker = draw.choice([*range(0xE0, 0xF0), 0xFE])
        head = draw.choice([b"", b"Exif\0\0", b"JFIF\0", b"ICC_PROFILE\0\1\1", b"Adobe", b"\xff\xd9\xff\xda"])
        yield segment(marker, head + draw.randbytes(draw.randrange(40)) + TOLD + draw.randbytes(draw.randrange(9)))


@given(st.integers())
def test_whatever_applications_write_between_segments_goes_and_the_pixels_stay(seed: int) -> None:
    draw = random.Random(seed)
    plain = encoded(PICTURE, "JPEG", progressive=draw.random() < 0.5)
    parts = [plain[:2], *_pieces(draw), plain[2:20], *_pieces(draw), plain[20:]]
    kept, _ = stored(b"".join(parts))
    assert TOLD not in kept
    assert pixel_hash(decode(kept)) == pixel_hash(decode(b"".join(parts)))


@given(st.binary(max_size=200), st.sampled_from(["PNG", "JPEG", "WEBP"]), st.booleans(), st.data())
def test_of_a_damaged_file_is_kept_what_was_seen_of_it(
    noise: bytes, form: str, insert: bool, data: st.DataObject
) -> None:
    content = encoded(PICTURE, form, exif=exif())
    at = data.draw(st.integers(0, len(content)))
    damaged = content[:at] + noise + content[at + (0 if insert else len(noise)) :]
    try:
        seen = decode(damaged)
    except RowError:
        return
    assert pixel_hash(decode(stored(damaged)[0])) == pixel_hash(seen)
