"""Leaving metadata out of an image file: what stands beside the pixels tells of people, or costs the pixels.

`only_pixels` leaves what everybody needs to see the picture, and nothing else: the bytes that are kept and ship.
`without_metadata` is for reading a damaged file, and leaves what says which way is up.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

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
_SEEN = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"bKGD", b"pHYs"}
"""Chunks of PNG that are pixels, or numbers that tell how to show them. A profile (iCCP) is none: it names the device
that it was made for, sometimes by its owner, and no reader of ours applies it (010)."""
_HEADS = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}
"""Marker → how the segment of an application begins that says which colours there are, and how many of its bytes are
used (ITU-T T.871; T.872, 6.5.3): behind them stands anything."""
_THUMBNAIL = 2
"""Bytes at the end of JFIF's: the size of a thumbnail that follows."""
_SCAN, _END, _ADOBE = 0xDA, 0xD9, 0xEE
# In a scan 0xFF is data before 0 and before the marks between its intervals; doubled it is filling. 0x01 and 0xD8 have
# no length, and no place here.
_MARKER = re.compile(rb"\xff+[^\x00\x01\xff\xd0-\xd8]", re.DOTALL)
# Without the filling, which may stay: a search for one certain byte takes a third of the time.
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]", re.DOTALL)
_BITSTREAMS = {b"VP8 ", b"VP8L"}


def only_pixels(content: bytes) -> bytes | None:
    """Return a PNG, JPEG or WebP with its pixels and nothing else of the picture; None if that cannot be told apart.

    No byte of the pixels is touched, so that they decode as before. What goes: EXIF, XMP, IPTC, comments, texts, times,
    profiles, thumbnails, whatever follows the first picture (further pictures of an MPO, films, trailers), and what
    nobody knows. Only for files of one upright, opaque picture: which way is up, and what is transparent, goes too.
    """
    try:
        if content.startswith(_PNG):
            return _joined(content, [memoryview(_PNG), *_seen_chunks(content)])
        if content.startswith(_JPEG):
            return _joined(content, [memoryview(_JPEG), *_seen_segments(content)])
        return _bitstream(content) if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """A file that does not follow its format where metadata would have to be told from pixels."""


def _joined(content: bytes, parts: Sequence[bytes | memoryview]) -> bytes:
    """Return parts of a file as one: views of what stands in it, and bytes that are new. All of it is no copy."""
    whole = sum(map(len, parts)) == len(content) and all(isinstance(part, memoryview) for part in parts)
    return content if whole else b"".join(parts)


def _seen_chunks(content: bytes) -> Iterator[memoryview]:
    for chunk in _chunks(content):
        kind = bytes(chunk[4:8])
        if kind in _SEEN:
            yield chunk
        elif kind[:1].isupper():
            raise _UnknownError
        if kind == b"IEND":
            return
    raise _UnknownError


def _seen_segments(content: bytes) -> Iterator[bytes | memoryview]:
    """Yield the segments and scans of the first picture of a JPEG, to its end."""
    at, view = len(_JPEG), memoryview(content)
    while (marker := _MARKER.match(content, at)) is not None:
        kind, body = content[marker.end() - 1], marker.end()
        if kind == _END:
            yield view[body - 2 : body]
            return
        size = int.from_bytes(content[body : body + 2], "big")
        segment = view[body - 2 : body + size]
        if size < 2 or body + size > len(content):  # noqa: PLR2004 - the length counts itself
            raise _UnknownError
        at = body + size
        yield from _used(kind, segment)
        if kind == _SCAN:
            following = _MARKER_IN_SCAN.search(content, at)
            if following is None:
                raise _UnknownError
            yield view[at : following.start()]
            at = following.start()
    raise _UnknownError


def _used(kind: int, segment: memoryview) -> Iterator[bytes | memoryview]:
    """Yield what is used of a segment of JPEG; of what applications wrote, that is what tells its colours."""
    if kind not in _HEADS:
        if kind not in _WRITTEN:
            yield segment
        return
    begin, size = _HEADS[kind]
    head = bytes(segment[4 : 4 + size])
    if head.startswith(begin) and len(head) == size:
        head = head if kind == _ADOBE else head[:-_THUMBNAIL] + bytes(_THUMBNAIL)
        used = bytes(segment[:2]) + (2 + size).to_bytes(2, "big") + head
        yield segment if used == segment else used


def _bitstream(content: bytes) -> bytes:
    """Return a WebP of nothing but its one picture, as the simple form of the format has it."""
    found, at = [], 12
    end = min(len(content), 8 + int.from_bytes(content[4:8], "little"))
    while at + 8 <= end:
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] in _BITSTREAMS:
            found.append(content[at : at + 8 + size])
        at += 8 + size + size % 2
    if len(found) != 1 or len(found[0]) < 8 + int.from_bytes(found[0][4:8], "little"):
        raise _UnknownError
    chunk = found[0] + b"\0" * (len(found[0]) % 2)
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


def without_metadata(content: bytes) -> bytes | None:
    """Return a PNG or JPEG without the metadata that Pillow may refuse it for; None if it is neither."""
    if content.startswith(_PNG):
        return _PNG + b"".join(chunk for chunk in map(bytes, _chunks(content)) if _is_kept(chunk))
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


def _chunks(content: bytes) -> Iterator[memoryview]:
    """Yield the chunks of a PNG whole: length, kind, body and checksum; of a cut file the last is what is left."""
    at, view = len(_PNG), memoryview(content)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        yield view[at:end]
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
