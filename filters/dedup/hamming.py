"""All pairs of 64-bit hashes within a Hamming distance, found exactly.

Multi-index hashing (Norouzi, Punjani and Fleet, 2012). The bits are cut into m bands. With radius
r = a·m + b (0 ≤ b < m), bands 0..b may differ in at most a bits and the others in at most a - 1: were no
band within its budget, the distance would be at least (b+1)(a+1) + (m-b-1)a = r + 1. So every pair within
r agrees in some band up to its budget, and probing all flips of each band within its budget misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]

BITS = 64

# A fixed random order of the bits. A perceptual hash puts its most correlated bits side by side, which fills
# some buckets of a band and leaves others empty; any permutation keeps distances, a random one evens them out.
# fmt: off
_ORDER = (
    20, 4, 25, 31, 58, 37, 23, 3, 56, 11, 46, 32, 30, 36, 10, 53,
    38, 40, 8, 13, 28, 24, 61, 48, 63, 57, 1, 16, 54, 42, 43, 22,
    47, 14, 21, 45, 44, 49, 62, 26, 35, 52, 0, 6, 17, 2, 5, 55,
    7, 29, 15, 9, 33, 12, 51, 41, 60, 34, 19, 59, 50, 18, 27, 39,
)
# fmt: on

_CHUNK = 1 << 22
"""Candidates compared at once: some 100 MB of temporaries."""


class _Band(NamedTuple):
    shift: int
    width: int
    flips: int


def near_pairs(hashes: NDArray[np.uint64], radius: int) -> Pairs:
    """Return (i, j, distance) of every unordered pair at most `radius` bits apart, each once, with i < j.

    Pairs are sorted by (i, j); equal hashes are pairs at distance 0. Time and memory grow with the number
    of pairs, which for n equal hashes is n(n-1)/2.

    Raises:
        ValueError: `hashes` is not a one-dimensional uint64 array, or the radius is negative.
    """
    import numpy as np

    if hashes.ndim != 1 or hashes.dtype != np.uint64:
        raise ValueError(f"hashes must be one row of uint64, not {hashes.ndim} dimensions of {hashes.dtype}")
    if radius < 0:
        raise ValueError(f"radius {radius} is negative")
    unique, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    permuted = _permute(unique)
    bands = _plan(len(unique), min(radius, BITS))
    found = list(_banded(permuted, bands, radius) if bands else _brute(permuted, radius))
    return _expand(found, inverse, counts)


def _permute(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    import numpy as np

    permuted = np.zeros_like(hashes)
    for target, source in enumerate(_ORDER):
        permuted |= ((hashes >> np.uint64(source)) & np.uint64(1)) << np.uint64(target)
    return permuted


def _plan(size: int, radius: int) -> list[_Band]:
    """Return the bands that cost least, or none if comparing every pair costs less.

    A numpy pass costs about 50 µs, a probe about 5 ns and a comparison about 10 ns.
    """
    pairs = size * size / 2
    best, least = [], size * 50e3 + pairs * 10
    for count in (3, 4, 5, 6):
        bands = _bands(count, radius)
        masks = [sum(comb(band.width, k) for k in range(band.flips + 1)) for band in bands]
        cost = sum(
            mask * (50e3 + size * 5 + pairs / 2**band.width * 10) for mask, band in zip(masks, bands, strict=True)
        )
        if cost < least:
            best, least = bands, cost
    return best


def _bands(count: int, radius: int) -> list[_Band]:
    """Return the bands that are probed; a band whose budget is negative is left out (they come last)."""
    flips, rest = divmod(radius, count)
    bands, shift = [], 0
    for number in range(count):
        width = BITS // count + (number < BITS % count)
        budget = flips if number <= rest else flips - 1
        if budget >= 0:
            bands.append(_Band(shift, width, min(budget, width)))
        shift += width
    return bands


def _masks(band: _Band) -> Iterator[int]:
    for flips in range(band.flips + 1):
        for bits in combinations(range(band.width), flips):
            yield sum(1 << bit for bit in bits)


def _banded(hashes: NDArray[np.uint64], bands: list[_Band], radius: int) -> Iterator[Pairs]:
    import numpy as np

    positions = np.arange(len(hashes), dtype=np.int64)
    for number, band in enumerate(bands):
        keys = (hashes >> np.uint64(band.shift) & np.uint64(2**band.width - 1)).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.searchsorted(keys, np.arange(2**band.width + 1))
        for mask in _masks(band):
            partner = keys ^ mask
            # Each pair of buckets once; inside one bucket, each pair of positions once.
            begin = positions + 1 if mask == 0 else starts[partner]
            end = np.where(partner >= keys, starts[partner + 1], begin)
            for left, right in _ranges(begin, end):
                yield _verify(hashes, order[left], order[right], radius, bands[:number])


def _ranges(begin: NDArray[np.int64], end: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield all (row, position) with begin[row] <= position < end[row], in chunks of about `_CHUNK`."""
    import numpy as np

    rows = np.flatnonzero(end > begin)
    sizes = (end - begin)[rows]
    total = np.concatenate(([0], np.cumsum(sizes)))
    low = 0
    while low < len(rows):
        # At least one row, however many candidates it has: fewer than there are hashes.
        high = max(low + 1, int(np.searchsorted(total, total[low] + _CHUNK, side="right")) - 1)
        part = slice(low, high)
        left = np.repeat(rows[part], sizes[part])
        offset = np.arange(len(left)) - np.repeat(total[part] - total[low], sizes[part])
        yield left, np.repeat(begin[rows[part]], sizes[part]) + offset
        low = high


