"""Family `chart_difference`: bar charts of real tables; every bar has a colour and its value printed above it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import combinations
from statistics import median
from typing import NamedTuple

from PIL import ImageDraw

from pipeline.demo import vocabulary
from pipeline.demo.corpus.canvas import BANDS, SHEET, Point, font, new_sheet, seeded, text_width, write
from pipeline.demo.corpus.packages import BOKEH, read_csv, read_json
from pipeline.demo.corpus.sheets import DemoRow, Sheet, derivation, image_path, per_sheet
from pipeline.demo.vocabulary import COLOURS, INK, PAPER, RULE

QUESTIONS = 9
"""Per sheet: the pairs of bars whose values are printed in one band, so that a question has one difficulty."""
BARS = 9
LEFT, RIGHT, TOP, BOTTOM = 260, SHEET[0] - 100, 380, SHEET[1] - 220
"""The plot, in pixels."""
TITLE, TICK, NAME = 56, 38, 40
"""Print sizes in pixels; names shrink until they fit under their bar."""
MAX_NAME = 16
TICKS = 5


class Datum(NamedTuple):
    """One bar: what it stands for and the value as printed."""

    name: str
    value: Decimal


class Table(NamedTuple):
    """A real table with one value per name."""

    title: str
    package: str
    file: str
    licence: str
    read: Callable[[], list[Datum]]


def _column(package: str, file: str, name: str, value: str, digits: str, **where: str) -> list[Datum]:
    """Return a column of a CSV file, rounded to as many places as `digits` has."""
    return [
        Datum(row[name].removesuffix(".0"), Decimal(row[value]).quantize(Decimal(digits)))
        for row in read_csv(package, file)
        if row[value] and all(row[key] == wanted for key, wanted in where.items())
    ]


_EMISSIONS, _GAPMINDER = "_data/emissions.csv.gz", "_data/gapminder.csv.gz"
_UNEMPLOYMENT, _MARRIAGES = "_data/unemployment1948.csv", "_data/us_marriages_divorces.csv"
_IOWA, _WHEAT = "_data/iowa-electricity.csv", "_data/wheat.json"
_CDIAC, _GAP, _US, _VEGA = (
    "public domain (CDIAC, by bokeh-sampledata)",
    "CC-BY-2.0 (Gapminder, by bokeh-sampledata)",
    "public domain (US government, by bokeh-sampledata)",
    "BSD-3-Clause (vega-datasets)",
)
TABLES = (
    Table(
        "Tonnes of CO2 per person, 2008",
        BOKEH,
        _EMISSIONS,
        _CDIAC,
        lambda: _column(BOKEH, _EMISSIONS, "country", "emissions", "0.01", year="2008.0"),
    ),
    Table(
        "Unemployment in the United States, percent",
        BOKEH,
        _UNEMPLOYMENT,
        _US,
        lambda: _column(BOKEH, _UNEMPLOYMENT, "Year", "Annual", "0.1"),
    ),
    Table(
        "Life expectancy in years, 2010",
        BOKEH,
        _GAPMINDER,
        _GAP,
        lambda: _column(BOKEH, _GAPMINDER, "country", "life_expectancy", "0.1", year="2010"),
    ),
    Table(
        "Net generation from fossil fuels in Iowa, GWh",
        "vega-datasets",
        _IOWA,
        _VEGA,
        lambda: [
            Datum(datum.name[:4], datum.value)
            for datum in _column("vega-datasets", _IOWA, "year", "net_generation", "1", source="Fossil Fuels")
        ],
    ),
    Table(
        "Marriages per 1000 people in the United States",
        BOKEH,
        _MARRIAGES,
        _US,
        lambda: _column(BOKEH, _MARRIAGES, "Year", "Marriages_per_1000", "0.1"),
    ),
    Table(
        "Price of wheat in England, shillings",
        "vega-datasets",
        _WHEAT,
        _VEGA,
        lambda: [
            Datum(str(row["year"]), Decimal(str(row["wheat"])).quantize(Decimal("0.1")))
            for row in read_json("vega-datasets", _WHEAT)
        ],
    ),
    Table(
        "Children per woman, 2010",
        BOKEH,
        _GAPMINDER,
        _GAP,
        lambda: _column(BOKEH, _GAPMINDER, "country", "fertility", "0.01", year="2010"),
    ),
)


class _Bar(NamedTuple):
    datum: Datum
    colour: str
    size: int
    band: int


def sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield charts with up to `questions` questions in all; no datum is on two of them."""
    counts = per_sheet(questions, QUESTIONS)
    for number, (count, (table, data)) in enumerate(zip(counts, _charts(seed), strict=False), start=1):
        yield _draw(f"chart-{number:03}", table, data, count, seeded(seed, "charts", number))


def _charts(seed: int) -> Iterator[tuple[Table, list[Datum]]]:
    """Yield tables in turn, each time with the next `BARS` data of it, until all are used up."""
    pools = {table.title: _pool(table, seed) for table in TABLES}
    while any(len(pool) >= BARS for pool in pools.values()):
        for table in TABLES:
            pool = pools[table.title]
            if len(pool) >= BARS:
                taken = [pool.pop() for _ in range(BARS)]
                yield table, sorted(taken)


