"""When a stage will be over is told by the rate of its last minute, and by nothing where there is none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.run.rates import BASIS, WINDOW_SECONDS, Rate, seconds_left

rates = st.floats(0.2, 500)
steps = st.floats(0.1, 3)


def looked(rate: Rate, per_second: float, seconds: float, *, step: float, begin: float = 0.0, base: int = 0) -> float:
    """Look at a count that grows evenly from `base`, every `step`; return the last time."""
    now = begin
    for number in range(int(seconds / step) + 1):
        now = begin + number * step
        rate.look(now, base + int(per_second * (now - begin)))
    return now


@given(rates, steps, st.integers(1, 100_000))
def test_at_an_even_pace_it_is_over_when_it_is_told(per_second: float, step: float, rows: int) -> None:
    rate = Rate(BASIS)
    now = looked(rate, per_second, 90, step=step)
    told = seconds_left(rows, rate.look(now + step, int(per_second * (now + step))))
    # A count is whole, at both ends of the window.
    assert told == pytest.approx(rows / per_second, rel=2 / (per_second * (WINDOW_SECONDS - step)) + 1e-9)


@given(rates, rates, steps)
def test_a_pace_of_more_than_a_minute_ago_counts_no_more(before: float, after: float, step: float) -> None:
    rate = Rate(BASIS)
    now = looked(rate, before, 120, step=step)
    base = int(before * now)
    now = looked(rate, after, WINDOW_SECONDS + 5, step=step, begin=now + step, base=base)
    told = rate.look(now + step, base + int(after * (WINDOW_SECONDS + 5)))
    assert told == pytest.approx(after, rel=0.2, abs=0.1)


@given(st.lists(st.floats(0.1, 1_000), max_size=30), st.integers(0, BASIS - 1))
def test_nothing_is_told_of_a_few_rows(pauses: list[float], rows: int) -> None:
    rate, now = Rate(BASIS), 0.0
    assert rate.look(now, 0) is None
    for pause in pauses:
        now += pause
        assert rate.look(now, rows) is None
    assert seconds_left(7, None) is None


@given(rates, st.lists(st.floats(0.1, 100), min_size=2, max_size=30))
def test_while_nothing_ends_the_time_that_is_left_grows_but_for_the_grain_of_a_row(
    per_second: float, pauses: list[float]
) -> None:
    rate, calls = Rate(BASIS), Rate(0)
    now = looked(rate, per_second, 60, step=1)
    count, told = int(per_second * now), [0.0]
    calls.look(now, count)
    for pause in pauses:
        now += pause
        told.append(seconds_left(10, rate.look(now, count)) or 0.0)
        assert calls.look(now, count) == 0.0
    grain = 1 / max(BASIS, WINDOW_SECONDS * per_second)  # a second without a row leaves the window
    assert all(later >= earlier * (1 - grain) for earlier, later in pairwise(told))
    assert told[-1] > 0


def test_what_is_slower_than_a_minute_has_a_rate_by_its_last_rows() -> None:
    rate = Rate(BASIS)
    for minute in range(60):
        told = rate.look(60.0 * minute, minute // 2)
    assert told == pytest.approx(1 / 120, rel=0.2)
