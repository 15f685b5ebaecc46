"""What a policy decides on: the conversation, what the eyes report of it, and this sample's chance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.demo.reader.conversation import Look, Transcript
from pipeline.demo.reader.grammar import Family
from pipeline.demo.reader.perception import Box, ColourFacts, Colours, Perception, Reading, TextBox, sample_reading
from pipeline.demo.reader.places import Extent
from pipeline.models.chat import View
from pipeline.records import Action

PRINT_FAMILIES: Final[frozenset[Family]] = frozenset(
    {"map_label", "table_elevation", "table_icao", "table_city", "chart_difference", "chart_sum"}
)
"""Families answered by print beside something coloured."""
READING_FAMILIES: Final[frozenset[Family]] = PRINT_FAMILIES | {"element_fact"}
"""Families whose answer begins with such print."""
MEASURING_FAMILIES: Final[frozenset[Family]] = frozenset({"region_ratio", "dot_count"})
"""Families answered by colours alone."""


@dataclass(frozen=True)
class Said:
    """A message that the reader decided on."""

    think: str
    action: Action
    argument: str = ""
    """Code, query or answer."""


@dataclass(frozen=True)
class Scene:
    """One sample's view of one request."""

    transcript: Transcript
    texts: Mapping[str, Perception]
    """By the hash of a view's pixels; only views that `attention` names."""
    colours: Mapping[str, Colours]
    rng: random.Random
    temperature: float

    @property
    def whole(self) -> Look:
        """The first image as it was given."""
        return self.transcript.looks[0]

    @property
    def crops(self) -> tuple[Look, ...]:
        """What own cells displayed since."""
        return self.transcript.looks[1:]

    @property
    def image(self) -> Extent:
        """Size of the first image."""
        part = self.whole.part
        return Extent(int(part.width), int(part.height))

    def text_in(self, look: Look) -> Sequence[TextBox]:
        """Return the lines of text of a view."""
        return self.texts[look.view.pixels].boxes

    def colour_in(self, look: Look, word: str) -> ColourFacts | None:
        """Return where a colour is in a view."""
        return self.colours[look.view.pixels].of(word)

    def place_of(self, word: str, look: Look | None = None) -> Box | None:
        """Return the largest patch of a colour, in pixels of the original."""
        look = look or self.whole
        facts = self.colour_in(look, word)
        return None if facts is None else look.to_original(facts.blobs[0].box)

    def read(self, box: TextBox) -> Reading:
        """Read a line as this sample reads it."""
        return sample_reading(box, self.rng, self.temperature)

    def say(self, *phrases: str) -> str:
        """Return one of several wordings."""
        return self.rng.choice(phrases)


def attention(transcript: Transcript) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """Return the views whose text, and the views whose colours a policy needs; thumbnails of a search are neither."""
    family = transcript.ask.family
    views = tuple(look.view for look in transcript.looks)
    if family in READING_FAMILIES:
        return views, views
    if family in MEASURING_FAMILIES:
        return (), views[:1]
    return (views[:1], ()) if family == "unknown" else ((), ())
