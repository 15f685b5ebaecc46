"""Features of made-up pictures: as natural ones have them, and such as make a search hard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import idctn

from pipeline.tools.search.features import GRID, Features, Many

CHUNK = 20_000
SHAPES = np.log([4 / 3, 3 / 4, 3 / 2, 2 / 3, 1, 16 / 9])


def pictures(count: int, seed: int, kind: str = "natural") -> Many:
    """Make features: `natural` (amplitudes fall with frequency), `noise`, `flat` (one tone) or `few` (many equal)."""
    rng = np.random.default_rng(seed)
    made = [_some(min(CHUNK, count - start), rng, kind) for start in range(0, count, CHUNK)] or [_some(0, rng, kind)]
    return Many(*(np.concatenate(column) for column in zip(*made, strict=True)))


def one(gallery: Many, row: int) -> Features:
    """Return a picture of a gallery."""
    return Features(int(gallery.dhash[row]), float(gallery.aspect[row]), gallery.layout[row].tobytes())


def _some(count: int, rng: np.random.Generator, kind: str) -> Many:
    aspect = rng.choice(SHAPES, count) + 0.02 * rng.standard_normal(count)
    layout = np.empty((count, GRID * GRID, 3), dtype=np.uint8)
    if kind == "natural":
        light = _fields(count, GRID + 1, rng)
        rises = (light[:, :, 1:] > light[:, :, :-1]).reshape(count, GRID * GRID)
        layout[..., 0] = _tones(90 * light[:, :, :GRID])
        for channel in (1, 2):
            mean = 12 * rng.standard_normal((count, 1, 1))
            layout[..., channel] = _tones(mean + 15 * _fields(count, GRID, rng))
    else:
        rises = rng.random((count, GRID * GRID)) < 0.5
        layout[...] = rng.integers(0, 256, (count, 1 if kind == "flat" else GRID * GRID, 3))
    dhash = np.packbits(rises, axis=1).view(np.uint64).reshape(count)
    if kind == "few":
        same = rng.integers(0, 3, count)
        return Many(dhash[same % max(count, 1)], aspect[same % max(count, 1)], layout[same % max(count, 1)])
    return Many(dhash, aspect, layout)


def _fields(count: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = np.meshgrid(np.arange(GRID), np.arange(width), indexing="ij")
    amplitude = 1 / np.maximum(1, np.hypot(rows, columns)) ** 1.2
    amplitude[0, 0] = 0
    made: NDArray[np.float64] = idctn(rng.standard_normal((count, GRID, width)) * amplitude, axes=(1, 2), norm="ortho")
    return made


def _tones(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(128 + values, 0, 255).astype(np.uint8).reshape(len(values), GRID * GRID)
