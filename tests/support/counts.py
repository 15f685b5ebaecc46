"""What gates and screen say of a question in the small run: records written by hand."""

from __future__ import annotations

from typing import Any

from filters.gates.counts import derived
from filters.intervals import wilson
from pipeline.records import (
    Arm,
    ArmCount,
    GateCount,
    JudgeVotes,
    Suspicion,
    TemplateFacts,
    Trajectory,
    TrajectoryKey,
)

HARD = 2
"""At most so many right without tools: `max_plain_right` by default."""


def gate_count(question_id: str = "q", *, fresh: ArmCount | None = None, **numbers: Any) -> GateCount:
    """The counts of k = 8 rollouts per arm: where nothing is given, wrong without tools and not asked with them."""
    blank = {name: 0 for name, field in GateCount.model_fields.items() if field.is_required()}
    given = blank | {"k": 8, "plain_valid": 8, "saturated": False, "route": None} | numbers
    return derived(GateCount.model_validate({**given, "question_id": question_id}), fresh)


def arm_count(
    arm: Arm, right: int, valid: int = 8, *, question_id: str = "q", max_pixels: int = 1, **own: Any
) -> ArmCount:
    """The counts of an arm of 8; more than two right are no longer hard."""
    low, high = wilson(right, valid)
    rest = {"model": "m/1", "asked": 8, "malformed": 8 - valid, "low": low, "high": high, "above": right > HARD}
    return ArmCount(question_id=question_id, arm=arm, max_pixels=max_pixels, right=right, valid=valid, **(rest | own))


def template(question_id: str) -> TemplateFacts:
    return TemplateFacts(
        question_id=question_id,
        template="Which place name is printed next to marker #?",
        questions=10,
        majority="Springfield",
        share=1.0,
        is_majority=True,
    )


def suspicion(question_id: str) -> Suspicion:
    return Suspicion(
        question_id=question_id,
        answer="Shelbyville",
        agreeing=5,
        valid=6,
        families=("m",),
        single_family=True,
    )


def votes(question_id: str) -> JudgeVotes:
    return JudgeVotes(
        record_id=question_id,
        question_id=question_id,
        asked="question",
        model="judge/1",
        prompt="0" * 64,
        votes=("sound", "sound", "ambiguous"),
        verdict="sound",
    )


def key(attempt: Trajectory) -> TrajectoryKey:
    return TrajectoryKey(
        id=attempt.id,
        question_id=attempt.question_id,
        source="hand",
        category="perception",
        sample=attempt.sample,
        lane="tools",
        skeleton="0" * 64,
        loss_tokens=attempt.tokens.completion,
    )
