"""From the pixels of any mode of Pillow to RGB of 8 bits: scaled, never clipped.

`Image.convert` clips what has more than 8 bits, so that a 16-bit picture becomes white; and it drops transparency, so
that what a viewer hides shows. The policy stands in `docs/design/010-pixels.md`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pipeline.records import Scaling

WORD, TWELVE_BITS = 65_535, 4_095
"""What integers are scaled by: the full range of 16 bits, or that of 12 where nothing is above it, as cameras, scanners
and medical devices store 12 bits in 16."""
BACKGROUND = "white"
"""Behind transparency, as in the viewers of browsers and on paper; what annotators saw."""
_BAND = 1 << 20
"""Pixels that are scaled at once: their 8 MB of doubles are little beside the largest picture's 256 MB."""

Array = np.ndarray[Any, np.dtype[Any]]


class Shown(NamedTuple):
    """An RGB image, and how its values were made."""

    image: Image.Image
    scaling: Scaling


def is_numeric(mode: str) -> bool:
    """Return whether pixels of a mode are numbers of more than 8 bits."""
    return mode == "F" or mode.startswith("I")


def to_rgb(image: Image.Image, *, unsigned: bool = False) -> Shown:
    """Return a loaded image of any mode as RGB, with white behind transparency.

    `unsigned` says that the numbers of mode I have no sign. CMYK is converted without its profile, as trainers do; LAB
    through littleCMS to sRGB.
    """
    if is_numeric(image.mode):
        return _grey_to_rgb(image, unsigned=unsigned)
    if not image.has_transparency_data:
        return Shown(image.convert("RGB"), "none")
    # Pillow converts premultiplied grey to nothing else.
    straight = image.convert("LA") if image.mode == "La" else image
    return Shown(_on_background(straight.convert("RGBA")), "none")


def words_to_rgb(words: Array, hidden: tuple[int, ...] | None = None) -> Shown:
    """Return RGB of pixels of 16 bits a channel: rows, columns and RGB or RGBA.

    `hidden` is the colour that the file calls transparent. Alpha is scaled by the rule for itself: of 12-bit colours
    it may be of either width.
    """
    colours, scaling = scaled(words[..., :3])
    if words.shape[2] == 3 and hidden is None:  # noqa: PLR2004 - channels
        return Shown(Image.fromarray(colours), scaling)
    alpha = np.full(words.shape[:2], 255, np.uint8) if words.shape[2] == 3 else scaled(words[..., 3])[0]  # noqa: PLR2004
    if hidden is not None:
        alpha[(words[..., :3] == hidden).all(axis=2)] = 0
    image = Image.fromarray(np.dstack([colours, alpha]))
    return Shown(_on_background(image), scaling)


def scaled(values: Array) -> tuple[Array, Scaling]:
    """Return values of 8 bits for numbers of any kind, and what they were scaled by.

    Integers: by 4,095 where the maximum is at most that, else by 65,535. Floats within 0 to 1: by 1. Others, and
    integers of no such range: by their own range. NaN is left out of the range and becomes black, infinities become its
    ends; a constant picture without a range becomes black.
    """
    if np.issubdtype(values.dtype, np.integer):
        low, high = values.min(), values.max()
        if low >= 0 and high <= WORD:
            most = TWELVE_BITS if high <= TWELVE_BITS else WORD
            table = ((np.arange(most + 1) * 255 + most // 2) // most).astype(np.uint8)
            return table[values], "by_4095" if most == TWELVE_BITS else "by_65535"
        return _stretched(values, float(low), float(high)), "by_range"
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8), "by_range"
    some = values.flat[finite.argmax()]
    low, high = (bound(values, where=finite, initial=some) for bound in (np.min, np.max))
    if low >= 0 and high <= 1:
        return _stretched(values, 0.0, 1.0), "by_1"
    return _stretched(values, float(low), float(high)), "by_range"


def _stretched(values: Array, low: float, high: float) -> Array:
    rows = max(1, _BAND // max(1, values[0].size))
    bands = []
    for start in range(0, len(values), rows):
        band = values[start : start + rows].astype(np.float64)
        np.nan_to_num(band, copy=False, nan=low, posinf=high, neginf=low)
        bands.append(np.rint((band - low) * (255 / ((high - low) or 1.0))).astype(np.uint8))
    return np.concatenate(bands)


def _grey_to_rgb(image: Image.Image, *, unsigned: bool) -> Shown:
    # Of the modes of 16 bits numpy knows three by name; Pillow converts the others without loss.
    values = np.asarray(image if image.mode in {"I;16", "I;16B", "I", "F"} else image.convert("I"))
    grey, scaling = scaled(values.view(np.uint32) if unsigned else values)
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        grey = np.where(values == hidden, np.uint8(255), grey)
    return Shown(Image.fromarray(grey).convert("RGB"), scaling)


def _on_background(rgba: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", rgba.size, BACKGROUND), rgba).convert("RGB")
