"""Screening a question never changes what is right, and screening it again changes nothing."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answers import grade
from filters.answers.chance import chance
from filters.answers.choices import gold_option
from filters.screen.open_ended import to_open_ended
from filters.screen.questions import QuestionSettings, not_guessable, verifiable
from pipeline.dialects.messages import question_text
from pipeline.identity import parse_json
from pipeline.records import Question
from tests.support.builders import question

STEMS = (
    "Which city is this?",
    "Which of these is shown?",
    "Select the correct option.",
    "Which is larger, A or B?",
    "What is seen?\nAnswer with the letter only.",
    "How many dots are there?",
)
OPTIONS = (
    *("Paris", "paris", "London", "New York", "A. Rome", "B. Oslo", "A", "b", "3", "3.0", "4 km", "yes", "no", "true"),
    *("All of the above", "None of these", "Both A and B", "", " red ", "dark red", "It cannot be determined", "x\ny"),
)
CHOICES = st.lists(st.sampled_from(OPTIONS) | st.text(max_size=12), max_size=6)
GOLDS = st.lists(st.sampled_from((*"ABCDab", "(B)", "Madrid", *OPTIONS)), min_size=1, max_size=2)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    choices = tuple(draw(CHOICES))
    stem = draw(st.sampled_from(STEMS) | st.text(min_size=1, max_size=20))
    if draw(st.booleans()):
        stem += "".join(f"\n{letter}. {option}" for letter, option in zip(ascii_uppercase, choices, strict=False))
    made: dict[str, Any] = {
        "source": "s",
        "source_revision": "1",
        "source_row": str(draw(st.integers(0, 99))),
        "category": "perception",
        "text": stem,
        "images": (),
        "choices": choices,
        "answers": tuple(draw(GOLDS)),
        "answer_type": draw(st.sampled_from(("choice", "choice", "text"))),
        "tolerance": draw(st.sampled_from((None, 0.05))),
        "licence": "CC0-1.0",
        "meta": draw(st.sampled_from(({}, {"metric": "anls"}, {"derivation": {"family": "f"}}))),
    }
    return question(**made)


@given(questions())
@settings(max_examples=200, deadline=None)
def test_screening_a_screened_question_changes_nothing(question: Question) -> None:
    once, first = to_open_ended(question)
    assert (once is None) == (first.outcome == "reject")
    if once is not None:
        again, second = to_open_ended(once)
        assert again == once
        assert second.outcome == "keep"
        assert verifiable(again, QuestionSettings()).outcome == verifiable(once, QuestionSettings()).outcome


@given(questions())
@settings(max_examples=200, deadline=None)
def test_what_was_right_stays_right_and_nothing_else_becomes_so(question: Question) -> None:
    asked, _ = to_open_ended(question)
    if asked is None or not question.choices or verifiable(asked, QuestionSettings()).outcome == "reject":
        return
    for option in question.choices:
        if gold_option(option, question.choices) is None:
            continue  # "A" may be a letter or a text
        before = grade(option, question.answers, "choice", choices=question.choices)
        after = grade(
            option, asked.answers, asked.answer_type, tolerance=asked.tolerance, choices=asked.choices or None
        )
        assert {before.verdict, after.verdict} != {"right", "wrong"}, (option, before, after)


@given(questions())
@settings(max_examples=150, deadline=None)
def test_every_letter_that_is_shown_means_its_option(question: Question) -> None:
    asked, _ = to_open_ended(question)
    if asked is None or not asked.choices or verifiable(asked, QuestionSettings()).outcome == "reject":
        return
    shown = question_text(asked)
    assert shown.startswith(asked.text + "\n\n")
    for letter, option in zip(ascii_uppercase, asked.choices, strict=False):
        assert f"\n{letter}. {option}" in shown
    told = parse_json(asked.meta)
    assert ("shuffled_from" in told) != ("kept_from" in told)
    came = told.get("shuffled_from") or told["kept_from"]
    assert (came["id"], came["choices"]) == (question.id, list(question.choices))
    assert asked.root_id == question.root_id


@given(questions(), st.floats(0, 1))
def test_a_chance_is_a_probability_and_the_limit_holds(question: Question, limit: float) -> None:
    likely = chance(question)
    assert 0 <= likely <= 1
    decision = not_guessable(question, QuestionSettings(max_chance=limit))
    assert (decision.outcome == "reject") == (likely > limit)
    assert decision.score == likely
