"""Drawing primitives of the sheets: one font at sizes that span legibility, smooth markers, exact polygons."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from pipeline.demo.vocabulary import INK, PAPER, RGB

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


# How large labels are printed: sizes that span the edge of legibility in a model's view.
#
# `tests/benchmarks/legibility.py` measures what share of labels the OCR network of rapidocr 3.10.0 (PP-OCRv6
# small, one thread) reads exactly: from the view of a whole sheet, of half a sheet (262,144 pixels each), and
# from a crop of 616x420 pixels at native size.
#
#     px native | px view | view: name code number symbol | half: name code number symbol | crop: all kinds
#            13 |    2.65 |       0.00  0.00  0.00  0.00  |       0.03  0.04  0.22  0.08  |  1.00
#            15 |    3.06 |       0.00  0.00  0.00  0.00  |       0.08  0.29  0.44  0.17  |  1.00
#            17 |    3.47 |       0.00  0.00  0.00  0.00  |       0.39  0.42  0.61  0.29  |  1.00
#            19 |    3.88 |       0.03  0.06  0.22  0.06  |       0.78  0.42  0.86  0.50  |  1.00
#            22 |    4.49 |       0.17  0.22  0.33  0.25  |       0.92  0.88  0.97  0.83  |  1.00
#            24 |    4.90 |       0.22  0.47  0.67  0.31  |       0.83  1.00  1.00  0.88  |  1.00
#            26 |    5.31 |       0.50  0.81  0.81  0.67  |       1.00  1.00  0.97  0.88  |  1.00
#            28 |    5.72 |       0.92  0.81  0.78  0.61  |       1.00  1.00  1.00  0.88  |  1.00
#            30 |    6.12 |       0.81  0.92  0.83  0.78  |       0.92  1.00  1.00  0.88  |  1.00
#            33 |    6.74 |       0.86  0.92  1.00  0.86  |       0.97  1.00  1.00  0.96  |  1.00
#            36 |    7.35 |       1.00  0.97  1.00  0.97  |       1.00  1.00  1.00  1.00  |  1.00
#            40 |    8.17 |       1.00  0.97  1.00  0.92  |       1.00  1.00  1.00  1.00  |  1.00
#            44 |    8.98 |       1.00  1.00  1.00  0.97  |       1.00  1.00  1.00  1.00  |  1.00
#
# 36 labels of each kind in a view, fewer in a half, three in the crops. So the edge is at 4.5 to 6 pixels.
READABLE: Final = (36, 38, 40, 44)
"""Read from the view of the whole sheet nearly always. Pixels of the sheet, as all sizes here."""
EDGE: Final = (22, 24, 26, 28)
"""Read from it between one time in five and four times in five, from half a sheet nearly always."""
HIDDEN: Final = (13, 14, 15, 17, 19)
"""Hardly ever read from it; from half a sheet at 19 mostly, at 13 hardly ever, so that some need a closer look."""

BANDS: Final = (READABLE, EDGE, HIDDEN)


def label_sizes(count: int, rng: random.Random) -> list[int]:
    """Return `count` sizes in native pixels, the bands in equal shares (up to rounding), in random order."""
    order = list(BANDS)
    rng.shuffle(order)
    sizes = [rng.choice(order[index % len(order)]) for index in range(count)]
    rng.shuffle(sizes)
    return sizes
