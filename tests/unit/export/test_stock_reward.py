"""What DeepEyesV2's own reward would do otherwise, by its published rules."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from pipeline.export.stock_reward import RewardReason, stock_reward
from tests.support.builders import image, question

REWARDS: list[tuple[dict[str, Any], str, tuple[RewardReason, ...]]] = [
    ({"answer_type": "number", "answers": ("4",)}, "same", ()),
    ({"answer_type": "date", "answers": ("1 May 2020", "1 may  2020.")}, "same", ()),
    ({"answer_type": "boolean", "answers": ("yes",)}, "same", ()),
    ({"answer_type": "number", "answers": ("4",), "tolerance": 0.02}, "differs", ("tolerance",)),
    ({"answer_type": "number", "answers": ("4", "four")}, "differs", ("several_golds",)),
    ({"answer_type": "choice", "answers": ("A",), "choices": ("red", "blue")}, "unknown", ("option_letter",)),
    ({"answer_type": "text", "answers": ("mill",)}, "unknown", ("words",)),
    ({"answer_type": "expression", "answers": ("x+1",)}, "unknown", ("formula",)),
    ({"answer_type": "list", "answers": ("red, blue",)}, "unknown", ("items",)),
    ({"answer_type": "text", "answers": ("mill", "a windmill")}, "differs", ("several_golds", "words")),
    ({"answer_type": "number", "answers": ("4",), "meta": {"metric": "relaxed"}}, "differs", ("metric",)),
    ({"answer_type": "number", "answers": ("4",), "images": ()}, "differs", ("text_only",)),
]


@pytest.mark.parametrize(("fields", "label", "reasons"), REWARDS)
def test_a_question_differs_where_one_gold_does_not_say_what_is_right(
    fields: dict[str, Any], label: str, reasons: tuple[RewardReason, ...]
) -> None:
    assert stock_reward(question(**{"images": (image(),), **fields})) == (label, reasons)


def test_every_reason_has_a_case() -> None:
    assert {reason for *_, reasons in REWARDS for reason in reasons} == set(get_args(RewardReason))
