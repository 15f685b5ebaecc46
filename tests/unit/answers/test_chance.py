"""How likely a guess is right, and from how many right answers on luck does not explain them."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.answers.chance import chance, guess_floor
from filters.screen.open_ended import to_open_ended
from pipeline.records import Question
from tests.support.builders import question


def ask(text: str = "Which city is this?", **fields: Any) -> Question:
    return question(text, **{"answers": ("Paris",)} | fields)


CITIES = ("Paris", "London", "Rome", "Oslo")


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("Which city is this?", {}, 0),
        ("Is it Paris?", {"answer_type": "boolean", "answers": ("yes",)}, 1 / 2),
        ("Which of these?", {"answer_type": "choice", "choices": CITIES, "answers": ("B",)}, 1 / 4),
        ("Which of these?", {"answer_type": "choice", "choices": CITIES, "answers": ("B", "London")}, 1 / 4),
        ("Which of these?", {"answer_type": "choice", "choices": CITIES, "answers": ("B", "Rome")}, 1 / 2),
        ("How many cars are there?", {"answer_type": "number", "answers": ("4",)}, 1 / 10),
        ("What is the number of cars?", {"answer_type": "number", "answers": ("ten",)}, 1 / 10),
        ("Count the cars.", {"answer_type": "number", "answers": ("0",)}, 1 / 10),
        ("How many cars are there?", {"answer_type": "number", "answers": ("11",)}, 0),
        ("How many metres is it long?", {"answer_type": "number", "answers": ("2.5",)}, 0),
        ("What is the value of the bar?", {"answer_type": "number", "answers": ("4",)}, 0),
        ("In which country is it?", {"answer_type": "number", "answers": ("4",)}, 0),
        ("Is the red or the blue bar taller?", {"answers": ("red",)}, 1 / 2),
        ("Is the red or the blue bar taller?", {"answers": ("green",)}, 0),
        ("Which city is this, Paris?", {}, 0),
    ],
)
def test_the_form_of_a_question_says_how_likely_a_guess_is_right(
    text: str, fields: dict[str, Any], expected: float
) -> None:
    assert chance(ask(text, **fields)) == expected


def test_options_that_are_not_shown_help_no_guess() -> None:
    asked, _ = to_open_ended(ask(choices=CITIES, answers=("A",), answer_type="choice"))
    assert asked is not None
    assert chance(asked) == 0


@pytest.mark.parametrize(
    ("k", "luck", "floor"),
    # Of tables of the binomial distribution: P(X >= 7) is 0.0352 and P(X >= 6) 0.1445 for n = 8, p = 1/2, and so on.
    [(8, 0.0, 1), (8, 0.5, 7), (8, 0.25, 5), (8, 0.1, 3), (8, 1.0, 9), (0, 0.5, 1), (1, 0.5, 2), (16, 0.5, 12)],
)
def test_the_floor_is_what_tables_give(k: int, luck: float, floor: int) -> None:
    assert guess_floor(k, luck) == floor


def reaches(k: int, luck: float, floor: int) -> Fraction:
    p = Fraction(luck)
    return sum((comb(k, c) * p**c * (1 - p) ** (k - c) for c in range(floor, k + 1)), start=Fraction())


@given(st.integers(0, 40), st.floats(0, 1))
def test_luck_reaches_the_floor_in_one_case_of_twenty_and_no_lower_number_so_rarely(k: int, luck: float) -> None:
    floor = guess_floor(k, luck)
    assert reaches(k, luck, floor) <= Fraction(1, 20) < reaches(k, luck, floor - 1)


@given(st.integers(0, 30), st.floats(0, 1), st.floats(0, 1))
def test_the_floor_rises_with_chance_and_with_attempts(k: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 1 <= guess_floor(k, low) <= guess_floor(k, high) <= k + 1
    assert guess_floor(k, high) <= guess_floor(k + 1, high)


@pytest.mark.parametrize(("k", "luck"), [(-1, 0.5), (8, -0.1), (8, 1.1), (8, float("nan"))])
def test_what_is_no_probability_has_no_floor(k: int, luck: float) -> None:
    with pytest.raises(ValueError, match="no floor"):
        guess_floor(k, luck)
