"""Numbers are rounded once, where they are printed, and alike wherever that is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report.tables import Table, markdown_text, printed, records
from pipeline.amounts import percent, rounded

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def value(shown: str) -> Decimal:
    return Decimal(shown.replace(",", ""))


@given(NUMBERS, st.integers(0, 6))
def test_what_is_printed_is_the_nearest_number_with_so_many_decimals(number: float, decimals: int) -> None:
    shown = rounded(number, decimals)
    assert len(shown.partition(".")[2]) == decimals
    assert abs(value(shown) - Decimal(repr(number))) <= Decimal(1).scaleb(-decimals) / 2
    assert not shown.startswith("-0.0") or value(shown) < 0


@given(st.integers(1, 1_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_share_is_printed_as_the_nearest_tenth_of_a_percent(counts: tuple[int, int]) -> None:
    part, whole = counts
    assert abs(value(percent(part / whole)) * whole - 100 * part) <= Decimal("0.05") * whole + Decimal("1e-9")


@pytest.mark.parametrize(
    ("share", "shown"), [(13 / 16, "81.3"), (315 / 488, "64.5"), (0.145, "14.5"), (1, "100.0"), (-0.0004, "0.0")]
)
def test_halves_go_up_and_nothing_is_rounded_twice(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_a_change_bears_its_sign_and_none_has_none() -> None:
    assert [percent(change, signed=True) for change in (0.17, -0.17, 0.0001)] == ["+17.0", "-17.0", "0.0"]


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1).filter(
        lambda values: any(v is not None for v in values)
    )
)
def test_terminal_report_and_markdown_print_one_text_and_json_holds_the_number(values: list[float | None]) -> None:
    table = Table("rates", "", ("low", "cpu_seconds"), tuple((one, one) for one in values))
    shown = printed(table)
    lines = [line.strip("| ").split(" | ") for line in markdown_text(table).splitlines()[2:]]
    told = [[column[row] for column in shown if column is not None] for row in range(len(values))]
    assert [[cell.strip() for cell in line] for line in lines if any(line)] == [row for row in told if any(row)]
    assert [row["low"] for row in records(table)] == values  # type: ignore[call-overload,index] # rows are objects
    assert {len(cell.partition(".")[2]) for column in shown if column for cell in column if cell} == {1}


def test_a_number_that_counts_nothing_has_no_commas_and_a_count_has() -> None:
    table = Table("query", "", ("phash", "n"), ((17_005_592_192_950_992, 1_234_567),))
    assert printed(table) == [["17005592192950992"], ["1,234,567"]]
