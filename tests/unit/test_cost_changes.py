"""What of a stage's settings changed, and what of that is in its requests."""

from __future__ import annotations

from typing import Any

import pytest

from flows.plan.changes import Made, changed_settings, may_ask_more, request_part
from pipeline.engine.stage import Stage

GATE: dict[str, Any] = {
    "settings": {"k": 8, "max_plain_right": 2},
    "rollout": {"seed": 0, "dialect": "d", "view": ["q", 1, "student"], "limits": {"max_turns": 9}, "sandbox": "s"},
    "model": {"backend": "reader", "sampling": {"temperature": 1.0}},
    "prompts": "a" * 64,
}
GATE["rollout"]["search"] = "none"


def changed(after: dict[str, Any], model: str = "m/1") -> tuple[str, ...]:
    stage = Stage("gate2", 1, "map", {**GATE, **after}, model, {}, ())
    return changed_settings(stage, Made("f", 1, "m/1", GATE))


def rollout(**more: Any) -> dict[str, Any]:
    return {"rollout": {**GATE["rollout"], **more}}


def test_changes_are_named_as_in_the_recipe() -> None:
    assert changed({}) == ()
    assert changed({"settings": {"k": 10, "max_plain_right": 2}}) == ("gate.k: 8 → 10",)
    assert changed(rollout(seed=7)) == ("seed: 0 → 7",)
    assert changed(rollout(limits={"max_turns": 5})) == ("rollout.max_turns: 9 → 5",)
    sampling = {"backend": "reader", "sampling": {"temperature": 0.5}}
    assert changed({"model": sampling}) == ("models.base.sampling.temperature: 1.0 → 0.5",)
    assert changed({"prompts": "b" * 64}) == ("prompts: aaaaaaaaaaaa → bbbbbbbbbbbb",)
    assert changed({}, model="m/2") == ("revision: m/1 → m/2",)


@pytest.mark.parametrize(
    ("after", "anew", "more"),
    [
        ({"settings": {"k": 8, "max_plain_right": 4}}, False, False),
        ({"prompts": "b" * 64}, True, False),
        ({"model": {"backend": "reader", "sampling": {"temperature": 0.5}}}, True, False),
        (rollout(seed=7), True, False),
        (rollout(view=["q", 2, "student"]), True, False),
        (rollout(sandbox="t"), False, True),
        (rollout(limits={"max_turns": 12}), False, True),
    ],
)
def test_only_what_is_in_every_request_is_paid_again(after: dict[str, Any], anew: bool, more: bool) -> None:
    now = {**GATE, **after}
    assert (request_part(now) != request_part(GATE)) == anew
    assert may_ask_more("gate2", GATE, now) == more
    assert not may_ask_more("gate1", GATE, now)
