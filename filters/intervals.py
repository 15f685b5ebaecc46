"""Confidence intervals of 95 %: of a share, of the difference of two shares, and of a mean.

Rollouts of one question are few (k = 8), and shares near 0 or 1 are the rule among questions chosen for being hard.
There the textbook interval, value ± 1.96 standard errors, is far too narrow; those of Wilson and Newcombe are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95
Z95 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Quantile of the normal distribution for a two-sided interval of 95 %."""

_EXACT_UP_TO = 30
"""Degrees of freedom; beyond them the expansion in powers of their inverse is off by less than 1e-6."""


class Interval(NamedTuple):
    """Where a value is, with 95 % confidence; both ends included."""

    low: float
    high: float


def wilson(hits: int, of: int) -> Interval:
    """Return the score interval of a share (E. B. Wilson, 1927, JASA 22:209-212); of nothing, all of 0 to 1.

    Raises:
        ValueError: there are more hits than tries, or fewer than none.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of} is no share")
    if not of:
        return Interval(0.0, 1.0)
    return wilson_share(hits / of, of)


def wilson_share(share: float, of: float) -> Interval:
    """Return the score interval of a share of so many tries, which need be no whole number, as an effective size is.

    Raises:
        ValueError: it is no share, or of nothing.
    """
    if not (0 <= share <= 1 and of > 0):
        raise ValueError(f"{share} of {of} is no share")
    square = Z95 * Z95
    middle = share + square / (2 * of)
    spread = Z95 * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    low, high = ((middle + sign * spread) / (1 + square / of) for sign in (-1, 1))
    # At none and at all the ends are 0 and 1 exactly; rounding would leave them a bit beside.
    return Interval(0.0 if share == 0 else low, 1.0 if share == 1 else high)


def newcombe(a_hits: int, a_of: int, b_hits: int, b_of: int) -> Interval:
    """Return the interval of the difference of two independent shares, a - b, built from their score intervals.

    Method 10 of R. G. Newcombe, 1998, Statistics in Medicine 17:873-890. Where one share is of nothing, all of
    -1 to 1: the difference can be any.

    Raises:
        ValueError: as `wilson`.
    """
    a, b = wilson(a_hits, a_of), wilson(b_hits, b_of)
    if not a_of or not b_of:
        return Interval(-1.0, 1.0)
    first, second = a_hits / a_of, b_hits / b_of
    below = math.hypot(first - a.low, b.high - second)
    above = math.hypot(a.high - first, second - b.low)
    return Interval(max(-1.0, first - second - below), min(1.0, first - second + above))


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the interval of the mean of independent values (Student's t); of equal values it has no width.

    Raises:
        ValueError: there are fewer than two values, so that nothing tells how far they scatter.
    """
    n = len(values)
    if n <= 1:
        raise ValueError(f"an interval of a mean needs two values or more, not {n}")
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    spread = student95(n - 1) * math.sqrt(variance / n)
    return Interval(mean - spread, mean + spread)


@lru_cache(maxsize=1024)
def student95(freedom: int) -> float:
    """Return t such that a Student variable of so many degrees of freedom is within ±t with probability 0.95.

    Raises:
        ValueError: there is less than one degree of freedom.
    """
    if freedom < 1:
        raise ValueError(f"Student's distribution has 1 degree of freedom or more, not {freedom}")
    return _inverted(freedom) if freedom <= _EXACT_UP_TO else _expanded(freedom)


def _inverted(freedom: int) -> float:
    """Invert the probability by bisection over the angle of `_within`, in which it rises from 0 to 1."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):  # halves the angle's range down to the last bit of a double
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < CONFIDENCE else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Return P(|T| <= t) for tan(angle) = t / sqrt(freedom): a finite sum for whole degrees of freedom.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 (odd) and 26.7.4 (even).
    """
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= power / (power + 1) * math.cos(angle) ** 2
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def _expanded(freedom: int) -> float:
    """Return the quantile by its expansion around the normal one: Abramowitz and Stegun, 26.7.5."""
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + math.fsum(term / math.pow(freedom, power) for power, term in enumerate(terms, start=1))