def _verify(
    hashes: NDArray[np.uint64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    radius: int,
    earlier: list[_Band],
) -> Pairs:
    """Keep the candidates within the radius that no earlier band has already found."""
    import numpy as np

    differ = hashes[left] ^ hashes[right]
    distance = np.bitwise_count(differ)
    keep = np.flatnonzero(distance <= radius)
    differ = differ[keep]
    new = np.ones(len(keep), dtype=bool)
    for band in earlier:
        inside = differ >> np.uint64(band.shift) & np.uint64(2**band.width - 1)
        new &= np.bitwise_count(inside) > band.flips
    keep = keep[new]
    return left[keep], right[keep], distance[keep]


def _brute(hashes: NDArray[np.uint64], radius: int) -> Iterator[Pairs]:
    import numpy as np

    for i in range(len(hashes) - 1):
        distance = np.bitwise_count(hashes[i] ^ hashes[i + 1 :])
        near = np.flatnonzero(distance <= radius)
        yield np.full(len(near), i, dtype=np.int64), near + i + 1, distance[near]


def _expand(found: list[Pairs], inverse: NDArray[np.intp], counts: NDArray[np.intp]) -> Pairs:
    """Turn pairs of distinct hashes into pairs of rows, and add the pairs of rows with equal hashes."""
    import numpy as np

    rows = np.argsort(inverse, kind="stable")
    ends = np.cumsum(counts)
    starts = ends - counts
    place = np.arange(len(rows))
    parts = [
        (rows[left], rows[right], np.zeros(len(left), dtype=np.uint8))
        for left, right in _ranges(place + 1, ends[inverse[rows]])
    ]
    for a, b, distance in found:
        # Each row of hash a once per pair, then each of those with every row of hash b.
        for pair, left in _ranges(starts[a], ends[a]):
            for copy, right in _ranges(starts[b][pair], ends[b][pair]):
                parts.append((rows[left[copy]], rows[right], distance[pair[copy]]))
    return _sorted(parts)


def _sorted(parts: list[Pairs]) -> Pairs:
    import numpy as np

    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8)
    left, right, distance = (np.concatenate(column) for column in zip(*parts, strict=True))
    first, second = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((second, first))
    return first[order], second[order], distance[order]
