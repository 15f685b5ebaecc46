"""What the image search finds: small renders of every outline, near-duplicates of the sheets, and other shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from pipeline.sources.demo.canvas import seeded
from pipeline.sources.demo.geography import areas, countries
from pipeline.sources.demo.outlines import draw_outline
from pipeline.sources.demo.palette import RGB

SIZE = (320, 240)
FILLS: tuple[RGB, ...] = ((200, 205, 190), (170, 190, 210), (215, 190, 165), (160, 160, 160))
PADDINGS = (16, 22, 28)
LINES = (1, 2, 3)


class Picture(NamedTuple):
    """One entry of `gallery.jsonl`."""

    url: str
    title: str
    name: str
    """File name without extension."""
    image: Image.Image


def pictures() -> Iterator[Picture]:
    """Yield all countries with an outline, then the states of the US, each in a style of its own."""
    named = [("country", c.alpha3, c.name, c.shape) for c in countries()]
    named += [("state", a.key, a.name, a.shape) for a in areas("us_states")]
    for kind, key, name, shape in named:
        rng = seeded("gallery", key)
        image = draw_outline(shape, SIZE, rng.choice(PADDINGS), rng.choice(FILLS), rng.choice(LINES))
        yield Picture(f"local://{kind}/{key}", f"Outline of {name}", f"{kind}-{key}", image)
