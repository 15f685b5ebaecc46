"""The images of an export: the bytes that a trainer opens must show what coldforge saw."""

from __future__ import annotations

import hashlib
import io
from typing import NamedTuple

from PIL import Image

from pipeline.images import FORMATS, decode, encode_png, only_pixels, orientation
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore

_PLAIN_MODES = {"L", "RGB"}
"""Modes that need no conversion on which readers could differ."""
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class ExportImage(NamedTuple):
    """An encoded image under the name it gets in an export."""

    name: str
    """`<sha256>.<extension>`."""
    content: bytes

    @property
    def sha256(self) -> str:
        """Return the hash of the content."""
        return self.name.partition(".")[0]


def export_image(ref: ImageRef, blobs: BlobStore) -> ExportImage:
    """Return the bytes to ship: the stored ones.

    `put_image` stores what every reader opens alike, without metadata. A cached search may lead to a picture that was
    stored before it did so: its metadata stays behind, and where a plain `Image.open` would show something else, a PNG
    of what the rollouts saw is shipped.

    Raises:
        InfrastructureError: the blob is missing or damaged.
        RowError: the stored image does not decode.
    """
    content = blobs.get(ref.sha256)
    kept = only_pixels(content) if _shows_itself(content) else None
    if kept == content:
        return ExportImage(f"{ref.sha256}.{EXTENSIONS[ref.mime]}", content)
    shipped, extension = (encode_png(decode(content)), "png") if kept is None else (kept, EXTENSIONS[ref.mime])
    return ExportImage(f"{hashlib.sha256(shipped).hexdigest()}.{extension}", shipped)


def _shows_itself(content: bytes) -> bool:
    with Image.open(io.BytesIO(content), formats=list(FORMATS)) as header:
        return header.mode in _PLAIN_MODES and "transparency" not in header.info and orientation(header) == 1
