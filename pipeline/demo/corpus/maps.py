"""Family `map_label`: real cities at their places; a coloured marker stands for the one that is asked for."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.demo import vocabulary
from pipeline.demo.corpus.canvas import (
    SHEET,
    Box,
    Point,
    draw_marker,
    frame_rectangle,
    inside,
    label_sizes,
    new_sheet,
    overlaps,
    seeded,
    text_width,
    write,
)
from pipeline.demo.corpus.geography import Projection, draw_land, window
from pipeline.demo.corpus.packages import BOKEH, read_csv
from pipeline.demo.corpus.sheets import DemoRow, Sheet, derivation, image_path, per_sheet
from pipeline.demo.vocabulary import COLOURS, GREY, RULE, SEA, SHAPES

QUESTIONS = 6
"""Per sheet: two labels of each band."""
LABELS = 45
"""Cities per sheet; the OCR of a model costs about 0.03 s a label."""
MARKER = 34
"""Pixels: 7 in the view, still a patch of the colour."""
DOT = 12
TRIES = 500
"""Windows looked at for one map; a third of them will do until most of the names are used."""
GAP = 10
"""Pixels between marker and label."""
MARGIN = 14
"""Least distance of two labels, pixels."""
FRAME: Box = (60, 60, SHEET[0] - 60, SHEET[1] - 60)
FILE = "_data/world_cities.csv.gz"
HEIGHTS = (1.5, 2.5, 4.0, 6.0, 9.0)
"""Degrees of latitude that a sheet may show."""
MAX_LATITUDE = 62
"""Beyond, a plane map of one scale looks wrong and has few cities."""
# Plain ASCII words: the embedded face has no accents, and an answer should have one spelling.
_NAME = re.compile(r"[A-Z][a-z]{3,10}( [A-Z][a-z]{2,8})?")


class _City(NamedTuple):
    line: int
    """Row of the file, the header not counted."""
    name: str
    longitude: float
    latitude: float


class _Placed(NamedTuple):
    city: _City
    size: int
    x: float
    y: float


def sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield maps with up to `questions` questions in all; no name is on two of them."""
    cities, used = _cities(), set[str]()
    for number, count in enumerate(per_sheet(questions, QUESTIONS), start=1):
        rng = seeded(seed, "maps", number)
        layout = _layout(cities, used, count, rng)
        if layout is None:
            return
        project, placed = layout
        used |= {place.city.name for place in placed}
        yield _draw(f"map-{number:03}", project, placed, count, rng)


def _cities() -> list[_City]:
    return [
        _City(line, row["name"], float(row["lng"]), float(row["lat"]))
        for line, row in enumerate(read_csv(BOKEH, FILE))
        if _NAME.fullmatch(row["name"]) and abs(float(row["lat"])) < MAX_LATITUDE
    ]


def _layout(
    cities: list[_City], used: set[str], targets: int, rng: random.Random
) -> tuple[Projection, list[_Placed]] | None:
    """Return a window with enough cities and its labels, the targets first; None if none is found."""
    for _ in range(TRIES):
        centre, degrees = rng.choice(cities), rng.choice(HEIGHTS)
        project = window(centre.longitude, centre.latitude, degrees, SHEET)
        near = [c for c in cities if c.name not in used and _on_sheet(project(c.longitude, c.latitude))]
        if len(near) < 2 * LABELS:
            continue
        rng.shuffle(near)
        sizes = label_sizes(targets, rng) + label_sizes(LABELS - targets, rng)
        placed = _place(near, sizes, project)
        if len(placed) == LABELS:
            return project, placed
    return None


def _place(cities: list[_City], sizes: list[int], project: Projection) -> list[_Placed]:
    """Give each size, in order, the first city whose label is free; stop at the first that fits nowhere."""
    placed: list[_Placed] = []
    boxes: list[Box] = []
    names: set[str] = set()
    for size in sizes:
        for city in cities:
            place = _Placed(city, size, *project(city.longitude, city.latitude))
            if city.name not in names and inside(_box(place), FRAME) and not overlaps(_box(place), boxes, MARGIN):
                placed.append(place)
                boxes.append(_box(place))
                names.add(city.name)
                break
        else:
            break
    return placed


def _on_sheet(at: Point) -> bool:
    return inside((*at, *at), FRAME)


def _box(place: _Placed) -> Box:
    """Return marker and label together."""
    half = max(MARKER, place.size) / 2
    right = place.x + MARKER / 2 + GAP + text_width(place.city.name, place.size)
    return place.x - MARKER / 2, place.y - half, right, place.y + half


def _draw(name: str, project: Projection, placed: list[_Placed], targets: int, rng: random.Random) -> Sheet:
    image, pen = new_sheet(colour=SEA)
    draw_land(pen, project)
    frame_rectangle(pen, (0, 0, SHEET[0] - 1, SHEET[1] - 1), 6, RULE)
    for place in placed[targets:]:
        draw_marker(image, (place.x, place.y), DOT, "circle", GREY)
    rows = []
    for place, colour in zip(placed[:targets], rng.sample(list(COLOURS), targets), strict=True):
        shape = rng.choice(SHAPES)
        draw_marker(image, (place.x, place.y), MARKER, shape, COLOURS[colour])
        rows.append(_row(name, place, colour, shape))
    for place in placed:
        write(pen, (place.x + MARKER / 2 + GAP, place.y), place.city.name, place.size)
    return Sheet(name, image, tuple(rows))


def _row(name: str, place: _Placed, colour: str, shape: str) -> DemoRow:
    city = place.city
    return DemoRow(
        row=f"{name}/{colour}",
        category="perception",
        text=vocabulary.MAP_LABEL.format(colour=colour, shape=shape),
        images=(image_path(name),),
        answers=(city.name,),
        answer_type="text",
        licence="CC-BY-3.0 (GeoNames, by bokeh-sampledata)",
        derivation=derivation(
            "map_label", BOKEH, FILE, str(city.line), at=[city.longitude, city.latitude], label_pixels=[place.size]
        ),
    )
