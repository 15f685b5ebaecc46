"""The tile of an element, as print inside a frame."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.models.reader.reading import Target, as_number, as_symbol, framed
from pipeline.models.reader.scene import Scene
from pipeline.models.reader.transcript import Look


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
