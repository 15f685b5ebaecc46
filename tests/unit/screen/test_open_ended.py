"""Which questions are asked without their options, and how those are asked that need them."""

from __future__ import annotations

import time
from string import ascii_uppercase
from typing import Any

import pytest

from filters.answers import grade
from filters.screen.open_ended import to_open_ended
from filters.screen.option_order import option_order, stem_of
from filters.screen.questions import QuestionSettings, verifiable
from pipeline.dialects.messages import question_text, user_text
from pipeline.identity import parse_json
from pipeline.records import Question
from tests.support.builders import question

SETTINGS = QuestionSettings()
CITIES = ("Paris", "London", "Rome")
NEEDY = "Which of these cities is shown?"


def ask(text: str = "Which city is this?", **fields: Any) -> Question:
    return question(text, **{"choices": CITIES, "answers": ("Paris",), "answer_type": "choice"} | fields)


def asked(question: Question) -> Question:
    after, decision = to_open_ended(question)
    assert (decision.record_id, decision.outcome) == (question.id, "keep")
    assert after is not None
    return after


def refused(question: Question) -> str:
    after, decision = to_open_ended(question)
    assert (after, decision.outcome) == (None, "reject")
    return decision.reason


def right_texts(question: Question) -> set[str]:
    return {question.choices[ascii_uppercase.index(letter)] for letter in question.answers}


def test_a_question_without_options_stays_as_it_is() -> None:
    question = ask(choices=(), answer_type="text")
    assert asked(question) == question


@pytest.mark.parametrize("answer", ["B", "b", "(B)", "B.", "London", "B. London"])
def test_the_right_option_becomes_the_answer(answer: str) -> None:
    choices = ("A. Paris", "B. London", "C. Rome") if answer == "B. London" else CITIES
    before = ask(choices=choices, answers=(answer,), meta={"family": "map"})
    after = asked(before)
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
    assert asked(ask("What is printed?", choices=choices, answers=(answer,))).answer_type == answer_type


@pytest.mark.parametrize(
    "stem",
    [
        "Which of the following cities is this?",
        "Which one of these is shown?",
        NEEDY,
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
def test_a_stem_that_speaks_of_its_options_keeps_them(stem: str) -> None:
    before = ask(stem, answers=("C",), meta={"family": "map"})
    after = asked(before)
    assert (after.text, after.answer_type, sorted(after.choices)) == (stem, "choice", sorted(CITIES))
    assert right_texts(after) == {"Rome"}
    assert parse_json(after.meta) == {
        "family": "map",
        "shuffled_from": {"id": before.id, "choices": list(CITIES), "answers": ["C"]},
    }
    assert verifiable(after, SETTINGS).outcome == "keep"


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
def test_a_stem_that_stands_alone_is_asked_without_options(stem: str) -> None:
    after = asked(ask(stem))
    assert (after.text, after.choices) == (stem, ())


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        # Another option would be right as well, or nearly, if it were not for the right one beside it.
        (("dog", "a brown dog", "cat"), "B"),
        (("0.5", "1/2 cup", "2"), "A"),
        # The right one speaks of others, or says that there is no answer.
        (("Paris", "London", "None of the above"), "C"),
        (("Paris", "London", "Both"), "C"),
        (("Paris", "London", "A and B"), "C"),
        (("Paris", "London", "It cannot be determined"), "C"),
        # Two people would not word it alike.
        (("He has just been told that his train is going to be very late again today", "He is tired"), "A"),
    ],
)
def test_an_answer_that_is_right_only_beside_the_others_keeps_them(choices: tuple[str, ...], answer: str) -> None:
    after = asked(ask("What is seen?", choices=choices, answers=(answer,)))
    assert sorted(after.choices) == sorted(choices)
    assert right_texts(after) == {choices[ascii_uppercase.index(answer)]}


def test_another_option_within_the_tolerance_is_right_as_well() -> None:
    question = {"choices": ("100", "102", "150"), "answers": ("A",)}
    assert asked(ask("What is the height?", **question)).choices == ()
    assert asked(ask("What is the height?", tolerance=0.05, **question)).choices != ()


