"""How large labels are printed: sizes that span the edge of legibility in a model's view.

`tests/benchmarks/legibility.py` measures what share of labels the OCR network of rapidocr 3.10.0 (PP-OCRv6
small, one thread) reads exactly: from the view of a whole sheet, of half a sheet (262,144 pixels each), and
from a crop of 616x420 pixels at native size.

    px native | px view | view: name code number symbol | half: name code number symbol | crop: all kinds
           13 |    2.65 |       0.00  0.00  0.00  0.00  |       0.03  0.04  0.22  0.08  |  1.00
           15 |    3.06 |       0.00  0.00  0.00  0.00  |       0.08  0.29  0.44  0.17  |  1.00
           17 |    3.47 |       0.00  0.00  0.00  0.00  |       0.39  0.42  0.61  0.29  |  1.00
           19 |    3.88 |       0.03  0.06  0.22  0.06  |       0.78  0.42  0.86  0.50  |  1.00
           22 |    4.49 |       0.17  0.22  0.33  0.25  |       0.92  0.88  0.97  0.83  |  1.00
           24 |    4.90 |       0.22  0.47  0.67  0.31  |       0.83  1.00  1.00  0.88  |  1.00
           26 |    5.31 |       0.50  0.81  0.81  0.67  |       1.00  1.00  0.97  0.88  |  1.00
           28 |    5.72 |       0.92  0.81  0.78  0.61  |       1.00  1.00  1.00  0.88  |  1.00
           30 |    6.12 |       0.81  0.92  0.83  0.78  |       0.92  1.00  1.00  0.88  |  1.00
           33 |    6.74 |       0.86  0.92  1.00  0.86  |       0.97  1.00  1.00  0.96  |  1.00
           36 |    7.35 |       1.00  0.97  1.00  0.97  |       1.00  1.00  1.00  1.00  |  1.00
           40 |    8.17 |       1.00  0.97  1.00  0.92  |       1.00  1.00  1.00  1.00  |  1.00
           44 |    8.98 |       1.00  1.00  1.00  0.97  |       1.00  1.00  1.00  1.00  |  1.00

36 labels of each kind in a view, fewer in a half, three in the crops. So the edge is at 4.5 to 6 pixels.
"""

from __future__ import annotations

import random
from typing import Final

READABLE: Final = (36, 38, 40, 44)
"""Read from the view of the whole sheet nearly always. Pixels of the sheet, as all sizes here."""
EDGE: Final = (22, 24, 26, 28)
"""Read from it between one time in five and four times in five, from half a sheet nearly always."""
HIDDEN: Final = (13, 14, 15, 17, 19)
"""Hardly ever read from it; from half a sheet at 19 mostly, at 13 hardly ever, so that some need a closer look."""

BANDS: Final = (READABLE, EDGE, HIDDEN)


def label_sizes(count: int, rng: random.Random) -> list[int]:
    """Return `count` sizes in native pixels, the bands in equal shares (up to rounding), in random order."""
    order = list(BANDS)
    rng.shuffle(order)
    sizes = [rng.choice(order[index % len(order)]) for index in range(count)]
    rng.shuffle(sizes)
    return sizes
