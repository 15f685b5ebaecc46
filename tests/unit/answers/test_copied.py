"""An answer that restates its question is no answer; a right one may well stand in its question."""

from __future__ import annotations

import pytest

from filters.answers import grade
from filters.answers.evasion import copied
from tests.support.cases.grading_cases import SETS, load

BARS = "Is the red or the blue bar taller in the year 2005?"
CITIES = ("Paris", "London", "Rome")


@pytest.mark.parametrize(
    ("answer", "question", "options"),
    [
        (BARS, BARS, ()),
        (f"{BARS} red", BARS, ()),
        ("is the RED or the blue bar taller, in the year 2005", BARS, ()),
        ("the red or the blue bar taller in the year", BARS, ()),
        ("Which city is this? Paris London Rome", "Which city is this?", CITIES),
        ("Which city is this? A. Paris B. London C. Rome", "Which city is this?", CITIES),
        ("city is this? (A) Paris (B) London (C) Rome", "Which city is this?", CITIES),
    ],
)
def test_a_restated_question_is_a_copy(answer: str, question: str, options: tuple[str, ...]) -> None:
    assert copied(answer, ("red", "B"), question, options)
    result = grade(answer, ("red", "B"), "choice" if options else "text", choices=options or None, question=question)
    assert result.verdict == "wrong"


@pytest.mark.parametrize(
    ("answer", "question", "options"),
    [
        ("red", BARS, ()),
        ("the red bar", BARS, ()),
        ("the blue bar in the year 2005", BARS, ()),
        ("", BARS, ()),
        ("Paris", "Paris?", ()),
        ("Which city? Oslo", "Which city?", ()),
        ("2 + 2 = 4", "2 + 2 = ?", ()),
        ("B. London", "Which city is this?", CITIES),
        # Of a short stem and few options, the text of one is soon more than half.
        (
            "A man who rides a brown horse along the beach",
            "Caption?",
            ("A man who rides a brown horse along the beach", "x"),
        ),
    ],
)
def test_a_piece_of_the_question_is_none(answer: str, question: str, options: tuple[str, ...]) -> None:
    assert not copied(answer, ("gold",), question, options)


def test_what_is_stored_as_right_is_no_copy() -> None:
    question = "Is it true that the man in the park is holding an umbrella?"
    answer = "the man in the park is holding an umbrella"
    assert copied(answer, ("yes",), question)
    assert not copied(answer, ("The man in the park is holding an umbrella.",), question)
    assert grade(answer, (answer,), "text", question=question).verdict == "right"


def test_a_copy_says_by_which_rule_it_is_wrong() -> None:
    assert grade("Which city is this? Paris", ("Paris",), "text").verdict == "undecided"
    result = grade("Which city is this? Paris", ("Paris",), "text", question="Which city is this?")
    assert (result.verdict, result.rule) == ("wrong", "copied")


def test_the_labelled_cases_are_graded_as_before_whatever_else_was_asked() -> None:
    question = "Which name or number is printed in bold at the very top of the page that is shown?"
    for case in (case for name in SETS for case in load(name)):
        arguments = (case.prediction, case.golds, case.answer_type)
        without = grade(*arguments, tolerance=case.tolerance, choices=case.choices)
        assert grade(*arguments, tolerance=case.tolerance, choices=case.choices, question=question) == without
