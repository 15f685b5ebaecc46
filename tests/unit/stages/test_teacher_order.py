"""Which teacher a question asks first."""

from __future__ import annotations

from collections import Counter

import pytest

from flows.recipe.file import load_recipe
from flows.recipe.recipe import SynthesisUse
from flows.stages.synthesize import ordered
from pipeline.errors import UsageError
from pipeline.rollout.loop import Ask
from tests.support.asking import teacher_ask
from tests.support.command import DEMO


def teachers(count: int) -> list[Ask]:
    return [teacher_ask(role=f"teachers.{number}", model=f"scripted/{number}") for number in range(count)]


def firsts(use: SynthesisUse, count: int, questions: int) -> Counter[str]:
    return Counter(ordered(teachers(count), use, f"q{number}")[0].model for number in range(questions))


def test_a_cascade_keeps_the_recipes_order() -> None:
    order = ordered(teachers(3), SynthesisUse(), "q")
    assert [ask.model for ask in order] == ["scripted/0", "scripted/1", "scripted/2"]


def test_weights_are_the_odds_of_being_asked_first() -> None:
    counts = firsts(SynthesisUse(policy="weighted", weights=(1.0, 3.0)), 2, 4000)
    assert 0.72 < counts["scripted/1"] / 4000 < 0.78  # 0.75, give or take four standard errors


def test_without_weights_teachers_are_asked_alike() -> None:
    counts = firsts(SynthesisUse(policy="weighted"), 3, 3000)
    assert all(0.29 < count / 3000 < 0.38 for count in counts.values())


def test_every_teacher_has_its_turn_and_the_order_is_the_questions_own() -> None:
    use = SynthesisUse(policy="weighted", weights=(5.0, 1.0, 0.1))
    orders = [[ask.model for ask in ordered(teachers(3), use, "q")] for _ in range(2)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == ["scripted/0", "scripted/1", "scripted/2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["synthesize.weights=[1.0]"], "policy: weighted"),
        (["synthesize.policy=weighted", "synthesize.weights=[1.0, 2.0]"], "2 numbers for 1"),
    ],
)
def test_weights_that_would_not_be_read_are_refused(changes: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(DEMO, changes)
