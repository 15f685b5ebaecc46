"""The labelled cases of `tests/grading`: the author's one by one, the blind reader's by their rates."""

from __future__ import annotations

import pytest

from filters.answers.grader import grade
from filters.answers.stated import MAX_ANSWER
from tests.support.cases.grading_cases import SETS, Case, disputed, key, load, score, verdict

BLIND = load("blind", without=disputed())


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{case.answer_type}: {(case.prediction or '')[:40]!r} ({case.reason}) {number}")
        for number, case in enumerate(load("author"))
        if case.answer_type != "expression"
    ],
)
def test_verdict(case: Case) -> None:
    result = verdict(case, None)
    if case.expected == "open":
        assert result.verdict != "right", result
    else:
        assert result.verdict == case.expected, result


def test_nothing_to_be_rejected_in_the_blind_set_is_right() -> None:
    taken = [case for case in BLIND if case.expected != "right" and verdict(case, None).verdict == "right"]
    assert taken == []


def test_the_blind_set_is_within_the_bounds_of_rejected_and_undecided_answers() -> None:
    # Expressions are settled by a worker: `tests/integration/answers/test_math_worker.py`.
    plain = [case for case in BLIND if case.answer_type != "expression"]
    counts = score(plain, [verdict(case, None) for case in plain])
    assert counts.false_rejects <= 0.01 * counts.to_accept
    assert counts.undecided <= 0.05 * counts.n


def test_the_sets_are_as_large_and_as_adversarial_as_they_have_to_be() -> None:
    cases = [case for name in SETS for case in load(name)]
    assert len(cases) >= 1200
    assert sum(case.expected != "right" for case in cases) >= 700
    assert sum(case.adversarial for case in cases) >= len(cases) / 2
    assert all(case.reason for case in cases)
    for name in SETS:
        keys = [key(case) for case in load(name)]
        assert len(keys) == len(set(keys))


def test_a_tolerance_that_is_no_number_decides_nothing() -> None:
    for tolerance in (float("nan"), float("inf"), -0.1):
        assert grade("5", ["5"], "number", tolerance=tolerance).verdict == "undecided"


def test_the_rule_and_both_sides_are_told() -> None:
    result = grade("The answer is Paris.", ["Paris", "Lutetia"], "text")
    assert (result.rule, result.detail) == ("text_equal_after_lead", "The answer is Paris. | Paris | Lutetia")


def test_an_answer_is_read_up_to_its_length() -> None:
    assert grade("P" * (MAX_ANSWER - 1), ["P" * (MAX_ANSWER - 1)], "text").verdict == "right"
    assert grade("P" * MAX_ANSWER, ["P" * MAX_ANSWER], "text").rule == "too_long"


@pytest.mark.parametrize("said", ["Leeds", "dewll", "the blue one is larger", "a map of Italy"])
def test_an_answer_without_any_number_is_no_number(said: str) -> None:
    expected = "undecided" if "one" in said else "wrong"
    assert grade(said, ["2"], "number").verdict == expected


@pytest.mark.parametrize("said", ["a dozen", "both", "IV", "½", "twice as many", "half", "a few"])
def test_an_amount_in_words_is_not_taken_for_no_number(said: str) -> None:
    assert grade(said, ["2"], "number").verdict != "right"
    assert grade(said, ["2"], "number").rule != "no_number"
