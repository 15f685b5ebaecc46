"""The questions that the demo asks, word for word: the generators fill them in, `reader` understands them."""

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
