"""The nearest pictures of a large gallery, exactly as if all were compared.

Of every picture a few numbers give a distance that is never larger than the true one, and cost a fifteenth of it: the
hash and the shape of the sides as they are, brightness by its lowest frequencies, tint by its means. Whatever is not
nearer by that than the k-th best so far cannot be among the k best; only what is left is compared in full.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.tools.search.features import GRID, Features, Many, course, distances, many

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FREQUENCIES = 15
"""Of 63: with the length of the rest they make rows of 64 bytes."""
ROWS = 1 << 14
"""Compared at once: what they take stays in a core's cache."""
FIRST = 64
"""Compared in full before anything else, those least far by the bound: their k-th best is about the final one."""
SLACK = 1e-4
"""Bounds are sums of a few single-precision numbers below 10."""


class Gallery:
    """Pictures to be found again; 300 bytes of memory each. Any thread may search."""

    def __init__(self, pictures: Many) -> None:
        import numpy as np

        self._pictures = pictures
        count = len(pictures.dhash)
        self._aspect = pictures.aspect.astype(np.float32)
        self._course = np.empty((count, FREQUENCIES + 1), dtype=np.float32)
        self._tint = np.empty((2, count), dtype=np.float32)
        for start in range(0, count, ROWS):
            rows = slice(start, start + ROWS)
            self._course[rows], self._tint[:, rows] = _summary(pictures.layout[rows])

    def nearest(self, query: Features, count: int) -> tuple[int, ...]:
        """Return the places of the `count` pictures that are least unlike `query`, best first, equal ones in order."""
        import numpy as np

        bound = self._bound(query)
        if len(bound) <= FIRST + count:
            rows = np.arange(len(bound))
        else:
            first = np.argpartition(bound, FIRST + count)[: FIRST + count]
            worst = np.partition(distances(query, self._pictures.of(first)), count - 1)[count - 1]
            rows = np.flatnonzero(bound <= worst + SLACK)
        unlike = distances(query, self._pictures.of(rows))
        return tuple(int(row) for row in rows[unlike.argsort(kind="stable")[:count]])

    def _bound(self, query: Features) -> NDArray[np.float32]:
        """Return a distance of each picture that is no larger than `distances`."""
        import numpy as np

        ours = many([query])
        (course_of,), tint_of = _summary(ours.layout)
        bound = np.empty(len(self._aspect), dtype=np.float32)
        for start in range(0, len(bound), ROWS):
            rows = slice(start, start + ROWS)
            part = bound[rows]
            np.matmul(self._course[rows], -course_of, out=part)
            part += np.bitwise_count(self._pictures.dhash[rows] ^ ours.dhash) * np.float32(1 / 32)
            part += np.abs(self._aspect[rows] - np.float32(query.aspect))
            # Of both channels together no mean of differences is below the difference of means.
            for channel in (0, 1):
                part += np.abs(self._tint[channel, rows] - tint_of[channel]) * np.float32(0.5 / 85)
        bound += 1
        return bound


def _summary(layout: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the course of brightness in few numbers, and the mean of each tint.

    Of two courses a and b with projections p and q, a·b is at most p·q + |a - p||b - q| (Cauchy and Schwarz): so the
    length of what a projection leaves is its last number, and the product of two summaries is never too small.
    """
    import numpy as np

    courses = course(layout[..., 0])
    lowest = courses @ _waves()
    rest = np.sqrt(np.maximum((courses**2).sum(axis=1) - (lowest**2).sum(axis=1), 0))
    summary = np.concatenate((lowest, rest[:, None]), axis=1).astype(np.float32)
    return summary, layout[..., 1:].mean(axis=1, dtype=np.float32).T


def _waves() -> NDArray[np.float64]:
    """Return the lowest frequencies of the cosine transform of a layout as orthonormal columns, without the mean."""
    import numpy as np

    places = np.arange(GRID)
    waves = np.array([np.cos(math.pi * (places + 0.5) * k / GRID) for k in range(GRID)])
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    pairs = sorted(((i, j) for i in range(GRID) for j in range(GRID)), key=lambda pair: (sum(pair), pair))
    return np.array([np.outer(waves[i], waves[j]).ravel() for i, j in pairs[1 : FREQUENCIES + 1]]).T
