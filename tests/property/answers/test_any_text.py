"""Grading holds for every date, and no text makes it slow or raise."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answers.grader import grade
from filters.answers.mathematics.expressions import expression_pairs
from filters.answers.metrics import grade_by
from filters.answers.stated import MAX_ANSWER
from pipeline.records import AnswerType

DAYS = st.dates(date(1000, 1, 1), date(2999, 12, 31))
FORMS = ("%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d.%m.%Y", "%A, %d %b %Y", "%Y/%m/%d", "the %dth of %B, %Y")
TYPES: tuple[AnswerType, ...] = ("text", "number", "choice", "list", "boolean", "date", "expression")


@given(DAYS, DAYS, st.sampled_from(FORMS), st.sampled_from(FORMS))
@settings(max_examples=300, deadline=None)
def test_a_date_is_right_in_every_form_and_another_day_in_none(day: date, other: date, said: str, stored: str) -> None:
    # A stored date whose order is open is graded as it is written only.
    gold = day.strftime(stored)
    open_order = "%d.%m" in stored and day.day <= 12 and day.day != day.month
    mine = grade(day.strftime(said), [gold], "date")
    said_open = "%d.%m" in said and day.day <= 12 and day.day != day.month
    if said == stored:
        assert mine.verdict == "right"
    elif not open_order:
        assert mine.verdict == ("undecided" if said_open else "right"), mine
    else:
        assert mine.verdict != "wrong", mine
    if other != day:
        assert grade(other.strftime(said), [gold], "date").verdict != "right"


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=4), st.sampled_from(("vqa", "anls", "relaxed")))
@settings(max_examples=300, deadline=None)
def test_metrics_and_expressions_take_any_text(said: str, golds: list[str], metric: str) -> None:
    assert grade_by(metric, said, golds).verdict in {"right", "wrong", "undecided"}  # type: ignore[arg-type]  # sampled
    expression_pairs(said, golds, grade(said, golds, "expression"))


WHOLE = (
    r"x_{\max}+\frac{-3\sqrt[3]{2}}{\log_{2}(x)}",
    "0_a^{-2}*sin(2x)+|y|-5!",
    r"\left(\begin{matrix}1&2\\3&4\end{matrix}\right)",
    r"\int_0^{\pi} x \, dx \ge \binom{n}{2}",
    r"\{x \in R : -1 \le x < 5\} \cup [2, \infty)",
    "2**-3**x/(y_1-1)",
)


@pytest.mark.parametrize("whole", WHOLE)
def test_a_term_that_breaks_off_anywhere_is_graded_on_both_sides(whole: str) -> None:
    for end in range(len(whole) + 1):
        cut = whole[:end]
        for answer_type in TYPES:
            assert grade(cut, [whole], answer_type).verdict in {"right", "wrong", "undecided"}
            assert grade(whole, [cut], answer_type).verdict in {"right", "wrong", "undecided"}
            expression_pairs(whole, [cut], grade(whole, [cut], "expression"))


HOSTILE = (
    *(
        "1,",
        "A..",
        "A, ",
        "1 ",
        "1;",
        "and ",
        "5 to ",
        "(",
        "1'",
        "10^",
        "a-",
        "1e1",
        "the ",
        "not ",
        "- ",
        "1/",
        "tens of ",
    ),
    *(
        "1.1.",
        "x^(",
        "{",
        "\\frac{1}{",
        "**",
        "$",
        "'",
        '"',
        "<a>",
        "3 ft ",
        "answer: ",
        "is 5 ",
        "May ",
        "1 and ",
        "... ",
    ),
)


@pytest.mark.parametrize("answer_type", TYPES)
def test_no_short_text_takes_long(answer_type: AnswerType) -> None:
    for part in HOSTILE:
        for end in ("", "x", "?", "5"):
            said = (part * MAX_ANSWER)[: MAX_ANSWER - 2] + end
            began = time.process_time()
            grade(said, ["5 km", "red, blue", said[:-1]], answer_type, choices=("A", "red", "5"))
            # A grade takes some ten microseconds; a pattern that backtracks takes for ever.
            assert time.process_time() - began < 0.5, said
