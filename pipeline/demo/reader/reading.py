"""Finds the print that a question asks for, in any view, by where it stands to something coloured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pipeline.demo.reader.conversation import Look
from pipeline.demo.reader.perception import Box, Reading, TextBox
from pipeline.demo.reader.scene import Scene

HEADERS = {"table_elevation": "elevation", "table_icao": "icao", "table_city": "city"}


class Target(NamedTuple):
    """What is to be read, in pixels of the original."""

    colour: str
    mark: Box
    """The coloured thing."""
    wanted: Box
    """Where the print should be."""


class Found(NamedTuple):
    """A line of print that fits a target."""

    look: Look
    text: TextBox
    place: Box
    """In pixels of the original."""


def locate(scene: Scene, colour: str) -> Target | None:
    """Return what is to be read beside `colour`, None if the colour is not in the first view."""
    mark = scene.place_of(colour)
    if mark is None:
        return None
    x, y = mark.centre
    match scene.transcript.ask.family:
        case "map_label":
            # To the right: most labels are shorter than this; a longer one shows by touching the crop's border.
            wanted = Box(mark.x0 - 8, y - 36, mark.x1 + 250, y + 36)
        case "table_elevation" | "table_icao" | "table_city":
            left = _column(scene)
            wanted = Box(left - 20, y - 60, left + 240, y + 60)
        case "chart_difference" | "chart_sum":
            wanted = Box(x - 130, mark.y0 - 80, x + 130, mark.y0 + 8)
        case _:
            facts = scene.colour_in(scene.whole, colour)
            mark = mark if facts is None else scene.whole.to_original(facts.extent)
            wanted = Box(mark.x0 - 6, mark.y0 - 6, mark.x1 + 6, mark.y1 + 6)
    return Target(colour, mark, _shifted_inside(wanted, scene))


def _column(scene: Scene) -> float:
    """Return the left edge of the column that is asked for, by its header; the middle if no header is read."""
    header = HEADERS[scene.transcript.ask.family]
    for line in scene.text_in(scene.whole):
        if line.text.strip().casefold().startswith(header):
            return scene.whole.to_original(line.box).x0
    return scene.image.width / 2


def _shifted_inside(box: Box, scene: Scene) -> Box:
    across = min(0.0, scene.image.width - box.x1) - min(0.0, box.x0)
    down = min(0.0, scene.image.height - box.y1) - min(0.0, box.y0)
    return Box(box.x0 + across, box.y0 + down, box.x1 + across, box.y1 + down)


def find(scene: Scene, target: Target, look: Look) -> Found | None:
    """Return the line of a view that fits the target best, None if none fits."""
    sharper = scene.place_of(target.colour, look) if look.scale < scene.whole.scale else None
    # The mark as this view shows it, where it shows it: a crop tells its place to the pixel.
    mark = sharper if sharper is not None and _near(sharper, target.mark) else target.mark
    lines = [Found(look, line, look.to_original(line.box)) for line in scene.text_in(look)]
    match scene.transcript.ask.family:
        case "map_label":
            found = _nearest(lines, lambda place: _right_of(place, mark))
        case "table_elevation" | "table_icao" | "table_city":
            found = _nearest(lines, lambda place: _in_row(place, mark, target.wanted))
        case _:
            found = _nearest(lines, lambda place: _above(place, mark))
    if found is None or scene.transcript.ask.family != "map_label":
        return found
    edge = look.view.width * (mark.x1 - look.part.x0) / look.part.width
    return found._replace(text=found.text.right_of(edge))


def framed(scene: Scene, target: Target, look: Look) -> list[Found]:
    """Return the lines of a view inside the target's frame, largest print first."""
    lines = [Found(look, line, look.to_original(line.box)) for line in scene.text_in(look)]
    inside = [found for found in lines if _contains(target.wanted, found.place.centre)]
    return sorted(inside, key=lambda found: -found.place.height)


def closest(scene: Scene, target: Target, look: Look) -> Found | None:
    """Return the line nearest to where the print should be: the guess of one who cannot make it out."""
    x, y = target.wanted.centre
    lines = [Found(look, line, look.to_original(line.box)) for line in scene.text_in(look)]
    return _nearest(lines, lambda place: abs(place.centre[0] - x) + 3 * abs(place.centre[1] - y))


