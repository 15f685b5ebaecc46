"""Family `outline_fact`: the outline of a country, and facts about it that only a search gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from pipeline.demo import vocabulary
from pipeline.demo.corpus.canvas import new_sheet, seeded
from pipeline.demo.corpus.facts import Fact, KnownCountry, known_countries
from pipeline.demo.corpus.geography import Projection, parts
from pipeline.demo.corpus.sheets import DemoRow, Sheet, derivation, image_path, per_sheet
from pipeline.demo.vocabulary import GREY, INK, PAPER, RGB

if TYPE_CHECKING:
    from pipeline.demo.corpus.geography import Shape

QUESTIONS = len(vocabulary.FACTS)
"""Per outline."""
SIZE = (1400, 1050)
PADDING = 90
LINE = 5
SMOOTH = 2
"""Samples per pixel and axis."""
MAX_DEGREES = 90
"""A wider country lies on both sides of the date line, or too near a pole for a plane outline."""


def sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield outlines with up to `questions` questions in all, one country each."""
    countries = [known for known in known_countries() if _is_plain(known.country.shape)]
    seeded(seed, "outlines").shuffle(countries)
    for known, count in zip(countries, per_sheet(questions, QUESTIONS), strict=False):
        name = f"outline-{known.country.alpha3}"
        image = draw_outline(known.country.shape, SIZE, PADDING, GREY, LINE)
        facts = list(known.facts.items())[:count]
        yield Sheet(name, image, tuple(_row(name, known, wording, fact) for wording, fact in facts))


def draw_outline(shape: Shape, size: tuple[int, int], padding: int, fill: RGB, line: int) -> Image.Image:
    """Draw a shape (degrees) as large as `size` and `padding` allow, centred, with a border of `line` pixels."""
    large = (size[0] * SMOOTH, size[1] * SMOOTH)
    image, pen = new_sheet(large, PAPER)
    project = _fit(shape, large, padding * SMOOTH)
    for part in parts(shape):
        rings = [part.exterior, *part.interiors]
        for ring, colour in zip(rings, [fill] + [PAPER] * len(part.interiors), strict=True):
            _draw_ring(pen, [project(x, y) for x, y in ring.coords], colour, line * SMOOTH)
    return image.reduce(SMOOTH)


def _draw_ring(pen: ImageDraw.ImageDraw, points: list[tuple[float, float]], fill: RGB, line: int) -> None:
    pen.polygon(points, fill=fill)
    pen.line(points, fill=INK, width=line, joint="curve")


def _fit(shape: Shape, size: tuple[int, int], padding: int) -> Projection:
    west, south, east, north = shape.bounds
    squeeze = math.cos(math.radians((south + north) / 2))
    scale = min((size[0] - 2 * padding) / ((east - west) * squeeze), (size[1] - 2 * padding) / (north - south))
    across, down = scale * squeeze, scale
    left = (size[0] - (east - west) * across) / 2
    top = (size[1] - (north - south) * down) / 2
    return Projection(west - left / across, north + top / down, across, down)


def _is_plain(shape: Shape) -> bool:
    west, _, east, _ = shape.bounds
    return bool(east - west < MAX_DEGREES)


def _row(name: str, known: KnownCountry, wording: str, fact: Fact) -> DemoRow:
    return DemoRow(
        row=f"{name}/{fact.field}",
        category="search",
        text=vocabulary.OUTLINE_FACT.format(fact=wording),
        images=(image_path(name),),
        answers=fact.answers,
        answer_type="text",
        licence="MIT (countryinfo)",
        derivation=derivation(
            "outline_fact",
            "countryinfo",
            f"data/{known.country.file}",
            fact.field,
            second_source={"package": fact.second_package, "value": fact.second_value},
            country=known.country.name,
        ),
    )
