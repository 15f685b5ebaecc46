"""All pairs of 64-bit hashes within a Hamming distance, found exactly: `filters.dedup.bands` says how.

Large inputs are searched by `filters.dedup.kernel`, where numba is installed; the same pairs come out without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from filters.dedup.bands import BITS, Band, Costs, cheapest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]
    Spread = Callable[[Callable[[int], Pairs], Iterable[int]], Iterable[Pairs]]

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
_COSTS = Costs(mask=50e3, key=0, hash=15, candidate=10)
"""Of numpy, measured with 10^5 and 10^6 hashes."""
_COMPILED_ABOVE = 4e9
"""Nanoseconds that numpy would take from which to compile: importing numba and compiling take 2.5 s of CPU."""


def near_pairs(hashes: NDArray[np.uint64], radius: int, *, spread: Spread = map) -> Pairs:
    """Return (i, j, distance) of every unordered pair at most `radius` bits apart, each once, with i < j.

    Pairs are sorted by (i, j); equal hashes are pairs at distance 0. Time and memory grow with the number
    of pairs, which for n equal hashes is n(n-1)/2.

    Args:
        hashes: in any order.
        radius: in bits.
        spread: works on the parts of a large input, as `map` does: one after the other, or `ThreadPoolExecutor.map`,
            which then uses the cores it has threads for.

    Raises:
        ValueError: `hashes` is not a one-dimensional uint64 array, or the radius is negative.
    """
    import numpy as np

    if hashes.ndim != 1 or hashes.dtype != np.uint64:
        raise ValueError(f"hashes must be one row of uint64, not {hashes.ndim} dimensions of {hashes.dtype}")
    if radius < 0:
        raise ValueError(f"radius {radius} is negative")
    rows = np.argsort(hashes)
    ordered = hashes[rows]
    bounds = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, [len(ordered)]))[: len(ordered) + 1]
    permuted = _permuted(ordered[bounds[:-1]])
    del ordered
    return _expand(_search(permuted, min(radius, BITS), spread), rows, bounds)


def _permuted(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the hashes with their bits in the order of `_ORDER`, byte by byte from tables."""
    import numpy as np

    permuted = np.zeros_like(hashes)
    values = np.arange(256, dtype=np.uint64)
    for byte in range(BITS // 8):
        table = np.zeros_like(values)
        for target, source in enumerate(_ORDER):
            if source // 8 == byte:
                table |= (values >> np.uint64(source % 8) & np.uint64(1)) << np.uint64(target)
        permuted |= table[(hashes >> np.uint64(8 * byte)).astype(np.uint8)]
    return permuted


def _search(hashes: NDArray[np.uint64], radius: int, spread: Spread) -> Iterator[Pairs]:
    """Yield the pairs of distinct hashes."""
    plan = cheapest(len(hashes), radius, _COSTS)
    if plan.nanoseconds > _COMPILED_ABOVE and (kernel := _kernel()) is not None:
        found: Iterator[Pairs] = kernel.search(
            hashes, cheapest(len(hashes), radius, kernel.COSTS).bands, radius, spread
        )
        return found
    return _banded(hashes, plan.bands, radius)


@cache
def _kernel() -> ModuleType | None:
    """Return the compiled search; None where numba is not installed."""
    try:
        from filters.dedup import kernel
    except ImportError:
        return None
    return kernel


def _banded(hashes: NDArray[np.uint64], bands: Sequence[Band], radius: int) -> Iterator[Pairs]:
    import numpy as np

    positions = np.arange(len(hashes), dtype=np.int64)
    for number, band in enumerate(bands):
        keys = (hashes >> np.uint64(band.shift) & np.uint64(2**band.width - 1)).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.searchsorted(keys, np.arange(2**band.width + 1))
        for mask in band.flipped():
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
    earlier: Sequence[Band],
) -> Pairs:
    """Keep the candidates within the radius that no earlier band has already found."""
    import numpy as np

    differ = hashes[left] ^ hashes[right]
    distance = np.bitwise_count(differ)
    keep = np.flatnonzero(distance <= radius)
    differ = differ[keep]
    new = np.ones(len(keep), dtype=bool)
    for band in earlier:
        new &= np.bitwise_count(differ & np.uint64(band.mask)) > band.flips
    keep = keep[new]
    return left[keep], right[keep], distance[keep]


def _expand(found: Iterable[Pairs], rows: NDArray[np.intp], bounds: NDArray[np.int64]) -> Pairs:
    """Turn pairs of distinct hashes into pairs of rows, and add the pairs of rows with equal hashes.

    `rows` are in the order of their hashes, and `bounds` says where each of those begins.
    """
    import numpy as np

    parts = []
    repeated = np.flatnonzero(np.diff(bounds) > 1)
    for group, place in _ranges(bounds[repeated], bounds[repeated + 1]):
        for some, later in _ranges(place + 1, bounds[repeated[group] + 1]):
            parts.append((rows[place[some]], rows[later], np.zeros(len(later), dtype=np.uint8)))
    for a, b, distance in found:
        # Each row of hash a once per pair, then each of those with every row of hash b.
        for pair, left in _ranges(bounds[a], bounds[a + 1]):
            for copy, right in _ranges(bounds[b][pair], bounds[b + 1][pair]):
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
