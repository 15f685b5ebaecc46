"""What a plan tells of the gates: the guess floor by form, and what early stopping would save."""

from __future__ import annotations

from typing import Any

import pytest

from filters.answers.chance import chance
from filters.gates.rules import GateSettings
from flows.cost.asks import expected_plain
from flows.cost.estimate import Rows, estimate
from flows.cost.gate_hints import FORMS, early_stop_saving, floors
from flows.recipe.recipe import Recipe
from pipeline.prompts.sets import Prompts
from tests.support.builders import question

PROMPTS = Prompts("p", "t", "", "", "", "g", "n", "q")
SERVED = {"backend": "openai", "model": "m@1", "served_name": "m", "base_url": "http://127.0.0.1:9/v1"}
ASKED: dict[str, dict[str, Any]] = {
    "yes or no, two options": {"answer_type": "boolean", "answers": ("yes",)},
    "three options": {"answer_type": "choice", "choices": ("a", "b", "c"), "answers": ("A",)},
    "four options": {"answer_type": "choice", "choices": ("a", "b", "c", "d"), "answers": ("A",)},
    "five options": {"answer_type": "choice", "choices": ("a", "b", "c", "d", "e"), "answers": ("A",)},
    "a count up to 10": {"text": "How many birds are there?", "answer_type": "number", "answers": ("4",)},
    "any other": {},
}


def recipe(**more: Any) -> Recipe:
    content = {
        "name": "small",
        "sources": [{"source": "demo"}],
        "student": {"family": "qwen2_5_vl", "revision": "r", "max_pixels": 262_144},
        "models": {"base": SERVED, "teachers": [{**SERVED, "model": "t@1"}]},
    }
    return Recipe.model_validate({**content, **more})


def test_the_forms_are_those_that_the_filters_tell_apart() -> None:
    assert {form: chance(question(**fields)) for form, fields in ASKED.items()} == dict(FORMS)


def test_the_floor_of_each_form_is_told_and_where_there_is_none() -> None:
    def least(**gate: Any) -> list[int | None]:
        return [floor.right for floor in floors(GateSettings(**gate))]

    assert least() == [7, 6, 5, 5, 3, 1]
    assert least(min_tools_right=4) == [7, 6, 5, 5, 4, 4]
    assert least(guess_floor=1.0) == [1] * 6
    assert least(k=4) == [None, 4, 4, 3, 3, 1]  # four of four are right by luck in one case of 16


def test_early_stopping_is_recommended_with_what_it_saves_and_only_where_it_is_off() -> None:
    def saving(**more: Any) -> Any:
        asked = recipe(**more)
        return early_stop_saving(asked, estimate(asked, PROMPTS, Rows(100)))

    off, on = GateSettings(), GateSettings(early_stop=True)
    lanes = recipe().lanes
    expected = 1 - expected_plain(on, 0.5, lanes) / expected_plain(off, 0.5, lanes)
    told = saving()
    assert told.share == pytest.approx(expected, abs=1e-4)
    assert told.calls == round(100 * 8 * expected)
    assert saving(gate={"early_stop": True}) is None
    assert saving(lanes={"no_call": 1.0}) is None  # all are asked k times for the lane
