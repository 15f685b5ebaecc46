"""What hosted providers count for an image: for estimates before anything is sent."""

from __future__ import annotations

import math
from typing import Literal, assert_never

from pipeline.students.family import Size

ImageRule = Literal["claude", "claude_before_4_7", "gemini", "gemini_2"]
"""Families by how they count."""

CLAUDE_PATCH = 28
"""Pixels a side; an image is padded to whole patches (Anthropic's vision guide, 2026)."""
GEMINI_TOKENS = 1_120
"""Upper limit of Gemini 3 and later at the default `media_resolution`. A public table of counts has 1,065 to 1,101 for
images of 256 pixels a side to 12 megapixels, prompt included (2026), so size hardly matters."""
GEMINI_TILE_TOKENS = 258
GEMINI_SMALL_SIDE = 384
"""Up to this many pixels a side an image of Gemini 2 is a single tile."""
GEMINI_CROP = 1.5
"""A tile of Gemini 2 is as wide as the shorter side divided by this: a rough formula, not checked against the API."""


def image_tokens(rule: ImageRule, size: Size) -> int:
    """Return about how many prompt tokens an image of `size` pixels takes."""
    match rule:
        case "claude":
            return _claude(size, longest=2_576, most=4_784)
        case "claude_before_4_7":
            return _claude(size, longest=1_568, most=1_568)
        case "gemini":
            return GEMINI_TOKENS
        case "gemini_2":
            return _tiles(size) * GEMINI_TILE_TOKENS
        case other:
            assert_never(other)


def _claude(size: Size, *, longest: int, most: int) -> int:
    """Count whole patches; what is above a model's native resolution is shrunk to it first."""
    shrink = min(1.0, longest / max(size))
    columns, rows = (math.ceil(side * shrink / CLAUDE_PATCH) for side in size)
    return min(columns * rows, most)


def _tiles(size: Size) -> int:
    if max(size) <= GEMINI_SMALL_SIDE:
        return 1
    tile = max(1, int(min(size) / GEMINI_CROP))
    return math.ceil(size.width / tile) * math.ceil(size.height / tile)
