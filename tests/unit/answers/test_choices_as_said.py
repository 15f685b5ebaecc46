"""What an option says, sign by sign, is that option, also where it could be read as several."""

from __future__ import annotations

import pytest

from filters.answers import grade


@pytest.mark.parametrize("option", ["A/B", "A/¸", "A or B", "A, B", "not A", "none of A and B", "B and D"])
def test_an_option_as_it_stands_is_meant(option: str) -> None:
    choices = ("Paris", option, "Rome")
    assert grade(option, ["B"], "choice", choices=choices).verdict == "right"
    assert grade(option, ["C"], "choice", choices=choices).verdict == "wrong"


def test_a_letter_that_is_an_option_still_has_two_readings() -> None:
    assert grade("A", ["B"], "choice", choices=("B", "A")).verdict != "right"
