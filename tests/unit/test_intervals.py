"""Intervals against numbers that were published with the methods."""

from __future__ import annotations

import pytest

from filters.intervals import Interval, mean_interval, newcombe, student95, wilson

STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228} | {
    15: 2.131,
    20: 2.086,
    25: 2.060,
    29: 2.045,
    30: 2.042,
    31: 2.040,
    40: 2.021,
    60: 2.000,
    120: 1.980,
    100_000: 1.960,
}
"""Two-sided, 95 %, by degrees of freedom: the table at the end of any statistics book."""


@pytest.mark.parametrize(("freedom", "value"), STUDENT.items())
def test_student_is_that_of_the_tables(freedom: int, value: float) -> None:
    assert student95(freedom) == pytest.approx(value, abs=6e-4)


def test_student_falls_with_the_degrees_of_freedom_where_the_methods_meet_too() -> None:
    quantiles = [student95(freedom) for freedom in range(1, 200)]
    assert quantiles == sorted(quantiles, reverse=True)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_the_difference_of_shares_is_that_of_newcombe_1998_table_2(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert newcombe(*counts) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_share_is_that_of_newcombe_1998_on_single_shares(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=6e-5)


def test_of_nothing_everything_is_possible() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert newcombe(0, 0, 3, 8) == newcombe(3, 8, 0, 0) == Interval(-1.0, 1.0)


def test_a_mean_is_that_of_a_textbook() -> None:
    # Mean 5, standard deviation 2, n = 4: 5 ± 3.182.
    spread = 2 * 3**0.5 / 2
    assert mean_interval([5 - spread, 5 - spread, 5 + spread, 5 + spread]) == pytest.approx((1.818, 8.182), abs=1e-3)
    assert mean_interval([0.25] * 5) == Interval(0.25, 0.25)


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (1, -1)])
def test_what_is_no_share_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(*counts)


def test_a_mean_of_one_value_and_a_distribution_without_freedom_are_refused() -> None:
    with pytest.raises(ValueError, match="two values"):
        mean_interval([1.0])
    with pytest.raises(ValueError, match="degree of freedom"):
        student95(0)
