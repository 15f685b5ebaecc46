"""The questions the reader understands; anything else is `unknown`, and is answered by reading or a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final, Literal, NamedTuple

from pipeline.demo import vocabulary
from pipeline.demo.vocabulary import COLOURS, SHAPES

Family = Literal[
    "map_label",
    "table_elevation",
    "table_icao",
    "table_city",
    "chart_difference",
    "chart_sum",
    "region_ratio",
    "dot_count",
    "outline_fact",
    "element_fact",
    "unknown",
]

TABLE_CITY: Final = "Which of the following cities is named in the row marked with the {colour} square?"
"""Of a planted row, which keeps its options."""

_THINGS: Final[dict[Family, str]] = {
    "table_elevation": "square",
    "table_icao": "square",
    "table_city": "square",
    "chart_difference": "bar",
    "chart_sum": "bar",
    "element_fact": "frame",
}
_SUBJECTS: Final[dict[Family, str]] = {
    "map_label": "the label of the",
    "table_elevation": "the elevation in the row with the",
    "table_icao": "the ICAO code in the row with the",
    "table_city": "the city in the row with the",
    "chart_difference": "the value above the",
    "chart_sum": "the value above the",
    "element_fact": "the tile in the",
}


@dataclass(frozen=True)
class Ask:
    """A question, understood; fields that its family does not have are empty."""

    family: Family
    text: str
    colour: str = ""
    """The colour that is asked for, or the first of two."""
    second: str = ""
    """The other colour."""
    shape: str = ""
    fact: str = ""
    options: tuple[str, ...] = ()
    """What it offers to choose from, in the order of the letters."""

    @property
    def colours(self) -> tuple[str, ...]:
        """The colours it names, in order."""
        return tuple(colour for colour in (self.colour, self.second) if colour)

    def mark(self, colour: str) -> str:
        """Return what the coloured thing is, as a noun."""
        return f"{colour} {self.shape or _THINGS.get(self.family, 'mark')}"

    def subject(self, colour: str) -> str:
        """Return what is to be read at the coloured thing, as a noun with its article."""
        return f"{_SUBJECTS.get(self.family, 'the print at the')} {self.mark(colour)}"


_SLOTS: Final = {
    "colour": ("colour", COLOURS),
    "colour1": ("colour", COLOURS),
    "colour2": ("second", COLOURS),
    "shape": ("shape", SHAPES),
    "fact": ("fact", vocabulary.FACTS),
}
"""Slot of a template → field of `Ask` and the words it may hold."""


def _compile(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", template)
    pattern = ""
    for index, piece in enumerate(pieces):
        if index % 2:
            field, words = _SLOTS[piece]
            pattern += f"(?P<{field}>{'|'.join(map(re.escape, words))})"
        else:
            pattern += re.escape(piece)
    return re.compile(pattern)


_TEMPLATES: Final[dict[Family, re.Pattern[str]]] = {
    "map_label": _compile(vocabulary.MAP_LABEL),
    "table_elevation": _compile(vocabulary.TABLE_ELEVATION),
    "table_icao": _compile(vocabulary.TABLE_ICAO),
    "table_city": _compile(TABLE_CITY),
    "chart_difference": _compile(vocabulary.CHART_DIFFERENCE),
    "chart_sum": _compile(vocabulary.CHART_SUM),
    "region_ratio": _compile(vocabulary.REGION_RATIO),
    "dot_count": _compile(vocabulary.DOT_COUNT),
    "outline_fact": _compile(vocabulary.OUTLINE_FACT),
    "element_fact": _compile(vocabulary.ELEMENT_FACT),
}


_OPTION = re.compile(r"([A-Z])\. (.*\S)\s*")


class _Split(NamedTuple):
    """A message in two."""

    before: str
    """What stands above the options; all of it where there are none."""
    options: tuple[str, ...]


# A user message names each picture and its size before the question.
_IMAGE_LINE = re.compile(r"^image_\d+: \d+x\d+$", re.MULTILINE)


def understand(message: str) -> Ask:
    """Find the question in a user message; where none is known, its first paragraph is the question."""
    before, options = _split(message)
    for family, pattern in _TEMPLATES.items():
        found = pattern.search(before)
        if found:
            return Ask(family, found.group(), **found.groupdict(), options=options)
    text = _IMAGE_LINE.sub("", before).strip()
    return Ask("unknown", text.partition("\n\n")[0], options=options)


def _split(message: str) -> _Split:
    """Find the last lines `A. …`, `B. …` of a message, at least two and in alphabetical order."""
    lines = message.splitlines()
    found = _Split(message, ())
    for start in (number for number, line in enumerate(lines) if line.startswith("A. ")):
        options = _options_from(lines[start : start + len(ascii_uppercase)])
        if len(options) > 1:
            found = _Split("\n".join(lines[:start]), options)
    return found


def _options_from(lines: Sequence[str]) -> tuple[str, ...]:
    options: list[str] = []
    for letter, line in zip(ascii_uppercase, lines, strict=False):
        option = _OPTION.fullmatch(line)
        if option is None or option[1] != letter:
            break
        options.append(option[2])
    return tuple(options)
