"""Which questions can be checked, and which can be asked without their options."""

from __future__ import annotations

from typing import Any

import pytest

from filters.questions import QuestionSettings, to_open_ended, verifiable
from pipeline.identity import parse_json
from pipeline.records import Question

SETTINGS = QuestionSettings()
CITIES = ("Paris", "London", "Rome")


def ask(text: str = "Which city is this?", **fields: Any) -> Question:
    made = {
        "source": "s",
        "source_revision": "1",
        "source_row": "1",
        "category": "perception",
        "text": text,
        "images": (),
        "answers": ("Paris",),
        "answer_type": "text",
        "licence": "CC0-1.0",
    }
    return Question.build(**(made | fields))


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


def test_a_question_without_options_stays_as_it_is() -> None:
    question = ask()
    assert to_open_ended(question) == (question, to_open_ended(question)[1])
    assert to_open_ended(question)[1].outcome == "keep"


@pytest.mark.parametrize("answer", ["B", "b", "(B)", "B.", "London", "B. London"])
def test_the_right_option_becomes_the_answer(answer: str) -> None:
    before = ask(choices=CITIES, answers=(answer,), answer_type="choice", meta={"family": "map"})
    if answer == "B. London":
        before = ask(
            choices=("A. Paris", "B. London", "C. Rome"),
            answers=(answer,),
            answer_type="choice",
            meta={"family": "map"},
        )
    after, decision = to_open_ended(before)
    assert after is not None
    assert (decision.record_id, decision.outcome) == (before.id, "keep")
    assert (after.text, after.choices, after.answers, after.answer_type) == (before.text, (), ("London",), "text")
    assert parse_json(after.meta) == {
        "family": "map",
        "converted_from": {"id": before.id, "choices": list(before.choices)},
    }
    assert after.id != before.id
    assert after.root_id == before.root_id
    assert verifiable(after, SETTINGS).outcome == "keep"


@pytest.mark.parametrize(
    ("choices", "answer", "answer_type"),
    [
        (("3", "4", "5"), "4", "number"),
        (("3 km", "4 km"), "A", "number"),
        (("3", "many"), "A", "text"),
        (("Yes", "No"), "B", "boolean"),
        (("false", "true"), "true", "boolean"),
        (("A1", "B2"), "B2", "text"),
    ],
)
def test_the_type_follows_from_all_options(choices: tuple[str, ...], answer: str, answer_type: str) -> None:
    after, _ = to_open_ended(ask("How many are there?", choices=choices, answers=(answer,), answer_type="choice"))
    assert after is not None
    assert after.answer_type == answer_type


@pytest.mark.parametrize(
    "stem",
    [
        "Which of the following cities is this?",
        "Which one of these is shown?",
        "Which of these cities is shown?",
        "What of the following is shown?",
        "Which option matches the picture?",
        "Which statement is correct?",
        "Which of them is largest?",
        "Select the city that is shown.",
        "Choose the city.",
        "The city shown is ____.",
        "All are shown except",
        "Which city, of those listed below, is it?",
        "Which description best describes the picture?",
        "Which answer is right?",
        "Which is the best caption?",
    ],
)
def test_a_stem_that_speaks_of_its_options_needs_them(stem: str) -> None:
    after, decision = to_open_ended(ask(stem, choices=CITIES, answers=("A",), answer_type="choice"))
    assert after is None
    assert (decision.outcome, decision.reason) == ("reject", "needs_options")


@pytest.mark.parametrize(
    "stem",
    [
        "Which city is shown on the left of the map?",
        "What is printed above the red bar?",
        "What colour is the sign below the window?",
        "What is inside the red circle?",
        "What is right of the car?",
        "What is the number on the bus?",
    ],
)
def test_a_stem_that_stands_alone_is_kept(stem: str) -> None:
    after, _ = to_open_ended(ask(stem, choices=CITIES, answers=("A",), answer_type="choice"))
    assert after is not None
    assert after.text == stem


@pytest.mark.parametrize(
    "text",
    [
        "Which city is this?\nA. Paris\nB. London\nC. Rome",
        "Which city is this? (A) Paris (B) London (C) Rome",
        "Which city is this?\nOptions:\nA. Paris\nB. London\nC. Rome\nPlease select one of the options.",
        "Which city is this? Answer with the option's letter from the given choices directly.",
        "Which city is this?\nPlease answer with the letter only.",
    ],
)
def test_options_and_instructions_in_the_text_are_taken_off(text: str) -> None:
    after, decision = to_open_ended(ask(text, choices=CITIES, answers=("A",), answer_type="choice"))
    assert decision.outcome == "keep"
    assert after is not None
    assert after.text == "Which city is this?"


@pytest.mark.parametrize(
    ("choices", "answers", "reason"),
    [
        (CITIES, ("D",), "unverifiable_answer"),
        (CITIES, ("Madrid",), "unverifiable_answer"),
        (CITIES, (), "unverifiable_answer"),
        (CITIES, ("A", "B"), "unverifiable_answer"),
        (("Paris", "paris", "Rome"), ("A",), "unverifiable_answer"),
        (("B", "A"), ("A",), "unverifiable_answer"),
        (("", "Rome"), ("A",), "unverifiable_answer"),
        (("Paris", "London", "None of the above"), ("C",), "needs_options"),
        (("Paris", "London", "Both"), ("C",), "needs_options"),
        (("Paris", "London", "A and B"), ("C",), "needs_options"),
        (("Paris", "London", "It cannot be determined"), ("C",), "needs_options"),
    ],
)
def test_an_answer_that_does_not_stand_alone_is_refused(
    choices: tuple[str, ...], answers: tuple[str, ...], reason: str
) -> None:
    after, decision = to_open_ended(ask(choices=choices, answers=answers, answer_type="choice"))
    assert after is None
    assert (decision.outcome, decision.reason) == ("reject", reason)


def test_a_choice_without_choices_needs_them() -> None:
    after, decision = to_open_ended(ask(answers=("A",), answer_type="choice"))
    assert after is None
    assert decision.reason == "needs_options"
