"""Where the colours of the palette are in a view, measured on its pixels.

A pixel of a shrunk drawing is a mix of paper and at most one ink: its difference from white points in the
ink's direction, and its length says how much of the pixel the ink covers.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline.demo.reader.perception import Blob, ColourFacts, Colours
from pipeline.demo.vocabulary import COLOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL = "ink-mix.1"
"""Identity under which colours are stored; raise when this file changes what is measured."""
PATCH = 14
"""Pixels of a patch of the student's image encoder (Qwen2.5-VL, before it merges 2x2)."""
_PHASES = tuple((dx, dy) for dy in (0, 4, 7, 11) for dx in (0, 4, 7, 11))
"""Ways to lay the grid of patches, in quarters of a patch."""
_MAX_ANGLE = 0.985
"""Cosine of 10 degrees: half the least angle between two inks; bicubic ringing stays within."""
_FAINT = 0.3
_HALF = 0.5
"""A pixel half covered is where an edge is."""
_PURE = 0.55
"""A patch that is nowhere this pure is a fringe of something else."""
_MAX_BLOBS = 400


def measure_colours(pixels: NDArray[Any]) -> Colours:
    """Return the colours of an RGB image."""
    import numpy as np

    height, width = pixels.shape[:2]
    absorbed = 255.0 - pixels.reshape(-1, 3).astype(np.float32)
    length = np.linalg.norm(absorbed, axis=1)
    inks = _inks()
    strength = np.linalg.norm(inks, axis=1)
    along = absorbed @ (inks / strength[:, np.newaxis]).T
    nearest = along.argmax(axis=1)
    projected = along[np.arange(len(along)), nearest]
    # A difference shorter than this is paper or a pale background, whatever its direction.
    clear = (projected >= _MAX_ANGLE * length) & (length > _FAINT * strength.min())
    coverage = np.where(clear, projected / strength[nearest], 0).clip(0, 1)
    facts = []
    for index, word in enumerate(COLOURS):
        cover = np.where(nearest == index, coverage, 0).reshape(height, width)
        found = _facts(word, cover, pixels) if (cover >= _PURE).any() else None
        if found is not None:
            facts.append(found)
    return Colours(model=MODEL, width=width, height=height, colours=tuple(facts))


@cache
def _inks() -> NDArray[Any]:
    """Return what each colour takes away from white; last black, so that grey pixels have a direction of their own."""
    import numpy as np

    return 255.0 - np.array([*COLOURS.values(), (0, 0, 0)], dtype=np.float32)


def _facts(word: str, cover: NDArray[Any], pixels: NDArray[Any]) -> ColourFacts | None:
    import numpy as np

    blobs = _blobs(cover)
    if not blobs:
        return None
    purest = pixels[cover >= min(0.95, float(cover.max()))]
    red, green, blue = (int(value) for value in np.median(purest, axis=0))
    return ColourFacts(
        colour=word,
        rgb=(red, green, blue),
        blobs=blobs,
        spotted=tuple(_spotted(blobs, phase) for phase in _PHASES),
        patches=tuple(int((cover[dy::PATCH, dx::PATCH] >= _HALF).sum()) for dx, dy in _PHASES),
    )


def _spotted(blobs: tuple[Blob, ...], phase: tuple[int, int]) -> int:
    """Count the squares of half a patch that hold the middle of a blob: two that are closer may be seen as one."""
    side = PATCH / 2
    middles = (blob.box.centre for blob in blobs)
    return len({((x + phase[0] / 2) // side, (y + phase[1] / 2) // side) for x, y in middles})


def _blobs(cover: NDArray[Any]) -> tuple[Blob, ...]:
    from scipy import ndimage

    labels, _ = ndimage.label(cover >= _FAINT)
    blobs = []
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        patch = cover[place] * (labels[place] == number)
        if patch.max() >= _PURE:
            rows, columns = place
            blobs.append(
                Blob(
                    x0=columns.start,
                    y0=rows.start,
                    x1=columns.stop,
                    y1=rows.stop,
                    area=round(float(patch.sum()), 2),
                    shape=_shape(patch),
                )
            )
    blobs.sort(key=lambda blob: (-blob.area, blob.y0, blob.x0))
    return tuple(blobs[:_MAX_BLOBS])


def _shape(patch: NDArray[Any]) -> str:
    """Guess a shape from how much of its rectangle it fills: square 1, circle pi/4, triangle and diamond 1/2."""
    height = patch.shape[0]
    # Rows and columns that are only fringe widen the rectangle of a small patch: weigh them by what they hold.
    solid = patch.max(axis=1).sum() * patch.max(axis=0).sum()
    filled = float(patch.sum() / solid)
    if filled > 0.89:  # noqa: PLR2004 - half way from a circle to a square
        return "square"
    if filled > 0.64:  # noqa: PLR2004 - half way from a triangle to a circle
        return "circle"
    top, bottom = patch[: height // 2].sum(), patch[height - height // 2 :].sum()
    return "triangle" if bottom > 1.5 * top else "diamond"
