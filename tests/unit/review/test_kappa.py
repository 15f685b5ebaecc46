"""Cohen's kappa against tables that were published with it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from filters.intervals import Z95
from filters.review.agreement import cohen_kappa


def pairs(table: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """A table of counts, as the pairs that it counts."""
    return [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]


FLEISS = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
"""Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 2003, table 18.1."""
EVERITT = [[106, 10, 4], [22, 28, 10], [2, 12, 6]]
"""Fleiss, Cohen and Everitt, 1969, table 1 as counts of 200."""


@pytest.mark.parametrize(
    ("table", "kappa", "error"), [(FLEISS, 0.676, 0.0877), (EVERITT, 0.429, 0.0537)], ids=["fleiss", "everitt"]
)
def test_kappa_and_its_standard_error_are_those_that_were_published(
    table: Sequence[Sequence[int]], kappa: float, error: float
) -> None:
    found = cohen_kappa(pairs(table))
    assert found.kappa == pytest.approx(kappa, abs=6e-4)
    assert (found.high - found.low) / 2 / Z95 == pytest.approx(error, abs=6e-4)


@pytest.mark.parametrize(
    ("table", "kappa"), [([[20, 5], [10, 15]], 0.4), ([[45, 15], [25, 15]], 0.1304), ([[25, 35], [5, 35]], 0.2593)]
)
def test_kappa_of_two_by_two_tables_is_that_of_the_textbooks(table: Sequence[Sequence[int]], kappa: float) -> None:
    assert cohen_kappa(pairs(table)).kappa == pytest.approx(kappa, abs=6e-5)


def test_whoever_is_first_and_whatever_words_are_called_kappa_is_the_same() -> None:
    found = cohen_kappa(pairs(EVERITT))
    assert cohen_kappa([(b, a) for a, b in pairs(EVERITT)]) == pytest.approx(found)
    assert cohen_kappa([("abc"[a], "abc"[b]) for a, b in pairs(EVERITT)]) == pytest.approx(found)


def test_full_agreement_on_few_rows_is_not_sure() -> None:
    few, many = (cohen_kappa(pairs([[n, 0], [0, n]])) for n in (3, 300))
    assert (few.kappa, few.high) == (many.kappa, many.high) == (1.0, 1.0)
    assert few.low < 0.3
    assert many.low > 0.97


@pytest.mark.parametrize("table", [[], [[7]], [[0, 0], [0, 5]]], ids=["of nothing", "one word", "one of two words"])
def test_where_both_say_one_thing_only_nothing_is_told(table: Sequence[Sequence[int]]) -> None:
    found = cohen_kappa(pairs(table))
    assert (found.kappa, found.low, found.high) == (None, -1.0, 1.0)
