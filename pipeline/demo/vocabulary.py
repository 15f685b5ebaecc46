"""The words of the demo's questions, with the colours that they name: generators write them, `reader` understands them.

A colour word marks at most one thing per sheet (of dots: one class). All else on a sheet is white, black, grey or so
pale that a colour is still found by its distance after the sheet was shrunk to a view.
"""

from __future__ import annotations

from typing import Final

MAP_LABEL: Final = "Which place name is printed next to the {colour} {shape}?"
TABLE_ELEVATION: Final = "What elevation in feet is printed in the row marked with the {colour} square?"
TABLE_ICAO: Final = "Which ICAO code is printed in the row marked with the {colour} square?"
CHART_DIFFERENCE: Final = (
    "What is the value printed above the {colour1} bar minus the value printed above the {colour2} bar?"
)
CHART_SUM: Final = "What is the sum of the values printed above the {colour1} bar and the {colour2} bar?"
REGION_RATIO: Final = (
    "In this picture, how many times as large as the {colour1} region is the {colour2} region by area? "
    "Answer within 3 %."
)
DOT_COUNT: Final = "How many {colour} dots are drawn on the map?"
OUTLINE_FACT: Final = "What is the {fact} of the country whose outline is shown?"
ELEMENT_FACT: Final = "What is the standard atomic weight of the element in the {colour} frame? Answer within 1 %."

FACTS: Final = (
    "internet country code top-level domain",
    "international telephone calling code",
    "ISO 4217 currency code",
)
"""What `OUTLINE_FACT` asks for."""


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
