"""Family `table_cell`: a printed table of real airports; a coloured square marks the row that is asked for."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import ImageDraw

from pipeline.demo import vocabulary
from pipeline.demo.corpus.canvas import SHEET, draw_marker, label_sizes, new_sheet, seeded, write
from pipeline.demo.corpus.packages import read_csv
from pipeline.demo.corpus.sheets import DemoRow, Sheet, chunks, derivation, image_path, per_sheet
from pipeline.demo.vocabulary import COLOURS, RULE

QUESTIONS = 6
"""Per sheet, one marked row each."""
ROWS = 12
SIZE = (SHEET[1], SHEET[0])
"""Portrait, as a page is; a half along the longer side holds whole rows."""
HEADER = 52
"""Pixels: 10.9 in the view."""
TAG = 40
TAG_X = 120
COLUMNS = {"City": 220, "IATA": 880, "ICAO": 1200, "Elevation (ft)": 1560}
"""Header → left edge of the column in pixels."""
TOP, ROW_HEIGHT = 330, 200
FILE = "airports.csv"
# Plain ASCII words, short enough for the column at the largest size.
_CITY = re.compile(r"[A-Z][a-z]{3,9}( [A-Z][a-z]{2,7})?")


class _Airport(NamedTuple):
    city: str
    iata: str
    icao: str
    elevation: str
    """Feet, a whole number as printed."""


def sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield tables with up to `questions` questions in all; no airport and no city is on two of them."""
    airports = _airports()
    seeded(seed, "tables").shuffle(airports)
    counts = per_sheet(questions, QUESTIONS)
    for number, (count, chosen) in enumerate(zip(counts, chunks(airports, ROWS), strict=False), start=1):
        yield _draw(f"table-{number:03}", chosen, count, seeded(seed, "tables", number))


def _airports() -> list[_Airport]:
    """Return one airport per city, by ICAO code."""
    found: dict[str, _Airport] = {}
    for row in read_csv("airportsdata", FILE):
        airport = _Airport(row["city"], row["iata"], row["icao"], f"{float(row['elevation'] or 0):.0f}")
        # Four-letter codes only: local codes hold digits. Two digits of elevation at least: a lone digit is no label.
        if (
            len(airport.iata) == 3  # noqa: PLR2004 - IATA codes have three letters
            and re.fullmatch("[A-Z]{4}", airport.icao)
            and re.fullmatch(r"\d{2,5}", airport.elevation)
            and _CITY.fullmatch(airport.city)
        ):
            found.setdefault(airport.city, airport)
    return sorted(found.values(), key=lambda airport: airport.icao)


def _draw(name: str, airports: Sequence[_Airport], targets: int, rng: random.Random) -> Sheet:
    image, pen = new_sheet(SIZE)
    _draw_frame(pen)
    colours = rng.sample(list(COLOURS), targets)
    # A group of rows shares a size and holds one marked row; rows left over join the last group.
    sizes, height = label_sizes(targets, rng), ROWS // targets
    marked = {group * height + rng.randrange(height): group for group in range(targets)}
    rows: list[DemoRow] = []
    for index, airport in enumerate(airports):
        middle = TOP + ROW_HEIGHT * index + ROW_HEIGHT // 2
        size = sizes[min(index // height, targets - 1)]
        for text, x in zip(airport, COLUMNS.values(), strict=True):
            write(pen, (x, middle), text, size)
        if index in marked:
            colour = colours[marked[index]]
            draw_marker(image, (TAG_X, middle), TAG, "square", COLOURS[colour])
            rows.append(_row(name, airport, colour, size, elevation=len(rows) % 2 == 0))
    return Sheet(name, image, tuple(rows))


def _draw_frame(pen: ImageDraw.ImageDraw) -> None:
    for header, x in COLUMNS.items():
        write(pen, (x, TOP - 90), header, HEADER)
    for line in range(ROWS + 1):
        y = TOP + line * ROW_HEIGHT
        pen.line((60, y, SIZE[0] - 60, y), fill=RULE, width=3)


def _row(name: str, airport: _Airport, colour: str, size: int, *, elevation: bool) -> DemoRow:
    template = vocabulary.TABLE_ELEVATION if elevation else vocabulary.TABLE_ICAO
    return DemoRow(
        row=f"{name}/{colour}",
        category="perception",
        text=template.format(colour=colour),
        images=(image_path(name),),
        answers=(airport.elevation if elevation else airport.icao,),
        answer_type="number" if elevation else "text",
        licence="MIT (airportsdata)",
        derivation=derivation(
            "table_cell",
            "airportsdata",
            FILE,
            airport.icao,
            column="elevation" if elevation else "icao",
            printed=list(airport),
            label_pixels=[size],
        ),
    )
