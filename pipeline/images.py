"""Images: decode once and bounded, encode, hash.

Decoding is the one place where bytes of a stranger meet a large C library, so every bound is here:
the formats, the number of pixels, and Pillow's own bomb check raised to an error.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import NamedTuple

from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.errors import RowError
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore

MAX_PIXELS = 89_478_485
"""Where Pillow begins to warn (a quarter of a gigabyte of RGB); larger images are refused before decoding."""
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_MIME = {**FORMATS, "MPO": "image/jpeg"}
"""By what Pillow calls an opened file: MPO is a JPEG with further pictures behind the first, as phones write it."""
HASH_RECIPE = "phash64+dhash64/pillow-L-lanczos/v1"
"""The exact recipe of `imagehash` on a full decode; hashes of other recipes are never compared with it."""


def decode(content: bytes) -> Image.Image:
    """Decode to an upright RGB image; of a file with several pictures, the first.

    Raises:
        RowError: `image_format`, `image_too_large` or `image_undecodable`.
    """
    return _decode(content).image


class _Decoded(NamedTuple):
    image: Image.Image
    mime: str


def _decode(content: bytes) -> _Decoded:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Of damaged metadata, which nobody has to act on.
            warnings.simplefilter("ignore", UserWarning)
            file = Image.open(io.BytesIO(content), formats=list(FORMATS))
            _require_size(file)
            file.load()
            turn = _UPRIGHT.get(orientation(file))
            upright = file if turn is None else file.transpose(turn)
            return _Decoded(_flatten(upright), _MIME[str(file.format)])
    except (RowError, MemoryError):
        # Too little memory is this machine's failure; a file cannot ask for much within the bound.
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RowError("image_too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise RowError("image_format", f"not one of {', '.join(FORMATS)}") from error
    except Exception as error:
        # Pillow does not say what a damaged file may raise: whatever its parsers stumble over comes through.
        raise RowError("image_undecodable", f"{type(error).__name__}: {error}") from error


def _require_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise RowError("image_too_large", f"{image.width}x{image.height} pixels, at most {MAX_PIXELS}")


# By EXIF orientation (CIPA DC-008, tag 0x0112): what turns the stored pixels upright; 1 is upright already.
_UPRIGHT: dict[int | None, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation of an opened file, 1 to 8; 1 where it states none, None where EXIF is damaged.

    Only this tag is read. `ImageOps.exif_transpose` writes the whole block anew and fails on any odd tag.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - as in `_decode`; damaged metadata is no reason to lose the pixels
        return None
    if not isinstance(value, int):
        return None
    # Some cameras write 0 for "unknown".
    return value if value in _UPRIGHT else 1


def _flatten(image: Image.Image) -> Image.Image:
    """Return RGB; transparent pixels become white, as in a viewer."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def encode_png(image: Image.Image) -> bytes:
    """Encode with fixed parameters, so that equal pixels give equal bytes."""
    buffer = io.BytesIO()
    # Level 1: a view is read back within the run; level 6 takes four times the CPU for about 15 % less.
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def put_image(blobs: BlobStore, content: bytes) -> ImageRef:
    """Check that `content` decodes, store it unchanged and return its reference.

    Raises:
        RowError: as `decode`.
    """
    image, mime = _decode(content)
    return ImageRef.model_validate(
        {
            "sha256": blobs.put(content),
            "mime": mime,
            "width": image.width,
            "height": image.height,
            "nbytes": len(content),
        }
    )


def pixel_hash(image: Image.Image) -> str:
    """Return the sha256 of mode, size and pixels: the identity of what is seen, whatever the file."""
    header = f"{image.mode} {image.width} {image.height}\n".encode()
    return hashlib.sha256(header + image.tobytes()).hexdigest()


class PerceptualHashes(NamedTuple):
    """64-bit hashes as unsigned numbers, most significant bit first in row-major order."""

    phash: int
    dhash: int


def perceptual_hashes(image: Image.Image) -> PerceptualHashes:
    """Return phash and dhash of an RGB image by the recipe `HASH_RECIPE`."""
    import imagehash

    grey = image.convert("L")
    return PerceptualHashes(int(str(imagehash.phash(grey)), 16), int(str(imagehash.dhash(grey)), 16))
