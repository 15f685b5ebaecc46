"""Suspicion depends on what was said, not on the order in which it was, and grows with what agrees."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from filters.answers import grade
from filters.gates.gold import Attempt, GoldSettings, suspect
from pipeline.records import AnswerType, Mode, Question, Verdict
from tests.support.builders import question

KINDS: list[tuple[AnswerType, float | None, str]] = [
    ("text", None, "Springfield"),
    ("number", 0.03, "40"),
    ("number", None, "40"),
    ("boolean", None, "yes"),
    ("list", None, "red, blue"),
]
SAID = ["Utica", "utica.", "The answer is Utica", "Springfield", "40", "41", "42", "43", "44", "yes", "no", "blue, red"]
VERDICT: dict[str, Verdict] = {"right": "right", "wrong": "wrong", "undecided": "unknown"}


def marked(answer_type: AnswerType, tolerance: float | None, answer: str) -> Question:
    return question("What is marked?", answers=(answer,), answer_type=answer_type, tolerance=tolerance)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Question, list[Attempt], GoldSettings]:
    asked = marked(*draw(st.sampled_from(KINDS)))
    attempts = []
    for _ in range(draw(st.integers(0, 14))):
        said = draw(st.one_of(st.sampled_from(SAID), st.text(max_size=12)))
        graded = grade(said, asked.answers, asked.answer_type, tolerance=asked.tolerance)
        mode: Mode = draw(st.sampled_from(["plain", "tools", "tools"]))
        model = "base" if mode == "plain" else draw(st.sampled_from(["base", "one", "two"]))
        informed = mode == "tools" and draw(st.booleans())
        family = {"base": "a", "one": "a", "two": "b"}[model]
        attempts.append(Attempt(said, VERDICT[graded.verdict], family, mode, informed, model))
    settings = GoldSettings(min_families=draw(st.integers(1, 2)), min_attempts=draw(st.integers(2, 4)))
    return asked, attempts, settings


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_attempts_does_not_matter(
    case: tuple[Question, list[Attempt], GoldSettings], random: Random
) -> None:
    asked, attempts, settings = case
    shuffled = list(attempts)
    random.shuffle(shuffled)
    assert suspect(asked, attempts, settings) == suspect(asked, shuffled, settings)


@given(cases())
def test_what_is_found_is_what_was_said_and_is_counted_right(
    case: tuple[Question, list[Attempt], GoldSettings],
) -> None:
    asked, attempts, settings = case
    found = suspect(asked, attempts, settings)
    if found is not None:
        assert found.answer in {attempt.answer for attempt in attempts if attempt.verdict == "wrong"}
        assert settings.min_attempts <= found.agreeing <= found.valid <= len(attempts)
        assert settings.min_families <= len(found.families)
        assert found.single_family == (len(found.families) == 1)


@given(cases(), st.integers(1, 3))
def test_an_attempt_more_that_agrees_never_lifts_a_suspicion(
    case: tuple[Question, list[Attempt], GoldSettings], more: int
) -> None:
    asked, attempts, settings = case
    found = suspect(asked, attempts, settings)
    if found is not None and asked.answer_type == "text":
        agreeing = Attempt(found.answer, "wrong", "c", "tools", informed=True, model="three")
        assert suspect(asked, [*attempts, *[agreeing] * more], settings) is not None


@given(cases(), st.integers(1, 3))
def test_an_attempt_more_that_agrees_with_the_stored_answer_never_makes_one(
    case: tuple[Question, list[Attempt], GoldSettings], more: int
) -> None:
    asked, attempts, settings = case
    if suspect(asked, attempts, settings) is None:
        right = Attempt(asked.answers[0], "right", "c", "tools", informed=True, model="three")
        assert suspect(asked, [*attempts, *[right] * more], settings) is None