def test_several_right_options_stay_right() -> None:
    after = asked(ask(answers=("A", "London")))
    assert right_texts(after) == {"Paris", "London"}
    assert after.answers == tuple(sorted(after.answers))
    for answer in (*after.answers, "Paris", "London"):
        assert grade(answer, after.answers, "choice", choices=after.choices).verdict == "right"
    assert grade("Rome", after.answers, "choice", choices=after.choices).verdict == "wrong"


@pytest.mark.parametrize(
    "text",
    [
        "Which city is this?\nA. Paris\nB. London\nC. Rome",
        "Which city is this? (A) Paris (B) London (C) Rome",
        "Which city is this? [A] Paris; [B] London; [C] Rome",
        "Which city is this? 1) Paris, 2) London, 3) Rome",
        "Which city is this?\nOptions: Paris, London, Rome",
        "Which city is this?\nOptions:\nA. Paris\nB. London\nC. Rome\nPlease select one of the options.",
        "Which city is this? Answer with the option's letter from the given choices directly.",
        "Which city is this?\nPlease answer with the letter only.",
        "Which city is this? Choose the option that you think is right.",
    ],
)
@pytest.mark.parametrize("stem", ["Which city is this?", NEEDY])
def test_options_and_instructions_in_the_text_are_taken_off(text: str, stem: str) -> None:
    assert asked(ask(text.replace("Which city is this?", stem))).text == stem


@pytest.mark.parametrize(
    "text",
    [
        "Which city is this, Paris, London, Rome",
        "Which city is this? A. Paris B. London",
        "Which city is this? A. Paris B. London C. Rome D. Oslo",
        "Which city is this? A. Paris B. London C. Romeo",
        "Which city would you choose as the best option?",
        "Look at the map. Select the option that shows the capital of France.",
        "What is the answer if one takes the second choice?",
    ],
)
def test_a_text_that_does_not_list_the_options_keeps_its_end(text: str) -> None:
    assert stem_of(text, CITIES) == text


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        (" " * 20_000 + "x", CITIES),
        ("answer letter " * 5_000 + "! x", CITIES),
        ("options:" + "," * 20_000, (",",) * 26),
        ("options:" + " " * 20_000 + "x", ("",) * 26),
        ("A. " * 10_000, ("A.", "B")),
        ("(a" * 10_000, CITIES),
        ("A, " * 10_000, ("A, " * 10_000, "none")),
    ],
)
def test_hostile_text_takes_no_time(text: str, choices: tuple[str, ...]) -> None:
    began = time.process_time()
    stem = stem_of(text, choices)
    option_order("q", stem, choices)
    # Linear work takes some milliseconds; what the patterns once did here took minutes.
    assert time.process_time() - began < 2


def test_a_text_that_is_all_instruction_loses_its_options_and_not_itself() -> None:
    assert stem_of("Select the correct option.\nA. Paris\nB. London\nC. Rome", CITIES) == "Select the correct option."
    assert stem_of("A. Paris\nB. London\nC. Rome", CITIES) == "A. Paris\nB. London\nC. Rome"


@pytest.mark.parametrize(
    ("stem", "choices"),
    [
        (NEEDY, ("Paris", "London", "All of the above")),
        (NEEDY, ("Paris", "London", "none of these")),
        (NEEDY, ("Paris", "London", "Both A and B")),
        (NEEDY, ("Paris", "London", "A, B")),
        (NEEDY, ("Paris", "London", "(a) and (b)")),
        (NEEDY, ("Paris", "London", "Only A")),
        (NEEDY, ("Paris", "London", "Neither")),
        (NEEDY, ("Paris", "London", "the above options")),
        (NEEDY, ("Paris", "London", "以上都对")),
        ("Which of these is larger, A or B?", CITIES),
        ("Which of these fits (a)?", CITIES),
        ("Which of these goes with 2)?", CITIES),
        ("Is the first option one of these?", CITIES),
        # Shuffled, "B" might be the option at B or the one that reads B.
        ("Which of these points is highest?", ("A", "B", "C", "D", "E", "F")),
    ],
)
def test_an_order_that_is_spoken_of_is_left(stem: str, choices: tuple[str, ...]) -> None:
    after = asked(ask(stem, choices=choices, answers=("B",)))
    assert (after.choices, after.answers) == (choices, ("B",))
    assert parse_json(after.meta)["kept_from"]["answers"] == ["B"]


