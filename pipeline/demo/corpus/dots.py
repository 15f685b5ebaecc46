"""Family `dot_count`: maps of real earthquakes, then of real airports; one dot each, coloured by class."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import cycle
from statistics import quantiles
from typing import NamedTuple

from pipeline.demo import vocabulary
from pipeline.demo.corpus.canvas import SHEET, Box, draw_marker, frame_rectangle, inside, new_sheet, seeded, write
from pipeline.demo.corpus.geography import Projection, countries, draw_land, window
from pipeline.demo.corpus.packages import read_csv
from pipeline.demo.corpus.sheets import DemoRow, Sheet, derivation, image_path, per_sheet
from pipeline.demo.vocabulary import COLOURS, PAPER, RULE, SEA

CLASSES = 3
"""Colours, and so questions, per sheet."""
LEAST, MOST = 15, 60
"""Dots of one colour."""
DIAMETERS = (18, 8, 12)
"""Native pixels, sheet by sheet: 3.8, 1.7 and 2.5 in the view, where the smallest fade and neighbours merge."""
GAP = 3
"""Least distance between the rims of two dots, pixels."""
FRAME: Box = (40, 180, SHEET[0] - 40, SHEET[1] - 40)
"""Where dots may be; the title is above."""
TITLE = 52
EARTHQUAKE_MAPS = 2
"""The catalogue has 596 quakes; half of them give three classes of 60 dots with room for thinning."""
EARTHQUAKE_DEPTHS = (20.0, 100.0)
"""Kilometres; each class has more than 60 quakes in half of the catalogue."""
AIRPORTS = 90
"""Least number of airports of a country or state that gets a map."""


class _Spot(NamedTuple):
    key: str
    longitude: float
    latitude: float
    measure: float
    """What the class depends on: depth in km, elevation in feet."""


class _Theme(NamedTuple):
    """A set of spots on one map."""

    title: str
    package: str
    file: str
    licence: str
    limits: tuple[float, float]
    """The measures at which the second and the third class begin."""
    spots: list[_Spot]
    project: Projection


class _Dot(NamedTuple):
    spot: _Spot
    x: float
    y: float


def sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield maps with up to `questions` questions in all; no earthquake or airport is on two of them."""
    themes = _themes(seed)
    for number, (count, diameter) in enumerate(
        zip(per_sheet(questions, CLASSES), cycle(DIAMETERS), strict=False), start=1
    ):
        rng = seeded(seed, "dots", number)
        found = _next_map(themes, count, diameter, rng)
        if found is None:
            return
        yield _draw(f"dots-{number:03}", *found, diameter, rng)


def _next_map(
    themes: Iterator[_Theme], classes: int, diameter: int, rng: random.Random
) -> tuple[_Theme, list[list[_Dot]]] | None:
    """Return the next theme that has enough dots for each of `classes` classes, thinned so that none touch."""
    for theme in themes:
        found = _thin(theme, classes, diameter, rng)
        if all(len(dots) >= LEAST for dots in found):
            return theme, found
    return None


def _thin(theme: _Theme, classes: int, diameter: int, rng: random.Random) -> list[list[_Dot]]:
    """Return the dots of each class."""
    wanted = [rng.randint(LEAST + 10, MOST) for _ in range(classes)]
    placed: list[list[_Dot]] = [[] for _ in range(classes)]
    frame = (FRAME[0] + diameter, FRAME[1] + diameter, FRAME[2] - diameter, FRAME[3] - diameter)
    taken: list[_Dot] = []
    for spot in theme.spots:
        kind = sum(spot.measure >= limit for limit in theme.limits)
        dot = _Dot(spot, *theme.project(spot.longitude, spot.latitude))
        wanted_here = (
            kind < classes and len(placed[kind]) < wanted[kind] and inside((dot.x, dot.y, dot.x, dot.y), frame)
        )
        if wanted_here and all(_apart(dot, other, diameter + GAP) for other in taken):
            placed[kind].append(dot)
            taken.append(dot)
    return placed


def _apart(dot: _Dot, other: _Dot, distance: float) -> bool:
    return (dot.x - other.x) ** 2 + (dot.y - other.y) ** 2 >= distance**2


def _themes(seed: int) -> Iterator[_Theme]:
    """Yield parts of the earthquake catalogue, then airports country by country."""
    yield from _earthquakes(seed)
    yield from _airports(seed)


