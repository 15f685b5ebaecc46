"""Family `element_fact`: a sheet of element tiles; the weight of the framed one is on no tile."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pipeline.demo import vocabulary
from pipeline.demo.corpus.canvas import frame_rectangle, label_sizes, new_sheet, seeded, write
from pipeline.demo.corpus.facts import Element, elements
from pipeline.demo.corpus.sheets import DemoRow, Sheet, derivation, image_path, per_sheet
from pipeline.demo.vocabulary import COLOURS, RULE

QUESTIONS = 9
"""Per sheet."""
ACROSS, DOWN = 6, 4
"""Tiles; two labels on each."""
TILE, FRAME = 330, 18
"""Side of a tile and width of a coloured frame, pixels: 69 and 3.8 in the view."""
PITCH = (440, 470)
CORNER = (170, 170)
TOLERANCE = 0.01
"""As the question states."""


def sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield sheets of tiles with up to `questions` questions in all; no element is asked for twice."""
    pool = [element for element in elements() if element.stable]
    seeded(seed, "elements").shuffle(pool)
    for number, count in enumerate(per_sheet(min(questions, len(pool)), QUESTIONS), start=1):
        targets, pool = pool[:count], pool[count:]
        yield _draw(f"elements-{number:03}", targets, seeded(seed, "elements", number))


def _draw(name: str, targets: list[Element], rng: random.Random) -> Sheet:
    image, pen = new_sheet()
    others = [element for element in elements() if element not in targets]
    # By atomic number, left to right, as in the table itself.
    shown = sorted(targets + rng.sample(others, ACROSS * DOWN - len(targets)))
    colours = dict(zip(targets, rng.sample(list(COLOURS), len(targets)), strict=True))
    sizes = dict(zip(targets, label_sizes(len(targets), rng), strict=True))
    rows = []
    for index, element in enumerate(shown):
        x, y = (CORNER[axis] + place * PITCH[axis] for axis, place in enumerate((index % ACROSS, index // ACROSS)))
        size = sizes.get(element) or label_sizes(1, rng)[0]
        colour = colours.get(element)
        frame_rectangle(pen, (x, y, x + TILE, y + TILE), FRAME if colour else 4, COLOURS[colour] if colour else RULE)
        write(pen, (x + 60, y + 80), str(element.number), size)
        write(pen, (x + TILE / 2, y + TILE / 2 + 30), element.symbol, size, "mm")
        if colour:
            rows.append(_row(name, element, colour, size))
    return Sheet(name, image, tuple(rows))


def _row(name: str, element: Element, colour: str, size: int) -> DemoRow:
    return DemoRow(
        row=f"{name}/{colour}",
        category="search",
        text=vocabulary.ELEMENT_FACT.format(colour=colour),
        images=(image_path(name),),
        answers=(f"{element.weight:.8g}",),
        answer_type="number",
        tolerance=TOLERANCE,
        licence="MIT (mendeleev)",
        derivation=derivation(
            "element_fact",
            "mendeleev",
            "elements.db",
            element.symbol,
            second_source={"package": "periodictable", "value": f"{element.second_weight:.8g}"},
            label_pixels=[size],
        ),
    )
