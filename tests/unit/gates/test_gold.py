"""When attempts speak against a stored answer, and when they only seem to."""

from __future__ import annotations

import pytest

from filters.gates.gold import Agreement, Attempt, GoldSettings, in_other_words, suspect
from pipeline.records import Mode, Verdict
from tests.support.builders import question

SETTINGS = GoldSettings()
ONE_FAMILY = GoldSettings(min_families=1)


def base(answer: str, *, verdict: Verdict = "wrong", mode: Mode = "plain", model: str = "base") -> Attempt:
    return Attempt(answer, verdict, "a", mode, informed=mode == "tools", model=model)


def teacher(
    answer: str, *, verdict: Verdict = "wrong", family: str = "b", informed: bool = True, model: str = "teacher"
) -> Attempt:
    return Attempt(answer, verdict, family, "tools", informed=informed, model=model)


ASKED = [base("Salem")]
"""What says which model the gates asked; it gives an answer of its own."""


def test_a_teacher_and_the_model_of_the_gates_that_agree_are_a_suspicion() -> None:
    attempts = [base("Utica"), base("Utica"), base("Salem"), *[teacher("Utica")] * 3]
    assert suspect(question(), attempts, SETTINGS) == Agreement(
        "Utica", 5, 6, ("a", "b"), single_family=False, reached=False
    )


def test_two_teachers_of_different_families_need_nobody_else() -> None:
    attempts = [*ASKED, teacher("Utica"), teacher("Utica"), *[teacher("Utica", family="c", model="other")] * 2]
    found = suspect(question(), attempts, SETTINGS)
    assert found is not None
    assert found.families == ("b", "c")


@pytest.mark.parametrize("stray", [base("Utica"), teacher("Utica", family="c", model="other")])
def test_a_stray_rollout_makes_no_family(stray: Attempt) -> None:
    agreeing = [teacher("Utica")] * 4
    assert suspect(question(), [*ASKED, stray, *agreeing], SETTINGS) is None
    assert suspect(question(), [*ASKED, stray, stray, *agreeing], SETTINGS) is not None
    alone = suspect(question(), [*ASKED, stray, *agreeing], ONE_FAMILY)
    assert alone is not None
    assert alone.families == ("b",)


@pytest.mark.parametrize(
    ("right", "reached"),
    [
        (teacher("Springfield", verdict="right"), True),
        (base("Springfield", verdict="right", mode="tools"), True),
        (base("Springfield", verdict="right"), False),
        (teacher("Springfield", verdict="right", informed=False), False),
    ],
)
def test_who_looked_closer_and_came_to_the_stored_answer_reached_it(right: Attempt, reached: bool) -> None:
    found = suspect(question(), [*ASKED, right, *[teacher("Utica")] * 4], ONE_FAMILY)
    assert found is not None
    assert found.reached == reached


def test_an_answer_that_is_easily_guessed_is_reached_by_more_than_luck() -> None:
    yes = question(answers=("yes",), answer_type="boolean")
    lucky = [teacher("yes", verdict="right")] * 2
    found = suspect(yes, [base("yes", verdict="right"), *lucky, *[teacher("no")] * 9], ONE_FAMILY)
    assert found is not None
    assert not found.reached


def test_one_family_is_enough_only_if_the_settings_say_so_and_is_labelled() -> None:
    attempts = [*ASKED, teacher("Utica"), teacher("Utica"), teacher("Utica")]
    assert suspect(question(), attempts, SETTINGS) is None
    found = suspect(question(), attempts, ONE_FAMILY)
    assert found is not None
    assert found.single_family


@pytest.mark.parametrize("mode", ["plain", "tools"])
def test_the_model_that_the_gates_chose_by_proves_nothing_alone(mode: Mode) -> None:
    assert suspect(question(), [base("Utica"), *[base("Utica", mode=mode)] * 16], ONE_FAMILY) is None


def test_that_it_has_another_habit_is_no_objection() -> None:
    attempts = [*[base("Salem", mode="tools")] * 8, *ASKED, *[teacher("Utica")] * 3]
    assert suspect(question(), attempts, ONE_FAMILY) is not None


def test_a_teacher_that_is_the_model_of_the_gates_does_not_count_either() -> None:
    assert suspect(question(), [*ASKED, *[teacher("Utica", model="base")] * 4], ONE_FAMILY) is None


