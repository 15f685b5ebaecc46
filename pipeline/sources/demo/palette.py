"""The colours and shapes that the demo's questions name, shared by the generators and the `reader` model.

All else on a sheet is white, black, grey or so pale that a colour is still found by its distance after
the sheet was shrunk to a view.
"""

from __future__ import annotations

from typing import Final

RGB = tuple[int, int, int]

COLOURS: Final[dict[str, RGB]] = {
    "red": (220, 30, 30),
    "blue": (30, 70, 220),
    "green": (20, 150, 60),
    "orange": (245, 140, 0),
    "purple": (130, 40, 170),
    "cyan": (0, 175, 200),
    "magenta": (225, 20, 150),
    "brown": (125, 75, 30),
    "olive": (130, 130, 0),
    "navy": (15, 25, 95),
}
"""Colour word → RGB. A colour marks at most one thing per sheet (of dots: one class)."""

SHAPES: Final = ("circle", "square", "triangle", "diamond")
"""Shape words of map markers."""

PAPER: Final[RGB] = (255, 255, 255)
INK: Final[RGB] = (20, 20, 20)
"""Text."""
GREY: Final[RGB] = (120, 120, 120)
"""Dots of places that are not asked for, filled outlines."""
RULE: Final[RGB] = (205, 205, 205)
"""Grid lines, borders."""
LAND: Final[RGB] = (246, 245, 241)
SEA: Final[RGB] = (233, 239, 244)
"""Backgrounds of maps: saturation far below that of any colour of `COLOURS`."""
