from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tools.search.dates import published

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2024-01-05", "2024-01-05"),
        ("2024-01-05T23:59:00Z", "2024-01-05"),
        ("2024-01-05 10:00", "2024-01-05"),
        ("Jan 5, 2024", "2024-01-05"),
        ("January 5, 2024", "2024-01-05"),
        ("5 Jan 2024", "2024-01-05"),
        ("Fri, 05 Jan 2024 10:00:00 GMT", "2024-01-05"),
        ("3 days ago", "2026-02-26"),
        ("1 day ago", "2026-02-28"),
        ("5 hours ago", "2026-03-01"),
        ("2 weeks ago", "2026-02-15"),
        ("1 month ago", "2026-01-30"),
        ("2 years ago", "2024-03-01"),
        *((other, None) for other in ("2024", "05/06/2024", "yesterday", "", None, "2024-13-40", "99999999 years ago")),
    ],
)
def test_a_day_is_read_where_one_is_told(written: str | None, day: str | None) -> None:
    assert published(written, TODAY) == day


@given(written=st.text(max_size=40))
def test_any_text_is_a_day_or_none(written: str) -> None:
    found = published(written, TODAY)
    assert found is None or date.fromisoformat(found)