def test_answers_without_a_closer_look_do_not_suffice() -> None:
    blurred = [*ASKED, *[teacher("Utica", informed=False)] * 4]
    assert suspect(question(), blurred, ONE_FAMILY) is None
    assert suspect(question(), [*blurred, *[teacher("Utica")] * 2], ONE_FAMILY) is None
    assert suspect(question(), [*blurred, *[teacher("Utica")] * 3], ONE_FAMILY) is not None


def test_two_attempts_are_too_few() -> None:
    assert suspect(question(), [*[base("Utica")] * 8, teacher("Utica"), teacher("Utica")], ONE_FAMILY) is None


def test_teachers_that_err_in_different_ways_are_no_suspicion() -> None:
    scattered = [*ASKED, *map(teacher, ("Utica", "Troy", "Rome", "Utica"))]
    assert suspect(question(), scattered, ONE_FAMILY) is None
    assert suspect(question(), [*scattered, teacher("Utica")], ONE_FAMILY) is None  # 3 of 5 is below two thirds


def test_as_many_that_agree_with_the_stored_answer_outweigh() -> None:
    right = [base("Springfield", verdict="right")] * 3
    assert suspect(question(), [*right, *[teacher("Utica")] * 3], ONE_FAMILY) is None
    assert suspect(question(), [*right, *[teacher("Utica")] * 4], ONE_FAMILY) is not None


@pytest.mark.parametrize("verdict", ["unknown", "unjudged"])
def test_agreement_in_other_words_is_for_review_and_no_suspicion(verdict: Verdict) -> None:
    attempts = [*ASKED, *[teacher("the home of the Simpsons", verdict=verdict)] * 4]
    assert suspect(question(), attempts, ONE_FAMILY) is None
    found = in_other_words(question(), attempts, ONE_FAMILY)
    assert found is not None
    assert found.answer == "the home of the Simpsons"
    assert in_other_words(question(), attempts[:-2], ONE_FAMILY) is None
    assert in_other_words(question(), [*ASKED, *[teacher("Utica")] * 4], ONE_FAMILY) is None


def test_a_grade_that_is_open_is_no_attempt() -> None:
    attempts = [*ASKED, *[teacher("Utica")] * 2, *[teacher("Utica", verdict="unknown")] * 5]
    assert suspect(question(), attempts, ONE_FAMILY) is None


def test_answers_agree_as_the_grader_says_whichever_is_the_longer() -> None:
    said = [teacher("The answer is Utica."), teacher("utica"), teacher("Utica")]
    found = suspect(question(), [*ASKED, *said], ONE_FAMILY)
    assert found is not None
    assert found.agreeing == 3
    numbers = question(answers=("40",), answer_type="number", tolerance=0.03)
    assert suspect(numbers, [base("7"), *map(teacher, ("50", "51", "50.5"))], ONE_FAMILY) is not None
    assert suspect(numbers, [base("7"), *map(teacher, ("50", "55", "60"))], ONE_FAMILY) is None


def test_options_agree_by_letter_or_by_text() -> None:
    places = ("Utica", "Salem", "Troy", "Rome", "Bath", "Cork", "York", "Lima")
    options = question(answers=("A",), answer_type="choice", choices=places)
    assert suspect(options, [base("B"), teacher("C"), teacher("Troy"), teacher("(C)")], ONE_FAMILY) is not None


@pytest.mark.parametrize("answer", ["unknown", "I cannot tell", "It cannot be determined.", "", " "])
def test_no_answer_is_no_other_answer(answer: str) -> None:
    assert suspect(question(), [*ASKED, *[teacher(answer)] * 4], ONE_FAMILY) is None


def test_a_number_just_outside_the_tolerance_is_imprecise_and_no_contradiction() -> None:
    ratio = question(answers=("2.00",), answer_type="number", tolerance=0.03)
    assert suspect(ratio, [base("9"), *[teacher("2.10")] * 4], ONE_FAMILY) is None
    assert suspect(ratio, [base("9"), *[teacher("2.20")] * 4], ONE_FAMILY) is not None


def test_a_guess_needs_more_than_luck_explains() -> None:
    yes = question(answers=("yes",), answer_type="boolean")
    asked = [base("yes", verdict="right")]
    assert suspect(yes, [*asked, *[teacher("no")] * 4], ONE_FAMILY) is None
    assert suspect(yes, [*asked, *[teacher("no")] * 5], ONE_FAMILY) is not None


def test_it_can_be_turned_off() -> None:
    off = GoldSettings(enabled=False, min_families=1)
    assert suspect(question(), [*ASKED, *[teacher("Utica")] * 4], off) is None
