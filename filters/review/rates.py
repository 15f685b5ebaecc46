"""Shares of a whole set of rows, estimated from a stratified sample of it, with intervals of 95 %.

A row that is drawn with probability p stands for 1 / p rows (D. G. Horvitz and D. J. Thompson, 1952, JASA 47:663-685).
A share is the ratio of two such sums: of the rows that have a property, and of the rows that it is a share of. Its
variance is that of a ratio under stratified sampling without replacement, linearised (W. G. Cochran, Sampling
Techniques, 1977, chapters 5 and 6). The interval is that of Wilson at the effective sample size, the number of
independent rows that would tell as much: C. Franco, R. J. A. Little, T. A. Louis and E. V. Slud, 2019, Journal of
Survey Statistics and Methodology 7:334-364, find that it covers where that of the normal distribution does not, near 0
above all.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from filters.intervals import Z95, Interval, student95, wilson_share


class Seen(NamedTuple):
    """What was found out about one row of the sample."""

    stratum: str
    part: float
    """From 0 to `of`: how much of it has the property."""
    of: float = 1.0
    """From 0 to 1: how much of it belongs to what the share is of."""


class Rate(NamedTuple):
    """A share of the whole set, with its interval of 95 %."""

    share: float | None
    """None where no row that was seen belongs to what it is of."""
    low: float
    high: float
    rows: int
    """Of the sample, that belong to what it is of."""


UNKNOWN = Rate(None, 0.0, 1.0, 0)


def rate(seen: Sequence[Seen], sizes: Mapping[str, int]) -> Rate:
    """Return a share of the rows of all strata.

    Rows of a stratum that were drawn and not judged are taken to be as those that were. Of a stratum of which no row
    was judged nothing is known, so that the interval holds whatever its rows may be. Where all rows of all strata were
    judged the share is no estimate, and the interval has no width.

    Args:
        seen: the rows that were judged.
        sizes: rows of every stratum.

    Raises:
        ValueError: a stratum has fewer rows than were seen of it, or none.
    """
    strata: defaultdict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        strata[one.stratum].append(one)
    for name, rows in strata.items():
        if len(rows) > sizes.get(name, 0):
            raise ValueError(f"stratum {name}: {len(rows)} rows were seen of {sizes.get(name, 0)}")
    weights = {name: sizes[name] / len(rows) for name, rows in strata.items()}
    of = math.fsum(weights[one.stratum] * one.of for one in seen)
    rows_of = sum(one.of > 0 for one in seen)
    if not of:
        return UNKNOWN
    share = min(1.0, math.fsum(weights[one.stratum] * one.part for one in seen) / of)
    low, high = _interval(share, of, strata, sizes)
    unseen = sum(size for name, size in sizes.items() if name not in strata)
    known = of / (of + unseen)
    return Rate(share, low * known, high * known + (1 - known), rows_of)


def _interval(share: float, of: float, strata: Mapping[str, Sequence[Seen]], sizes: Mapping[str, int]) -> Interval:
    """Return the score interval at the effective size.

    That is the smaller of two: by the variance as it was seen, and by weights alone, as if all strata had one share
    (L. Kish, Survey Sampling, 1965). The first is 0 where no defect, or nothing else, was seen, and unsteady of few
    rows; the second knows nothing of strata that differ.
    """
    spread = even = 0.0
    for name, rows in strata.items():
        n, size = len(rows), sizes[name]
        left = 1 - n / size
        even += left * (size / n) ** 2 * math.fsum(one.of**2 for one in rows) / of**2
        if n > 1:
            off = [(one.part - share * one.of) / of for one in rows]
            mean = math.fsum(off) / n
            spread += size**2 * left * math.fsum((value - mean) ** 2 for value in off) / (n - 1) / n
    if not even:
        return Interval(share, share)
    effective = 1 / even
    if spread > 0:
        effective = min(effective, share * (1 - share) / spread)
    freedom = sum(map(len, strata.values())) - len(strata)
    # Few rows estimate a variance badly: E. L. Korn and B. I. Graubard, 1998, Survey Methodology 24:193-201.
    effective *= (Z95 / student95(max(1, freedom))) ** 2
    return wilson_share(share, effective) if effective > 0 else Interval(0.0, 1.0)
