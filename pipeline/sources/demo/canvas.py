"""Drawing primitives of the sheets: one font, smooth markers, exact polygons."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from pipeline.sources.demo.palette import INK, PAPER, RGB

SHEET = (2880, 2080)
"""Pixels of a sheet: 5.99 megapixels, whose view of 262,144 pixels has 0.209 of the length."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Point = tuple[float, float]


def seeded(*parts: object) -> random.Random:
    """Return a generator that depends on `parts` alone."""
    # Deterministic figures, not secrets; seeding with text hashes it with SHA-512 on every platform.
    return random.Random("/".join(str(part) for part in parts))  # noqa: S311


def new_sheet(size: tuple[int, int] = SHEET, colour: RGB = PAPER) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty RGB image and its pen."""
    image = Image.new("RGB", size, colour)
    return image, ImageDraw.Draw(image)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the face that Pillow embeds (Aileron Regular, CC0) at `size` pixels: the same on every machine."""
    embedded = ImageFont.load_default(size)
    assert isinstance(embedded, ImageFont.FreeTypeFont)  # noqa: S101 - with a size it always is
    # Basic layout: Raqm is an optional part of Pillow and would place letters differently.
    return ImageFont.truetype(io.BytesIO(embedded.font_bytes), size, layout_engine=ImageFont.Layout.BASIC)


def text_width(text: str, size: int) -> float:
    """Return the advance width of `text` in pixels."""
    return font(size).getlength(text)


def write(pen: ImageDraw.ImageDraw, at: Point, text: str, size: int, anchor: str = "lm") -> None:
    """Write one line; `anchor` is Pillow's (`lm`: left end, vertical middle of the letters)."""
    pen.text(at, text, font=font(size), fill=INK, anchor=anchor)


def draw_marker(image: Image.Image, centre: Point, size: int, shape: str, colour: RGB) -> None:
    """Draw a filled marker of `size` pixels across with smooth edges."""
    factor = 4  # four samples per pixel and axis: 17 levels of grey on an edge
    side = size * factor
    mask = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(mask)
    match shape:
        case "circle":
            pen.ellipse((0, 0, side - 1, side - 1), fill=255)
        case "square":
            pen.rectangle((0, 0, side - 1, side - 1), fill=255)
        case "triangle":
            pen.polygon([(side / 2, 0), (side - 1, side - 1), (0, side - 1)], fill=255)
        case "diamond":
            pen.polygon([(side / 2, 0), (side - 1, side / 2), (side / 2, side - 1), (0, side / 2)], fill=255)
        case other:
            raise ValueError(f"no such marker: {other}")
    corner = (round(centre[0] - size / 2), round(centre[1] - size / 2))
    image.paste(colour, corner, mask.reduce(factor))


def overlaps(box: Box, others: Iterable[Box], margin: float) -> bool:
    """Return whether `box` comes closer than `margin` pixels to any of `others`."""
    left, top, right, bottom = box
    return any(
        left - margin < other[2]
        and other[0] < right + margin
        and top - margin < other[3]
        and other[1] < bottom + margin
        for other in others
    )


def inside(box: Box, frame: Box) -> bool:
    """Return whether `box` lies in `frame`."""
    return frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3]


def frame_rectangle(pen: ImageDraw.ImageDraw, box: Sequence[float], width: int, colour: RGB) -> None:
    """Draw a rectangle's border of `width` pixels inside `box`."""
    pen.rectangle([round(side) for side in box], outline=colour, width=width)


def png(image: Image.Image) -> bytes:
    """Encode with fixed parameters; flat figures gain nothing from a slower level."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
