"""Opening image files: bounded, upright, and whatever their metadata holds.

Decoding is the one place where bytes of a stranger meet a large C library, so every bound is here:
the formats, the number of pixels, and Pillow's own bomb check raised to an error.
"""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pipeline.errors import RowError
from pipeline.images.found import found
from pipeline.images.metadata import without_metadata
from pipeline.images.pixels import Array, Shown, is_numeric, to_rgb, words_to_rgb
from pipeline.records import Scaling

MAX_PIXELS = 89_478_485
"""Where Pillow begins to warn (a quarter of a gigabyte of RGB); larger images are refused before decoding."""
_TOO_MANY = f"at most {MAX_PIXELS:,} are decoded (width times height); scale it down, at its source"
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""What is stored as it is, where every reader shows the same of it."""
MIME = {**FORMATS, "MPO": "image/jpeg"}
"""By what Pillow calls an opened file: MPO is a JPEG with further pictures behind the first, as phones write it."""
READ = (*FORMATS, "GIF", "BMP", "TIFF", "AVIF")
"""What is opened. MPO comes with JPEG, and HEIC with the extra `heif`."""

_BITS, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 258, 262, 284, 339
"""Tags of TIFF 6.0: bits of a channel; 0 where the largest number is black; how channels are laid out; 1 where numbers
have no sign."""
_SEPARATE = 2
"""Of channels: one plane after the other."""
_WORDS = re.compile(r"(RGB|RGBA|RGBX|LA);16([BLN])")
"""Raw modes of Pillow (`PIL/PngImagePlugin.py`, `PIL/TiffImagePlugin.py`) of which it keeps the high byte alone."""


class Picture(NamedTuple):
    """The first picture of a file, as every model, tool and trainer is shown it."""

    image: Image.Image
    """Upright RGB."""
    format: str
    """As Pillow calls it."""
    scaling: Scaling
    frames: int
    """Pictures in the file."""
    plain: bool
    """Every reader opens the file itself as these pixels, whatever it does about modes, transparency and EXIF."""


def open_picture(content: bytes) -> Picture:
    """Decode the first picture of a file.

    Raises:
        RowError: `image_format`, `image_too_large` or `image_undecodable`; the detail says what was found instead.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Of damaged metadata, which nobody has to act on.
            warnings.simplefilter("ignore", UserWarning)
            return _open(content)
    except (RowError, MemoryError):
        # Too little memory is this machine's failure; a file cannot ask for much within the bound.
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.search(r"\d+", str(error))  # the library's words speak of an attack
        raise RowError("image_too_large", f"{int(pixels[0]):,} pixels; {_TOO_MANY}" if pixels else _TOO_MANY) from error
    except Exception as error:
        # Pillow does not say what a damaged file may raise: whatever its parsers stumble over comes through.
        raise _refused(content, error) from error


def is_picture(content: bytes) -> bool:
    """Return whether bytes begin as a file of a format that is read; whether they can be, decoding tells."""
    return found(content).upper() in {*READ, "HEIC"}


def _refused(content: bytes, error: Exception) -> RowError:
    what = found(content)
    if not is_picture(content):
        known = ", ".join([*READ, "HEIC"])
        return RowError("image_format", f"{what}; images are {known}")
    if isinstance(error, UnidentifiedImageError):
        return RowError("image_undecodable", f"{what} whose header is truncated, damaged or of a kind that is not read")
    # Words of the decoder, where they are some; of other errors the text is a value that it stumbled over.
    words = f": {error}" if type(error) in {OSError, SyntaxError, ValueError} and str(error) else ""
    return RowError("image_undecodable", f"{what}, truncated or damaged{words}")