def _nearest(lines: Iterable[Found], distance: Callable[[Box], float | None]) -> Found | None:
    measured = ((distance(found.place), found) for found in lines)
    fitting = [(far, found) for far, found in measured if far is not None]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _right_of(place: Box, mark: Box) -> float | None:
    level = abs(place.centre[1] - mark.centre[1]) <= max(place.height, mark.height) / 2
    # A detector may take mark and label for one line; a label that begins further off belongs to another place.
    begins = mark.x0 - mark.width <= place.x0 <= mark.x1 + 2 * mark.width
    return abs(place.x0 - mark.x1) if level and begins and place.x1 > mark.x1 + 4 else None


def _in_row(place: Box, mark: Box, column: Box) -> float | None:
    level = abs(place.centre[1] - mark.centre[1]) <= max(place.height, mark.height) * 0.75
    begins = column.x0 - 30 <= place.x0 <= column.x1
    return abs(place.x0 - column.x0) if level and begins else None


def _above(place: Box, mark: Box) -> float | None:
    over = abs(place.centre[0] - mark.centre[0]) <= mark.width / 2
    gap = mark.y0 - place.centre[1]
    return gap if over and 0 < gap <= 3 * max(place.height, 20) else None


def _near(box: Box, other: Box) -> bool:
    return abs(box.centre[0] - other.centre[0]) + abs(box.centre[1] - other.centre[1]) <= max(other.width, other.height)


def _contains(box: Box, point: tuple[float, float]) -> bool:
    return box.x0 <= point[0] <= box.x1 and box.y0 <= point[1] <= box.y1


# What a digit is taken for when it is small.
_DIGITS = str.maketrans({"O": "0", "o": "0", "D": "0", "l": "1", "I": "1", "|": "1", "Z": "2", "S": "5", "B": "8"})


def as_number(text: str) -> str | None:
    """Return the number that a line spells, None if it spells none."""
    digits = re.sub(r",(?=\d{3}\b)| ", "", text.translate(_DIGITS)).replace(",", ".")
    found = re.fullmatch(r"\W*(\d+(?:\.\d+)?)\W*", digits)
    return found.group(1) if found else None


def as_code(text: str) -> str | None:
    """Return the four capital letters that a line spells, None if it does not."""
    letters = re.sub(r"[^A-Z]", "", text.upper().replace("0", "O").replace("1", "I"))
    return letters if len(letters) == 4 else None  # noqa: PLR2004 - an ICAO code


def as_name(text: str) -> str | None:
    """Return a name without the specks around it, None if no letter is left."""
    name = re.sub(r"^[^\w]+|[^\w.)]+$", "", text).strip()
    return name if re.search(r"[^\W\d_]", name) else None


def as_symbol(text: str) -> str | None:
    """Return the symbol of an element that a line spells, None if it spells none."""
    letters = re.sub(r"[^A-Za-z]", "", text)
    return letters.capitalize() if letters and len(letters) <= 2 else None  # noqa: PLR2004 - one or two letters


def as_answer(family: str, reading: Reading) -> str | None:
    """Return a reading in the form that the family's answers have, None if it has not that form."""
    match family:
        case "table_icao":
            return as_code(reading.text)
        case "map_label" | "table_city" | "unknown":
            return as_name(reading.text)
        case _:
            return as_number(reading.text)


class Tile(NamedTuple):
    """What a tile says; empty where it could not be read."""

    symbol: str
    number: str


def read_tile(scene: Scene, target: Target, look: Look) -> Tile:
    """Read symbol and atomic number inside a frame, as this sample reads them."""
    texts = [scene.read(found.text).text.strip() for found in framed(scene, target, look)]
    numbers = (as_number(text) for text in texts if any(character.isdigit() for character in text))
    symbols = (as_symbol(text) for text in texts if not any(character.isdigit() for character in text))
    return Tile(next(filter(None, symbols), ""), next(filter(None, numbers), ""))