def _earthquakes(seed: int) -> Iterator[_Theme]:
    """Yield the catalogue (Indonesia and the Philippines, 10° to either side of the equator) in parts."""
    file = "_data/earthquakes.csv"
    spots = [
        _Spot(row["time"], float(row["lon"]), float(row["lat"]), float(row["depth"]))
        for row in read_csv("hvsampledata", file)
    ]
    seeded(seed, "dots", file).shuffle(spots)
    project = window(125.0, 0.0, 21.0, SHEET)
    for part in range(EARTHQUAKE_MAPS):
        yield _Theme(
            "Earthquakes in Indonesia and the Philippines, 2024",
            "hvsampledata",
            file,
            "public domain (USGS, by hvsampledata)",
            EARTHQUAKE_DEPTHS,
            spots[part::EARTHQUAKE_MAPS],
            project,
        )


def _airports(seed: int) -> Iterator[_Theme]:
    """Yield countries, and states of the US, that have many airports; a class is a third of the elevations."""
    groups: dict[tuple[str, str], list[_Spot]] = {}
    for row in read_csv("airportsdata", "airports.csv"):
        if row["elevation"]:
            spot = _Spot(row["icao"], float(row["lon"]), float(row["lat"]), float(row["elevation"]))
            groups.setdefault((row["country"], row["subd"] if row["country"] == "US" else ""), []).append(spot)
    places = sorted(place for place, spots in groups.items() if len(spots) >= AIRPORTS and place[1] != "Alaska")
    rng = seeded(seed, "dots", "airports")
    rng.shuffle(places)
    for place in places:
        spots = sorted(groups[place])
        rng.shuffle(spots)
        low, high = quantiles((spot.measure for spot in spots), n=3)
        yield _Theme(
            f"Airports in {place[1] or _country(place[0])}",
            "airportsdata",
            "airports.csv",
            "MIT (airportsdata)",
            (low, high),
            spots,
            _around(spots),
        )


def _country(alpha2: str) -> str:
    return next((country.name for country in countries() if country.alpha2 == alpha2), alpha2)


def _around(spots: list[_Spot]) -> Projection:
    """Return a window that holds nine tenths of the spots in either direction."""
    west, *_, east = quantiles((spot.longitude for spot in spots), n=20)
    south, *_, north = quantiles((spot.latitude for spot in spots), n=20)
    middle = (south + north) / 2
    tall_enough = (east - west) * math.cos(math.radians(middle)) * SHEET[1] / SHEET[0]
    # 1.25: room for the title and for dots on the border.
    return window((west + east) / 2, middle, 1.25 * max(north - south, tall_enough), SHEET)


def _draw(name: str, theme: _Theme, classes: list[list[_Dot]], diameter: int, rng: random.Random) -> Sheet:
    image, pen = new_sheet(colour=SEA)
    draw_land(pen, theme.project)
    frame_rectangle(pen, (0, 0, SHEET[0] - 1, SHEET[1] - 1), 6, RULE)
    pen.rectangle((0, 0, SHEET[0], FRAME[1] - 40), fill=PAPER)
    write(pen, (80, 70), theme.title, TITLE)
    rows = []
    for index, (dots, colour) in enumerate(zip(classes, rng.sample(list(COLOURS), len(classes)), strict=True)):
        for dot in dots:
            draw_marker(image, (dot.x, dot.y), diameter, "circle", COLOURS[colour])
        rows.append(_row(name, theme, colour, dots, kind=index, diameter=diameter))
    return Sheet(name, image, tuple(rows))


def _row(name: str, theme: _Theme, colour: str, dots: list[_Dot], *, kind: int, diameter: int) -> DemoRow:
    return DemoRow(
        row=f"{name}/{colour}",
        category="reasoning",
        text=vocabulary.DOT_COUNT.format(colour=colour),
        images=(image_path(name),),
        answers=(str(len(dots)),),
        answer_type="number",
        licence=theme.licence,
        derivation=derivation(
            "dot_count",
            theme.package,
            theme.file,
            f"class {kind} of {theme.title}",
            limits=list(theme.limits),
            dot_pixels=diameter,
            keys=[dot.spot.key for dot in dots],
        ),
    )
