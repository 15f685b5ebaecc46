"""Which questions can be checked, and which are no mere guess."""

from __future__ import annotations

from typing import Any

import pytest

from filters.screen.questions import QuestionSettings, not_guessable, verifiable
from pipeline.records import Question
from tests.support.builders import question

SETTINGS = QuestionSettings()
CITIES = ("Paris", "London", "Rome")


def ask(text: str = "Which city is this?", **fields: Any) -> Question:
    return question(text, **{"answers": ("Paris",)} | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"answers": ("Paris", "Lutetia")},
        {"answers": ("John F. Kennedy International Airport",)},
        {"answers": ("red or blue",)},
        {"answers": ("+",)},
        {"answers": ("1,234.5",), "answer_type": "number"},
        {"answers": ("5 km",), "answer_type": "number", "tolerance": 0.02},
        {"answers": ("B",), "answer_type": "choice", "choices": CITIES},
        {"answers": ("Rome",), "answer_type": "choice", "choices": CITIES},
        {"answers": ("red, blue",), "answer_type": "list"},
        {"answers": ("red", "blue"), "answer_type": "list"},
        {"answers": ("yes",), "answer_type": "boolean"},
        {"answers": ("2020-03-04",), "answer_type": "date"},
    ],
)
def test_an_answer_that_its_grader_accepts_is_verifiable(fields: dict[str, Any]) -> None:
    assert verifiable(ask(**fields), SETTINGS).outcome == "keep"


@pytest.mark.parametrize(
    "fields",
    [
        {"answers": ()},
        {"answers": ("",)},
        {"answers": ("Paris", " ")},
        {"answers": ("unknown",)},
        {"answers": ("I don't know",)},
        {"answers": ("It looks calm and friendly, and most people would say that it is a nice place to live",)},
        {"answers": ("x" * 81,)},
        {"answers": (" ".join("abcdefghijklm"),)},
        {"answers": ("several",), "answer_type": "number"},
        {"answers": ("about 5",), "answer_type": "number"},
        {"answers": ("5 or 6",), "answer_type": "number"},
        {"answers": ("5",), "answer_type": "number", "tolerance": -1.0},
        {"answers": ("perhaps",), "answer_type": "boolean"},
        {"answers": ("D",), "answer_type": "choice", "choices": CITIES},
        {"answers": ("Madrid",), "answer_type": "choice", "choices": CITIES},
        {"answers": ("1" * 400,), "answer_type": "expression"},
    ],
)
def test_what_no_grader_can_check_is_unverifiable(fields: dict[str, Any]) -> None:
    decision = verifiable(ask(**fields), SETTINGS)
    assert (decision.outcome, decision.reason) == ("reject", "unverifiable_answer")


PEOPLE = ("red",) * 7 + ("dark red", "maroon", "unanswerable")


@pytest.mark.parametrize(
    ("metric", "answers", "answer_type"),
    [
        ("vqa", PEOPLE, "text"),
        ("anls", ("Acme Ltd.", "ACME Limited"), "text"),
        ("relaxed", ("12.5",), "number"),
        # Right by its metric, though no number by its type.
        ("relaxed", ("twelve or so",), "number"),
    ],
)
def test_where_the_source_names_a_metric_the_answer_is_checked_by_it(
    metric: str, answers: tuple[str, ...], answer_type: str
) -> None:
    question = ask(answers=answers, answer_type=answer_type, meta={"metric": metric})
    assert verifiable(question, SETTINGS).outcome == "keep"


@pytest.mark.parametrize(
    ("metric", "answers"),
    [
        # Three people are too few for the accuracy of VQA, and ten who disagree leave no answer.
        ("vqa", ("red", "red", "red")),
        ("vqa", tuple("abcdefghij")),
        ("vqa", ("unanswerable",) * 10),
        ("anls", ("x" * 81,)),
        ("anls", ()),
        ("relaxed", ("unknown",)),
    ],
)
def test_what_its_metric_does_not_accept_of_itself_is_unverifiable(metric: str, answers: tuple[str, ...]) -> None:
    decision = verifiable(ask(answers=answers, meta={"metric": metric}), SETTINGS)
    assert (decision.outcome, decision.reason) == ("reject", "unverifiable_answer")


@pytest.mark.parametrize(
    ("fields", "limit", "outcome"),
    [
        ({"answer_type": "boolean", "answers": ("yes",)}, 0.5, "keep"),
        ({"answer_type": "boolean", "answers": ("yes",)}, 0.4, "reject"),
        ({"answer_type": "choice", "choices": CITIES, "answers": ("A",)}, 0.5, "keep"),
        ({"answer_type": "choice", "choices": CITIES, "answers": ("A", "C")}, 0.5, "reject"),
        ({}, 0.0, "keep"),
    ],
)
def test_what_is_guessed_too_easily_is_not_asked(fields: dict[str, Any], limit: float, outcome: str) -> None:
    decision = not_guessable(ask(**fields), QuestionSettings(max_chance=limit))
    assert (decision.outcome, decision.reason) == (outcome, "guessable" if outcome == "reject" else "")
