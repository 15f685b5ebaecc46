"""Parts of the original image: where to look, and crops on a grid so that rollouts and questions share them."""

from __future__ import annotations

import math
from typing import NamedTuple

from pipeline.demo.reader.perception import Box
from pipeline.students.family import FAMILIES


class Part(NamedTuple):
    """A crop in whole original pixels."""

    x0: int
    y0: int
    x1: int
    y1: int


class Extent(NamedTuple):
    """Width and height of the original."""

    width: int
    height: int


CELL = (616, 420)
"""A crop of this size is 258,720 pixels in multiples of 28: the largest the student sees without shrinking it."""
_ALIGNED = FAMILIES["qwen2_5_vl"].patch
"""Grids are multiples of this, so that few of them differ."""


def cell_around(wanted: Box, image: Extent, cell: tuple[int, int] = CELL) -> Part:
    """Return the crop on a grid whose middle is nearest to that of `wanted`, which lies wholly inside.

    The grid has half cells, or closer ones where `wanted` leaves less room. A `wanted` larger than a cell takes
    a cell of twice, three times … the size.
    """
    times = max(1, math.ceil(wanted.width / cell[0]), math.ceil(wanted.height / cell[1]))
    sides = [min(side * times, whole) for side, whole in zip(cell, image, strict=True)]
    steps = [
        max(1, min(side // 2, math.floor(side - size) // _ALIGNED * _ALIGNED))
        for side, size in zip(sides, (wanted.width, wanted.height), strict=True)
    ]
    x0, y0 = (
        min(max(0, round((middle - side / 2) / step) * step), whole - side)
        for middle, side, step, whole in zip(wanted.centre, sides, steps, image, strict=True)
    )
    return Part(x0, y0, x0 + sides[0], y0 + sides[1])


def half_with(place: Box, image: Extent) -> Part:
    """Return the half of the image, cut across its longer side, that holds the middle of `place`."""
    x, y = place.centre
    if image.width >= image.height:
        middle = image.width // 2
        return Part(0, 0, middle, image.height) if x < middle else Part(middle, 0, image.width, image.height)
    middle = image.height // 2
    return Part(0, 0, image.width, middle) if y < middle else Part(0, middle, image.width, image.height)


def within(box: Box, image: Extent, margin: float = 0.0) -> Part:
    """Return `box` widened by `margin`, in whole pixels inside the image."""
    return Part(
        max(0, math.floor(box.x0 - margin)),
        max(0, math.floor(box.y0 - margin)),
        min(image.width, math.ceil(box.x1 + margin)),
        min(image.height, math.ceil(box.y1 + margin)),
    )
