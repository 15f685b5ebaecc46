"""How long to wait before a server is asked again: what it asks for, and pauses of our own."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

LONGEST_PAUSE_SECONDS = 30.0
"""Of our own pauses: a server that is back is noticed within it."""


def jittered_pause(attempt: int, first_seconds: float) -> float:
    """Return the pause before try `attempt` + 2, drawn from the whole of a range that doubles each time.

    Clients that failed together come back spread out (full jitter).
    """
    return random.uniform(0, min(LONGEST_PAUSE_SECONDS, first_seconds * 2.0 ** min(attempt, 16)))  # noqa: S311


def retry_after_seconds(header: str | None) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds, or a date; None where it says neither."""
    if header is None:
        return None
    if header.strip().replace(".", "", 1).isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
