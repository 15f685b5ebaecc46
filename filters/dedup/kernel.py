"""The search of `filters.dedup.hamming`, compiled. Imported only where it pays: numba is an extra, and takes seconds.

All numbers are unsigned: numba makes a float of a signed and an unsigned one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from filters.dedup.bands import Band, Costs

if TYPE_CHECKING:
    from filters.dedup.hamming import Pairs, Spread

COSTS = Costs(mask=500, key=9, hash=0, candidate=0.6)
"""Measured on one core with 10^5 to 10^7 hashes."""

_SLICES = 64
"""Parts of a band: enough for threads to end together, and small enough for a cache."""
_ROOM = 1 << 16
"""Pairs that a slice has room for at first: pages that nothing is written to take no memory."""


def search(hashes: np.ndarray[Any, Any], bands: Sequence[Band], radius: int, spread: Spread) -> Iterator[Pairs]:
    """Yield the pairs within the radius, as positions in `hashes`, which are distinct; each pair once."""
    for number, band in enumerate(bands):
        table = _buckets(hashes, np.uint64(band.shift), np.uint64(band.width))
        flips = np.fromiter(band.flipped(), np.int64, band.probes)
        before = np.array([[earlier.mask, earlier.flips] for earlier in bands[:number]], np.uint64).reshape(-1, 2)
        yield from spread(partial(_slice, table, band.width, (flips, np.uint64(radius), before)), range(_SLICES))


def _slice(table: tuple[Any, ...], width: int, asked: tuple[Any, ...], number: int) -> Pairs:
    """Return the pairs of one slice of a band's keys with all others."""
    low, high = ((number + step << width) // _SLICES for step in (0, 1))
    room = _ROOM
    while True:
        first, second, distance = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.uint8)
        count = _pairs(*table, low, high, *asked, first, second, distance)
        if count <= room:
            return first[:count].astype(np.int64), second[:count].astype(np.int64), distance[:count].copy()
        room = count


def _count_bits(context: Any, number: Any) -> Any:  # noqa: ARG001 - as numba calls it
    """Count the bits that are set, by the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001 - as numba calls it
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_count_bits)


def _count_buckets(hashes: Any, shift: Any, width: Any) -> Any:
    """Return the hashes in the order of a band's keys, where each was, and where each key begins (a counting sort)."""
    mask = (np.uint64(1) << width) - np.uint64(1)
    size = 1 << np.int64(width)
    starts = np.zeros(size + 2, np.int32)
    for number in hashes:
        starts[np.int64((number >> shift) & mask) + 2] += 1
    for key in range(2, size + 2):
        starts[key] += starts[key - 1]
    ordered = np.empty(hashes.size, np.uint64)
    order = np.empty(hashes.size, np.int32)
    for place in range(hashes.size):
        bucket = np.int64((hashes[place] >> shift) & mask) + 1
        to = starts[bucket]
        starts[bucket] = to + 1
        ordered[to] = hashes[place]
        order[to] = place
    return ordered, order, starts[:-1]


def _compare_buckets(  # noqa: PLR0917 - compiled functions take no keywords
    ordered: Any,
    order: Any,
    starts: Any,
    low: Any,
    high: Any,
    flips: Any,
    radius: Any,
    before: Any,
    first: Any,
    second: Any,
    distance: Any,
) -> Any:
    """Write down the pairs of keys `low` to `high` with the keys that flips lead to, and return how many there are.

    Those for which there is no room are counted only. A pair that an earlier band finds is left to it: `before` holds
    the mask and the flips of each.
    """
    count = 0
    for flip in flips:
        for key in range(low, high):
            other = key ^ flip
            if other < key:
                continue  # each pair of buckets once
            for mine in range(starts[key], starts[key + 1]):
                for theirs in range(mine + 1 if flip == 0 else starts[other], starts[other + 1]):
                    differ = ordered[mine] ^ ordered[theirs]
                    bits = _popcount(differ)
                    if bits > radius:
                        continue
                    new = True
                    for band in range(before.shape[0]):
                        new = new and _popcount(differ & before[band, 0]) > before[band, 1]
                    if not new:
                        continue
                    if count < first.size:
                        first[count] = order[mine]
                        second[count] = order[theirs]
                        distance[count] = bits
                    count += 1
    return count


# `nogil`: threads of the caller work at once.
_buckets: Any = numba.njit("Tuple((uint64[::1], int32[::1], int32[::1]))(uint64[::1], uint64, uint64)", nogil=True)(
    _count_buckets
)
_pairs: Any = numba.njit(
    "int64(uint64[::1], int32[::1], int32[::1], int64, int64, int64[::1], uint64, uint64[:, ::1],"
    "int32[::1], int32[::1], uint8[::1])",
    nogil=True,
)(_compare_buckets)
