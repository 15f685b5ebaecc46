"""How large labels are printed: sizes that span the edge of legibility in a model's view."""

from __future__ import annotations

import random
from typing import Final

READABLE: Final = (36, 38, 40, 44)
EDGE: Final = (22, 24, 26, 28)
HIDDEN: Final = (13, 14, 15, 17, 19)

BANDS: Final = (READABLE, EDGE, HIDDEN)


def label_sizes(count: int, rng: random.Random) -> list[int]:
    """Return `count` sizes in native pixels, the bands in equal shares (up to rounding), in random order."""
    order = list(BANDS)
    rng.shuffle(order)
    sizes = [rng.choice(order[index % len(order)]) for index in range(count)]
    rng.shuffle(sizes)
    return sizes