@pytest.mark.parametrize(
    ("stem", "choices"),
    [
        ("A man stands beside which of these?", CITIES),
        ("Where is the cat? Choose.", ("above the table", "below the table", "left of it")),
        ("Which of these do I see?", CITIES),
        ("Which of these fits f(x)?", CITIES),
        ("Which of these has Vitamin C in it?", ("an orange", "a stone")),
        ("Which of these is true?", ("both hands are up", "one of his hands is up", "none is up")),
        ("Which of these is chosen?", ("I and II only", "II and III only")),
    ],
)
def test_no_order_that_is_not_spoken_of_is_left(stem: str, choices: tuple[str, ...]) -> None:
    orders = {option_order(str(number), stem, choices) for number in range(20)}
    assert None not in orders
    assert len(orders) > 1


def test_every_order_is_as_likely_as_another() -> None:
    drawn = [option_order(f"q{number}", NEEDY, CITIES) for number in range(3000)]
    counts = {order: drawn.count(order) for order in set(drawn)}
    assert len(counts) == 6
    # 500 each; the standard deviation is 20.
    assert all(abs(count - 500) < 100 for count in counts.values()), counts


@pytest.mark.parametrize(
    ("choices", "answers", "reason"),
    [
        (CITIES, ("D",), "unverifiable_answer"),
        (CITIES, ("Madrid",), "unverifiable_answer"),
        (CITIES, ("A", "Madrid"), "unverifiable_answer"),
        (CITIES, (), "unverifiable_answer"),
        (("Paris", "paris", "Rome"), ("A",), "unverifiable_answer"),
        (("B", "A"), ("A",), "unverifiable_answer"),
        (("", "Rome"), ("A",), "unverifiable_answer"),
        ((), ("A",), "needs_options"),
        (tuple(f"city {number}" for number in range(27)), ("A",), "needs_options"),
    ],
)
@pytest.mark.parametrize("stem", ["Which city is this?", NEEDY])
def test_what_cannot_be_asked_is_refused(
    stem: str, choices: tuple[str, ...], answers: tuple[str, ...], reason: str
) -> None:
    assert refused(ask(stem, choices=choices, answers=answers)) == reason


def test_two_equal_options_that_are_both_right_are_one_answer() -> None:
    after = asked(ask(choices=("Paris", "paris", "Rome"), answers=("A", "B")))
    assert right_texts(after) == {"Paris", "paris"}


def test_letters_are_graded_as_letters_even_where_the_source_names_a_metric() -> None:
    after = asked(ask(NEEDY, meta={"metric": "anls"}))
    assert "metric" not in parse_json(after.meta)
    assert verifiable(after, SETTINGS).outcome == "keep"
    assert parse_json(asked(ask(meta={"metric": "anls"})).meta)["metric"] == "anls"


def test_a_question_is_shown_with_its_options_behind_it() -> None:
    question = ask(NEEDY)
    assert question_text(question) == f"{NEEDY}\n\nA. Paris\nB. London\nC. Rome"
    assert question_text(ask(choices=(), answer_type="text")) == "Which city is this?"
    shown = user_text("{images}Q: {question}", question_text(ask(NEEDY, choices=("<image>", "{images}"))), [])
    assert shown == f"Q: {NEEDY}\n\nA. <\u200bimage>\nB. {{images}}"
    with pytest.raises(ValueError, match="longer"):
        question_text(ask(choices=tuple(map(str, range(27)))))
