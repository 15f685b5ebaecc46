"""Leaving metadata out of an image file whose pixels are wanted: damaged or huge, it is no reason to lose them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from PIL import PngImagePlugin

# What decides what is shown, how many pictures there are, or which way is up; all else that is no pixel can go.
_CHUNKS = {b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf"}
"""Ancillary chunks of PNG."""
_TURNING = {b"Raw profile type exif", b"XML:com.adobe.xmp"}
"""Keywords of text chunks of PNG that may hold an orientation."""
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_EXIF = b"Exif\0\0"
_WRITTEN = {*range(0xE0, 0xF0), 0xFE} - {0xEE}
"""Markers of what applications wrote into a JPEG, and of comments. Adobe's, APP14, stays: it says which colours the
components are."""


def without_metadata(content: bytes) -> bytes | None:
    """Return a PNG or JPEG without the metadata that Pillow may refuse it for; None if it is neither."""
    if content.startswith(_PNG):
        return _PNG + b"".join(chunk for chunk in _chunks(content) if _is_kept(chunk))
    return _JPEG + b"".join(_segments(content)) if content.startswith(_JPEG) else None


def _segments(content: bytes) -> Iterator[bytes]:
    """Yield the segments of a JPEG but comments and what applications wrote, and the rest from the first scan on."""
    at = len(_JPEG)
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] not in {b"", b"\xda"}:
        marker, size = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        segment = content[at : at + 2 + size]
        if marker not in _WRITTEN or segment[4:].startswith(_EXIF):
            yield segment
        at += 2 + size
    yield content[at:]


def _chunks(content: bytes) -> Iterator[bytes]:
    """Yield the chunks of a PNG whole: length, kind, body and checksum; of a cut file the last is what is left."""
    at = len(_PNG)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        yield content[at:end]
        at = end


def _is_kept(chunk: bytes) -> bool:
    kind, body = chunk[4:8], chunk[8:-4]
    if kind[:1].isupper():
        return True
    if zlib.crc32(kind + body) != int.from_bytes(chunk[-4:], "big"):
        return False
    keyword, _, text = body.partition(b"\0")
    # Eight bytes of acTL: how many pictures, and how often they are played.
    whole = kind != b"acTL" or len(body) == 8  # noqa: PLR2004 - as said
    return (kind in _CHUNKS and whole) or (keyword in _TURNING and _inflates_little(kind, text))


def _inflates_little(kind: bytes, text: bytes) -> bool:
    """Return whether a text chunk is within the bound above which Pillow refuses the file."""
    most = PngImagePlugin.MAX_TEXT_CHUNK
    match kind:
        case b"zTXt":
            packed = text[1:]
        case b"iTXt" if text[:1] == b"\1":
            packed = text[2:].split(b"\0", 2)[-1]
        case _:
            return len(text) <= most
    try:
        return len(zlib.decompressobj().decompress(packed, most + 1)) <= most
    except zlib.error:
        return False
