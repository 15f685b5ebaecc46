"""Images: decode once and bounded, encode, hash.

What a file holds becomes the upright RGB picture that models, tools and trainers are all shown:
`docs/design/010-pixels.md`.
"""

from __future__ import annotations

import hashlib
import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.files import (
    FORMATS,
    MAX_PIXELS,
    MIME,
    READ,
    Picture,
    is_picture,
    open_picture,
    orientation,
    reads_heic,
)
from pipeline.images.metadata import only_pixels
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "READ",
    "Picture",
    "is_picture",
    "only_pixels",
    "open_picture",
    "orientation",
    "reads_heic",
]

HASH_RECIPE = "phash64+dhash64/pillow-L-lanczos/v1"
"""The exact recipe of `imagehash` on a full decode; hashes of other recipes are never compared with it."""
PIXEL_RECIPE = "rgb8/scaled/on-white/upright/first/v2"
"""How a file becomes a picture. Plain files of 8 bits come out alike under all of them; it rises when others do not."""


def decode(content: bytes) -> Image.Image:
    """Decode to an upright RGB image; of a file with several pictures, the first.

    Raises:
        RowError: `image_format`, `image_too_large` or `image_undecodable`.
    """
    return open_picture(content).image


def encode_png(image: Image.Image) -> bytes:
    """Encode with fixed parameters, so that equal pixels give equal bytes."""
    buffer = io.BytesIO()
    # Level 1: a view is read back within the run; level 6 takes four times the CPU for about 15 % less. Pillow would
    # write the profile of the file that the image was read from.
    image.save(buffer, "PNG", compress_level=1, icc_profile=None)
    return buffer.getvalue()


def stored(content: bytes) -> tuple[bytes, Picture]:
    """Return the bytes to keep of a file, which show every reader what `decode` shows and no more, and its picture.

    They are the file's own without its metadata (`only_pixels`), if it is a PNG, JPEG or WebP of 8 bits that needs no
    turning and no background. Trainers and model-written code convert to RGB in ways of their own: they clip 16 bits,
    put black behind transparency, look past EXIF, stop at large or damaged metadata. What they would see otherwise is
    kept as a PNG of its picture.

    Raises:
        RowError: as `decode`.
    """
    picture = open_picture(content)
    kept = only_pixels(content) if picture.plain else None
    if kept is None:
        return encode_png(picture.image), picture._replace(plain=False)
    return kept, picture


def put_image(blobs: BlobStore, content: bytes) -> ImageRef:
    """Check that `content` decodes, store it as in `stored` and return its reference.

    Raises:
        RowError: as `decode`.
    """
    kept, picture = stored(content)
    return ImageRef.model_validate(
        {
            "sha256": blobs.put(kept),
            "mime": MIME[picture.format] if picture.plain else "image/png",
            "width": picture.image.width,
            "height": picture.image.height,
            "nbytes": len(kept),
            "frames": picture.frames,
            "scaling": picture.scaling,
        }
    )


def pixel_hash(image: Image.Image) -> str:
    """Return the sha256 of mode, size and pixels: the identity of what is seen, whatever the file."""
    header = f"{image.mode} {image.width} {image.height}\n".encode()
    return hashlib.sha256(header + image.tobytes()).hexdigest()


def contrast(image: Image.Image) -> int:
    """Return the widest range of a channel, in levels of 0 to 255, after averaging blocks of 4 by 4 pixels.

    Averaging takes out the noise of sensors and of JPEG, and leaves thin print.
    """
    bands = (band.getextrema() for band in image.reduce(4).split())
    return max(int(high) - int(low) for low, high in bands)  # type: ignore[arg-type]  # of one band it is two numbers


class PerceptualHashes(NamedTuple):
    """64-bit hashes as unsigned numbers, most significant bit first in row-major order."""

    phash: int
    dhash: int
    mirrored_phash: int
    """Of the picture with left and right exchanged."""
    mirrored_dhash: int


def perceptual_hashes(image: Image.Image) -> PerceptualHashes:
    """Return phash and dhash of an RGB image by the recipe `HASH_RECIPE`, and those of its mirror image."""
    import imagehash

    grey = image.convert("L")
    # At the sizes that the hashes are taken from, so that resizing, which is nearly all of the work, is done once.
    small, tiny = (grey.resize(size, Image.Resampling.LANCZOS) for size in ((32, 32), (9, 8)))
    mirrored_small, mirrored_tiny = (part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for part in (small, tiny))
    hashes = (
        *(imagehash.phash(small), imagehash.dhash(tiny)),
        *(imagehash.phash(mirrored_small), imagehash.dhash(mirrored_tiny)),
    )
    return PerceptualHashes(*(_number(value.hash) for value in hashes))


def _number(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
