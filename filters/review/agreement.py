"""How far two people agree beyond chance: Cohen's kappa."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from filters.intervals import Z95, wilson


class Kappa(NamedTuple):
    """Agreement of two annotators on the rows that both have marked."""

    rows: int
    agreed: int
    kappa: float | None
    """1: always; 0: as often as chance would have it. None where both said one and the same thing only."""
    low: float
    high: float


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> Kappa:
    """Return Cohen's kappa (J. Cohen, 1960, Educational and Psychological Measurement 20:37-46) with 95 % bounds.

    The bounds are those of its large-sample variance (J. L. Fleiss, J. Cohen and B. S. Everitt, 1969, Psychological
    Bulletin 72:323-327). That is 0 where all rows agree, however few they are; there they are those of the share of
    agreement (Wilson), with what chance explains held fixed.
    """
    n = len(pairs)
    agreed = sum(one == other for one, other in pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    chance = math.fsum(first[word] * second[word] for word in first) / (n * n) if n else 1.0
    if chance >= 1:
        return Kappa(n, agreed, None, -1.0, 1.0)
    kappa = (agreed / n - chance) / (1 - chance)
    if agreed == n:
        low, high = ((end - chance) / (1 - chance) for end in wilson(agreed, n))
        return Kappa(n, agreed, kappa, low, high)
    cells = Counter(pairs)
    margins = {word: (first[word] / n, second[word] / n) for word in {*first, *second}}
    rest = 1 - kappa
    diagonal = math.fsum(
        cells[word, word] / n * (1 - (own + other) * rest) ** 2 for word, (own, other) in margins.items()
    )
    beside = rest**2 * math.fsum(
        count / n * (margins[one][1] + margins[other][0]) ** 2 for (one, other), count in cells.items() if one != other
    )
    variance = (diagonal + beside - (kappa - chance * rest) ** 2) / (n * (1 - chance) ** 2)
    spread = Z95 * math.sqrt(max(0.0, variance))
    return Kappa(n, agreed, kappa, max(-1.0, kappa - spread), min(1.0, kappa + spread))
