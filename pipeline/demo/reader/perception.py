"""What the eyes report of one view: text with its uncertainty, and where the colours are.

Perceptions are data: they are stored once per view and read by every rollout, and a rollout draws its own
reading of a text from the distribution that the recogniser gave.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

Candidate = tuple[str, float]
"""A character and its probability; the empty string is the CTC blank."""
Step = tuple[Candidate, ...]
"""The likeliest candidates of one timestep, best first."""


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(NamedTuple):
    """A rectangle in pixels: left, top, right, bottom; right and bottom are just outside."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Horizontal extent."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Vertical extent."""
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        """The middle, (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def holds(self, other: Box, margin: float = 0.0) -> bool:
        """Return whether `other` lies inside, at least `margin` away from the border."""
        return (
            self.x0 + margin <= other.x0
            and self.y0 + margin <= other.y0
            and other.x1 <= self.x1 - margin
            and other.y1 <= self.y1 - margin
        )


class TextBox(_Seen):
    """A line of text in view pixels, as the recogniser's distribution over its timesteps, left to right."""

    x0: float
    y0: float
    x1: float
    y1: float
    steps: tuple[Step, ...]

    @property
    def box(self) -> Box:
        """The rectangle around the text."""
        return Box(self.x0, self.y0, self.x1, self.y1)

    @property
    def text(self) -> str:
        """The likeliest reading."""
        return collapse(step[0][0] for step in self.steps)

    def right_of(self, x: float) -> TextBox:
        """Return the part of the text right of `x`: a detector joins a marker to the label beside it."""
        if x <= self.x0 or not self.steps:
            return self
        pitch = (self.x1 - self.x0) / len(self.steps)
        first = min(len(self.steps), round((x - self.x0) / pitch))
        return self.model_copy(update={"x0": self.x0 + first * pitch, "steps": self.steps[first:]})


class Perception(_Seen):
    """The text of one view."""

    model: str
    """Identity of the eyes: networks and method."""
    width: int
    height: int
    boxes: tuple[TextBox, ...]
    """Top to bottom, then left to right."""


class Blob(_Seen):
    """One connected patch of a colour, in view pixels."""

    x0: int
    y0: int
    x1: int
    y1: int
    area: float
    """In pixels; a pixel half covered counts half."""
    shape: str
    """A guess: circle, square, triangle or diamond."""

    @property
    def box(self) -> Box:
        """The rectangle around the patch."""
        return Box(self.x0, self.y0, self.x1, self.y1)


class ColourFacts(_Seen):
    """Where one colour is in a view."""

    colour: str
    """Its word."""
    rgb: tuple[int, int, int]
    """What it looks like where it is purest."""
    blobs: tuple[Blob, ...]
    """Largest first."""
    spotted: tuple[int, ...]
    """Blobs told apart at half an encoder patch, one number for each way to lay the grid of patches."""
    patches: tuple[int, ...]
    """Encoder patches whose own middle is of this colour, likewise."""

    @property
    def extent(self) -> Box:
        """The rectangle around all of it."""
        boxes = [blob.box for blob in self.blobs]
        return Box(
            min(b.x0 for b in boxes), min(b.y0 for b in boxes), max(b.x1 for b in boxes), max(b.y1 for b in boxes)
        )


class Colours(_Seen):
    """The colours of one view; a colour that is not there is not listed."""

    model: str
    width: int
    height: int
    colours: tuple[ColourFacts, ...]

    def of(self, word: str) -> ColourFacts | None:
        """Return the facts of the colour called `word`."""
        return next((facts for facts in self.colours if facts.colour == word), None)


class Reading(NamedTuple):
    """A text as one rollout read it."""

    text: str
    confidence: float
    """Probability of the least certain character."""


def collapse(characters: Iterable[str]) -> str:
    """Join the characters of CTC timesteps: repeats are one character, blanks separate."""
    text, before = [], ""
    for character in characters:
        if character != before:
            text.append(character)
        before = character
    return "".join(text)


def sample_reading(box: TextBox, rng: random.Random, temperature: float) -> Reading:
    """Draw a reading; every timestep is drawn from its distribution at `temperature`, 0 takes the likeliest."""
    drawn, certain = [], 1.0
    for step in box.steps:
        character, probability = _draw(step, rng, temperature)
        drawn.append(character)
        certain = min(certain, probability)
    return Reading(collapse(drawn), certain)


def _draw(step: Step, rng: random.Random, temperature: float) -> Candidate:
    # Below this a double can no longer hold the powers, and the draw is the likeliest anyway.
    if temperature < 0.01 or len(step) == 1:  # noqa: PLR2004 - explained above
        return step[0]
    weights = [probability ** (1 / temperature) for _, probability in step]
    return rng.choices(step, weights)[0]
