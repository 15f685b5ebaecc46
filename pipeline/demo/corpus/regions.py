"""Family `region_ratio`: true shapes of US states and counties, each at its own scale, compared by area."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from pipeline.demo import vocabulary
from pipeline.demo.corpus.canvas import SHEET, frame_rectangle, new_sheet, seeded
from pipeline.demo.corpus.geography import Area, areas, parts
from pipeline.demo.corpus.packages import BOKEH
from pipeline.demo.corpus.sheets import DemoRow, Sheet, chunks, derivation, image_path, per_sheet
from pipeline.demo.vocabulary import COLOURS, RULE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.demo.corpus.geography import Shape

QUESTIONS = 4
"""Per sheet, over disjoint pairs of regions."""
ACROSS, DOWN = 4, 2
"""Cells of the sheet, one region in each."""
MARGIN = 60
"""Pixels between a region and the border of its cell."""
SIDES = (90, 130, 260, 400)
"""Square root of a region's area in pixels. A side of 90 has 19 pixels in the view, of which the
blurred rim is a fifth, so that a count of the view's pixels easily misses the tolerance; one of 400 has 84."""
TOLERANCE = 0.03
"""As the question states."""
AGREEMENT = 0.005
"""Largest relative difference of a region's pixel count and its polygon's area."""
FILE = "_data/geographic_boundaries.db"
SCATTERED = {"AK", "HI"}
"""States whose islands reach so far (Alaska's across the date line) that little of the shape would be seen."""


class _Region(NamedTuple):
    area: Area
    table: str
    colour: str
    shape: Shape
    """In pixels of the sheet."""


def sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield sheets with up to `questions` questions in all; no state or county is on two of them."""
    counts = per_sheet(questions, QUESTIONS)
    for number, (count, chosen) in enumerate(zip(counts, chunks(_pool(seed), ACROSS * DOWN), strict=False), start=1):
        rng = seeded(seed, "regions", number)
        colours = rng.sample(list(COLOURS), ACROSS * DOWN)
        sides = [side * rng.uniform(0.85, 1.2) for side in SIDES for _ in range(ACROSS * DOWN // len(SIDES))]
        rng.shuffle(sides)
        regions = [
            _Region(area, table, colour, _in_cell(area.shape, cell, side, rng))
            for cell, (colour, side, (table, area)) in enumerate(zip(colours, sides, chosen, strict=True))
        ]
        yield _draw(f"region-{number:03}", regions, count)


def _pool(seed: int) -> Iterator[tuple[str, Area]]:
    """Yield all states, then all counties, each in random order."""
    for table in ("us_states", "us_counties"):
        known = [area for area in areas(table) if area.key not in SCATTERED]
        seeded(seed, "regions", table).shuffle(known)
        yield from ((table, area) for area in known)


def _in_cell(shape: Shape, cell: int, side: float, rng: random.Random) -> Shape:
    """Project a shape to pixels, with an area of `side`² if the cell has room, anywhere in its cell.

    Tries places until the number of pixels agrees with the area: a jagged coast may be unlucky at one.
    """
    from shapely.affinity import scale, translate

    squeeze = math.cos(math.radians(shape.centroid.y))
    plane = scale(shape, squeeze, -1.0, origin=(0, 0))
    left, top, right, bottom = plane.bounds
    width, height = SHEET[0] / ACROSS - 2 * MARGIN, SHEET[1] / DOWN - 2 * MARGIN
    factor = min(side / math.sqrt(plane.area), width / (right - left), height / (bottom - top))
    plane = scale(translate(plane, -left, -top), factor, factor, origin=(0, 0))
    _, _, right, bottom = plane.bounds
    corner = cell % ACROSS * SHEET[0] / ACROSS + MARGIN, cell // ACROSS * SHEET[1] / DOWN + MARGIN
    while True:
        placed: Shape = translate(
            plane, corner[0] + rng.random() * (width - right), corner[1] + rng.random() * (height - bottom)
        )
        _, mask = coverage(placed)
        if abs(float(mask.sum()) / placed.area - 1) <= AGREEMENT:
            return placed


def _draw(name: str, regions: list[_Region], questions: int) -> Sheet:
    import numpy as np

    image, pen = new_sheet()
    frame_rectangle(pen, (0, 0, SHEET[0] - 1, SHEET[1] - 1), 6, RULE)
    pixels = np.array(image)
    for region in regions:
        (left, top), mask = coverage(region.shape)
        pixels[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = COLOURS[region.colour]
    pairs = zip(regions[0::2], regions[1::2], strict=True)
    rows = [_row(name, *sorted(pair, key=_area_of)) for pair, _ in zip(pairs, range(questions), strict=False)]
    return Sheet(name, Image.fromarray(pixels), tuple(rows))


def coverage(shape: Shape) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """Return the pixels whose centres lie in `shape`: the corner (x, y) of a window and a mask of it.

    A pen would draw half a pixel too much all round. Even-odd rule, so that holes need no care: a pixel is
    inside if an odd number of edges crosses its row to the left of its centre.
    """
    import numpy as np

    left, top, right, bottom = (math.floor(side) for side in shape.bounds)
    rings = [np.array(ring.coords) for part in parts(shape) for ring in (part.exterior, *part.interiors)]
    x0, y0, x1, y1 = np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in rings]).T
    middles = np.arange(top, bottom + 1)[:, None] + 0.5
    row, edge = np.nonzero((y0 <= middles) != (y1 <= middles))
    crossing = x0[edge] + (middles[row, 0] - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    crossings = np.zeros((bottom - top + 1, right - left + 2), dtype=np.int32)
    np.add.at(crossings, (row, np.ceil(crossing - 0.5).astype(np.int64) - left), 1)
    return (left, top), np.cumsum(crossings, axis=1) % 2 == 1


def _area_of(region: _Region) -> float:
    return float(region.shape.area)


def _row(name: str, small: _Region, large: _Region) -> DemoRow:
    ratio = large.shape.area / small.shape.area
    return DemoRow(
        row=f"{name}/{large.colour}-{small.colour}",
        category="reasoning",
        text=vocabulary.REGION_RATIO.format(colour1=small.colour, colour2=large.colour),
        images=(image_path(name),),
        answers=(f"{ratio:.3f}",),
        answer_type="number",
        tolerance=TOLERANCE,
        licence="public domain (US Census Bureau, by bokeh-sampledata)",
        derivation=derivation(
            "region_ratio",
            BOKEH,
            FILE,
            f"{large.table}/{large.area.key} and {small.table}/{small.area.key}",
            names=[large.area.name, small.area.name],
            areas=[round(large.shape.area, 1), round(small.shape.area, 1)],
        ),
    )
