"""How fast something goes, by what of it was seen lately, and when it will be over if it goes on so."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
"""Long enough that answers which take tens of seconds are no news, and short enough that a new rate soon shows."""
BASIS = 5
"""Rows from which a rate is told: fewer tell how long one takes, and not how many end at once."""
_MOST_LOOKS = 3_600
"""That are kept: at one a second, those of an hour."""


@dataclass
class Rate:
    """Of a count that only grows. One thread looks at it."""

    least: int
    """How much of it has to be seen before a rate is told; where that takes longer than the window, the window is
    longer."""
    _seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_MOST_LOOKS), init=False)

    def look(self, seconds: float, count: int) -> float | None:
        """Note the count at a time, of a clock in seconds, and return how much of it came per second lately.

        None where less than `least` of it was seen, or nothing but this.
        """
        seen = self._seen
        seen.append((seconds, count))
        while len(seen) > 1 and seen[1][0] <= seconds - WINDOW_SECONDS and count - seen[1][1] >= self.least:
            seen.popleft()
        began, before = seen[0]
        return (count - before) / (seconds - began) if count - before >= self.least and seconds > began else None


def seconds_left(rows: int, per_second: float | None) -> float | None:
    """Return how long so many rows take at a rate; None where there is no rate to tell it by."""
    return rows / per_second if per_second else None
