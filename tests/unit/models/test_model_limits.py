"""Rates, pauses that a server asks for, and pauses of our own, in virtual time."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.limits import Limiter
from pipeline.pauses import LONGEST_PAUSE_SECONDS, jittered_pause, retry_after_seconds


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def admitted(limiter: Limiter, clock: Clock, tokens: list[int]) -> list[float]:
    """When each request was admitted."""

    async def main() -> list[float]:
        times = []
        for amount in tokens:
            await limiter.admit(amount)
            times.append(clock.now)
        return times

    return asyncio.run(main())


@given(rpm=st.integers(1, 6_000), count=st.integers(1, 60))
@settings(max_examples=60)
def test_requests_never_exceed_the_rate_and_waste_none_of_it(rpm: int, count: int) -> None:
    clock = Clock()
    times = admitted(Limiter(rpm, None, clock, clock.sleep), clock, [0] * count)
    burst = max(1.0, rpm / 60)
    for number, at in enumerate(times):
        assert number + 1 <= burst + at * rpm / 60 + 1e-6
    assert times[-1] == pytest.approx(max(0.0, (count - burst) * 60 / rpm), abs=1e-6)


@given(tokens=st.lists(st.integers(1, 5_000), min_size=1, max_size=30))
@settings(max_examples=60)
def test_tokens_never_exceed_the_rate_but_for_the_request_that_is_larger_than_it(tokens: list[int]) -> None:
    clock = Clock()
    times = admitted(Limiter(None, 60_000, clock, clock.sleep), clock, tokens)
    for number, at in enumerate(times):
        assert sum(tokens[:number]) <= 1_000 + at * 1_000 + max(tokens) + 1e-3


def test_what_was_estimated_and_not_used_is_given_back() -> None:
    clock = Clock()
    limiter = Limiter(None, 60_000, clock, clock.sleep)
    admitted(limiter, clock, [1_000])
    limiter.correct(estimated=1_000, used=10)
    assert admitted(limiter, clock, [900]) == [0.0]
    limiter.correct(estimated=900, used=4_900)
    assert admitted(limiter, clock, [90])[0] == pytest.approx(4.0, abs=0.1)


def test_without_limits_nobody_waits() -> None:
    clock = Clock()
    assert admitted(Limiter(None, None, clock, clock.sleep), clock, [10**9] * 3) == [0.0] * 3


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), ("0.5", 0.5), ("-3", None), ("soon", None), (formatdate(0, usegmt=True), 0.0)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds


def test_a_date_to_come_is_that_far_away() -> None:
    seconds = retry_after_seconds(formatdate(time.time() + 30, usegmt=True))
    assert seconds is not None
    assert 25 < seconds <= 30


@given(attempt=st.integers(0, 10_000))
def test_pauses_grow_and_stay_bounded(attempt: int) -> None:
    assert 0 <= jittered_pause(attempt, 1.0) <= min(LONGEST_PAUSE_SECONDS, 2.0 ** min(attempt, 16))
