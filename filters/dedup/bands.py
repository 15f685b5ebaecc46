"""Which bits of 64 are looked up, and how many of them may differ, so that no near pair is missed.

Multi-index hashing (Norouzi, Punjani and Fleet, 2012). Some bits are cut into m bands. With radius r = a·m + b
(0 ≤ b < m), bands 0..b may differ in at most a bits and the others in at most a - 1: were no band within its budget,
the distance would be at least (b+1)(a+1) + (m-b-1)a = r + 1. So every pair within r agrees in some band up to its
budget, however wide the bands are, and probing all flips of each band within its budget misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import NamedTuple

BITS = 64
_MOST_BANDS = 6
_WIDEST = 22
"""Bits: a table of 2^22 places takes 17 MB, and few buckets of it hold more than one of 10^7 hashes."""


class Band(NamedTuple):
    """Consecutive bits, and how many of them may differ."""

    shift: int
    width: int
    flips: int

    @property
    def mask(self) -> int:
        """Return the band's bits, in their place."""
        return (1 << self.width) - 1 << self.shift

    @property
    def probes(self) -> int:
        """Return how many keys are looked up for each key."""
        return sum(comb(self.width, flips) for flips in range(self.flips + 1))

    def flipped(self) -> Iterator[int]:
        """Yield what a key may differ by, nothing first."""
        for flips in range(self.flips + 1):
            for bits in combinations(range(self.width), flips):
                yield sum(1 << bit for bit in bits)


_EVERY_PAIR = (Band(0, 0, 0),)
"""Compares all with all: one key, without a bit."""


class Costs(NamedTuple):
    """What an implementation takes, in nanoseconds."""

    mask: float
    """Each way to flip bits of a band."""
    key: float
    """Each possible key under each."""
    hash: float
    """Each hash under each."""
    candidate: float
    """Each pair that is compared."""


class Plan(NamedTuple):
    """Bands that find all pairs, and what that is expected to take."""

    bands: tuple[Band, ...]
    nanoseconds: float


def bands(count: int, radius: int) -> tuple[Band, ...]:
    """Return bands that find all pairs within a radius; `count` is at most radius + 1, where each has to be equal."""
    flips, rest = divmod(radius, count)
    found, shift = [], 0
    for number in range(count):
        share = BITS // count + (number < BITS % count)
        width = min(share, _WIDEST)
        found.append(Band(shift, width, min(flips if number <= rest else flips - 1, width)))
        shift += share
    return tuple(found)


def cheapest(hashes: int, radius: int, costs: Costs) -> Plan:
    """Return what takes least for so many evenly spread hashes."""
    pairs = hashes * hashes / 2

    def cost(band: Band) -> float:
        keys = 1 << band.width
        return band.probes * (costs.mask + costs.hash * hashes + costs.key * keys + costs.candidate * pairs / keys)

    some = (_EVERY_PAIR, *(bands(count, radius) for count in range(1, min(_MOST_BANDS, radius + 1) + 1)))
    return min((Plan(one, sum(map(cost, one))) for one in some), key=lambda plan: plan.nanoseconds)