def _pool(table: Table, seed: int) -> list[Datum]:
    """Return the data of a table in random order, without names that do not fit and outliers.

    A bar below a sixth of the median beside one above six times the median would be too flat to have a colour.
    """
    data = sorted(d for d in table.read() if d.value > 0 and d.name.isascii() and len(d.name) <= MAX_NAME)
    middle = median(datum.value for datum in data)
    data = [datum for datum in data if middle / 6 <= datum.value <= middle * 6]
    seeded(seed, "charts", table.title).shuffle(data)
    return data


def _draw(name: str, table: Table, data: list[Datum], questions: int, rng: random.Random) -> Sheet:
    image, pen = new_sheet()
    bars = _bars(data, rng)
    top = _draw_axis(pen, table.title, max(float(datum.value) for datum in data))
    step = (RIGHT - LEFT) / BARS
    for index, bar in enumerate(bars):
        middle = LEFT + step * (index + 0.5)
        height = float(bar.datum.value) / top * (BOTTOM - TOP)
        box = (round(middle - step * 0.35), round(BOTTOM - height), round(middle + step * 0.35), BOTTOM)
        pen.rectangle(box, fill=COLOURS[bar.colour])
        _write_value(pen, (middle, box[1] - 12), str(bar.datum.value), bar.size)
        write(pen, (middle, BOTTOM + 50), bar.datum.name, _fitting(bar.datum.name, step - 20), "mm")
    pairs = [pair for pair in combinations(bars, 2) if _same_band(*pair)]
    rng.shuffle(pairs)
    rows = [_row(name, table, *pair, add=index % 2 == 1) for index, pair in enumerate(pairs[:questions])]
    return Sheet(name, image, tuple(rows))


def _bars(data: list[Datum], rng: random.Random) -> list[_Bar]:
    """Give each datum a colour and a print size: three bars of each band, in random order."""
    bands = [index % len(BANDS) for index in range(len(data))]
    rng.shuffle(bands)
    colours = rng.sample(list(COLOURS), len(data))
    return [
        _Bar(datum, colour, rng.choice(BANDS[band]), band)
        for datum, colour, band in zip(data, colours, bands, strict=True)
    ]


def _draw_axis(pen: ImageDraw.ImageDraw, title: str, largest: float) -> float:
    """Draw title, grid and axis; return the value at the top of the plot."""
    write(pen, (LEFT, 130), title, TITLE)
    tick = _tick(largest)
    for index in range(TICKS + 1):
        y = BOTTOM - (BOTTOM - TOP) * index / TICKS
        pen.line((LEFT, y, RIGHT, y), fill=INK if index == 0 else RULE, width=4 if index == 0 else 2)
        write(pen, (LEFT - 24, y), f"{tick * index:g}", TICK, "rm")
    return tick * TICKS


def _tick(largest: float) -> float:
    """Return the least round distance of ticks (1, 2, 2.5, 4, 5 times a power of ten) that holds `largest`."""
    power = 10.0 ** math.floor(math.log10(largest / TICKS))
    return next(power * step for step in (1, 2, 2.5, 4, 5, 10) if power * step * TICKS >= largest)


def _write_value(pen: ImageDraw.ImageDraw, at: Point, text: str, size: int) -> None:
    """Write a value on paper, so that no grid line runs through it."""
    left, top, right, bottom = pen.textbbox(at, text, font=font(size), anchor="ms")
    pen.rectangle((left - 6, top - 6, right + 6, bottom + 6), fill=PAPER)
    write(pen, at, text, size, "ms")


def _fitting(text: str, width: float) -> int:
    """Return the largest print size up to `NAME` at which `text` fits."""
    return next(size for size in range(NAME, 0, -1) if text_width(text, size) <= width)


def _same_band(left: _Bar, right: _Bar) -> bool:
    return left.band == right.band


def _row(name: str, table: Table, left: _Bar, right: _Bar, *, add: bool) -> DemoRow:
    """Ask for the sum, or for the difference, the larger value first."""
    more, less = (left, right) if left.datum.value >= right.datum.value else (right, left)
    template = vocabulary.CHART_SUM if add else vocabulary.CHART_DIFFERENCE
    answer = more.datum.value + less.datum.value if add else more.datum.value - less.datum.value
    return DemoRow(
        row=f"{name}/{more.colour}-{less.colour}",
        category="reasoning",
        text=template.format(colour1=more.colour, colour2=less.colour),
        images=(image_path(name),),
        answers=(str(answer),),
        answer_type="number",
        licence=table.licence,
        derivation=derivation(
            "chart_difference",
            table.package,
            table.file,
            f"{more.datum.name} and {less.datum.name}",
            table=table.title,
            operation="sum" if add else "difference",
            values=[str(more.datum.value), str(less.datum.value)],
            label_pixels=[more.size, less.size],
        ),
    )
