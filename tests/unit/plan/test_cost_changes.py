"""What of a stage's settings changed, and what of that is in its requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filters.gates.gold import DisputeSettings
from filters.gates.lanes import LaneSettings
from filters.gates.rules import GateSettings
from flows.plan.changes import changed_settings, may_ask_more, request_part
from flows.stages.gate import GATE2, Gate1Settings, Gate2Settings
from pipeline.engine.done import Finished
from pipeline.engine.stage import Declared
from pipeline.models.chat import Sampling
from pipeline.rollout.loop import Ask, Limits
from pipeline.students.family import ViewRule
from tests.support.asking import ask

WITH_TOOLS = {"sandbox": "s", "search": "none"}
"""What only those are asked with who have tools."""


def sampled(temperature: float) -> dict[str, Any]:
    """How a model samples stands in its role, too."""
    return {
        "sampling": Sampling(temperature=temperature),
        "asked": {"backend": "reader", "sampling": {"temperature": temperature}},
    }


def asked(mode: str, changes: dict[str, Any]) -> Ask:
    usual: dict[str, Any] = {"model": "m/1", "prompts": "a" * 64, **sampled(1.0), **WITH_TOOLS}
    own = {**usual, **changes, "mode": mode}
    return ask(**own if mode == "tools" else {**own, **dict.fromkeys(WITH_TOOLS, "")})


def settings1(gate: GateSettings | None = None, **changes: Any) -> Gate1Settings:
    """Those of gate 1 in a recipe with some changes."""
    return Gate1Settings(
        gate=(gate or GateSettings()).plain,
        lanes=LaneSettings(),
        plain=asked("plain", changes),
        blind=None,
        pixels=(),
        stronger=None,
        judge=None,
    )


def settings2(gate: GateSettings | None = None, **changes: Any) -> Gate2Settings:
    """Those of gate 2 in the same recipe."""
    return Gate2Settings(
        gate=(gate or GateSettings()).tools,
        tools=asked("tools", changes),
        fresh=asked("plain", {**changes, "arm": "fresh"}),
        judge=None,
        gold=DisputeSettings(),
        base_family="scripted",
    )


def changed(gate: GateSettings | None = None, **changes: Any) -> tuple[str, ...]:
    before, after = settings2(), settings2(gate, **changes)
    made = Finished(
        name="gate2",
        version=GATE2.version,
        fingerprint="f",
        input="",
        settings=before.identity(),
        model=before.model,
        counts={},
        directory=Path(),
        parts=(),
    )
    return changed_settings(Declared(GATE2, after, (), Path()), made)


def test_changes_are_named_as_in_the_recipe() -> None:
    assert changed() == ()
    assert changed(GateSettings(k=10)) == ("gate.k: 8 → 10",)
    assert changed(seed=7) == ("seed: 0 → 7",)
    assert changed(limits=Limits(max_turns=5)) == ("rollout.max_turns: 9 → 5",)
    assert changed(**sampled(0.5)) == ("models.base.sampling.temperature: 1.0 → 0.5",)
    assert changed(prompts="b" * 64) == ("prompts: aaaaaaaaaaaa → bbbbbbbbbbbb",)
    assert changed(model="m/2") == ("revision: m/1 → m/2",)


def test_of_texts_their_hashes_tell() -> None:
    other: dict[str, Any] = {"system": "You see no images.", "user_template": "{question}", "prompts": "b" * 64}
    assert changed(**other) == ("prompts: aaaaaaaaaaaa → bbbbbbbbbbbb",)


@pytest.mark.parametrize(
    ("gate", "changes", "anew", "more"),
    [
        (GateSettings(max_plain_right=4), {}, False, False),
        (GateSettings(max_right_without_call=4), {}, False, False),
        (None, {"prompts": "b" * 64, "system": "You see no images."}, True, False),
        (None, sampled(0.5), True, False),
        (None, {"seed": 7}, True, False),
        (None, {"view": ViewRule("qwen2_5_vl", 1_048_576)}, True, False),
        (None, {"sandbox": "t"}, False, True),
        (None, {"limits": Limits(max_turns=12)}, False, True),
    ],
)
def test_only_what_is_in_every_request_is_paid_again(
    gate: GateSettings | None, changes: dict[str, Any], anew: bool, more: bool
) -> None:
    before, now = settings2().identity(), settings2(gate, **changes).identity()
    assert (request_part("gate2", now) != request_part("gate2", before)) == anew
    assert may_ask_more("gate2", before, now) == more
    before, now = settings1().identity(), settings1(gate, **changes).identity()
    assert (request_part("gate1", now) != request_part("gate1", before)) == anew
    assert not may_ask_more("gate1", before, now)
