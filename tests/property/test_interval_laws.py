from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.intervals import mean_interval, newcombe, wilson

FEW = range(1, 13)
"""Rollouts of one arm, and half as many again."""


@st.composite
def shares(draw: st.DrawFn) -> tuple[int, int]:
    of = draw(st.integers(1, 5_000))
    return draw(st.integers(0, of)), of


def test_the_interval_of_a_share_rises_with_its_hits() -> None:
    for of in range(1, 200):
        bounds = [wilson(hits, of) for hits in range(of + 1)]
        assert [bound.low for bound in bounds] == sorted(bound.low for bound in bounds)
        assert [bound.high for bound in bounds] == sorted(bound.high for bound in bounds)


def test_the_interval_of_a_difference_rises_with_the_first_and_falls_with_the_second() -> None:
    for first, second in product(FEW, FEW):
        bounds = [[newcombe(a, first, b, second) for b in range(second + 1)] for a in range(first + 1)]
        for row in bounds:
            assert all(x.low >= y.low and x.high >= y.high for x, y in pairwise(row))
        for column in zip(*bounds, strict=True):
            assert all(x.low <= y.low and x.high <= y.high for x, y in pairwise(column))


@given(shares(), shares())
def test_an_interval_holds_what_was_observed_and_lies_where_it_can(a: tuple[int, int], b: tuple[int, int]) -> None:
    share, difference = a[0] / a[1], a[0] / a[1] - b[0] / b[1]
    low, high = wilson(*a)
    assert 0 <= low <= share <= high <= 1
    below, above = newcombe(*a, *b)
    assert -1 <= below <= difference <= above <= 1


@given(shares(), shares())
def test_what_is_true_of_one_side_is_true_of_the_other(a: tuple[int, int], b: tuple[int, int]) -> None:
    (hits, of), (low, high) = a, wilson(*a)
    assert wilson(of - hits, of) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    below, above = newcombe(*a, *b)
    assert newcombe(*b, *a) == pytest.approx((-above, -below), abs=1e-12)


@given(shares(), st.integers(2, 50))
def test_more_of_the_same_says_it_more_surely(a: tuple[int, int], times: int) -> None:
    (hits, of), (low, high) = a, wilson(*a)
    more = wilson(hits * times, of * times)
    assert more.high - more.low < high - low


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=60), st.floats(-3, 3))
def test_the_interval_of_a_mean_moves_with_its_values_and_has_the_mean_in_its_middle(
    values: list[float], by: float
) -> None:
    low, high = mean_interval(values)
    assert low <= high
    assert (low + high) / 2 == pytest.approx(sum(values) / len(values), abs=1e-9)
    assert mean_interval([value + by for value in values]) == pytest.approx((low + by, high + by), abs=1e-6)
