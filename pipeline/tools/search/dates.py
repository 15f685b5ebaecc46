"""Dates as search providers write them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime

# Each day of them is meant as written, or as counted back from the day of the search: `3 days ago`.
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
_AGO = re.compile(r"(\d+) (minute|min|hour|day|week|month|year)s? ago")
_DAYS = {"minute": 0.0, "min": 0.0, "hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.44, "year": 365.25}
_WRITTEN = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%Y/%m/%d")


def published(written: str | None, today: date) -> str | None:
    """Return a date as YYYY-MM-DD, None where the text tells no day: `2024`, `05/06/2024`, `yesterday evening`.

    `today` is the day of the search. Ages in weeks and more are the latest day that they may mean.
    """
    text = " ".join((written or "").split())
    ago = _AGO.fullmatch(text.lower())
    if ago is not None:
        return _day(today, float(ago[1]) * _DAYS[ago[2]])
    iso = _ISO.fullmatch(text)
    for form, part in ((("%Y-%m-%d",), iso[1] if iso else ""), (_WRITTEN, text)):
        for one in form:
            try:
                return datetime.strptime(part, one).date().isoformat()  # noqa: DTZ007 - a day has no zone
            except ValueError:
                continue
    try:
        return parsedate_to_datetime(text).date().isoformat()
    except (ValueError, OverflowError, IndexError):
        return None


def _day(today: date, back: float) -> str | None:
    try:
        return (today - timedelta(days=int(back))).isoformat()
    except OverflowError:
        return None