def _open(content: bytes) -> Picture:
    try:
        return _read(content)
    except (RowError, MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception:
        # Pillow gives up a file whose text or profile is damaged or inflates beyond its bound; the pixels may be whole.
        bare = without_metadata(content)
        if bare is None or bare == content:
            raise
        return _read(bare)._replace(plain=False)


def _read(content: bytes) -> Picture:
    file = Image.open(io.BytesIO(content), formats=_heif() if found(content) == "HEIC" else READ)
    if file.width * file.height > MAX_PIXELS:
        raise RowError("image_too_large", f"{file.width:,} x {file.height:,} pixels; {_TOO_MANY}")
    rawmode = _rawmode(file)
    if _has_wide_planes(file):
        raise RowError("image_undecodable", "TIFF of 16 bits in planes of one colour each; save it pixel by pixel")
    words = _words(content, file, rawmode)
    file.load()
    turned = orientation(file)
    shown = _shown(file, rawmode) if words is None else words_to_rgb(words, file.info.get("transparency"))
    in_8_bits = file.mode in {"L", "RGB"} and words is None and not file.has_transparency_data
    # Last: counting goes through the file, and may leave another mode behind.
    frames = _frames(file)
    turn = _UPRIGHT.get(turned)
    return Picture(
        image=shown.image if turn is None else shown.image.transpose(turn),
        format=str(file.format),
        scaling=shown.scaling,
        frames=frames,
        # Of an MPO every reader opens the first picture; of an animation some show others.
        plain=file.format in MIME and in_8_bits and turned == 1 and (frames == 1 or file.format == "MPO"),
    )


def _rawmode(file: Any) -> str:
    """Return how the pixels of an opened file are packed, as Pillow calls it; empty where it does not say."""
    arguments = file.tile[0].args if file.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _words(content: bytes, file: Any, rawmode: str) -> Array | None:
    """Return the pixels of colours of 16 bits; None where there are no such.

    Pillow unpacks the high byte of each, so that 12 bits in 16 become 16 shades. Unpacked in the other order of bytes
    the same file gives the low ones; grey with alpha is as wide as RGBA of 8 bits, and gives both.
    """
    match = _WORDS.fullmatch(rawmode)
    if match is None:
        return None
    if match[1] == "LA":
        grey_high, grey_low, alpha_high, alpha_low = np.moveaxis(_unpacked(content, file, "RGBA"), 2, 0)
        grey, alpha = (
            high.astype(np.uint16) << 8 | low for high, low in ((grey_high, grey_low), (alpha_high, alpha_low))
        )
        return np.dstack([grey, grey, grey, alpha])
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[match[2]]
    # In place: of the largest picture each copy takes half a gigabyte.
    words = _unpacked(content, file, rawmode).astype(np.uint16)
    words <<= 8
    words |= _unpacked(content, file, f"{match[1]};16{other}")
    return words


def _unpacked(content: bytes, file: Any, rawmode: str) -> Array:
    again: Any = Image.open(io.BytesIO(content), formats=[file.format])
    again.tile = [
        tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *tile.args[1:])) for tile in again.tile
    ]
    return np.asarray(again)


def _shown(file: Any, rawmode: str) -> Shown:
    hidden = file.info.get("transparency")
    if rawmode in {"L;2", "L;4"} and isinstance(hidden, int):
        # Pillow widens the pixels to 8 bits, and leaves the transparent level as the file has it.
        file.info["transparency"] = hidden * 255 // (2 ** int(rawmode[2:]) - 1)
    if file.format != "TIFF" or not is_numeric(file.mode):
        return to_rgb(file)
    # Pillow reads 32 bits as if they had a sign, whatever the file says, and looks past which end is white.
    shown = to_rgb(file, unsigned=rawmode.startswith("I;32") and file.tag_v2.get(_SAMPLE_FORMAT, (1,))[0] == 1)
    return shown._replace(image=ImageOps.invert(shown.image)) if file.tag_v2.get(_PHOTOMETRIC) == 0 else shown


def _has_wide_planes(file: Any) -> bool:
    """Return whether colours of 16 bits stand plane by plane, which Pillow takes for 8 bits or in the wrong order."""
    if file.format != "TIFF" or file.tag_v2.get(_PLANAR) != _SEPARATE:
        return False
    return len(file.getbands()) > 1 and max(file.tag_v2.get(_BITS, (8,))) > 8  # noqa: PLR2004 - bits of a channel


def _frames(file: Any) -> int:
    try:
        return min(int(getattr(file, "n_frames", 1)), 2**31 - 1)
    except MemoryError:
        raise  # this machine's failure, which is no fact of the file
    except Exception:  # noqa: BLE001 - a later picture is damaged; the first is what counts
        return 1


def reads_heic() -> bool:
    """Return whether the extra `heif` is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def _heif() -> tuple[str, ...]:
    try:
        import pillow_heif
    except ImportError as error:
        raise RowError(
            "image_format", "HEIC, which needs the extra `heif`: install coldforge[heif], or convert it to JPEG"
        ) from error
    pillow_heif.register_heif_opener()
    return ("HEIF",)


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
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in `open_picture`; damaged metadata is no reason to lose the pixels
        return None
    if not isinstance(value, int):
        return None
    # Some cameras write 0 for "unknown".
    return value if value in _UPRIGHT else 1
